package sync

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// A copy that a decision took a cluster for no longer goes only on proof that others took its place. The proof is on record
// in the decision's status, so that a restart changes nothing; it counts only where the cluster that gave it answers now.
// So what comes back with old copies keeps them while their replacements are gone as well.

// withdrawn says whether a copy is to be removed only because the decision in force is without its cluster: not because the
// object was deleted, or is not federated any more.
func withdrawn(in reading, uid types.UID) bool {
	return in.wish.Verb == Remove && in.object != nil && in.object.GetDeletionTimestamp() == nil && in.object.GetUID() == uid &&
		in.decision != nil && in.decision.Spec.Object.UID == uid && in.decision.Spec.Reason != federation.ReasonNotFederated
}

// replaced says whether a copy that is to go has been replaced, and if not why. answers says of a cluster whether it is
// ready now.
func replaced(in reading, live *Copy, answers func(cluster string) bool) (ok bool, why string) {
	d := in.decision
	if len(d.Spec.Clusters) == 0 {
		return true, "" // it is to be nowhere
	}
	wanted, ready, copies := int64(0), int64(0), 0
	for _, p := range d.Spec.Clusters {
		wanted += int64(ptr.Deref(p.Replicas, 0))
		i := slices.IndexFunc(d.Status.Clusters, func(s federation.ClusterState) bool { return s.Name == p.Name })
		if i < 0 || !answers(p.Name) {
			continue
		}
		state := d.Status.Clusters[i]
		ready += int64(ptr.Deref(state.ReadyReplicas, 0))
		if state.State == federation.StateSynced {
			copies++
		}
	}
	divided := d.Spec.Clusters[0].Replicas != nil
	if in.kind.Replicas == nil || in.kind.GroupKind() == jobs || live == nil {
		if copies == 0 {
			return false, "kept until another cluster has it: none of those where it is to be answers and holds it"
		}
		return true, ""
	}
	goes := int64(readyReplicas(in, live))
	if divided {
		goes = min(goes, wanted)
	}
	if ready < goes {
		return false, fmt.Sprintf("kept until its replacements are ready: %d replicas are ready here, %d where they are to be", goes, ready)
	}
	return true, ""
}
