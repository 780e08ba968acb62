package placement

import (
	"slices"
	"time"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// CopiesOf reads from a decision's status what is known of the object's copies.
func CopiesOf(d *federation.PlacementDecision) []Copy {
	copies := make([]Copy, 0, len(d.Status.Clusters))
	for i := range d.Status.Clusters {
		s := &d.Status.Clusters[i]
		since := time.Time{}
		if s.UnreadySince != nil {
			since = s.UnreadySince.Time
		}
		copies = append(copies, Copy{
			UnreadySince: since, Cluster: s.Name, Synced: s.State == federation.StateSynced, Ready: s.ReadyReplicas,
			Unschedulable: ptr.Deref(s.UnschedulableReplicas, 0),
			Finished:      s.Finished, Leaving: s.State == federation.StateDeleting,
		})
	}
	return copies
}

// awaited says whether a change of a decision's status can change its spec. An ordinary rollout can't: only pods that
// find no node and a Job's share that ends always matter, replicas that become ready while some move or something is
// missing, and a copy that is gone where it held ordinals.
func awaited(before, after *federation.PlacementDecision) bool {
	d := &after.Spec
	for i := range after.Status.Clusters {
		now := &after.Status.Clusters[i]
		was := stateIn(before, now.Name)
		if ptr.Deref(now.UnschedulableReplicas, 0) != ptr.Deref(was.UnschedulableReplicas, 0) || now.Finished != was.Finished {
			return true
		}
		if (d.Moving || d.Missing != "") && (!ptr.Equal(now.ReadyReplicas, was.ReadyReplicas) || now.State != was.State) {
			return true
		}
	}
	return slices.ContainsFunc(before.Status.Clusters, func(was federation.ClusterState) bool {
		if stateIn(after, was.Name).Name != "" {
			return false
		}
		return d.Moving || slices.ContainsFunc(d.Ordinals, func(o federation.OrdinalStart) bool { return o.Name == was.Name })
	})
}

// ages says whether a share has begun or ceased to be short of ready replicas.
func ages(before, after *federation.PlacementDecision) bool {
	return slices.ContainsFunc(after.Status.Clusters, func(now federation.ClusterState) bool {
		return !now.UnreadySince.Equal(stateIn(before, now.Name).UnreadySince)
	})
}

// stateIn is the zero value where a cluster has none.
func stateIn(d *federation.PlacementDecision, cluster string) federation.ClusterState {
	for i := range d.Status.Clusters {
		if d.Status.Clusters[i].Name == cluster {
			return d.Status.Clusters[i]
		}
	}
	return federation.ClusterState{}
}
