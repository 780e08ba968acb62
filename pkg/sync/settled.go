package sync

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// revision is what was asked of a member: one version of an object and of the decision on it.
type revision struct {
	uid                  types.UID
	generation, decision int64
}

func (in reading) revision() revision {
	r := revision{uid: in.object.GetUID(), generation: in.object.GetGeneration()}
	if in.decision != nil {
		r.decision = in.decision.Generation
	}
	return r
}

// observing are the kinds whose controllers say which generation they have seen. Until they do, their copy's status is
// not about what was decided.
var observing = map[schema.GroupKind]bool{
	{Group: "apps", Kind: "Deployment"}: true, {Group: "apps", Kind: "ReplicaSet"}: true, {Group: "apps", Kind: "StatefulSet"}: true,
	{Group: "apps", Kind: "DaemonSet"}: true, {Group: "policy", Kind: "PodDisruptionBudget"}: true,
}

// current says whether the member holds what was decided and its controllers have seen it.
func (e evidence) current(in reading) bool {
	c, o := e.seen.copy, e.seen.outcome
	if c == nil || c.OriginUID != in.object.GetUID() || o.State != federation.StateSynced || c.Owned != o.owned || o.of != in.revision() {
		return false
	}
	if observed, ok := c.Status["observedGeneration"].(int64); ok {
		return observed >= c.Generation
	}
	return !observing[in.kind.GroupKind()]
}

// settlings say of kinds with rollouts when a member is through one; `kubectl rollout status` asks the same.
var settlings = map[schema.GroupKind]func(c *Copy) bool{
	{Group: "apps", Kind: "Deployment"}: func(c *Copy) bool { return all(c, c.Replicas, "replicas", "updatedReplicas", "availableReplicas") },
	{Group: "apps", Kind: "ReplicaSet"}: func(c *Copy) bool { return all(c, c.Replicas, "replicas", "availableReplicas") },
	{Group: "apps", Kind: "StatefulSet"}: func(c *Copy) bool {
		return all(c, c.Replicas, "replicas", "availableReplicas") && text(c.Status, "currentRevision") == text(c.Status, "updateRevision")
	},
	{Group: "apps", Kind: "DaemonSet"}: func(c *Copy) bool {
		return all(c, number(c.Status, "desiredNumberScheduled"), "updatedNumberScheduled", "numberAvailable")
	},
	jobs: func(c *Copy) bool {
		return finished(c.Status) || text(condition(c.Status, "Suspended"), "status") == "True"
	},
}

func all(c *Copy, n int64, fields ...string) bool {
	for _, field := range fields {
		if number(c.Status, field) != n {
			return false
		}
	}
	return true
}

// finished says whether a Job has ended, well or not. Kubernetes takes neither condition back.
func finished(status map[string]any) bool {
	return text(condition(status, "Complete"), "status") == "True" || text(condition(status, "Failed"), "status") == "True"
}

// settled says whether nothing is to be waited for in a cluster before its state is written down.
func settled(e evidence, state *federation.ClusterState, in reading) bool {
	switch {
	case state == nil:
		return true
	case !e.placed:
		return false
	case !e.seen.decided || state.State == federation.StatePending:
		return false
	case state.State != federation.StateSynced || state.Finished:
		return true
	}
	through, ok := settlings[in.kind.GroupKind()]
	return !ok || e.current(in) && through(e.seen.copy)
}

// alarming says whether an object's new status tells of something that must not wait: that a rollout can't go on, that a
// Job has ended.
func alarming(previous, next map[string]any) bool {
	for t, status := range map[string]string{"ReplicaFailure": "True", "Progressing": "False", "Complete": "True", "Failed": "True"} {
		if text(condition(next, t), "status") == status && text(condition(previous, t), "status") != status {
			return true
		}
	}
	return false
}

// pressing says whether a decision's new status tells of something that others act on: that a cluster refuses the object,
// that its pods find no room.
func pressing(previous, next []federation.ClusterState) bool {
	before := map[string]federation.ClusterState{}
	for _, s := range previous {
		before[s.Name] = s
	}
	for _, s := range next {
		old := before[s.Name]
		switch s.State {
		case federation.StateConflict, federation.StateUnsupported, federation.StateForbidden, federation.StateRejected, federation.StateNotRendered:
			if old.State != s.State {
				return true
			}
		}
		if n := s.UnschedulableReplicas; n != nil && (old.UnschedulableReplicas == nil || *old.UnschedulableReplicas != *n) {
			return true
		}
		if s.Finished && !old.Finished {
			return true
		}
	}
	return false
}
