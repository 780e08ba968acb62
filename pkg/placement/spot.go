package placement

import (
	"cmp"
	"fmt"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// maxSpot is the policy's bound on replicas on spot machines in percent of one replica, and whether there is one.
func (q *question) maxSpot() (most int64, bounded bool) {
	if q.rule.ReplicaDivision == nil || q.rule.ReplicaDivision.Price == nil || q.strategy() != federation.StrategyPrice {
		return 0, false
	}
	percent, bounded := percentOf(q.rule.ReplicaDivision.Price.MaxSpot)
	return percent * q.total, bounded
}

// spotLeft is how much more of replicas may be on spot machines, in percent of one, less than 0 where it is too much already.
func spotLeft(q *question, candidates []candidate) int64 {
	left, bounded := q.maxSpot()
	if !bounded {
		return noLimit
	}
	for i := range candidates {
		left -= candidates[i].replicas * int64(candidates[i].Spot)
	}
	return left
}

// limitSpot brings shares within the policy's bound on spot machines: the replicas for which that costs least go to clusters
// with fewer of them. What fits nowhere else is unplaced, but for what runs.
//
//	a 100% spot 1 USD   b 20% spot 2 USD   c on demand 10 USD   10 replicas, maxSpot 50%
//	a 10                                                        all on spot
//	a 3  b 7                                                    b takes them for 1 USD more each, c would for 9
func limitSpot(q *question, candidates []candidate) {
	over := -spotLeft(q, candidates)
	if over <= 0 {
		return
	}
	q.count(candidates)
	scratch := make([]*candidate, 0, len(candidates))
	for _, bounds := range []struct{ least, most func(c *candidate) int64 }{
		{func(c *candidate) int64 { return c.least }, (*candidate).toRoom},
		{func(c *candidate) int64 { return c.least }, func(c *candidate) int64 { return c.most }},
		{func(*candidate) int64 { return 0 }, func(c *candidate) int64 { return c.most }},
	} {
		for over > 0 {
			from, to, n := q.exchange(candidates, over, bounds.least, bounds.most, scratch)
			if from == nil {
				break
			}
			over -= transfer(q, from, to, n) * int64(from.Spot-to.Spot)
		}
	}
	out := leaveOut(candidates, over)
	stays := stay(q, candidates, out, func(c *candidate) int64 { return c.share }) // it runs, and has no place elsewhere
	if stays < out || spotLeft(q, candidates) < 0 {
		q.lacks(missingOnDemand)
	}
	if stays > 0 {
		q.unplaced += stays
		q.lacks(fmt.Sprintf(missingSpot, stays))
	}
}

// exchange finds the replicas that leave spot machines for the least money: per part of them that does, from where to where,
// and how many. Better groups go before all.
func (q *question) exchange(candidates []candidate, over int64, least, most func(c *candidate) int64, scratch []*candidate) (from, to *candidate, n int64) {
	best := q.takersBySpot(candidates, most, scratch)
	if len(best) == 0 {
		return nil, nil, 0
	}
	var ratio float64
	ties := int64(0)
	for i := range candidates {
		f := &candidates[i]
		if f.Spot == 0 || f.replicas <= least(f) || f.why == federation.ReasonNotReady || q.Object.Completions != nil && f.replicas <= f.share {
			continue
		}
		for _, t := range best {
			if t.Spot >= f.Spot {
				continue
			}
			if q.spread != nil && !q.maySwap(f, t) {
				continue
			}
			r := (dear(t) - dear(f)) / float64(f.Spot-t.Spot)
			switch {
			case to == nil, t.group < to.group, t.group == to.group && r < ratio:
				from, to, ratio, ties = f, t, r, 1
			case t == to && r == ratio && f != from: // alike: the larger share gives, and not all at once
				if ties++; f.replicas > from.replicas || f.replicas == from.replicas && inRank(f, from) > 0 {
					from = f
				}
			}
		}
	}
	if from == nil {
		return nil, nil, 0
	}
	part := int64(from.Spot - to.Spot)
	n = min(from.replicas-least(from), most(to)-to.replicas, (over+part-1)/part)
	n = max((n+ties-1)/ties, 1)
	if q.Object.Completions != nil {
		n = min(n, from.replicas-from.share)
	}
	if q.spread != nil {
		n = 1
	}
	return from, to, n
}

// takersBySpot are the best candidates that could take a replica, one for each percentage of spot; with constraints all.
// scratch is for the list.
func (q *question) takersBySpot(candidates []candidate, most func(c *candidate) int64, scratch []*candidate) []*candidate {
	list := scratch[:0]
	var at [101]int // places in the list, and one
	for i := range candidates {
		c := &candidates[i]
		if !c.usable() || c.pull == 0 || c.replicas >= most(c) {
			continue
		}
		spot := min(max(c.Spot, 0), 100)
		if q.spread != nil || at[spot] == 0 {
			list = append(list, c)
			at[spot] = len(list)
			continue
		}
		best := list[at[spot]-1]
		if cmp.Or(cmp.Compare(c.group, best.group), cmp.Compare(dear(c), dear(best)), inRank(c, best)) < 0 {
			list[at[spot]-1] = c
		}
	}
	return list
}

// maySwap says whether constraints let a replica go from one cluster to another one.
func (q *question) maySwap(from, to *candidate) bool {
	if transfer(q, from, to, 1) == 0 {
		return false
	}
	from.replicas++
	q.spread.add(from, 1)
	to.replicas--
	q.spread.add(to, -1)
	return true
}

// dear is what a replica costs; one whose price is not known is taken for the dearest.
func dear(c *candidate) float64 {
	if c.cost < 0 {
		return 1e9
	}
	return c.cost
}

// leaveOut takes away what the bound does not allow and does not run yet, and returns how many replicas that are.
func leaveOut(candidates []candidate, over int64) (out int64) {
	for over > 0 {
		var worst *candidate
		for i := range candidates {
			c := &candidates[i]
			if c.Spot > 0 && c.replicas > c.share && (worst == nil || c.Spot > worst.Spot || c.Spot == worst.Spot && inRank(c, worst) > 0) {
				worst = c
			}
		}
		if worst == nil {
			break
		}
		part := int64(worst.Spot)
		n := min(worst.replicas-worst.share, (over+part-1)/part)
		worst.replicas, over, out = worst.replicas-n, over-n*part, out+n
	}
	return out
}
