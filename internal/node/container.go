package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	firstBackOff = time.Second
	lastBackOff  = time.Minute
)

// nextBackOff is how long a container waits after it ran for ran and waited for before. A container that ran well for
// a while begins anew; the first restart comes at once.
func nextBackOff(before, ran time.Duration) (wait, next time.Duration) {
	if ran > 2*lastBackOff {
		before = 0
	}
	return before, min(max(2*before, firstBackOff), lastBackOff)
}

func restarts(policy v1.RestartPolicy, code int32) bool {
	return policy == v1.RestartPolicyAlways || policy == v1.RestartPolicyOnFailure && code != 0
}

// runContainer runs a container again and again as its policy says, until ctx ends. It returns the last exit code.
func (p *processPod) runContainer(ctx context.Context, c *v1.Container, paths map[string]string, policy v1.RestartPolicy) int32 {
	if ended := p.endedBefore(c.Name); ended != nil {
		if !restarts(policy, ended.ExitCode) {
			return ended.ExitCode
		}
		p.set(c.Name, restarted)
	}
	var backOff time.Duration
	for {
		began := time.Now()
		code := p.runOnce(ctx, c, paths)
		if ctx.Err() != nil || !restarts(policy, code) {
			return code
		}
		var wait time.Duration
		wait, backOff = nextBackOff(backOff, time.Since(began))
		if wait > 0 {
			p.set(c.Name, func(s *v1.ContainerStatus) {
				s.LastTerminationState, s.Ready, s.Started = s.State, false, ptr.To(false)
				s.State = waiting("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", wait, c.Name, p.key))
			})
			if !pause(ctx, wait) {
				p.set(c.Name, func(s *v1.ContainerStatus) {
					s.State, s.LastTerminationState = s.LastTerminationState, v1.ContainerState{}
				})
				return code
			}
		}
		p.set(c.Name, restarted)
	}
}

// restarted counts a restart.
func restarted(s *v1.ContainerStatus) {
	if s.State.Terminated != nil {
		s.LastTerminationState, s.State = s.State, waiting("ContainerCreating", "")
	}
	s.RestartCount++
}

func (p *processPod) endedBefore(name string) *v1.ContainerStateTerminated {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.container(name).State.Terminated
}

// runOnce runs a container until it ends, and ends it when ctx ends.
func (p *processPod) runOnce(ctx context.Context, c *v1.Container, paths map[string]string) int32 {
	binary, real := p.agent.Images[imageRepository(c.Image)]
	switch {
	case unpullable(c.Image):
		p.set(c.Name, func(s *v1.ContainerStatus) { s.State = cannotPull(c.Image) })
		<-ctx.Done()
		return p.ended(c.Name, 137, "ContainerStatusUnknown", "the image could not be pulled")
	case !real:
		return p.simulateContainer(ctx, c)
	}
	run, err := p.programPatiently(ctx, c, binary, paths)
	if err != nil {
		return p.ended(c.Name, 137, "ContainerStatusUnknown", err.Error())
	}
	log, err := p.openLog(c.Name)
	if err != nil {
		return p.ended(c.Name, 128, "StartError", err.Error())
	}
	defer log.Close()
	run.output = log
	cmd, err := p.agent.spawner.start(p.killed, run)
	if err != nil {
		fmt.Fprintf(log, "starting %s: %v\n", run.path, err)
		return p.ended(c.Name, 128, "StartError", err.Error())
	}
	alive, gone := context.WithCancel(p.killed)
	defer gone()
	p.mu.Lock()
	p.programs[c.Name] = started{run, alive}
	p.mu.Unlock()
	return p.supervise(ctx, c, cmd, run)
}

// supervise waits for a process, probing it meanwhile.
func (p *processPod) supervise(ctx context.Context, c *v1.Container, cmd *exec.Cmd, run program) int32 {
	p.set(c.Name, func(s *v1.ContainerStatus) {
		began := containerStatus(*c, v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.Now()}})
		s.State, s.ImageID = began.State, began.ImageID
		s.ContainerID = fmt.Sprintf("process://%d", cmd.Process.Pid)
		s.Started = ptr.To(c.StartupProbe == nil)
		s.Ready = c.StartupProbe == nil && c.ReadinessProbe == nil
	})
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	probing, stopProbing := context.WithCancel(ctx)
	unhealthy := make(chan string, 2) // liveness and start-up
	var probes sync.WaitGroup
	probes.Go(func() { p.probe(probing, c, run, unhealthy) })
	finish := func(err error, message string) int32 {
		stopProbing()
		probes.Wait()
		signalGroup(cmd.Process, syscall.SIGKILL) // what the process left behind
		code := int32(exitCode(err, cmd.ProcessState))
		reason := "Error"
		if code == 0 {
			reason = "Completed"
		}
		return p.ended(c.Name, code, reason, message)
	}
	select {
	case err := <-exited:
		return finish(err, "")
	case why := <-unhealthy:
		return finish(p.terminate(cmd, exited), why)
	case <-ctx.Done():
		return finish(p.terminate(cmd, exited), "")
	}
}

