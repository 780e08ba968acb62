package placement

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// What a cluster gave away because it was down, drained, or replicas did not become ready there, is on record in the
// decision (spec.displaced). It gets that back when it has been well for stableFor, after a drain at once, step by step as
// all moves go.

// lend finds out what clusters have given away, and which get it back now.
func lend(q *question, candidates []candidate) {
	if q.total == 0 || q.Object.Completions != nil {
		return
	}
	for i := range candidates {
		c := &candidates[i]
		before := displacedBefore(q.Current, c.Name)
		if before != nil && (c.leaves || !q.anew) {
			c.lent = int64(before.Replicas)
		}
		switch {
		case (c.leaves || c.why == federation.ReasonSpread) && c.cause == "":
			c.lent = 0 // the policy does not want it there
		case c.leaves:
			c.lent = max(c.lent, c.share)
		case c.cause == federation.DisplacedUnhealthy:
			c.lent = max(c.lent, c.share)
		case c.lent == 0 || !c.usable():
		case !q.well(c) && before.Reason != federation.DisplacedDrained: // who ended the drain says that it is well
			q.waitsFor(c.Since.Add(q.stableFor()), c.Name, "gets its replicas back (stableFor)")
			c.closed = q.rebalancesAlways() && !q.anew
		default:
			c.recalls = c.full < 0
		}
	}
}

// recall gives clusters back what they gave away, from others of their group. Since then the object may have become
// smaller: a cluster gets no more than its part by weight.
func recall(q *question, candidates []candidate) {
	if q.anew || q.strategy() == federation.StrategyPacked { // as few clusters as can be: nothing moves for that
		return
	}
	for i := range candidates {
		c := &candidates[i]
		want := min(c.lent, c.room, q.partOf(c, candidates))
		if !c.recalls || c.replicas >= want {
			continue
		}
		list := givers(candidates, func(g *candidate) int64 {
			if g == c || g.recalls || g.group != c.group || g.tier < c.tier || g.replicas <= g.least || g.why == federation.ReasonNotReady {
				return g.replicas
			}
			return g.least
		})
		n := min(want-c.replicas, excessOf(list))
		if n <= 0 {
			continue
		}
		before := sharesOf(candidates)
		drain(list, n)
		q.count(candidates)
		list = takers(candidates, func(t *candidate) int64 {
			if t == c {
				return want
			}
			return t.replicas
		})
		left := n
		if q.spread == nil {
			left = deal(list, n)
		} else { // nothing goes back against a constraint, be it a soft one
			left = q.spread.deal(list, n, true)
		}
		stay(q, candidates, left, func(g *candidate) int64 { return max(before[g.Name], g.replicas) })
	}
}

// partOf is what a cluster would have of its group by the strategy's weights, rounded up.
func (q *question) partOf(c *candidate, candidates []candidate) int64 {
	if q.strategy() == federation.StrategyPrice {
		return q.total
	}
	pull, all := max(c.pull, 1), int64(0)
	for i := range candidates {
		if o := &candidates[i]; o.group == c.group && (o.usable() || o.share > 0) {
			all += o.pull
		}
	}
	if all <= pull {
		return q.total
	}
	return (q.total*pull + all - 1) / all
}

// displaced is what clusters have given away and did not get back yet.
func displaced(q *question, candidates []candidate, excluded []exclusion) (list []federation.DisplacedShare) {
	for i := range candidates {
		c := &candidates[i]
		before := displacedBefore(q.Current, c.Name)
		if c.lent > 0 && c.leaves {
			c.lent = max(c.lent, c.gets) // what no other cluster may take is on record here
		}
		switch {
		case c.lent == 0 || c.recalls && c.gets == c.target:
		case before != nil && int64(before.Replicas) == c.lent && (!c.leaves || c.cause == before.Reason):
			list = append(list, *before)
		default:
			list = append(list, federation.DisplacedShare{Name: c.Name, Replicas: int32(c.lent), Reason: c.cause, Since: metav1.Time{Time: q.Now.Truncate(time.Second)}})
		}
	}
	if q.Current == nil || !q.divides || q.total == 0 {
		return list
	}
	for _, e := range excluded {
		if before := displacedBefore(q.Current, e.cluster.Name); before != nil && e.reason != federation.ReasonNotSelected && e.reason != federation.ReasonSpread {
			list = append(list, *before)
		}
	}
	slices.SortFunc(list, func(a, b federation.DisplacedShare) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func displacedBefore(d *Decision, cluster string) *federation.DisplacedShare {
	if d == nil {
		return nil
	}
	if i := slices.IndexFunc(d.Displaced, func(s federation.DisplacedShare) bool { return s.Name == cluster }); i >= 0 {
		return &d.Displaced[i]
	}
	return nil
}
