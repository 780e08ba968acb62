package node

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

// longestShutdown bounds what a pod may take when the whole cluster stops.
const longestShutdown = 10 * time.Second

// processPod runs one pod that has a container with a process. Its containers' goroutines change the statuses, one
// goroutine posts them.
type processPod struct {
	agent   *agent
	key     cache.ObjectName
	dir     string
	address netip.Addr
	// running ends when the containers are to stop, killed when they may not take any more time for it, and done is
	// closed when nothing of the pod runs.
	running context.Context
	stopAll context.CancelFunc
	killed  context.Context
	killAll context.CancelFunc
	done    chan struct{}

	changed chan struct{} // has room for one signal

	mu         sync.Mutex
	pod        *v1.Pod // the newest known
	phase      v1.PodPhase
	init, main []v1.ContainerStatus
	logs       map[string]*logFile
	programs   map[string]started
	killAt     time.Time
	posted     *v1.PodStatus
}

// started is what runs as a container, until its context ends.
type started struct {
	program
	alive context.Context
}

func (a *agent) startProcessPod(ctx context.Context, key cache.ObjectName, pod *v1.Pod, address netip.Addr) *processPod {
	p := &processPod{
		agent: a, key: key, dir: a.podDir(string(pod.UID)), address: address,
		done: make(chan struct{}), changed: make(chan struct{}, 1),
		pod: pod, phase: v1.PodPending, logs: map[string]*logFile{}, programs: map[string]started{},
	}
	p.init, p.main = adopt(pod)
	p.running, p.stopAll = context.WithCancel(ctx)
	p.killed, p.killAll = context.WithCancel(context.WithoutCancel(ctx))
	a.processes.Go(func() { p.run(ctx) })
	return p
}

func (a *agent) podDir(uid string) string { return filepath.Join(a.Dir, "pods", uid) }

// run returns when nothing of the pod runs and, unless the cluster stops, its last status is posted.
func (p *processPod) run(ctx context.Context) {
	defer close(p.done)
	defer p.agent.podQueue.Add(p.key)
	defer p.killAll()
	defer p.stopAll()
	// The cluster stops: processes may end in order, but soon.
	defer context.AfterFunc(ctx, func() { p.stop(min(podGrace(p.setting().pod), longestShutdown)) })()

	posting, stopPosting := context.WithCancel(ctx)
	var poster sync.WaitGroup
	poster.Go(func() { p.post(posting) })
	p.runContainers()
	p.finish(ctx)
	stopPosting()
	poster.Wait()
	if ctx.Err() == nil {
		p.postLast(ctx)
	}
}

// runContainers returns when all containers have ended for good.
func (p *processPod) runContainers() {
	s := p.setting()
	volumes := newVolumeSet(p.agent.client, p.dir)
	paths, renew, ok := p.mountPatiently(volumes, s)
	if !ok {
		return
	}
	fresh, stopRefreshing := context.WithCancel(p.running)
	var parts sync.WaitGroup
	parts.Go(func() { volumes.keepFresh(fresh, s, renew) })
	defer parts.Wait()
	defer stopRefreshing()

	// Sidecars outlive the other containers: only a kill ends them with those.
	alongside, stopSidecars := context.WithCancel(p.killed)
	defer stopSidecars()
	if !p.runInit(alongside, &parts, paths) {
		return
	}
	var containers sync.WaitGroup
	for i := range s.pod.Spec.Containers {
		c := &s.pod.Spec.Containers[i]
		containers.Go(func() { p.runContainer(p.running, c, paths, s.pod.Spec.RestartPolicy) })
	}
	containers.Wait()
}

// runInit runs init containers one after the other and starts sidecars; it says whether the pod may go on.
func (p *processPod) runInit(alongside context.Context, parts *sync.WaitGroup, paths map[string]string) bool {
	pod := p.setting().pod
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if isSidecar(*c) {
			parts.Go(func() { p.runContainer(alongside, c, paths, v1.RestartPolicyAlways) })
			continue
		}
		policy := pod.Spec.RestartPolicy
		if policy == v1.RestartPolicyAlways {
			policy = v1.RestartPolicyOnFailure // an init container is to succeed once
		}
		if code := p.runContainer(p.running, c, paths, policy); code != 0 || p.running.Err() != nil {
			return false
		}
	}
	return true
}

// mountPatiently tries until all volumes are there or the pod is to stop.
func (p *processPod) mountPatiently(v *volumeSet, s setting) (paths map[string]string, renew time.Time, ok bool) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		paths, renew, err := v.mount(p.running, s)
		if err == nil {
			return paths, renew, true
		}
		p.each(func(c *v1.ContainerStatus) {
			if c.State.Waiting != nil {
				c.State.Waiting.Message = err.Error()
			}
		})
		if !pause(p.running, wait) {
			return nil, renew, false
		}
	}
}

// pause waits; it says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// setting is where the containers' environment comes from; fieldRef status.podIP is an address that can be bound.
func (p *processPod) setting() setting {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := place{hostIP: p.agent.hostIP(p.pod), podIP: p.address.String()}
	return setting{pod: p.pod, at: at, reader: liveReader{p.running, p.agent.client}}
}

// update takes a newer pod.
func (p *processPod) update(pod *v1.Pod) {
	p.mu.Lock()
	p.pod = pod
	p.mu.Unlock()
	p.signal()
}

// stop lets the containers end within grace. A later call can only shorten it.
func (p *processPod) stop(grace time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := time.Now().Add(grace); p.killAt.IsZero() || at.Before(p.killAt) {
		p.killAt = at
		time.AfterFunc(grace, p.killAll) // after the pod's end it does nothing
	}
	p.stopAll()
}

func podGrace(pod *v1.Pod) time.Duration {
	grace := ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, 30)
	if pod.DeletionGracePeriodSeconds != nil {
		grace = *pod.DeletionGracePeriodSeconds
	}
	return time.Duration(grace) * time.Second
}

// finish settles the phase after the containers' end, unless they ended because the cluster stops: then the pod runs
// on after the next start.
func (p *processPod) finish(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = finalPhase(p.pod, p.init, p.main)
	klog.FromContext(ctx).V(1).Info("pod ended", "pod", p.key.String(), "phase", p.phase)
}

// container returns the status of a container by name; the caller holds mu.
func (p *processPod) container(name string) *v1.ContainerStatus {
	if s := find(p.main, name); s != nil {
		return s
	}
	return find(p.init, name)
}

// set changes a container's status and has it posted.
func (p *processPod) set(name string, change func(*v1.ContainerStatus)) {
	p.mu.Lock()
	change(p.container(name))
	p.mu.Unlock()
	p.signal()
}

func (p *processPod) each(change func(*v1.ContainerStatus)) {
	p.mu.Lock()
	for _, all := range [][]v1.ContainerStatus{p.init, p.main} {
		for i := range all {
			change(&all[i])
		}
	}
	p.mu.Unlock()
	p.signal()
}

func (p *processPod) signal() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *processPod) String() string { return fmt.Sprintf("pod %s", p.key) }