// terminate asks a process to end and kills it when its time is up.
func (p *processPod) terminate(cmd *exec.Cmd, exited <-chan error) error {
	signalGroup(cmd.Process, syscall.SIGTERM)
	timer := time.NewTimer(podGrace(p.setting().pod))
	defer timer.Stop()
	select {
	case err := <-exited:
		return err
	case <-timer.C:
	case <-p.killed.Done():
	}
	signalGroup(cmd.Process, syscall.SIGKILL)
	return <-exited
}

// ended notes a container's end.
func (p *processPod) ended(name string, code int32, reason, message string) int32 {
	p.set(name, func(s *v1.ContainerStatus) {
		s.State = completed(s.State, code, reason, time.Now())
		s.State.Terminated.Message, s.State.Terminated.ContainerID = message, s.ContainerID
		s.Ready, s.Started = code == 0 && find(p.init, name) != nil, ptr.To(false)
	})
	return code
}

// simulateContainer is a container of an image that is not in the table, beside one that is.
func (p *processPod) simulateContainer(ctx context.Context, c *v1.Container) int32 {
	pod := p.setting().pod
	now := time.Now()
	left, ends := runFor(pod, now, now)
	if isInit(pod, c.Name) && !isSidecar(*c) {
		left, ends = 0, true
	}
	p.set(c.Name, func(s *v1.ContainerStatus) {
		count, last := s.RestartCount, s.LastTerminationState
		*s = containerStatus(*c, v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.NewTime(now)}})
		s.RestartCount, s.LastTerminationState = count, last
	})
	if !ends {
		<-ctx.Done()
		return p.ended(c.Name, 0, "Completed", "")
	}
	pause(ctx, left)
	return p.ended(c.Name, 0, "Completed", "")
}

// programPatiently waits for the config maps and secrets of the environment.
func (p *processPod) programPatiently(ctx context.Context, c *v1.Container, binary string, paths map[string]string) (program, error) {
	for {
		run, err := p.program(c, binary, paths)
		if err == nil {
			return run, nil
		}
		p.set(c.Name, func(s *v1.ContainerStatus) { s.State = waiting("CreateContainerConfigError", err.Error()) })
		if !pause(ctx, 2*time.Second) {
			return run, err
		}
	}
}

// program resolves what a container runs.
func (p *processPod) program(c *v1.Container, binary string, paths map[string]string) (program, error) {
	s := p.setting()
	vars, err := s.environment(c, p.baseEnvironment(s))
	if err != nil {
		return program{}, err
	}
	table := newMountTable(c.VolumeMounts, paths)
	if err := p.ensureSubPaths(c.VolumeMounts, paths); err != nil {
		return program{}, err
	}
	root := filepath.Join(p.dir, "root", c.Name)
	if err := table.mirror(root); err != nil {
		return program{}, fmt.Errorf("showing mounts in %s: %w", root, err)
	}
	run := program{dir: root, mounts: table}
	if dir := table.rewrite(c.WorkingDir); dir != c.WorkingDir {
		run.dir = dir
	}
	for _, name := range vars.names {
		run.env = append(run.env, name+"="+table.rewrite(vars.values[name]))
	}
	run.env = append(run.env, "CONTAINER_ROOT="+root)
	run.path, run.args = commandLine(c, binary, vars.lookup)
	run.path, run.args = table.rewrite(run.path), table.rewriteAll(run.args)
	if found, err := exec.LookPath(run.path); err == nil {
		run.path = found // else starting it says what is wrong
	}
	return run, nil
}

// commandLine is a container's program and arguments, expanded. The image's binary stands for a command of its name.
func commandLine(c *v1.Container, binary string, lookup func(string) (string, bool)) (path string, args []string) {
	var words []string
	for _, w := range c.Command {
		words = append(words, expand(w, lookup))
	}
	for _, w := range c.Args {
		words = append(words, expand(w, lookup))
	}
	if len(c.Command) == 0 {
		return binary, words
	}
	switch filepath.Base(words[0]) {
	case filepath.Base(binary), filepath.Base(imageRepository(c.Image)):
		return binary, words[1:]
	}
	return words[0], words[1:]
}

func (p *processPod) ensureSubPaths(mounts []v1.VolumeMount, paths map[string]string) error {
	for _, m := range mounts {
		if m.SubPathExpr != "" {
			return fmt.Errorf("subPathExpr of mount %s is not supported by local clusters; use subPath", m.Name)
		}
		if !filepath.IsLocal(m.SubPath) && m.SubPath != "" {
			return fmt.Errorf("subPath %q of mount %s leaves its volume", m.SubPath, m.Name)
		}
		path := filepath.Join(paths[m.Name], m.SubPath)
		if _, err := os.Stat(path); m.SubPath != "" && err != nil {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

// openLog begins the log of a container's present run, and forgets the run before the previous one.
func (p *processPod) openLog(name string) (*logFile, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := p.container(name).RestartCount
	log, err := createLog(logPath(p.dir, name, count))
	if err != nil {
		return nil, fmt.Errorf("opening the log of container %s: %w", name, err)
	}
	p.logs[name] = log
	os.Remove(logPath(p.dir, name, count-2)) // there may be none
	return log, nil
}

func logPath(podDir, container string, run int32) string {
	return filepath.Join(podDir, "logs", fmt.Sprintf("%s.%d.log", container, run))
}
