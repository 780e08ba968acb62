package playground

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is a cluster's process as its pid file has it. A pid alone is not enough: pids are used again.
type process struct {
	pid int
	// birth tells processes apart that have had the same pid.
	birth string
}

func (p Playground) pidFile(cluster string) string { return filepath.Join(p.folder(cluster), "pid") }

// process returns the cluster's process if that very process still runs.
func (p Playground) process(cluster string) (process, bool, error) {
	data, err := os.ReadFile(p.pidFile(cluster))
	if errors.Is(err, fs.ErrNotExist) {
		return process{}, false, nil
	}
	if err != nil {
		return process{}, false, fmt.Errorf("looking for the process of cluster %s: %w", cluster, err)
	}
	pr, err := parsePID(string(data))
	if err != nil {
		return process{}, false, fmt.Errorf("reading %s: %w: end the cluster's process by hand and remove the file", p.pidFile(cluster), err)
	}
	return pr, pr.alive(), nil
}

func parsePID(text string) (process, error) {
	number, birth, found := strings.Cut(strings.TrimSpace(text), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || !found || pid <= 1 {
		return process{}, fmt.Errorf("%q is not a pid and the time it started", text)
	}
	return process{pid: pid, birth: birth}, nil
}

func (pr process) String() string { return fmt.Sprintf("%d %s", pr.pid, pr.birth) }

func (pr process) alive() bool {
	birth, running, err := birthOf(pr.pid)
	return err == nil && running && birth == pr.birth
}

// spawn starts a program that outlives this one, and notes it in the pid file.
func (p Playground) spawn(cluster, program string, args []string) (process, error) {
	log, err := os.OpenFile(p.logFile(cluster), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return process{}, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = p.folder(cluster)
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("starting cluster %s: %w", cluster, err)
	}
	birth, _, err := birthOf(cmd.Process.Pid)
	pr := process{pid: cmd.Process.Pid, birth: birth}
	if err == nil {
		err = writeFile(p.pidFile(cluster), []byte(pr.String()+"\n"))
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return process{}, fmt.Errorf("noting the process of cluster %s: %w", cluster, err)
	}
	// While we live, we are the parent that has to collect it.
	go func() { _ = cmd.Wait() }()
	return pr, nil
}

// stopLimit is how long a cluster may take to stop its pods and itself.
const stopLimit = 20 * time.Second

// stop ends a process, the gentle way first. It returns when the process is gone.
func (pr process) stop(ctx context.Context) error {
	gentle, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if err := pr.signal(terminate); err == nil && pr.gone(gentle) == nil {
		return nil
	}
	return pr.kill(ctx)
}

// kill ends a process at once, as a crash would.
func (pr process) kill(ctx context.Context) error {
	if err := pr.signal(kill); err != nil && pr.alive() {
		return fmt.Errorf("killing process %d: %w", pr.pid, err)
	}
	if err := pr.gone(ctx); err != nil {
		return fmt.Errorf("process %d does not end: %w", pr.pid, err)
	}
	return nil
}

func (pr process) signal(s os.Signal) error {
	// Found first, verified then: on Linux what is found stays the same process, whoever gets its pid later.
	found, err := os.FindProcess(pr.pid)
	if err != nil {
		return err
	}
	defer found.Release()
	if !pr.alive() {
		return os.ErrProcessDone
	}
	return found.Signal(s)
}

// gone waits until the process has ended.
func (pr process) gone(ctx context.Context) error {
	for pr.alive() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
