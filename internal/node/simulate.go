package node

import (
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// RunForAnnotation on a simulated pod says how long its containers run, as a Go duration such as "30s", or "forever".
// Without it they run forever with restartPolicy Always, else for a second.
const RunForAnnotation = "node.kubefed.dev/run-for"

// place is where a pod runs, as its status shows it.
type place struct{ hostIP, podIP string }

// simulate returns the status at now of a pod that no process stands behind, and after which time it changes by itself
// (0: never).
func simulate(pod *v1.Pod, at place, now time.Time) (v1.PodStatus, time.Duration) {
	s := *pod.Status.DeepCopy()
	if terminal(s.Phase) {
		return s, 0
	}
	begin(&s, pod, at, now)
	started := s.StartTime.Time
	left, ends := runFor(pod, started, now)
	switch {
	case pod.DeletionTimestamp != nil:
		if len(pod.Finalizers) == 0 {
			return pod.Status, 0 // the deletion itself says it
		}
		end(&s, pod, v1.PodFailed, now)
		return s, 0
	case ends && left <= 0:
		end(&s, pod, v1.PodSucceeded, now)
		return s, 0
	}
	s.Phase = v1.PodRunning
	blocked := simulateInit(&s, pod, now)
	s.ContainerStatuses = statuses(pod.Spec.Containers, s.ContainerStatuses, func(c v1.Container) v1.ContainerState {
		switch {
		case blocked:
			return waiting("PodInitializing", "")
		case unpullable(c.Image):
			return cannotPull(c.Image)
		}
		return v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.NewTime(now)}}
	})
	if blocked || !anyRunning(s.ContainerStatuses) {
		s.Phase = v1.PodPending
	}
	setConditions(&s, pod, !blocked, now)
	if s.Phase == v1.PodPending || !ends {
		return s, 0
	}
	return s, left
}

// simulateInit says whether an init container keeps the pod from going on.
func simulateInit(s *v1.PodStatus, pod *v1.Pod, now time.Time) (blocked bool) {
	s.InitContainerStatuses = statuses(pod.Spec.InitContainers, s.InitContainerStatuses, func(c v1.Container) v1.ContainerState {
		switch {
		case blocked:
			return waiting("PodInitializing", "")
		case unpullable(c.Image):
			blocked = true
			return cannotPull(c.Image)
		case isSidecar(c):
			return v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.NewTime(now)}}
		}
		return completed(v1.ContainerState{}, 0, "Completed", now)
	})
	return blocked
}

// statuses makes each container's status; one that runs the same image and is in the same kind of state as before
// stays as it is.
func statuses(containers []v1.Container, before []v1.ContainerStatus, state func(v1.Container) v1.ContainerState) []v1.ContainerStatus {
	var all []v1.ContainerStatus
	for _, c := range containers {
		next := containerStatus(c, state(c))
		if old := find(before, c.Name); old != nil && old.Image == c.Image && sameKind(old.State, next.State) {
			next = *old
		}
		all = append(all, next)
	}
	return all
}

// containerStatus is a container's first status.
func containerStatus(c v1.Container, state v1.ContainerState) v1.ContainerStatus {
	s := v1.ContainerStatus{Name: c.Name, Image: c.Image, State: state, Started: ptr.To(state.Running != nil)}
	s.Ready = state.Running != nil || state.Terminated != nil && state.Terminated.ExitCode == 0
	if state.Waiting == nil {
		s.ImageID, s.ContainerID = "process://"+c.Image, "process://"+c.Name
	}
	return s
}

func find(all []v1.ContainerStatus, name string) *v1.ContainerStatus {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

func sameKind(a, b v1.ContainerState) bool {
	return (a.Running != nil) == (b.Running != nil) && (a.Terminated != nil) == (b.Terminated != nil) &&
		(a.Waiting != nil) == (b.Waiting != nil) && (a.Waiting == nil || a.Waiting.Reason == b.Waiting.Reason)
}

// begin fills in what is true of a pod from the moment its node sees it.
func begin(s *v1.PodStatus, pod *v1.Pod, at place, now time.Time) {
	s.ObservedGeneration = pod.Generation
	s.HostIP, s.HostIPs = at.hostIP, []v1.HostIP{{IP: at.hostIP}}
	s.PodIP, s.PodIPs = at.podIP, []v1.PodIP{{IP: at.podIP}}
	if pod.Spec.HostNetwork {
		s.PodIP, s.PodIPs = at.hostIP, []v1.PodIP{{IP: at.hostIP}}
	}
	if s.StartTime == nil {
		s.StartTime = ptr.To(metav1.NewTime(now))
	}
}

// end makes all containers that are not terminated so, and the pod's phase final.
func end(s *v1.PodStatus, pod *v1.Pod, phase v1.PodPhase, now time.Time) {
	s.Phase = phase
	code, reason := int32(0), "Completed"
	if phase == v1.PodFailed {
		code, reason = 137, "Error"
	}
	finish := func(containers []v1.Container, before []v1.ContainerStatus) []v1.ContainerStatus {
		var all []v1.ContainerStatus
		for _, c := range containers {
			next := v1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: "process://" + c.Image}
			if old := find(before, c.Name); old != nil {
				next = *old
			}
			if next.State.Terminated == nil {
				next.State = completed(next.State, code, reason, now)
			}
			next.Ready, next.Started = isInit(pod, c.Name) && next.State.Terminated.ExitCode == 0, ptr.To(false)
			all = append(all, next)
		}
		return all
	}
	s.InitContainerStatuses = finish(pod.Spec.InitContainers, s.InitContainerStatuses)
	s.ContainerStatuses = finish(pod.Spec.Containers, s.ContainerStatuses)
	setConditions(s, pod, true, now)
}

func completed(before v1.ContainerState, code int32, reason string, now time.Time) v1.ContainerState {
	t := &v1.ContainerStateTerminated{ExitCode: code, Reason: reason, StartedAt: metav1.NewTime(now), FinishedAt: metav1.NewTime(now)}
	if before.Running != nil {
		t.StartedAt = before.Running.StartedAt
	}
	return v1.ContainerState{Terminated: t}
}

// runFor says how much longer the pod's containers run, and whether they end at all.
func runFor(pod *v1.Pod, started, now time.Time) (left time.Duration, ends bool) {
	length := time.Second
	switch text, set := pod.Annotations[RunForAnnotation]; {
	case set && text == "forever", !set && pod.Spec.RestartPolicy == v1.RestartPolicyAlways:
		return 0, false
	case set:
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, false
		}
		length = d
	}
	return started.Add(length).Sub(now), true
}

func waiting(reason, message string) v1.ContainerState {
	return v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func cannotPull(image string) v1.ContainerState {
	return waiting("ImagePullBackOff", "Back-off pulling image \""+image+"\": not found")
}

// unpullable says whether tests chose this image to have a pod that does not start.
func unpullable(image string) bool {
	tag := imageTag(image)
	return tag == "missing" || strings.Contains(tag, "does-not-exist")
}

func anyRunning(all []v1.ContainerStatus) bool {
	for _, s := range all {
		if s.State.Running != nil {
			return true
		}
	}
	return false
}

func terminal(p v1.PodPhase) bool { return p == v1.PodSucceeded || p == v1.PodFailed }

func isSidecar(c v1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == v1.ContainerRestartPolicyAlways
}

func isInit(pod *v1.Pod, name string) bool {
	for _, c := range pod.Spec.InitContainers {
		if c.Name == name {
			return true
		}
	}
	return false
}
