package placement

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Reasons of events on federated objects.
const (
	ReasonPolicyChanged  = "PolicyChanged"  // another policy is in force
	ReasonPolicyGone     = "PolicyGone"     // the policy in force was deleted; the object stays where it is
	ReasonReplicasMoving = "ReplicasMoving" // replicas began to move from cluster to cluster
	ReasonReplicasMoved  = "ReplicasMoved"  // all of them have
)

// tell tells of what changed with a decision that was stored. orphaned says that the policy it names does not exist, or
// does not select the object, any more.
func tell(r events.EventRecorder, obj *unstructured.Unstructured, before, after *Decision, orphaned bool) {
	const action = "Place"
	switch {
	case !ptr.Equal(before.Policy, after.Policy):
		r.Eventf(obj, nil, corev1.EventTypeNormal, ReasonPolicyChanged, action, "%s, before: %s", named(after.Policy), named(before.Policy))
	case orphaned && before.Reason != after.Reason:
		r.Eventf(obj, nil, corev1.EventTypeWarning, ReasonPolicyGone, action, "%s", after.Reason)
	}
	switch {
	case after.Moving && !before.Moving:
		r.Eventf(obj, nil, corev1.EventTypeNormal, ReasonReplicasMoving, action, "%s", shares(before, after))
	case before.Moving && !after.Moving:
		r.Eventf(obj, nil, corev1.EventTypeNormal, ReasonReplicasMoved, action, "%s", shares(nil, after))
	}
}

func named(p *federation.PolicyReference) string {
	switch {
	case p == nil:
		return "no policy"
	case p.Name == "":
		return p.Kind + " on the object"
	}
	return p.Kind + " " + p.Name
}

// shares lists clusters with their replicas, such as "gondor 4 -> 3, rohan 0 -> 1"; those that do not change are left
// out. Without before all are listed: "gondor 3, rohan 1".
func shares(before, after *Decision) string {
	const most = 10
	had := map[string]int32{}
	if before != nil {
		for _, p := range before.Clusters {
			had[p.Name] = ptr.Deref(p.Replicas, 0)
		}
	}
	var words []string
	add := func(name string, was, is int32) {
		switch {
		case before == nil:
			words = append(words, fmt.Sprintf("%s %d", name, is))
		case was != is:
			words = append(words, fmt.Sprintf("%s %d -> %d", name, was, is))
		}
	}
	for _, p := range after.Clusters {
		add(p.Name, had[p.Name], ptr.Deref(p.Replicas, 0))
		delete(had, p.Name)
	}
	if before != nil {
		for _, p := range before.Clusters {
			if was, left := had[p.Name]; left {
				add(p.Name, was, 0)
			}
		}
	}
	if len(words) > most {
		words = append(words[:most], fmt.Sprintf("and %d more", len(words)-most))
	}
	return strings.Join(words, ", ")
}
