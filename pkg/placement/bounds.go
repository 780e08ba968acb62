package placement

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// bound works out how many replicas each candidate takes.
//
// Walls hold whatever happens: the policy's maximum, what a cluster that takes nothing new has already, the block of a
// StatefulSet's ordinals. Room is what is known of capacity. It decides where replicas go first, and no more than that:
// pods that wait for room are what makes a member's autoscaler add some.
func bound(q *question, candidates []candidate) {
	closeForJob(q, candidates)
	q.full = fullClusters(q, candidates)
	lend(q, candidates)
	for i := range candidates {
		c := &candidates[i]
		c.weight, c.max = 1, noLimit
		if rule := q.ruleOf(c); rule != nil {
			c.weight = int64(ptr.Deref(rule.Weight, 1))
			c.least = int64(ptr.Deref(rule.MinReplicas, 0))
			if rule.MaxReplicas != nil {
				c.max, c.bounded = int64(*rule.MaxReplicas), true
			}
		}
		if q.Object.Ordered {
			c.max = min(c.max, blockOf(q, c.Name))
		}
		c.most = c.max
		if !c.usable() {
			c.most = min(c.most, c.share)
		}
		if c.leaves {
			c.most = 0
		}
		c.base, c.room = c.base+c.group*tiersPerGroup, c.most
		if c.full >= 0 {
			c.room = min(c.room, c.full)
		}
		if q.capacityCounts() {
			if c.fits = q.fits(c); c.fits >= 0 {
				c.room = min(c.room, c.share+c.fits)
			}
		}
		c.bounded = c.bounded || c.fits >= 0 || c.full >= 0
		c.least = min(c.least, c.room)
	}
	appraise(q, candidates)
}

// tiersPerGroup leaves numbers for tiers within a group.
const tiersPerGroup = 1 << 20

// capacityCounts says whether free capacity decides where replicas go first: where a policy is in force.
func (q *question) capacityCounts() bool { return q.scope != nil && len(q.Object.Request) > 0 }

// ruleOf is the policy's weight and bounds for a candidate, nil where there are none.
func (q *question) ruleOf(c *candidate) *federation.ReplicaRule {
	if q.scope == nil || q.rule.ReplicaDivision == nil {
		return nil
	}
	if m := q.scope.marks[c.at]; m.rule >= 0 {
		return &q.rule.ReplicaDivision.Clusters[m.rule]
	}
	return nil
}

// settledAfter is when a report on a share that was cut down is taken to be about that share.
const settledAfter = 30 * time.Second

// fullClusters are the clusters in which replicas stayed unschedulable, as the decision will remember them. One is
// forgotten after stableFor, so that it is tried again, unless replicas still wait there.
func fullClusters(q *question, candidates []candidate) []federation.FullCluster {
	if q.total == 0 {
		return nil
	}
	var full []federation.FullCluster
	next := func(name string) *federation.FullCluster {
		full = append(full, federation.FullCluster{Name: name, Since: metav1.Time{Time: q.Now.Truncate(time.Second)}})
		return &full[len(full)-1]
	}
	for i := range candidates {
		c := &candidates[i]
		before := fullBefore(q.Current, c.Name)
		if before != nil && before.Tries > 0 && q.unhealthyAfter() == 0 {
			before = nil // the policy does not ask for it any more
		}
		expired := before != nil && !q.triedAgain(before).After(q.Now)
		stuck := c.copy != nil && !c.copy.Leaving && c.copy.Unschedulable > 0 && c.share > 0
		sick := q.unhealthy(c, candidates)
		ready := int64(0)
		if c.copy != nil {
			ready = min(int64(ptr.Deref(c.copy.Ready, 0)), c.share)
		}
		var entry *federation.FullCluster
		switch {
		case sick && (before == nil || expired || before.Tries == 0):
			entry = next(c.Name)
			entry.Replicas, entry.Tries = int32(ready), 1
			if before != nil {
				entry.Tries = before.Tries + 1
			}
			c.cause = federation.DisplacedUnhealthy
		case stuck && (before == nil || expired):
			entry = next(c.Name)
			entry.Replicas = int32(max(c.share-int64(c.copy.Unschedulable), ready))
		case before != nil && before.Tries > 0 && expired: // it is being tried again
			if ready < c.share || c.share <= int64(before.Replicas) {
				*next(c.Name) = *before
			}
			continue
		case before == nil || expired:
			continue
		default:
			entry = next(c.Name)
			*entry = *before
			// What is known now counts. A share that was cut down to what fitted says nothing at first: the report may be older.
			settled := before.Since.Add(settledAfter)
			if stuck && before.Tries == 0 && (c.share > int64(before.Replicas) || !settled.After(q.Now) && c.copy.Synced) {
				entry.Replicas = int32(max(c.share-int64(c.copy.Unschedulable), ready))
			} else if stuck {
				q.waitsFor(settled, c.Name, "what fits there is looked at again")
			}
			entry.Replicas = max(entry.Replicas, int32(ready))
		}
		c.full = int64(entry.Replicas)
		q.waitsFor(q.triedAgain(entry), c.Name, "is tried again (stableFor)")
	}
	return append(full, q.fullOutside(candidates)...)
}

// fullOutside are the full clusters that are no candidates for the moment.
func (q *question) fullOutside(candidates []candidate) (full []federation.FullCluster) {
	if q.Current == nil {
		return nil
	}
	for _, f := range q.Current.Full {
		_, isCandidate := slices.BinarySearchFunc(candidates, f.Name, func(c candidate, name string) int { return strings.Compare(c.Name, name) })
		until := q.triedAgain(&f)
		if !isCandidate && until.After(q.Now) && q.inFederation(f.Name) {
			full = append(full, f)
			q.waitsFor(until, f.Name, "is tried again (stableFor)")
		}
	}
	return full
}

// triedAgain is when a full cluster is tried again: after stableFor, and twice as long for each time in a row that replicas
// did not become ready there.
func (q *question) triedAgain(f *federation.FullCluster) time.Time {
	const most = 8
	return f.Since.Add(q.stableFor() << min(max(f.Tries-1, 0), most))
}

// unhealthyAfter is the policy's, 0 where replicas stay that do not become ready.
func (q *question) unhealthyAfter() time.Duration {
	if m := q.rule.Moves; m != nil && m.UnhealthyAfter != nil {
		return m.UnhealthyAfter.Duration
	}
	return 0
}

// unhealthy says whether replicas have not become ready in a cluster for so long that they move, as others are ready
// elsewhere.
func (q *question) unhealthy(c *candidate, candidates []candidate) bool {
	after := q.unhealthyAfter()
	if after == 0 || c.copy == nil || c.copy.UnreadySince.IsZero() || c.copy.Leaving || c.leaves || c.silent() || q.Object.Completions != nil ||
		int64(ptr.Deref(c.copy.Ready, 0)) >= c.share {
		return false
	}
	if !slices.ContainsFunc(candidates, func(o candidate) bool {
		return o.Name != c.Name && o.copy != nil && !o.silent() && ptr.Deref(o.copy.Ready, 0) > 0
	}) {
		return false
	}
	if until := c.copy.UnreadySince.Add(after); until.After(q.Now) {
		q.waitsFor(until, c.Name, "replicas that are not ready by then move away (unhealthyAfter)")
		return false
	}
	return true
}

func fullBefore(d *Decision, cluster string) *federation.FullCluster {
	if d == nil {
		return nil
	}
	if i := slices.IndexFunc(d.Full, func(f federation.FullCluster) bool { return f.Name == cluster }); i >= 0 {
		return &d.Full[i]
	}
	return nil
}
