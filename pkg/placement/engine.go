package placement

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Place decides where an object is to be, and with how many replicas in each cluster. It is pure: equal input gives
// equal output, whatever the order of clusters, and the answer to an unchanged question is the current decision.
//
//	sift     which clusters have the object or may get it, and why others may not
//	narrow   which domains it may use, where a spread constraint bounds their number
//	bound    how many replicas each cluster takes: walls (policy) and room (capacity)
//	settle   the target: groups in order, spread, shares by the strategy, as few moves as the policy allows
//	pace     what of it is done now: make before break
//	ordinals where the ordinals of a StatefulSet start
//	record   the decision, and for whoever asks why, the record of each cluster
//
// What is placed stays: a cluster that is not ready or lacks the API takes nothing new, but keeps its share, because that
// it can't be reached does not say that nothing runs there. A cluster gives its share away where it leaves the
// federation, where the policy does not select it, and where it has a NoExecute taint that is not tolerated, or not any
// more: because it is down, or drained. Then the replacements come first, and the share comes back when the cluster has
// been well for a while.
func Place(in Input) Answer {
	if in.Object.Unfederated {
		return Answer{Decision: Decision{Object: in.Object.Reference, Reason: federation.ReasonNotFederated}}
	}
	q := ask(in)
	candidates, excluded := sift(q)
	switch {
	case q.follows:
	case q.divides:
		narrow(q, candidates)
		bound(q, candidates)
		settle(q, candidates)
		pace(q, candidates)
	default:
		narrow(q, candidates)
		copied(q, candidates)
		paceCopies(q, candidates)
	}
	follow(q, candidates)
	return record(q, candidates, excluded)
}

// question is what is asked, made ready for the stages, and what they find out that concerns no single cluster.
type question struct {
	Input
	rule *federation.Propagation
	// scope is what the policy says of each cluster, nil where it says nothing.
	scope  *Scope
	policy *federation.PolicyReference
	// gone says that the policy in force was deleted: the object stays where it is.
	gone bool
	// divides says that replicas are divided, follows that the object has no place of its own, anew that a request to
	// rebalance is open.
	divides, follows, anew bool
	// total are the replicas to divide.
	total  int64
	spread *spread
	// request is what one replica requests, read when it is asked for.
	request *amounts
	full    []federation.FullCluster
	v1      *preferences
	// wanted and leaving are the clusters in which users of the object are to be, and those that they are leaving.
	wanted, leaving map[string]bool
	also            bool // the object is somewhere only because of its users

	// unplaced replicas, and what is missing, the most important first.
	unplaced int64
	missing  []string
	moving   bool
	wake     time.Time
	waits    map[string][]Timer // by cluster
	cheaper  []federation.CheaperCluster
}

var noRule federation.Propagation

// ask finds out which rule is in force and what the current decision counts for.
func ask(in Input) *question {
	if in.Current != nil && in.Current.Object.UID != in.Object.Reference.UID {
		in.Current, in.Copies = nil, nil
	}
	in.Clusters = sorted(in.Clusters, byName)
	q := &question{Input: in, rule: &noRule}
	q.anew = in.Current != nil && in.Object.Rebalance != "" && in.Object.Rebalance != in.Current.Rebalanced
	q.v1 = readPreferences(&in.Object)
	switch before := currentPolicy(in.Current); {
	case q.v1 != nil:
		q.policy = &federation.PolicyReference{Kind: federation.PolicyAnnotations}
		if q.v1.invalid != nil {
			q.lacks("the annotation is left out of account: " + q.v1.invalid.Error())
		}
	case in.Policy != nil:
		q.policy, q.rule, q.scope = &in.Policy.Reference, in.Policy.Rule, in.Scope.of(in.Policy, in.Clusters)
	case before != nil && before.Kind != federation.PolicyAnnotations && !q.anew && q.anyLeft():
		q.policy, q.gone = before, true
	}
	division := q.rule.ReplicaDivision
	q.divides = in.Object.Divided && (!in.Object.Divisible || division != nil) &&
		(division == nil || division.Mode != federation.DivisionDuplicated)
	q.follows = in.Object.OnlyUse && q.policy == nil
	if q.divides {
		q.total = max(int64(ptr.Deref(in.Object.Replicas, 1)), 0)
	}
	if use := in.Object.Use; use != nil {
		q.wanted, q.leaving = setOf(use.Wanted), setOf(use.Leaving)
	}
	q.spread = spreadOf(q)
	return q
}

func currentPolicy(d *Decision) *federation.PolicyReference {
	if d == nil {
		return nil
	}
	return d.Policy
}

// anyLeft says whether any cluster of the current decision is still in the federation.
func (q *question) anyLeft() bool {
	return slices.ContainsFunc(q.Current.Clusters, func(p federation.ClusterPlacement) bool { return q.inFederation(p.Name) })
}

func (q *question) inFederation(cluster string) bool {
	i, found := slices.BinarySearchFunc(q.Clusters, cluster, func(c Cluster, name string) int { return strings.Compare(c.Name, name) })
	return found && !q.Clusters[i].Deleted
}

// evicts says whether clusters give away what the policy in force keeps from them.
func (q *question) evicts() bool { return q.policy != nil && !q.gone }

// lacks notes what keeps the decision from what the policy asks for.
func (q *question) lacks(what string) {
	if !slices.Contains(q.missing, what) {
		q.missing = append(q.missing, what)
	}
}

// waitsFor has the question asked again at a time that is still to come; cluster and what are for whoever asks why.
func (q *question) waitsFor(until time.Time, cluster, what string) {
	if !until.After(q.Now) {
		return
	}
	if q.wake.IsZero() || until.Before(q.wake) {
		q.wake = until
	}
	if !q.Explain {
		return
	}
	if q.waits == nil {
		q.waits = map[string][]Timer{}
	}
	if t := (Timer{what, until}); !slices.Contains(q.waits[cluster], t) {
		q.waits[cluster] = append(q.waits[cluster], t)
	}
}

// Defaults of Moves.
const (
	defaultStableFor   = 5 * time.Minute
	defaultMinimumStay = 10 * time.Minute
	defaultMaxMoving   = 25 // percent
)

func (q *question) stableFor() time.Duration {
	if m := q.rule.Moves; m != nil && m.StableFor != nil {
		return m.StableFor.Duration
	}
	return defaultStableFor
}

func (q *question) minimumStay() time.Duration {
	if m := q.rule.Moves; m != nil && m.MinimumStay != nil {
		return m.MinimumStay.Duration
	}
	return defaultMinimumStay
}

func (q *question) strategy() string {
	if q.rule.ReplicaDivision == nil {
		return federation.StrategyWeighted
	}
	return cmp.Or(q.rule.ReplicaDivision.Strategy, federation.StrategyWeighted)
}

// sorted returns list in order, a copy where it is not.
func sorted[T any](list []T, order func(a, b T) int) []T {
	if slices.IsSortedFunc(list, order) {
		return list
	}
	return slices.SortedFunc(slices.Values(list), order)
}

func byName(a, b Cluster) int { return strings.Compare(a.Name, b.Name) }

func byPlacementName(a, b federation.ClusterPlacement) int { return strings.Compare(a.Name, b.Name) }

func byCopyName(a, b Copy) int { return strings.Compare(a.Cluster, b.Cluster) }
