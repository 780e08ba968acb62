package placement

import (
	"cmp"
	"fmt"
	"slices"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// What keeps a decision from what its policy asks for, for spec.missing.
const (
	missingRoom        = "not all replicas fit into what is free in the clusters that may take them; those that do not fit wait there for room: add capacity or clusters"
	missingPlace       = "replicas run where the policy does not want them, because no cluster that it allows can take them: add or free clusters, or widen the policy"
	missingSpot        = "%d replicas are unplaced: only spot machines could take more of them, and price.maxSpot of the policy allows no more there; raise it, or add clusters with machines on demand"
	missingOnDemand    = "more replicas run on spot machines than price.maxSpot of the policy allows, and no other cluster can take them: raise it, or add clusters with machines on demand"
	missingWall        = "%d of %d replicas are unplaced: no cluster may take more of them; raise maxReplicas, widen the policy, or add clusters"
	missingCompletions = "no cluster without a part of the Job can take over the completions of one that is to leave it: they wait until it is back, or another cluster joins"
	missingAny         = "no cluster can take it now"
)

// settle works out the target: the share that each candidate is to have once everything has moved.
//
// It starts from what stays where it is, gives the policy's minimums, then deals out what is left or takes away what is
// too much. Replicas for which there is no room go where the policy has them wait; what the policy allows nowhere, and
// runs, stays where it runs.
//
//	have  a 3  b 3         c joined, replicas 6   ->  a 3  b 3
//	                                 replicas 8   ->  a 3  b 3  c 2
//	                                 replicas 4   ->  a 2  b 2
func settle(q *question, candidates []candidate) {
	switch {
	case q.v1 != nil && q.v1.divides(q, candidates):
		q.v1.plan(q, candidates)
	case q.anew:
		share(q, candidates, true)
	case q.rebalancesAlways() && q.strategy() == federation.StrategyPrice:
		share(q, candidates, false)
		followPrices(q, candidates)
	case q.rebalancesAlways():
		missing := q.missing
		share(q, candidates, false)
		stays := q.costOf(candidates)
		q.missing, q.unplaced = missing, 0
		if share(q, candidates, true); stays >= 0 && q.costOf(candidates) >= stays || !mayMoveOn(q, candidates) {
			q.missing, q.unplaced = missing, 0
			share(q, candidates, false)
		}
	default:
		share(q, candidates, false)
	}
	relieveJob(q, candidates)
	for i := range candidates {
		candidates[i].target = candidates[i].replicas
	}
}

func (q *question) rebalancesAlways() bool {
	return q.rule.ReplicaDivision != nil && q.rule.ReplicaDivision.Rebalance
}

// mayMoveOn says whether the shares that were worked out anew may take effect. What fits comes and goes: replicas move on
// only from where they stayed for minimumStay.
func mayMoveOn(q *question, candidates []candidate) bool {
	if q.strategy() == federation.StrategyWeighted {
		return true
	}
	may := true
	for i := range candidates {
		if c := &candidates[i]; c.replicas < min(c.share, c.most) && !q.stayed(c) {
			q.waitsFor(c.had.Since.Add(q.minimumStay()), c.Name, "replicas may move on (minimumStay)")
			may = false
		}
	}
	return may
}

// costOf is what a strategy keeps low: the clusters in use. It is -1 where the strategy has no such number. Nothing moves for
// shares that are no better.
func (q *question) costOf(candidates []candidate) (cost int64) {
	if q.strategy() != federation.StrategyPacked {
		return -1
	}
	for i := range candidates {
		if candidates[i].replicas > 0 {
			cost++
		}
	}
	return cost
}

// share works the shares out, anew or with what runs staying where it is.
func share(q *question, candidates []candidate, anew bool) {
	for i := range candidates {
		c := &candidates[i]
		c.tier, c.pull = c.base, c.weight
		c.replicas = min(c.share, c.most)
		if c.full >= 0 {
			c.replicas = min(c.replicas, c.full)
		}
		// What is not known to be well is not weighed against others; a running Job can't be divided anew; what is in a
		// later group goes by goBack.
		if anew && c.why != federation.ReasonNotReady && q.Object.Completions == nil && (c.group == 0 || q.anew) {
			c.replicas = 0
		}
	}
	tier(q, candidates)
	goBack(q, candidates)
	recall(q, candidates)
	even(q, candidates)
	limitSpot(q, candidates)
}

// even brings the sum of shares to the object's replicas.
func even(q *question, candidates []candidate) {
	total := q.total
	q.count(candidates)
	minimums(q, candidates)
	if q.spread != nil {
		total -= q.spread.widen(q, takers(candidates, (*candidate).toRoom), total)
	}
	left := total - sumOf(candidates)
	if left < 0 {
		left = -takeAway(q, candidates, -left)
	}
	if left > 0 {
		left = q.deal(candidates, left, (*candidate).toRoom)
	}
	if left > 0 {
		left = stay(q, candidates, left, func(c *candidate) int64 { return min(c.share, c.most) })
		if left > 0 || waitsForRoom(candidates) {
			placed := left
			left = q.deal(candidates, left, func(c *candidate) int64 { return c.most })
			if placed > left || waitsForRoom(candidates) {
				q.lacks(missingRoom)
			}
		}
	}
	left += q.total - total // what minDomains holds back may stay where it runs
	if left > 0 {
		before := left
		if left = stay(q, candidates, left, func(c *candidate) int64 { return c.share }); left < before {
			q.lacks(missingPlace)
		}
	}
	if left > 0 {
		left = onRecord(candidates, left)
	}
	if q.unplaced = left; left > 0 {
		if len(candidates) == 0 {
			q.lacks(missingAny)
		}
		q.lacks(fmt.Sprintf(missingWall, left, q.total))
	}
}

func (c *candidate) toRoom() int64 {
	if !c.usable() {
		return c.replicas
	}
	return c.room
}

// deal gives n replicas to candidates as far as limit, keeping constraints, the soft ones while it can.
func (q *question) deal(candidates []candidate, n int64, limit func(c *candidate) int64) int64 {
	if n <= 0 {
		return 0
	}
	list := takers(candidates, func(c *candidate) int64 {
		if !c.usable() {
			return c.replicas
		}
		return limit(c)
	})
	if q.spread == nil {
		return deal(list, n)
	}
	if n = q.spread.deal(list, n, true); n > 0 {
		n = q.spread.deal(takers(candidates, func(c *candidate) int64 { return c.limit }), n, false)
	}
	return n
}

// minimums gives candidates the policy's minimums, as far as there are replicas beside those of other minimums.
func minimums(q *question, candidates []candidate) {
	left := q.total
	for i := range candidates {
		if c := &candidates[i]; c.usable() {
			left -= min(c.replicas, c.least)
		} else {
			left -= c.replicas
		}
	}
	if left <= 0 {
		return
	}
	list := make([]*candidate, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if c.limit = c.least; c.usable() && c.replicas < c.least {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return
	}
	// A weight of 0 counts here as any other.
	for _, c := range list {
		c.pull = max(c.pull, 1)
	}
	if q.spread == nil {
		deal(list, left)
	} else {
		q.count(candidates)
		q.spread.deal(list, left, false)
	}
	for _, c := range list {
		if c.weight == 0 {
			c.pull = 0
		}
	}
	q.count(candidates)
}

// count has the constraints count anew.
func (q *question) count(candidates []candidate) {
	if q.spread != nil {
		q.spread.start(candidates)
	}
}

// takeAway takes n replicas, down to the minimums as long as it can, and returns what could not be taken.
func takeAway(q *question, candidates []candidate, n int64) int64 {
	for _, floor := range []func(c *candidate) int64{func(c *candidate) int64 { return c.least }, func(*candidate) int64 { return 0 }} {
		if n == 0 {
			break
		}
		list := givers(candidates, floor)
		if q.spread == nil {
			n = drain(list, n)
		} else {
			n = q.spread.drain(list, n)
		}
	}
	return n
}

// stay gives n replicas back to clusters that have had them, as far as limit, the better tier first.
func stay(q *question, candidates []candidate, n int64, limit func(c *candidate) int64) int64 {
	list := make([]*candidate, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if c.limit = limit(c); c.replicas < c.limit {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(a.tier, b.tier), cmp.Compare(condition(b), condition(a)), inRank(a, b))
	})
	for _, c := range list {
		more := min(n, c.limit-c.replicas)
		c.replicas, n = c.replicas+more, n-more
		if q.spread != nil && more > 0 {
			q.spread.add(c, more)
		}
	}
	return n
}

// onRecord gives n replicas to clusters that have the object and take nothing new, where no other is left: so the wish
// is on record, and comes true when one of them is back.
func onRecord(candidates []candidate, n int64) int64 {
	list := make([]*candidate, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if c.usable() {
			return n
		}
		if c.limit = c.max; c.has && (!c.leaves || c.cause != "") && !(c.closed && c.finished()) && c.replicas < c.limit {
			c.pull = max(c.pull, 1)
			list = append(list, c)
		}
	}
	return deal(list, n)
}

// waitsForRoom says whether replicas stay in a cluster that is full.
func waitsForRoom(candidates []candidate) bool {
	for i := range candidates {
		if c := &candidates[i]; c.full >= 0 && c.replicas > c.full {
			return true
		}
	}
	return false
}

func sumOf(candidates []candidate) (sum int64) {
	for i := range candidates {
		sum += candidates[i].replicas
	}
	return sum
}
