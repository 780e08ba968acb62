package placement

import (
	"cmp"
	"slices"

	"k8s.io/utils/ptr"
)

// A Job's completions can't be changed once it runs in a cluster (Kubernetes validates them as immutable). So its new
// parallelism stays where its completions are, and what a leaving cluster had goes to clusters that had no part of it.

// closeForJob closes the candidates that can't take parallelism of a running Job.
func closeForJob(q *question, candidates []candidate) {
	if q.Object.Completions == nil {
		return
	}
	assigned, fresh, unfinished := int64(0), false, false
	for i := range candidates {
		c := &candidates[i]
		if c.finished() { // what has been done is not done again
			c.leaves = false
		}
		if c.has && !c.leaves {
			assigned += int64(ptr.Deref(c.had.Completions, 0))
			unfinished = unfinished || c.why == "" && !c.finished()
		}
		fresh = fresh || c.why == "" && !c.has
	}
	if assigned == 0 {
		return
	}
	for i := range candidates {
		if c := &candidates[i]; c.leaves && c.cause != "" && !fresh {
			c.leaves = false // those that have a part of the Job can't take over completions: they are immutable
			q.lacks(missingCompletions)
		}
	}
	all := assigned >= int64(*q.Object.Completions)
	for i := range candidates {
		c := &candidates[i]
		switch {
		case all:
			c.closed = !c.has || unfinished && c.finished()
		case fresh:
			c.closed = c.has
		}
	}
}

func (c *candidate) finished() bool { return c.copy != nil && c.copy.Finished }

// relieveJob gives parallelism of clusters whose share of a Job is finished to those that have completions left and no
// parallelism, so that a Job with less parallelism than clusters comes to its end.
func relieveJob(q *question, candidates []candidate) {
	if q.Object.Completions == nil {
		return
	}
	var done, starved []*candidate
	for i := range candidates {
		c := &candidates[i]
		switch {
		case !c.has || c.leaves:
		case c.finished() && c.replicas > 0:
			done = append(done, c)
		case !c.finished() && c.replicas == 0 && ptr.Deref(c.had.Completions, 0) > 0:
			starved = append(starved, c)
		}
	}
	slices.SortFunc(starved, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(condition(b), condition(a)), inRank(a, b))
	})
	for _, c := range starved {
		if len(done) == 0 {
			return
		}
		done[0].replicas--
		c.replicas++
		if done[0].replicas == 0 {
			done = done[1:]
		}
	}
}

// divideCompletions divides a Job's completions in proportion to its parallelism. What a cluster has it keeps; only what
// no cluster has is given out.
func divideCompletions(total int64, candidates []candidate) []int64 {
	shares := make([]int64, len(candidates))
	takers := make([]int, 0, len(candidates))
	left := total
	for i := range candidates {
		c := &candidates[i]
		if c.has && c.had.Completions != nil && (!c.leaves || c.gets > 0) {
			shares[i] = int64(*c.had.Completions)
			left -= shares[i]
		} else if c.gets > 0 {
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
		for i := range candidates {
			if candidates[i].gets > 0 {
				takers = append(takers, i)
			}
		}
	}
	if len(takers) == 0 { // parallelism 0: those that have the Job keep it, in equal parts
		for i := range candidates {
			if candidates[i].in {
				takers = append(takers, i)
			}
		}
	}
	apportion(left, candidates, takers, shares)
	return shares
}

// apportion adds n to the takers' shares in proportion to their replicas, by largest remainder (Hamilton's method),
// ties to the lower rank. Completions are divided once, so that the method's paradoxes do no harm.
func apportion(n int64, candidates []candidate, takers []int, shares []int64) {
	weights := int64(0)
	for _, i := range takers {
		weights += candidates[i].gets
	}
	weight := func(i int) int64 { return candidates[i].gets }
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
		return cmp.Or(cmp.Compare(n*weight(j)%weights, n*weight(i)%weights), inRank(&candidates[i], &candidates[j]))
	})
	for _, i := range takers[:min(int(left), len(takers))] {
		shares[i]++
	}
}
