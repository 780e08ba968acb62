package placement

import (
	"cmp"
	"slices"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Replicas are dealt one by one, each to the candidate that is furthest below its weight, by Webster's method (also
// Sainte-Lague's: the next replica of a cluster that has s of weight w costs (2s+1)/w). Unlike with largest remainders,
// dealing n+1 replicas is dealing n and one more: an object that grows never moves a replica, and a division made anew
// is the one that grew.

// takers are the candidates that may grow to a limit, given by allowed.
func takers(candidates []candidate, allowed func(c *candidate) int64) []*candidate {
	list := make([]*candidate, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if c.limit = allowed(c); c.replicas < c.limit && c.pull > 0 {
			list = append(list, c)
		}
	}
	return list
}

// deal gives n replicas to takers, the lowest tier first, and returns what none of them may take.
func deal(list []*candidate, n int64) int64 {
	byTier := func(a, b *candidate) int { return cmp.Compare(a.tier, b.tier) }
	if !slices.IsSortedFunc(list, byTier) {
		slices.SortFunc(list, byTier)
	}
	for len(list) > 0 && n > 0 {
		end := 1
		for end < len(list) && list[end].tier == list[0].tier {
			end++
		}
		if c := list[0]; end == 1 { // nobody to share with
			more := min(n, c.limit-c.replicas)
			c.replicas, n = c.replicas+more, n-more
		} else {
			n = raise(list[:end], n)
		}
		list = list[end:]
	}
	return n
}

// raise gives n replicas to candidates of one tier. It reorders the list.
func raise(list []*candidate, n int64) int64 {
	if n >= int64(len(list))/2 {
		n -= flood(list, n)
	}
	h := heapOf[*candidate]{items: list, before: isNext}
	h.init()
	for n > 0 && len(h.items) > 0 {
		c := h.items[0]
		if c.replicas < c.limit {
			c.replicas++
			n--
		}
		if c.replicas >= c.limit {
			h.pop()
		} else {
			h.sink(0)
		}
	}
	return n
}

// isNext says whether a is to get the next replica rather than b: the one further below its weight, one that already
// has a replica to spare for it, the lower rank.
func isNext(a, b *candidate) bool {
	left, right := uint64(2*a.replicas+1)*uint64(b.pull), uint64(2*b.replicas+1)*uint64(a.pull)
	if left != right {
		return left < right
	}
	if spareA, spareB := a.replicas < a.share, b.replicas < b.share; spareA != spareB {
		return spareA
	}
	return inRank(a, b) < 0
}

// flood gives almost n replicas at once, those whose cost is below a common level, and returns how many. What is left
// is dealt one by one, so that the result is as if all were.
func flood(list []*candidate, n int64) int64 {
	raised := func(c *candidate, level float64) int64 {
		return min(max(int64(min((level*float64(c.pull)+1)/2, float64(noLimit))), c.replicas), c.limit)
	}
	low, high := 0.0, 0.0
	sum, pulls := n, int64(0)
	for _, c := range list {
		high = max(high, float64(2*min(c.replicas+n, c.limit)+1)/float64(c.pull))
		sum, pulls = sum+c.replicas, pulls+c.pull
	}
	level := (2*float64(sum) - float64(len(list))) / float64(pulls) // exact where no limit and no head start counts
	for range 40 {
		given := int64(0)
		for _, c := range list {
			given += raised(c, level) - c.replicas
		}
		if given > n {
			high = level
		} else {
			low = level
			if n-given <= int64(len(list)) {
				break
			}
		}
		level = (low + high) / 2
	}
	low *= 1 - 1e-12 // so that rounding gives nothing that has its turn later
	given := int64(0)
	for _, c := range list {
		to := raised(c, low)
		given += to - c.replicas
		c.replicas = to
	}
	return given
}

// drain takes n replicas from candidates that have more than their limit, the highest tier first, and returns what none
// of them can give. It is deal upside down.
func drain(list []*candidate, n int64) int64 {
	slices.SortFunc(list, func(a, b *candidate) int { return cmp.Compare(b.tier, a.tier) })
	for len(list) > 0 && n > 0 {
		end := 1
		for end < len(list) && list[end].tier == list[0].tier {
			end++
		}
		n = lower(list[:end], n)
		list = list[end:]
	}
	return n
}

// givers are the candidates that may shrink to a limit, given by floor.
func givers(candidates []candidate, floor func(c *candidate) int64) []*candidate {
	list := make([]*candidate, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if c.limit = floor(c); c.replicas > c.limit {
			list = append(list, c)
		}
	}
	return list
}

// lower takes n replicas from candidates of one tier. It reorders the list.
func lower(list []*candidate, n int64) int64 {
	if n >= int64(len(list))/2 {
		n -= ebb(list, n)
	}
	h := heapOf[*candidate]{items: list, before: givesNext}
	h.init()
	for n > 0 && len(h.items) > 0 {
		c := h.items[0]
		if c.replicas > c.limit {
			c.replicas--
			n--
		}
		if c.replicas <= c.limit {
			h.pop()
		} else {
			h.sink(0)
		}
	}
	return n
}

// givesNext says whether a is to give the next replica rather than b: the one further above its weight, the one that
// takes nothing new (so that the last replica is in a cluster that is ready), the higher rank, which got its last replica
// last.
func givesNext(a, b *candidate) bool {
	// A weight of 0 costs more than any other.
	left, right := uint64(max(2*a.replicas-1, 0))*uint64(b.pull), uint64(max(2*b.replicas-1, 0))*uint64(a.pull)
	if left != right {
		return left > right
	}
	if worse, better := condition(a), condition(b); worse != better {
		return worse < better
	}
	return inRank(a, b) > 0
}

// condition orders candidates from the worst to the best.
func condition(c *candidate) int {
	switch c.why {
	case "":
		return 2
	case federation.ReasonNotReady:
		return 0
	}
	return 1
}

// ebb takes almost n replicas at once, as flood gives them.
func ebb(list []*candidate, n int64) int64 {
	lowered := func(c *candidate, level float64) int64 {
		return max(min(int64(min((level*float64(c.pull)+1)/2, float64(noLimit))), c.replicas), c.limit)
	}
	low, high := 0.0, 0.0
	for _, c := range list {
		if c.pull == 0 {
			return 0
		}
		high = max(high, float64(2*c.replicas+1)/float64(c.pull))
	}
	for range 40 {
		level, taken := (low+high)/2, int64(0)
		for _, c := range list {
			taken += c.replicas - lowered(c, level)
		}
		if taken > n {
			low = level
		} else {
			high = level
			if n-taken <= int64(len(list)) {
				break
			}
		}
	}
	high *= 1 + 1e-12
	taken := int64(0)
	for _, c := range list {
		to := lowered(c, high)
		taken += c.replicas - to
		c.replicas = to
	}
	return taken
}

// heapOf is a binary heap.
type heapOf[T any] struct {
	items  []T
	before func(a, b T) bool
}

func (h *heapOf[T]) init() {
	for i := len(h.items)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
}

func (h *heapOf[T]) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if other := child + 1; other < len(h.items) && h.before(h.items[other], h.items[child]) {
			child = other
		}
		if !h.before(h.items[child], h.items[i]) {
			return
		}
		h.items[i], h.items[child] = h.items[child], h.items[i]
		i = child
	}
}

func (h *heapOf[T]) pop() T {
	top, last := h.items[0], len(h.items)-1
	h.items[0] = h.items[last]
	h.items = h.items[:last]
	h.sink(0)
	return top
}

func (h *heapOf[T]) push(item T) {
	h.items = append(h.items, item)
	for i := len(h.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.before(h.items[i], h.items[parent]) {
			return
		}
		h.items[i], h.items[parent] = h.items[parent], h.items[i]
		i = parent
	}
}
