package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
)

// Change is what would become of one object.
type Change struct {
	Object federation.ObjectReference `json:"object"`
	// Policy that would be in force; empty for the defaults.
	Policy string `json:"policy,omitempty"`
	// Now and Then are the clusters' shares before and after.
	Now  []Share `json:"now"`
	Then []Share `json:"then"`
	// Lost counts the replicas (of an object without replicas: the copies) in clusters that are lost.
	Lost int32 `json:"lost,omitempty"`
	// Pending replicas go to clusters in which no room for them is known. Unplaced ones go nowhere.
	Pending  int32 `json:"pending,omitempty"`
	Unplaced int32 `json:"unplaced,omitempty"`
	// Steps counts the decisions on the way, Waits is how long timers (tolerationSeconds, stableFor, minimumStay) hold
	// replacements back, beside the time that pods take to start.
	Steps int             `json:"steps,omitempty"`
	Waits metav1.Duration `json:"waits"`
	// CostNow and CostThen are what it costs before and after.
	CostNow  Cost `json:"costNow"`
	CostThen Cost `json:"costThen"`
	// Missing is what keeps the decision from its policy.
	Missing string `json:"missing,omitempty"`
	// Problem says why the object would not survive, or does not fit; empty where it does.
	Problem string `json:"problem,omitempty"`
	// before is what was missing already.
	before string
}

// Share is one cluster's.
type Share struct {
	Cluster string `json:"cluster"`
	// Replicas is nil for a whole copy.
	Replicas *int32 `json:"replicas,omitempty"`
}

// Moves says whether anything changes.
func (c *Change) Moves() bool {
	return !slices.EqualFunc(c.Now, c.Then, func(a, b Share) bool { return a.Cluster == b.Cluster && ptr.Equal(a.Replicas, b.Replicas) })
}

func (c *Change) lostReplicas() int32 {
	if len(c.Now) > 0 && c.Now[0].Replicas == nil {
		return 0
	}
	return c.Lost
}

// Compare lists what changes between a world and what another one settled to, by kind, namespace and name: objects that
// move, lose replicas or have a problem, or all of them.
func Compare(before, after *World, results map[Key]Result, all bool) []Change {
	changes := []Change{}
	for _, key := range slices.SortedFunc(maps.Keys(results), compareKeys) {
		c := after.change(key, before.Objects[key].Decision, results[key])
		c.CostNow = Cost{Hour: Money{}}
		if old, known := before.Objects[key]; known {
			facts := placement.ObjectFacts(old.Kind, old.Unstructured)
			c.CostNow = before.costOf(&old, &facts, c.Now)
		}
		if all || c.Moves() || c.lostReplicas() > 0 || c.Problem != "" {
			changes = append(changes, c)
		}
	}
	return changes
}

func (w *World) change(key Key, decision *federation.PlacementDecision, r Result) Change {
	o := w.Objects[key]
	version, name := o.Kind.GroupVersionKind.ToAPIVersionAndKind()
	c := Change{
		Object: federation.ObjectReference{APIVersion: version, Kind: name, Namespace: key.Namespace, Name: key.Name, UID: o.GetUID()},
		Now:    []Share{}, Then: sharesIn(&r.Decision),
		Pending: r.Pending, Unplaced: r.Decision.Unplaced, Steps: r.Steps, Waits: metav1.Duration{Duration: r.Waits}, Missing: r.Decision.Missing,
	}
	if p := r.Decision.Policy; p != nil {
		c.Policy = strings.TrimSuffix(p.Kind+"/"+p.Name, "/")
	}
	if decision != nil {
		c.Now, c.before = sharesIn(&decision.Spec), decision.Spec.Missing
		for _, s := range c.Now {
			if w.lost[s.Cluster] {
				c.Lost += ptr.Deref(s.Replicas, 1)
			}
		}
	}
	facts := placement.ObjectFacts(o.Kind, o.Unstructured)
	c.CostThen = w.costOf(&o, &facts, c.Then)
	c.Problem = w.problem(&c, o)
	return c
}

// problem says why an object would not survive or does not fit.
func (w *World) problem(c *Change, o Object) string {
	stuck, alive := int32(0), 0
	for _, s := range c.Then {
		if w.lost[s.Cluster] {
			stuck += ptr.Deref(s.Replicas, 1)
		} else if ptr.Deref(s.Replicas, 1) > 0 {
			alive++
		}
	}
	whole := placement.ObjectFacts(o.Kind, o.Unstructured).Replicas == nil
	switch {
	case c.Lost > 0 && alive == 0:
		return "nothing of it would be left"
	case stuck > 0 && !whole:
		return fmt.Sprintf("%d replicas would not be replaced", stuck)
	case c.Unplaced > 0:
		return fmt.Sprintf("%d replicas would be placed nowhere", c.Unplaced)
	case c.Pending > 0:
		return fmt.Sprintf("no room is known for %d replicas", c.Pending)
	case c.Missing != "" && c.Missing != c.before:
		return c.Missing
	}
	return ""
}

func sharesIn(d *placement.Decision) []Share {
	shares := []Share{}
	for _, c := range d.Clusters {
		shares = append(shares, Share{c.Name, c.Replicas})
	}
	return shares
}
