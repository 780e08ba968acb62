package node

import (
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// setConditions derives the conditions that a kubelet writes from phase and container statuses. Those of others stay.
func setConditions(s *v1.PodStatus, pod *v1.Pod, initialized bool, now time.Time) {
	ready := v1.PodCondition{Type: v1.PodReady, Status: v1.ConditionTrue}
	containers := v1.PodCondition{Type: v1.ContainersReady, Status: v1.ConditionTrue}
	switch unready := unreadyContainers(s, pod); {
	case s.Phase == v1.PodSucceeded:
		containers.Status, containers.Reason = v1.ConditionFalse, "PodCompleted"
	case s.Phase == v1.PodFailed:
		containers.Status, containers.Reason = v1.ConditionFalse, "PodFailed"
	case len(unready) > 0:
		containers.Status, containers.Reason = v1.ConditionFalse, "ContainersNotReady"
		containers.Message = "containers with unready status: [" + strings.Join(unready, " ") + "]"
	}
	ready.Status, ready.Reason, ready.Message = containers.Status, containers.Reason, containers.Message
	if gates := closedGates(s, pod); ready.Status == v1.ConditionTrue && len(gates) > 0 {
		ready.Status, ready.Reason = v1.ConditionFalse, "ReadinessGatesNotReady"
		ready.Message = "readiness gates that are not true: [" + strings.Join(gates, " ") + "]"
	}
	init := v1.PodCondition{Type: v1.PodInitialized, Status: v1.ConditionTrue}
	if !initialized {
		init.Status, init.Reason = v1.ConditionFalse, "ContainersNotInitialized"
	}
	setCondition(s, v1.PodCondition{Type: v1.PodReadyToStartContainers, Status: v1.ConditionTrue}, pod, now)
	setCondition(s, init, pod, now)
	setCondition(s, containers, pod, now)
	setCondition(s, ready, pod, now)
}

func setCondition(s *v1.PodStatus, c v1.PodCondition, pod *v1.Pod, now time.Time) {
	c.ObservedGeneration, c.LastTransitionTime = pod.Generation, metav1.NewTime(now)
	for i := range s.Conditions {
		old := &s.Conditions[i]
		if old.Type != c.Type {
			continue
		}
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		c.LastProbeTime = old.LastProbeTime
		*old = c
		return
	}
	s.Conditions = append(s.Conditions, c)
}

// unreadyContainers counts sidecars, but not init containers that are to end.
func unreadyContainers(s *v1.PodStatus, pod *v1.Pod) []string {
	var names []string
	note := func(c v1.Container, all []v1.ContainerStatus) {
		if status := find(all, c.Name); status == nil || !status.Ready {
			names = append(names, c.Name)
		}
	}
	for _, c := range pod.Spec.InitContainers {
		if isSidecar(c) {
			note(c, s.InitContainerStatuses)
		}
	}
	for _, c := range pod.Spec.Containers {
		note(c, s.ContainerStatuses)
	}
	return names
}

func closedGates(s *v1.PodStatus, pod *v1.Pod) []string {
	var names []string
	for _, g := range pod.Spec.ReadinessGates {
		open := false
		for _, c := range s.Conditions {
			open = open || c.Type == g.ConditionType && c.Status == v1.ConditionTrue
		}
		if !open {
			names = append(names, string(g.ConditionType))
		}
	}
	return names
}
