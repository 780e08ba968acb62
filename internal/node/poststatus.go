package node

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

// post writes the status after each change that shows, until ctx ends.
func (p *processPod) post(ctx context.Context) {
	p.signal()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		}
		if err := p.postOnce(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "posting a status will be tried again", "pod", p.key.String())
			if !pause(ctx, time.Second) {
				return
			}
			p.signal()
		}
	}
}

// postLast gives the final status a few tries; the pod's deletion follows it.
func (p *processPod) postLast(ctx context.Context) {
	for range 5 {
		err := p.postOnce(ctx)
		if err == nil {
			return
		}
		klog.FromContext(ctx).Error(err, "posting the last status will be tried again", "pod", p.key.String())
		if !pause(ctx, time.Second) {
			return
		}
	}
}

func (p *processPod) postOnce(ctx context.Context) error {
	p.mu.Lock()
	pod := p.pod.DeepCopy()
	// What was posted last may be newer than what the watch has brought.
	if p.posted != nil {
		pod.Status = *withForeign(p.posted, pod.Status.Conditions)
	}
	at := place{hostIP: p.agent.hostIP(pod), podIP: published(p.address).String()}
	status := processStatus(pod, at, p.phase, p.init, p.main, time.Now())
	p.mu.Unlock()
	if err := p.agent.postPodStatus(ctx, pod, status); err != nil {
		return err
	}
	p.mu.Lock()
	p.posted = &status
	p.mu.Unlock()
	return nil
}

// withForeign is posted with the conditions that others wrote since.
func withForeign(posted *v1.PodStatus, now []v1.PodCondition) *v1.PodStatus {
	s := posted.DeepCopy()
	for _, c := range now {
		switch c.Type {
		case v1.PodReady, v1.ContainersReady, v1.PodInitialized, v1.PodReadyToStartContainers:
			continue
		}
		s.Conditions = append(without(s.Conditions, c.Type), c)
	}
	return s
}

func without(all []v1.PodCondition, t v1.PodConditionType) []v1.PodCondition {
	var rest []v1.PodCondition
	for _, c := range all {
		if c.Type != t {
			rest = append(rest, c)
		}
	}
	return rest
}

// processStatus is the status of a pod whose containers are in these states. A phase that is final counts; else it
// follows from the containers.
func processStatus(pod *v1.Pod, at place, phase v1.PodPhase, init, main []v1.ContainerStatus, now time.Time) v1.PodStatus {
	s := *pod.Status.DeepCopy()
	begin(&s, pod, at, now)
	s.InitContainerStatuses, s.ContainerStatuses = copies(init), copies(main)
	initialized := initDone(pod, init)
	switch {
	case terminal(phase):
		s.Phase = phase
	case initialized && anyStarted(main):
		s.Phase = v1.PodRunning
	default:
		s.Phase = v1.PodPending
	}
	setConditions(&s, pod, initialized, now)
	return s
}

func copies(all []v1.ContainerStatus) []v1.ContainerStatus {
	var out []v1.ContainerStatus
	for i := range all {
		out = append(out, *all[i].DeepCopy())
	}
	return out
}

func initDone(pod *v1.Pod, init []v1.ContainerStatus) bool {
	for _, c := range pod.Spec.InitContainers {
		s := find(init, c.Name)
		switch {
		case isSidecar(c) && !ptr.Deref(s.Started, false) && s.LastTerminationState.Terminated == nil:
			return false
		case !isSidecar(c) && (s.State.Terminated == nil || s.State.Terminated.ExitCode != 0):
			return false
		}
	}
	return true
}

func anyStarted(all []v1.ContainerStatus) bool {
	for _, s := range all {
		if s.State.Waiting == nil || s.LastTerminationState.Terminated != nil {
			return true
		}
	}
	return false
}

// finalPhase is the phase of a pod whose containers have all ended for good.
func finalPhase(pod *v1.Pod, init, main []v1.ContainerStatus) v1.PodPhase {
	if !initDone(pod, init) {
		return v1.PodFailed
	}
	for _, s := range main {
		if s.State.Terminated == nil || s.State.Terminated.ExitCode != 0 {
			return v1.PodFailed
		}
	}
	return v1.PodSucceeded
}

// adopt returns the statuses with which a node starts a pod. One that was running before the cluster stopped was
// killed with it.
func adopt(pod *v1.Pod) (init, main []v1.ContainerStatus) {
	each := func(containers []v1.Container, before []v1.ContainerStatus) []v1.ContainerStatus {
		var all []v1.ContainerStatus
		for _, c := range containers {
			reason := "ContainerCreating"
			if len(pod.Spec.InitContainers) > 0 {
				reason = "PodInitializing"
			}
			s := containerStatus(c, waiting(reason, ""))
			if old := find(before, c.Name); old != nil {
				s = adoptContainer(s, *old, pod.Spec.RestartPolicy)
			}
			all = append(all, s)
		}
		return all
	}
	return each(pod.Spec.InitContainers, pod.Status.InitContainerStatuses), each(pod.Spec.Containers, pod.Status.ContainerStatuses)
}

func adoptContainer(fresh, old v1.ContainerStatus, policy v1.RestartPolicy) v1.ContainerStatus {
	fresh.RestartCount, fresh.LastTerminationState = old.RestartCount, old.LastTerminationState
	switch {
	case old.State.Terminated != nil:
		old.Ready, old.Started = old.State.Terminated.ExitCode == 0 && old.Ready, ptr.To(false)
		return old
	case old.State.Running == nil:
		return fresh
	}
	killed := v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
		ExitCode: 137, Reason: "Error", Message: "the cluster was stopped",
		StartedAt: old.State.Running.StartedAt, FinishedAt: metav1.Now(),
	}}
	if policy == v1.RestartPolicyNever {
		fresh.State = killed
		return fresh
	}
	fresh.LastTerminationState = killed
	fresh.RestartCount++
	return fresh
}
