package plan

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/policy"
)

// Reasons is the decision record of one object.
type Reasons struct {
	Object federation.ObjectReference `json:"object"`
	// Decision is the one in force, nil where there is none yet.
	Decision *placement.Decision `json:"decision,omitempty"`
	// Outdated says that the engine would give other shares now: a decision is on its way, or the control plane stands.
	Outdated bool `json:"outdated,omitempty"`
	// Policies are those that select the object, the one in force first.
	Policies []PolicyMatch `json:"policies"`
	// Clusters say why each cluster has what it has.
	Clusters []placement.Candidate `json:"clusters"`
	// Reason and Missing are of the decision that the engine makes now.
	Reason  string `json:"reason"`
	Missing string `json:"missing,omitempty"`
}

// PolicyMatch is a policy that selects an object.
type PolicyMatch struct {
	federation.PolicyReference `json:",inline"`
	// By is what its most specific selector names: name, labels, kind or any kind.
	By string `json:"by"`
	// Tie says that only age and name decide between it and the one before it.
	Tie bool `json:"tie,omitempty"`
}

// Why explains one object's decision.
func (w *World) Why(key Key) (Reasons, error) {
	o, known := w.Objects[key]
	if !known {
		return Reasons{}, fmt.Errorf("%s %s is not federated: it is of a kind or in a namespace that stays in the federation, or says so itself", key.Kind, strings.TrimPrefix(key.NamespacedName.String(), "/"))
	}
	in := w.input(key, w.users(), nil)
	a := placement.Place(in)
	r := Reasons{
		Object: in.Object.Reference, Policies: []PolicyMatch{}, Clusters: a.Candidates,
		Reason: a.Decision.Reason, Missing: a.Decision.Missing,
	}
	if o.Decision != nil {
		r.Decision = &o.Decision.Spec
		r.Outdated = !slices.EqualFunc(r.Decision.Clusters, a.Decision.Clusters, func(a, b federation.ClusterPlacement) bool {
			return a.Name == b.Name && ptr.Equal(a.Replicas, b.Replicas)
		})
	}
	ranked := policy.Rank(w.Policies, ObjectOf(o))
	for i, m := range ranked {
		r.Policies = append(r.Policies, PolicyMatch{m.Reference, m.Specificity.String(), i > 0 && policy.Compare(ranked[i-1], m) == 0})
	}
	return r, nil
}
