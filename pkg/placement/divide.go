package placement

import (
	"cmp"
	"slices"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// divide gives every candidate its share of an object's replicas. It starts from the shares that clusters have and
// moves as little as possible: more replicas go to the emptiest clusters, fewer are taken from the fullest, and a
// cluster that joined gets its first replicas when the object grows. The shares' sum is the object's replicas whenever
// there is any candidate.
//
//	have  a 3  b 3         c joined, replicas 6   ->  a 3  b 3
//	                                 replicas 8   ->  a 3  b 3  c 2
//	                                 replicas 4   ->  a 2  b 2
func divide(o Object, candidates []candidate) ([]federation.ClusterPlacement, string) {
	total := max(int64(ptr.Deref(o.Replicas, 1)), 0)
	if len(candidates) == 0 && total > 0 {
		return nil, reasonNoChoice
	}
	sum := int64(0)
	for i := range candidates {
		c := &candidates[i]
		c.replicas = max(int64(ptr.Deref(c.had.Replicas, 0)), 0)
		sum += c.replicas
	}
	switch {
	case sum < total:
		fill(receivers(o, candidates), total-sum)
	case sum > total:
		drain(candidates, sum-total)
	}
	var completions []int64
	if o.Completions != nil {
		completions = divideCompletions(int64(*o.Completions), candidates)
	}
	return chosen(candidates, completions)
}

// chosen lists the candidates that have replicas or are to keep the object with none.
func chosen(candidates []candidate, completions []int64) ([]federation.ClusterPlacement, string) {
	placements := make([]federation.ClusterPlacement, 0, len(candidates))
	numbers := make([]int32, 0, 2*len(candidates)) // one allocation for what the pointers point at
	number := func(n int64) *int32 {
		numbers = append(numbers, int32(n))
		return &numbers[len(numbers)-1]
	}
	for i, c := range candidates {
		if c.replicas == 0 && !c.has {
			continue
		}
		p := federation.ClusterPlacement{Name: c.name, Replicas: number(c.replicas)}
		if completions != nil {
			p.Completions = number(completions[i])
		}
		placements = append(placements, p)
	}
	if len(placements) == 0 {
		return nil, reasonZero
	}
	return placements, reasonDivided
}

// receivers are the candidates that new replicas go to: those that may take something new. Where there is none the
// clusters that have the object take them, since the wish is on record there and nobody else is left.
//
// A Job's completions can't be changed once it runs in a cluster (Kubernetes validates them as immutable), so a Job's
// new parallelism stays where its completions are; what a leaving cluster had goes to clusters that had no part of it.
func receivers(o Object, candidates []candidate) []*candidate {
	var fresh, kept, last []*candidate
	assigned := int64(0)
	for i := range candidates {
		c := &candidates[i]
		assigned += int64(ptr.Deref(c.had.Completions, 0))
		switch {
		case c.why != "":
			last = append(last, c)
		case c.has:
			kept = append(kept, c)
		default:
			fresh = append(fresh, c)
		}
	}
	preferred := append(slices.Clip(kept), fresh...)
	if o.Completions != nil {
		if assigned >= int64(*o.Completions) && assigned > 0 {
			preferred = kept
		} else if assigned > 0 && len(fresh) > 0 {
			preferred = fresh
		}
	}
	if len(preferred) > 0 {
		return preferred
	}
	return last
}

// fill gives n replicas one by one to whoever has fewest, the lower rank first, in O(c log c) for c candidates.
func fill(candidates []*candidate, n int64) {
	slices.SortFunc(candidates, func(a, b *candidate) int { return cmp.Compare(a.replicas, b.replicas) })
	level(candidates, n, func(a, b *candidate) int { return cmp.Compare(a.rank, b.rank) })
}

// drain takes n replicas one by one from whoever has most. Of equals the one that takes nothing new gives first (so
// that the last replica is in a cluster that is ready), then the higher rank, which got its last replica last.
func drain(candidates []candidate, n int64) {
	givers := make([]*candidate, len(candidates))
	most := int64(0)
	for i := range candidates {
		givers[i] = &candidates[i]
		most = max(most, candidates[i].replicas)
	}
	// Upside down, taking from the fullest is giving to the emptiest.
	flip := func() {
		for _, c := range givers {
			c.replicas = most - c.replicas
		}
	}
	flip()
	slices.SortFunc(givers, func(a, b *candidate) int { return cmp.Compare(a.replicas, b.replicas) })
	level(givers, n, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(condition(a), condition(b)), cmp.Compare(b.rank, a.rank))
	})
	flip()
}

