package placement

import (
	"slices"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// copied settles an object that is copied whole: it goes to all clusters of the first group that has a usable one, as
// far as spread constraints let it.
func copied(q *question, candidates []candidate) {
	group := groupFor(q, candidates)
	for i := range candidates {
		c := &candidates[i]
		if c.group == group && (c.why == "" || c.has && !c.leaves) {
			c.tier, c.pull, c.most, c.room = c.base, 1, 1, 1
			if q.spread == nil || c.has && !(q.anew && c.why == "") {
				c.replicas = 1
			}
		}
	}
	if q.spread != nil {
		q.spread.start(candidates)
		all := func(c *candidate) int64 { return c.most }
		q.spread.widen(q, takers(candidates, all), noLimit)
		q.deal(candidates, noLimit, all)
	}
	remain(q, candidates, group)
	placed := false
	for i := range candidates {
		candidates[i].target = candidates[i].replicas
		placed = placed || candidates[i].target > 0
	}
	if placed {
		return
	}
	for i := range candidates { // what runs stays where it runs
		if c := &candidates[i]; c.has {
			c.target, placed = 1, true
		}
	}
	used := slices.ContainsFunc(candidates, func(c candidate) bool { return q.wanted[c.Name] })
	switch {
	case placed:
		q.lacks(missingPlace)
	case used && q.policy == nil: // its users bring it to a place, where it stays
	default:
		q.lacks(missingAny)
	}
}

// remain leaves copies where they are in clusters that are down, as far as none took their place: they do no harm there,
// and are at hand when the cluster is back.
func remain(q *question, candidates []candidate, group int64) {
	for i := range candidates {
		c := &candidates[i]
		if c.cause != federation.DisplacedDown || !c.has || c.group != group {
			continue
		}
		if q.spread == nil {
			c.replicas = 1
		} else if q.spread.hasRoom(c) {
			c.replicas = 1
			q.spread.add(c, 1)
		}
	}
}

// groupFor is the group in which an object that is copied whole is to be. It goes back to a better group when that has
// been well for a while, and it has been where it is for a while.
func groupFor(q *question, candidates []candidate) int64 {
	if q.scope == nil || len(q.rule.ClusterGroups) < 2 {
		return 0
	}
	const none = int64(maxGroups)
	current, usable, wellAt, stayed := none, none, none, true
	for i := range candidates {
		c := &candidates[i]
		if c.has && !c.leaves && c.group < current {
			current, stayed = c.group, true
		}
		if c.has && !c.leaves && c.group == current {
			stayed = stayed && q.stayed(c)
		}
		if c.why == "" {
			usable = min(usable, c.group)
			if q.well(c) {
				wellAt = min(wellAt, c.group)
			}
		}
	}
	switch {
	case current == none || q.anew && usable < none:
		return usable
	case wellAt < current && stayed:
		return wellAt
	case usable >= current:
		return current
	}
	for i := range candidates {
		c := &candidates[i]
		switch {
		case c.group < current && c.why == "" && !q.well(c):
			q.waitsFor(c.Since.Add(q.stableFor()), c.Name, "copies go back to it (stableFor)")
		case c.group == current && c.has && !q.stayed(c):
			q.waitsFor(c.had.Since.Add(q.minimumStay()), c.Name, "copies may go back to a better group (minimumStay)")
		}
	}
	return current
}

// paceCopies removes copies only when all clusters that are to have one, and answer, have it.
func paceCopies(q *question, candidates []candidate) {
	proven, missing, leavers := false, false, false
	for i := range candidates {
		c := &candidates[i]
		c.gets = c.target
		switch {
		case c.target == 0:
			leavers = leavers || c.has && !q.wanted[c.Name]
		case q.holds(c):
			proven = true
		default:
			missing = missing || c.unproven || !c.silent()
		}
	}
	if !leavers || proven && !missing {
		return
	}
	for i := range candidates {
		if c := &candidates[i]; c.has && c.target == 0 && !q.wanted[c.Name] {
			c.gets, q.moving = 1, true
		}
	}
}

// holds says whether a cluster is known to have a copy in good order.
func (q *question) holds(c *candidate) bool {
	if c.copy == nil || !c.has || c.copy.Leaving || !c.copy.Synced || c.silent() {
		return false
	}
	return !q.Object.Divided || ptr.Deref(c.copy.Ready, 0) >= ptr.Deref(q.Object.Replicas, 1)
}

// follow adds the clusters in which the object's users are, or are still to be removed. One that has no place of its own
// is nowhere else.
func follow(q *question, candidates []candidate) {
	use := q.Object.Use
	for i := range candidates {
		c := &candidates[i]
		switch {
		case q.follows:
		case q.divides:
			c.in = c.gets > 0 || c.has && q.keepsEmpty(c)
		default:
			c.in = c.gets > 0
		}
		if use != nil && !c.in {
			c.in = q.wanted[c.Name] || c.has && (use.Undecided || q.leaving[c.Name])
			q.also = q.also || c.in
		} else if q.follows {
			c.in = c.has
		}
	}
}

// keepsEmpty says whether a cluster keeps an object of which it has no replica: where it may have some again soon.
func (q *question) keepsEmpty(c *candidate) bool {
	if q.total == 0 && c.cause != "" {
		return true // nothing runs there
	}
	if c.leaves || c.target > 0 {
		return c.target > 0
	}
	if q.scope == nil || q.total == 0 || q.Object.Completions != nil {
		return true
	}
	return c.group == 0 && q.strategy() != federation.StrategyPacked && q.strategy() != federation.StrategyPrice
}
