package drill

import (
	"cmp"
	"slices"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// movesLimit bounds the objects that are told of one by one.
const movesLimit = 50

// count is what one decision adds.
type count struct {
	move      federation.DrillMove
	elsewhere int32
}

// replicas counts what decisions have in the clusters that fail, and elsewhere. Before the injection the moves are the objects
// with most replicas there, afterwards those of the list.
func replicas(decisions []federation.PlacementDecision, failing map[string]bool, before *federation.DrillBefore, moves []federation.DrillMove) Replicas {
	var r Replicas
	type name struct{ kind, namespace, name string }
	counts := map[name]count{}
	var there []count
	for i := range decisions {
		c := counted(&decisions[i], failing)
		r.Failed += c.move.Lost
		r.Ready += c.move.Ready
		r.ReadyElsewhere += c.elsewhere
		r.NotFitting += c.move.NotFitting
		if c.move.Lost > 0 {
			r.Objects++
			there = append(there, c)
		}
		counts[name{c.move.Kind, c.move.Namespace, c.move.Name}] = c
	}
	if before == nil {
		slices.SortFunc(there, func(a, b count) int {
			return cmp.Or(cmp.Compare(b.move.Lost, a.move.Lost), cmp.Compare(a.move.Namespace, b.move.Namespace), cmp.Compare(a.move.Name, b.move.Name), cmp.Compare(a.move.Kind, b.move.Kind))
		})
		for _, c := range there[:min(len(there), movesLimit)] {
			c.move.NotFitting = 0
			r.Moves, r.Elsewhere = append(r.Moves, c.move), append(r.Elsewhere, c.elsewhere)
		}
		return r
	}
	for _, m := range moves {
		c, known := counts[name{m.Kind, m.Namespace, m.Name}]
		if !known { // it was deleted meanwhile, and needs no replacement
			c = count{move: m, elsewhere: m.Ready}
		}
		r.Moves, r.Elsewhere = append(r.Moves, c.move), append(r.Elsewhere, c.elsewhere)
	}
	return r
}

func counted(d *federation.PlacementDecision, failing map[string]bool) count {
	o := &d.Spec.Object
	c := count{move: federation.DrillMove{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, NotFitting: d.Spec.Unplaced}}
	for _, p := range d.Spec.Clusters {
		if failing[p.Name] {
			c.move.Lost += ptr.Deref(p.Replicas, 0)
		}
	}
	for _, s := range d.Status.Clusters {
		ready := ptr.Deref(s.ReadyReplicas, 0)
		c.move.Ready += ready
		if !failing[s.Name] {
			c.elsewhere += ready
			c.move.NotFitting += ptr.Deref(s.UnschedulableReplicas, 0)
		}
	}
	return c
}
