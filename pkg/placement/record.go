package placement

import (
	"cmp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Sentences for spec.reason. None of them depends on what comes and goes by itself (readiness), so that a flapping
// cluster rewrites no decision.
const (
	reasonCopied   = "no policy: copied to every ready cluster"
	reasonDivided  = "no policy: replicas divided evenly over the ready clusters, moving as few as possible"
	reasonFollows  = "goes only where something that uses it is placed"
	reasonAlso     = ", and where something that uses it is placed" // after another reason
	reasonUnused   = "nothing that is federated uses it, so it goes to no cluster"
	reasonZero     = "0 replicas: goes to no cluster until it is scaled up"
	reasonNoChoice = "no cluster can take it now; placed as soon as one is ready"

	reasonGone         = "its policy was deleted: it stays in its clusters until a policy selects it or it is rebalanced"
	reasonByCopy       = "by the policy: copied to all clusters of the first group that can take it"
	reasonByWeight     = "by the policy: replicas divided by weight, moving as few as possible"
	reasonByCapacity   = "by the policy: replicas divided by free capacity, moving as few as possible"
	reasonByPacking    = "by the policy: replicas in as few clusters as can take them"
	reasonByPrice      = "by the policy: replicas where they cost least"
	reasonByAnnotation = "by Federation v1's annotations on the object"
)

// record writes the decision down.
func record(q *question, candidates []candidate, excluded []exclusion) Answer {
	d := Decision{Object: q.Object.Reference, Policy: q.policy, Full: q.full, Moving: q.moving, Cheaper: q.cheaper}
	d.Clusters = placements(q, candidates)
	d.Unplaced = int32(min(q.unplaced, int64(1<<31-1)))
	d.Ordinals = ordinals(q, d.Clusters)
	d.Displaced = displaced(q, candidates, excluded)
	d.Rebalanced = rebalanced(q)
	d.Reason = reasonOf(q, &d)
	d.Missing = missingOf(q, &d)
	excluded = append(excluded, idle(q, candidates)...)
	if q.follows {
		excluded = slices.DeleteFunc(excluded, func(e exclusion) bool { return !q.wanted[e.cluster.Name] })
	}
	answer := Answer{Wake: q.wake}
	if q.Explain {
		answer.Candidates = explain(q, candidates, excluded)
	}
	d.Excluded = listed(q, excluded, d.Clusters)
	answer.Decision = d
	return answer
}

// placements lists the clusters in which the object is to be.
func placements(q *question, candidates []candidate) []federation.ClusterPlacement {
	var completions []int64
	if q.divides && q.Object.Completions != nil && len(candidates) > 0 {
		completions = divideCompletions(int64(*q.Object.Completions), candidates)
	}
	n := 0
	for i := range candidates {
		if candidates[i].in {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	list := make([]federation.ClusterPlacement, 0, n)
	numbers := make([]int32, 0, 2*n) // one allocation for what the pointers point at
	number := func(n int64) *int32 {
		numbers = append(numbers, int32(n))
		return &numbers[len(numbers)-1]
	}
	for i := range candidates {
		c := &candidates[i]
		if !c.in {
			continue
		}
		p := federation.ClusterPlacement{Name: c.Name, Since: q.since(c)}
		if q.divides {
			p.Replicas = number(c.gets)
			if completions != nil {
				p.Completions = number(completions[i])
			}
		}
		list = append(list, p)
	}
	return list
}

// since is when a candidate's share last grew, where that says when replicas may move on.
func (q *question) since(c *candidate) *metav1.Time {
	division := q.rule.ReplicaDivision
	volatile := division != nil && division.Rebalance && q.strategy() != federation.StrategyWeighted
	switch {
	case len(q.rule.ClusterGroups) < 2 && !(q.divides && volatile):
		return nil
	case !c.has || c.gets > c.share:
		return &metav1.Time{Time: q.Now.Truncate(time.Second)}
	}
	return c.had.Since
}

// rebalanced is the request to rebalance that was carried out last.
func rebalanced(q *question) string {
	switch {
	case q.Current == nil:
		return q.Object.Rebalance
	case q.anew && !q.moving:
		return q.Object.Rebalance
	}
	return q.Current.Rebalanced
}

func reasonOf(q *question, d *Decision) string {
	nowhere := len(d.Clusters) == 0
	switch {
	case q.follows && nowhere && (q.Object.Use == nil || q.Object.Use.Users == 0):
		return reasonUnused
	case q.follows:
		return reasonFollows
	case nowhere && q.divides && q.total == 0:
		return reasonZero
	case q.gone:
		return reasonGone
	case q.v1 != nil:
		return reasonByAnnotation
	case q.policy == nil && nowhere:
		return reasonNoChoice
	case q.policy == nil && q.divides:
		return reasonDivided
	case q.policy == nil:
		return reasonCopied
	case !q.divides && q.also: // without a policy what is placed stays: the next look can't tell why it is there
		return reasonByCopy + reasonAlso
	case !q.divides:
		return reasonByCopy
	}
	switch q.strategy() {
	case federation.StrategyFreeCapacity:
		return reasonByCapacity
	case federation.StrategyPacked:
		return reasonByPacking
	case federation.StrategyPrice:
		return reasonByPrice
	}
	return reasonByWeight
}

// missingOf joins what is missing. That replicas found no room is known only while they are dealt, so it stays on record
// until they are ready or move.
func missingOf(q *question, d *Decision) string {
	if before := q.Current; before != nil && q.divides && strings.Contains(before.Missing, missingRoom) &&
		sameClusters(before.Clusters, d.Clusters) && !q.allReady(d) {
		q.lacks(missingRoom)
	}
	return strings.Join(q.missing, "; ")
}

func (q *question) allReady(d *Decision) bool {
	return !slices.ContainsFunc(d.Clusters, func(p federation.ClusterPlacement) bool {
		return ptr.Deref(p.Replicas, 0) > 0 && !slices.ContainsFunc(q.Copies, func(c Copy) bool {
			return c.Cluster == p.Name && ptr.Deref(c.Ready, 0) >= *p.Replicas
		})
	})
}

// exclusion is one cluster that the object is kept from.
type exclusion struct {
	reason  string
	cluster *Cluster
}

// idle says why clusters that may take the object have nothing of it, where a policy or a taint is the reason.
func idle(q *question, candidates []candidate) (idle []exclusion) {
	if q.divides && q.total == 0 {
		return nil
	}
	for i := range candidates {
		if c := &candidates[i]; !c.in && c.target == 0 && (q.evicts() || c.cause != "") {
			if reason := q.idleReason(c); reason != "" {
				idle = append(idle, exclusion{reason, c.Cluster})
			}
		}
	}
	return idle
}

func (q *question) idleReason(c *candidate) string {
	ordered := q.v1 == nil && (len(q.rule.ClusterGroups) > 1 || q.strategy() == federation.StrategyPacked || q.strategy() == federation.StrategyPrice)
	switch {
	case c.why != "":
		return c.why
	case q.divides && c.most > 0 && c.room == 0:
		return federation.ReasonFull
	case q.spread != nil && q.spread.ready() && !q.spread.allows(c, true):
		return federation.ReasonSpread
	case ordered:
		return federation.ReasonNotNeeded
	}
	return ""
}

// transient reasons come and go by themselves.
func transient(reason string) bool {
	return reason == federation.ReasonNotReady || reason == federation.ReasonFull
}

// listed groups exclusions by reason. They are the record of how the shares came about: one that comes up later, while
// the shares stay as they are, is not added (a cluster that goes down rewrites no decision), one that ended is dropped,
// and a reason that comes and goes by itself takes the place of no other.
func listed(q *question, excluded []exclusion, clusters []federation.ClusterPlacement) []federation.Exclusion {
	if len(excluded) == 0 {
		return nil
	}
	if d := q.Current; d != nil && sameClusters(d.Clusters, clusters) && ptr.Equal(d.Policy, q.policy) {
		before := map[string]string{}
		for _, e := range d.Excluded {
			for _, name := range e.Clusters {
				before[name] = e.Reason
			}
		}
		excluded = slices.DeleteFunc(excluded, func(e exclusion) bool { return before[e.cluster.Name] == "" })
		for i := range excluded {
			if transient(excluded[i].reason) {
				excluded[i].reason = before[excluded[i].cluster.Name]
			}
		}
	}
	slices.SortFunc(excluded, func(a, b exclusion) int {
		return cmp.Or(strings.Compare(a.reason, b.reason), strings.Compare(a.cluster.Name, b.cluster.Name))
	})
	var groups []federation.Exclusion
	for _, e := range excluded {
		if len(groups) == 0 || groups[len(groups)-1].Reason != e.reason {
			groups = append(groups, federation.Exclusion{Reason: e.reason})
		}
		last := &groups[len(groups)-1]
		last.Clusters = append(last.Clusters, e.cluster.Name)
	}
	return groups
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// sameClusters says whether two decisions place an object alike.
func sameClusters(a, b []federation.ClusterPlacement) bool {
	return slices.EqualFunc(a, b, func(a, b federation.ClusterPlacement) bool {
		return a.Name == b.Name && ptr.Equal(a.Replicas, b.Replicas) && ptr.Equal(a.Completions, b.Completions)
	})
}

// Same says whether two decisions are equal.
func Same(a, b *Decision) bool {
	sinceSame := func(a, b federation.ClusterPlacement) bool { return a.Since.Equal(b.Since) }
	return a.Object == b.Object && a.Reason == b.Reason && a.Unplaced == b.Unplaced && a.Missing == b.Missing &&
		a.Moving == b.Moving && a.Rebalanced == b.Rebalanced && ptr.Equal(a.Policy, b.Policy) &&
		sameClusters(a.Clusters, b.Clusters) && slices.EqualFunc(a.Clusters, b.Clusters, sinceSame) &&
		slices.Equal(a.Ordinals, b.Ordinals) &&
		slices.EqualFunc(a.Cheaper, b.Cheaper, func(a, b federation.CheaperCluster) bool { return a.Name == b.Name && a.Since.Equal(&b.Since) }) &&
		slices.EqualFunc(a.Displaced, b.Displaced, func(a, b federation.DisplacedShare) bool {
			return a.Name == b.Name && a.Replicas == b.Replicas && a.Reason == b.Reason && a.Since.Equal(&b.Since)
		}) &&
		slices.EqualFunc(a.Full, b.Full, func(a, b federation.FullCluster) bool {
			return a.Name == b.Name && a.Replicas == b.Replicas && a.Tries == b.Tries && a.Since.Equal(&b.Since)
		}) &&
		slices.EqualFunc(a.Excluded, b.Excluded, func(a, b federation.Exclusion) bool {
			return a.Reason == b.Reason && slices.Equal(a.Clusters, b.Clusters)
		})
}

// includes says whether a list sorted by name has a cluster.
func includes(list []federation.ClusterPlacement, cluster string) bool {
	_, found := slices.BinarySearchFunc(list, cluster, func(p federation.ClusterPlacement, name string) int { return strings.Compare(p.Name, name) })
	return found
}
