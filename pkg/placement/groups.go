package placement

import (
	"slices"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// goBack gives replicas of later groups back to better ones. They go when they stayed where they are for minimumStay,
// and to clusters of a better group that have been well for stableFor and have room.
func goBack(q *question, candidates []candidate) {
	if q.scope == nil || len(q.rule.ClusterGroups) < 2 || q.anew || q.Object.Completions != nil {
		return
	}
	groups := int64(len(q.rule.ClusterGroups))
	rooms := make([]int64, groups) // that a group's clusters have which are well
	for i := range candidates {
		c := &candidates[i]
		if !c.usable() || c.weight == 0 || c.replicas >= c.room {
			continue
		}
		if q.well(c) {
			rooms[c.group] += min(c.room-c.replicas, noLimit)
		} else if laterThan(candidates, c.group) {
			q.waitsFor(c.Since.Add(q.stableFor()), c.Name, "replicas go back to it (stableFor)")
		}
	}
	for g := groups - 1; g > 0; g-- {
		room := int64(0)
		for better := range g {
			room += rooms[better]
		}
		if room <= 0 {
			continue
		}
		list := givers(candidates, func(c *candidate) int64 {
			if c.group != g || c.replicas <= c.least || c.why == federation.ReasonNotReady {
				return c.replicas
			}
			if !q.stayed(c) {
				q.waitsFor(c.had.Since.Add(q.minimumStay()), c.Name, "replicas may go back to a better group (minimumStay)")
				return c.replicas
			}
			return c.least
		})
		n := min(room, excessOf(list))
		if n == 0 {
			continue
		}
		before := sharesOf(candidates)
		drain(list, n)
		q.count(candidates)
		list = takers(candidates, func(c *candidate) int64 {
			if c.group >= g || !c.usable() || !q.well(c) {
				return c.replicas
			}
			return c.room
		})
		left := n
		if q.spread == nil {
			left = deal(list, n)
		} else { // nothing goes back against a constraint, be it a soft one
			left = q.spread.deal(list, n, true)
		}
		// What finds no place after all stays where it is.
		stay(q, candidates, left, func(c *candidate) int64 {
			if c.group != g {
				return c.replicas
			}
			return before[c.Name]
		})
		for better := range g {
			rooms[better] = max(rooms[better]-n, 0)
		}
	}
}

// sharesOf remembers shares while they are worked out.
func sharesOf(candidates []candidate) map[string]int64 {
	shares := make(map[string]int64, len(candidates))
	for i := range candidates {
		shares[candidates[i].Name] = candidates[i].replicas
	}
	return shares
}

func excessOf(list []*candidate) (sum int64) {
	for _, c := range list {
		sum += c.replicas - c.limit
	}
	return sum
}

func laterThan(candidates []candidate, group int64) bool {
	return slices.ContainsFunc(candidates, func(c candidate) bool { return c.group > group && c.replicas > 0 })
}
