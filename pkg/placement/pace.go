package placement

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// pace says what of the target is done now. Replicas move by make before break: shares grow first, by at most maxMoving
// replicas more than the object has in all, and shrink only as far as enough replicas are ready without those that go.
//
//	a -> b, 4 replicas, maxMoving 2      a 4  b 0
//	                                     a 4  b 2   until b's are ready
//	                                     a 2  b 4   until b's are ready
//	                                     a 0  b 4
//
// What a user asks for happens at once: more replicas, and fewer ones.
func pace(q *question, candidates []candidate) {
	size := q.total // of the decision once all has moved
	if sum := targetOf(candidates); sum > size || q.unplaced > 0 {
		size = sum
	}
	had := int64(0)
	lost := int64(0) // in clusters that give their share away and do not answer: no running replica is moved
	for i := range candidates {
		c := &candidates[i]
		c.gets, had = c.share, had+c.share
		if c.leaves && (!c.Ready || c.Down) {
			lost += max(c.share-c.target, 0)
		}
	}
	if q.Current == nil || q.Object.Completions != nil { // a Job's share can't move bit by bit: it is begun anew elsewhere
		for i := range candidates {
			candidates[i].gets = candidates[i].target
		}
		return
	}
	for i := range candidates {
		candidates[i].proven = candidates[i].ready()
	}
	p := pacer{candidates: candidates, order: givingOrder(candidates), ordered: q.Object.Ordered, step: q.stepOf}
	if excess := had - size; excess > 0 && !q.Current.Moving && !q.wasWhole() {
		p.shrink(excess, noLimit)
	}
	most := size + lost + q.maxMoving()
	p.grow(most - p.sum())
	for i := range candidates {
		if c := &candidates[i]; c.cause == federation.DisplacedDrained && slices.Contains(q.Object.Serving, c.Name) {
			c.serves = true
			q.lacks(missingTraffic)
		}
	}
	p.shrink(p.sum()-size, p.ready()-(q.total-q.maxUnavailable()))
	p.grow(most - p.sum())
	for i := range candidates {
		q.moving = q.moving || candidates[i].gets != candidates[i].target
	}
}

// wasWhole says whether the object was copied whole, so that there are more replicas than it asks for.
func (q *question) wasWhole() bool {
	return slices.ContainsFunc(q.Current.Clusters, func(p federation.ClusterPlacement) bool { return p.Replicas == nil })
}

// pacer changes gets towards target.
type pacer struct {
	candidates []candidate
	order      []*candidate // in which they give
	ordered    bool
	step       func(share int64) int64 // how many may leave a cluster at a time
}

// givingOrder: first what has to leave, the dead before the living, then the later groups.
func givingOrder(candidates []candidate) []*candidate {
	var order []*candidate
	for i := range candidates {
		if c := &candidates[i]; c.target != c.share {
			order = append(order, c)
		}
	}
	stays := func(c *candidate) int {
		if c.leaves {
			return 0
		}
		return 1
	}
	slices.SortFunc(order, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(stays(a), stays(b)), cmp.Compare(condition(a), condition(b)), cmp.Compare(b.tier, a.tier), inRank(a, b))
	})
	return order
}

func (p *pacer) sum() (sum int64) {
	for i := range p.candidates {
		sum += p.candidates[i].gets
	}
	return sum
}

// ready counts the replicas that are taken for ready.
func (p *pacer) ready() (sum int64) {
	for i := range p.candidates {
		sum += p.candidates[i].proven
	}
	return sum
}

// ready is how many of a candidate's replicas are known to be ready: by what the member reported last, and none where it
// does not answer. What was ready there when it fell silent is no proof any more.
func (c *candidate) ready() int64 {
	if c.copy == nil || c.copy.Leaving || c.copy.Ready == nil || c.silent() || c.unsure() {
		return 0
	}
	return min(int64(*c.copy.Ready), c.share)
}

// unsure says whether nothing is known of replicas that are to go. That a cluster does not answer says nothing of what
// runs there.
func (c *candidate) unsure() bool {
	return c.target < c.share && (c.silent() || c.copy == nil || c.copy.Ready == nil)
}

// grow gives n replicas to those below their target, those that are filled first first.
func (p *pacer) grow(n int64) {
	for i := len(p.order) - 1; i >= 0 && n > 0; i-- {
		c := p.order[i]
		if more := min(c.target-c.gets, n); more > 0 {
			c.gets, n = c.gets+more, n-more
		}
	}
}

// shrink takes n replicas from those above their target, as long as that costs no more ready replicas than can be
// spared.
func (p *pacer) shrink(n, spare int64) {
	for _, c := range p.order {
		less := min(c.gets-c.target, n)
		if spare < noLimit {
			less = min(less, p.step(c.share)) // what a user scales down goes at once
		}
		if less <= 0 || c.serves {
			continue
		}
		may := max(spare, 0)
		if c.unsure() { // they count as ready where they are to go themselves, and never for others
			may = max(spare+c.gets, 0)
		}
		if over := p.cost(c, less) - may; over > 0 {
			less -= over // each replica less costs at most one ready one less
		}
		if less = max(less, 0); p.cost(c, less) > may {
			continue
		}
		if !c.unsure() {
			cost := p.cost(c, less)
			spare -= cost
			c.proven -= cost
		}
		c.gets, n = c.gets-less, n-less
	}
}

// cost is how many ready replicas go if a share shrinks by so many. Members remove replicas that are not ready first. Not
// so with ordered ones, which go from the highest ordinal: there only those that never started are taken for free.
func (p *pacer) cost(c *candidate, less int64) int64 {
	if c.unsure() {
		return less
	}
	if p.ordered && c.copy != nil {
		return min(max(less-int64(c.copy.Unschedulable), 0), c.proven)
	}
	return max(c.proven-(c.gets-less), 0)
}

// maxMoving is how many replicas may move at a time: a percentage is rounded up.
func (q *question) maxMoving() int64 {
	value := intstr.FromString("")
	if m := q.rule.Moves; m != nil && m.MaxMoving != nil {
		value = *m.MaxMoving
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, int(q.total), true)
	if err != nil {
		n = int((q.total*defaultMaxMoving + 99) / 100)
	}
	return max(int64(n), 1)
}

// maxUnavailable is how many replicas may be missing while others move: a percentage is rounded down. A disruption budget
// that allows fewer, of all replicas in the federation, goes before.
func (q *question) maxUnavailable() int64 {
	m := q.rule.Moves
	if m == nil || m.MaxUnavailable == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(m.MaxUnavailable, int(q.total), false)
	if err != nil {
		return 0
	}
	most := min(max(int64(n), 0), q.total)
	for _, d := range q.Object.Disruptions {
		most = min(most, d.allows(q.total))
	}
	return most
}

func targetOf(candidates []candidate) (sum int64) {
	for i := range candidates {
		sum += candidates[i].target
	}
	return sum
}
