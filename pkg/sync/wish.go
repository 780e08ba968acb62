package sync

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Verb says what is to be done with an object in one member.
type Verb int

// What can be wished for.
const (
	Leave  Verb = iota // nothing is known that would justify a change
	Apply              // the member is to hold the object
	Remove             // the member is not to hold a copy of UID
)

// Wish is what one object is to be in one member.
type Wish struct {
	Verb
	// UID of the federated object whose copy has to go, with Remove.
	UID types.UID
	// Buried are UIDs of deleted objects of the same name whose copies have to go first: tombstones.
	Buried []types.UID
}

// Wanted decides what an object is to be in a cluster. obj and decision are nil where they do not exist; federated says
// whether obj is one that is federated; buried are the UIDs that tombstones of this name and cluster carry. A copy is
// removed only on positive evidence: a deletion, a decision without the cluster, a tombstone.
func Wanted(obj *unstructured.Unstructured, federated bool, decision *federation.PlacementDecision, buried []types.UID, cluster string) Wish {
	remove := func(uid types.UID) Wish { return Wish{Verb: Remove, UID: uid, Buried: buried} }
	switch {
	case obj == nil && decision != nil:
		return remove(decision.Spec.Object.UID)
	case obj == nil && len(buried) > 0:
		return remove(buried[0])
	case obj == nil:
		return Wish{}
	case obj.GetDeletionTimestamp() != nil || !federated:
		return remove(obj.GetUID())
	case decision == nil || decision.Spec.Object.UID != obj.GetUID():
		return Wish{Buried: buried} // not decided yet
	}
	if _, ok := placementIn(decision, cluster); ok {
		return Wish{Verb: Apply, Buried: buried}
	}
	return remove(obj.GetUID())
}

// placementIn finds a cluster's share in a decision.
func placementIn(d *federation.PlacementDecision, cluster string) (federation.ClusterPlacement, bool) {
	i, ok := slices.BinarySearchFunc(d.Spec.Clusters, cluster, func(p federation.ClusterPlacement, name string) int {
		return strings.Compare(p.Name, name)
	})
	if !ok {
		return federation.ClusterPlacement{}, false
	}
	return d.Spec.Clusters[i], true
}