// condition orders candidates from the worst to the best.
func condition(c *candidate) int {
	switch c.why {
	case federation.ReasonNotReady:
		return 0
	case "":
		return 2
	}
	return 1
}

// level raises the emptiest candidates to one common height with n replicas, and gives what is left over one each in
// the order of tie. candidates are sorted by replicas.
func level(candidates []*candidate, n int64, tie func(a, b *candidate) int) {
	sum, k := int64(0), 0
	for k < len(candidates) {
		sum += candidates[k].replicas
		k++
		if k < len(candidates) && n <= int64(k)*candidates[k].replicas-sum {
			break
		}
	}
	if k == 0 {
		return
	}
	raised := candidates[:k]
	height, left := (sum+n)/int64(k), (sum+n)%int64(k)
	if left > 0 {
		slices.SortFunc(raised, tie)
	}
	for i, c := range raised {
		c.replicas = height
		if int64(i) < left {
			c.replicas++
		}
	}
}

// divideCompletions divides a Job's completions in proportion to its parallelism. What a cluster has it keeps, because
// a running Job's completions are immutable; only what no cluster has is given out.
func divideCompletions(total int64, candidates []candidate) []int64 {
	shares := make([]int64, len(candidates))
	takers := make([]int, 0, len(candidates))
	left := total
	for i, c := range candidates {
		if c.had.Completions != nil {
			shares[i] = int64(*c.had.Completions)
			left -= shares[i]
		} else if c.replicas > 0 {
			takers = append(takers, i)
		}
	}
	if left == 0 {
		return shares
	}
	if left < 0 || len(takers) == 0 {
		// The total changed (an elastic indexed Job), or nobody new can take the rest: all is divided anew.
		clear(shares)
		left, takers = total, takers[:0]
		for i, c := range candidates {
			if c.replicas > 0 {
				takers = append(takers, i)
			}
		}
	}
	if len(takers) == 0 { // parallelism 0: those that have the Job keep it, in equal parts
		for i, c := range candidates {
			if c.has {
				takers = append(takers, i)
			}
		}
	}
	apportion(left, candidates, takers, shares)
	return shares
}

// apportion adds n to the takers' shares in proportion to their replicas, by largest remainder (Hamilton's method),
// ties to the lower rank.
func apportion(n int64, candidates []candidate, takers []int, shares []int64) {
	weights := int64(0)
	for _, i := range takers {
		weights += candidates[i].replicas
	}
	weight := func(i int) int64 { return candidates[i].replicas }
	if weights == 0 {
		weights, weight = int64(len(takers)), func(int) int64 { return 1 }
	}
	left := n
	for _, i := range takers {
		share := n * weight(i) / weights
		shares[i] += share
		left -= share
	}
	slices.SortFunc(takers, func(i, j int) int {
		return cmp.Or(cmp.Compare(n*weight(j)%weights, n*weight(i)%weights), cmp.Compare(candidates[i].rank, candidates[j].rank))
	})
	for _, i := range takers[:min(int(left), len(takers))] {
		shares[i]++
	}
}

// sameClusters says whether two decisions place an object alike.
func sameClusters(a, b []federation.ClusterPlacement) bool {
	return slices.EqualFunc(a, b, func(a, b federation.ClusterPlacement) bool {
		return a.Name == b.Name && ptr.Equal(a.Replicas, b.Replicas) && ptr.Equal(a.Completions, b.Completions)
	})
}

// Same says whether two decisions are equal.
func Same(a, b *Decision) bool {
	return a.Object == b.Object && a.Reason == b.Reason && sameClusters(a.Clusters, b.Clusters) &&
		slices.EqualFunc(a.Excluded, b.Excluded, func(a, b federation.Exclusion) bool {
			return a.Reason == b.Reason && slices.Equal(a.Clusters, b.Clusters)
		})
}
