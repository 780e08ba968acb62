package placement

import (
	"cmp"
	"math/bits"
	"slices"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// tier gives every candidate the step in which it is filled and its pull within that step, by the policy's strategy.
// Groups go before all; within a group Weighted and FreeCapacity fill all clusters together, Price the cheaper ones
// first, Packed one after the other.
func tier(q *question, candidates []candidate) {
	switch q.strategy() {
	case federation.StrategyFreeCapacity:
		pullByCapacity(candidates)
	case federation.StrategyPrice:
		tierByPrice(candidates)
	case federation.StrategyPacked:
		tierPacked(q, candidates)
	}
}

// pullByCapacity weighs candidates by how many replicas fit, those that are there included, so that dealing does not
// change it. What is not known counts as what the others have on average.
func pullByCapacity(candidates []candidate) {
	known, sum, highest := int64(0), int64(0), int64(0)
	for i := range candidates {
		if c := &candidates[i]; c.fits >= 0 {
			known++
			sum += min(c.share+c.fits, noLimit)
		}
	}
	average := int64(1)
	if known > 0 {
		average = max(sum/known, 1)
	}
	for i := range candidates {
		c := &candidates[i]
		capacity := average
		if c.fits >= 0 {
			capacity = min(c.share+c.fits, noLimit)
		}
		// 0 where nothing fits: what is dealt beyond all room goes by weight.
		c.pull = capacity * min(c.weight, 1<<20)
		if capacity == 0 {
			c.pull = min(c.weight, 1)
		}
		highest = max(highest, c.pull)
	}
	if shift := bits.Len64(uint64(highest)) - 31; shift > 0 {
		for i := range candidates {
			if c := &candidates[i]; c.pull > 0 {
				c.pull = max(c.pull>>shift, 1)
			}
		}
	}
}

// tierByPrice puts clusters at the same price into one tier, the cheapest first, those whose price is not known or in
// another currency last.
func tierByPrice(candidates []candidate) {
	known := make([]float64, 0, len(candidates))
	for i := range candidates {
		if candidates[i].cost >= 0 {
			known = append(known, candidates[i].cost)
		}
	}
	if len(known) == 0 {
		return
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for i := range candidates {
		step := len(known)
		if candidates[i].cost >= 0 {
			step, _ = slices.BinarySearch(known, candidates[i].cost)
		}
		candidates[i].tier += int64(step)
	}
}

// tierPacked puts every cluster into a tier of its own, so that as few as possible are used: those with most replicas
// first, then those with most room, and at last the smallest one that takes all the rest. Room that is not known counts
// after room that is.
func tierPacked(q *question, candidates []candidate) {
	order := make([]*candidate, len(candidates))
	for i := range candidates {
		order[i] = &candidates[i]
	}
	known := func(c *candidate) int64 {
		if !c.bounded {
			return -1
		}
		return c.room
	}
	slices.SortFunc(order, func(a, b *candidate) int {
		switch {
		case a.tier != b.tier:
			return cmp.Compare(a.tier, b.tier)
		case a.replicas != b.replicas:
			return cmp.Compare(b.replicas, a.replicas)
		case known(a) != known(b):
			return cmp.Compare(known(b), known(a))
		case a.share != b.share:
			return cmp.Compare(b.share, a.share)
		}
		return inRank(a, b)
	})
	left := q.total
	for i, c := range order {
		if c.replicas == 0 && known(c) >= left && left > 0 {
			j := i
			for j+1 < len(order) && order[j+1].tier == c.tier && order[j+1].replicas == 0 && known(order[j+1]) >= left {
				j++
			}
			for j > i && known(order[j-1]) == known(order[j]) { // of equals the one that has most already
				j--
			}
			best := order[j]
			copy(order[i+1:j+1], order[i:j])
			order[i] = best
		}
		if order[i].usable() {
			left -= max(min(order[i].room, left), 0)
		} else {
			left -= min(order[i].replicas, left)
		}
	}
	for i, c := range order {
		c.tier += int64(i)
	}
}
