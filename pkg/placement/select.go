package placement

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// candidate is a cluster that has the object or may get it.
type candidate struct {
	*Cluster
	at int32 // its place in the list of clusters
	// has says that the cluster is in the current decision; had is its entry there, share its replicas (1 for an object
	// that is copied whole).
	has   bool
	had   *federation.ClusterPlacement
	share int64
	copy  *Copy
	// why the cluster takes nothing new, empty where it may. leaves says that it gives away what it has too. closed
	// clusters take nothing new for a reason that is the object's (a Job's completions).
	why            string
	leaves, closed bool
	// cause is why it leaves, where that passes (federation.Displaced constants). lent are the replicas that it gave away for
	// such a cause, recalls says that it gets them back now.
	cause string
	// unproven: it has been back for so short a time that what is known of its copies may be older than its silence.
	unproven bool
	lent     int64
	recalls  bool
	serves   bool // clients may hold its addresses: nothing leaves it yet
	// rank breaks ties. It differs from object to object, so that remainders spread over the clusters.
	rank uint64

	// group is the policy's cluster group, tier the step in which the cluster is filled: a lower one goes first. base is
	// the tier before the strategy has its say.
	group, tier, base int64
	// least and max replicas by the policy. most is max with all else that is a wall, room how many the cluster can take
	// by what is known of its capacity, at most most.
	least, max, most, room int64
	bounded                bool // something is known of its room
	// weight by the policy; pull by the strategy.
	weight, pull int64
	// fits is how many more replicas fit into what is free, -1 for unknown.
	fits int64
	// cost is what one replica costs in an hour where that can be compared with other clusters, fetch what it costs once that a
	// replica elsewhere fetches from here; -1 for unknown.
	cost, fetch float64
	// full is how many replicas fitted when some stayed unschedulable, -1 where that is not so.
	full int64

	// replicas is the share that is being worked out, limit what a stage lets it grow to. target is the settled share,
	// gets what the decision gives now, and in says that the object is to be here at all.
	replicas, limit int64
	target, gets    int64
	// proven replicas count as ready, of those that it still gets.
	proven int64
	in     bool
}

// noLimit is more than any number of replicas, and far from overflow.
const noLimit = int64(math.MaxInt32) << 8

// sift sorts clusters into candidates, by name, and those that the object is kept from.
func sift(q *question) (candidates []candidate, excluded []exclusion) {
	var current []federation.ClusterPlacement
	if q.Current != nil {
		current = sorted(q.Current.Clusters, byPlacementName)
	}
	copies := sorted(q.Copies, byCopyName)
	seed := seedOf(q.Object.Reference)
	candidates = make([]candidate, 0, len(q.Clusters))
	for i := range q.Clusters {
		c := &q.Clusters[i]
		if c.Deleted {
			continue
		}
		for len(current) > 0 && current[0].Name < c.Name {
			current = current[1:]
		}
		for len(copies) > 0 && copies[0].Cluster < c.Name {
			copies = copies[1:]
		}
		has := len(current) > 0 && current[0].Name == c.Name
		at := q.standingIn(i, c, has)
		why := at.why
		if why != "" && !has && (!c.Ready || !q.wanted[c.Name]) { // nothing new goes to a cluster that is not ready, whoever needs it
			excluded = append(excluded, exclusion{why, c})
			continue
		}
		candidates = append(candidates, candidate{Cluster: c, at: int32(i), has: has, why: why, leaves: at.leaves, cause: at.cause,
			rank: rank(seed, c.Name), fits: -1, full: -1, cost: -1, fetch: -1})
		next := &candidates[len(candidates)-1]
		if q.returned(c) {
			next.unproven = has
			q.waitsFor(c.Since.Add(provenAfter), c.Name, "its replicas count as ready again")
		}
		if has {
			next.had, next.share = &current[0], 1
			if q.divides { // an entry without replicas has them all
				next.share = max(int64(ptr.Deref(current[0].Replicas, int32(min(q.total, math.MaxInt32)))), 0)
			}
		}
		if len(copies) > 0 && copies[0].Cluster == c.Name {
			next.copy = &copies[0]
		}
		if q.scope != nil {
			next.group = int64(q.scope.marks[i].group)
		}
	}
	return candidates, excluded
}

// standing is how an object stands to a cluster.
type standing struct {
	// why the cluster takes nothing new, empty where it may.
	why string
	// leaves says that it gives away what it has, cause why, where that is a reason that passes (federation.Displaced
	// constants).
	leaves bool
	cause  string
}

// standingIn says how the object stands to a cluster.
func (q *question) standingIn(i int, c *Cluster, has bool) standing {
	if q.follows {
		return standing{why: keptOut(c, q.Object, true)}
	}
	if !q.selects(i, c, has) {
		return standing{why: federation.ReasonNotSelected, leaves: q.evicts()}
	}
	why := keptOut(c, q.Object, false)
	if len(c.Taints) == 0 || why != "" && why != federation.ReasonNotReady && why != federation.ReasonTainted {
		return standing{why: why}
	}
	taint, cause := q.repelled(c, has)
	switch {
	case taint != nil && (cause != "" || why != federation.ReasonNotReady):
		return standing{federation.ReasonTainted, cause != "", cause}
	case why == federation.ReasonTainted && taint == nil: // all of it is tolerated
		why = ""
	}
	return standing{why: why}
}

// selects says whether the rule in force means a cluster.
func (q *question) selects(i int, c *Cluster, has bool) bool {
	switch {
	case q.gone:
		return has
	case q.v1 != nil:
		return q.v1.selects(c)
	case q.scope == nil:
		return true
	}
	m := q.scope.marks[i]
	return m.group >= 0 && (m.rule >= 0 || !q.divides || q.rule.ReplicaDivision == nil || len(q.rule.ReplicaDivision.Clusters) == 0)
}

// keptOut says why a cluster takes nothing new of an object that tolerates nothing. What follows its users is let in
// where they were.
func keptOut(c *Cluster, o Object, follows bool) string {
	switch {
	case !c.Ready:
		return federation.ReasonNotReady
	case follows:
		return ""
	case c.APIs != nil && !o.Custom && !c.APIs[o.Reference.APIVersion]:
		return federation.ReasonAPIMissing
	}
	for i := range c.Taints {
		if repels(&c.Taints[i]) {
			return federation.ReasonTainted
		}
	}
	return ""
}

func repels(t *corev1.Taint) bool {
	return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
}

// repelled finds a taint of a cluster that is not tolerated, or not any more. One that takes away what is there goes
// first; cause says so.
func (q *question) repelled(c *Cluster, has bool) (taint *corev1.Taint, cause string) {
	for i := range c.Taints {
		t := &c.Taints[i]
		if !repels(t) {
			continue
		}
		tolerated, until := q.toleratedUntil(t)
		if tolerated && (until.IsZero() || until.After(q.Now)) {
			q.waitsFor(until, c.Name, fmt.Sprintf("tolerates the taint %s", t.ToString()))
			continue
		}
		if cause := q.takesAway(t); cause != "" {
			if !has || c.Held == "" || cause == federation.DisplacedTainted || displacedBefore(q.Current, c.Name) != nil {
				return t, cause
			}
			q.lacks(c.Held) // what has begun goes on
		}
		taint = t
	}
	return taint, ""
}

// takesAway says why a taint that is not tolerated takes away what a cluster has; empty where it does not.
//
// Replicas go whatever the policy. What is copied whole has nothing to move: without a policy it stays, as a Service does in
// a cluster that is down, and with one it makes room for another copy where the policy wants so many. A drain takes what
// runs pods; what does not run does no harm where it is. A Job that runs in a living cluster comes to its end there.
func (q *question) takesAway(t *corev1.Taint) (cause string) {
	if t.Effect != corev1.TaintEffectNoExecute {
		return ""
	}
	switch t.Key {
	case federation.TaintDown:
		if q.divides || q.evicts() && (len(q.rule.ClusterGroups) > 1 || q.spread != nil) {
			return federation.DisplacedDown
		}
	case federation.TaintDrain:
		if q.divides && q.Object.Completions == nil || !q.divides && q.Object.Request != nil {
			return federation.DisplacedDrained
		}
	default:
		if q.divides || q.evicts() {
			return federation.DisplacedTainted
		}
	}
	return ""
}

// DefaultDownToleration is how long a cluster's verdict Down lasts before replicas move, where no policy says otherwise.
const DefaultDownToleration = 30 * time.Second

// toleratedUntil says whether the object tolerates a taint, and until when.
func (q *question) toleratedUntil(t *corev1.Taint) (tolerated bool, until time.Time) {
	tolerated, until = toleratedUntil(q.rule.Tolerations, t)
	if tolerated || t.Key != federation.TaintDown || t.Effect != corev1.TaintEffectNoExecute {
		return tolerated, until
	}
	if t.TimeAdded == nil {
		return true, time.Time{}
	}
	wait := DefaultDownToleration
	if q.DownToleration != nil {
		wait = *q.DownToleration
	}
	return true, t.TimeAdded.Add(wait)
}

// toleratedUntil says whether a taint is tolerated, and until when; the zero time says for good. As for pods the
// shortest tolerationSeconds of those that match count, from when the taint was added. Where that is not known no time
// runs.
func toleratedUntil(tolerations []corev1.Toleration, taint *corev1.Taint) (tolerated bool, until time.Time) {
	for i := range tolerations {
		t := &tolerations[i]
		if !t.ToleratesTaint(klog.Logger{}, taint, false) {
			continue
		}
		tolerated = true
		if t.TolerationSeconds == nil || taint.Effect != corev1.TaintEffectNoExecute || taint.TimeAdded == nil {
			continue
		}
		if end := taint.TimeAdded.Add(time.Duration(max(*t.TolerationSeconds, 0)) * time.Second); until.IsZero() || end.Before(until) {
			until = end
		}
	}
	return tolerated, until
}

// silent says whether nothing is known of what runs in a cluster, or that nothing does: its replicas are no proof.
func (c *candidate) silent() bool { return !c.Ready || c.Down || c.unproven }

// provenAfter is how long a cluster must have been ready again before what was reported of it counts: until then the
// report may be from before its silence.
const provenAfter = 10 * time.Second

// returned says whether a cluster has become ready a moment ago.
func (q *question) returned(c *Cluster) bool {
	return c.Ready && !c.Since.IsZero() && c.Since.Add(provenAfter).After(q.Now) && !c.Since.After(q.Now)
}

// usable says whether the candidate may take something new.
func (c *candidate) usable() bool { return c.why == "" && !c.closed }

// well says whether a cluster has been ready for so long that replicas may go back to it. Since when is zero for unknown.
func (q *question) well(c *candidate) bool {
	return c.why == "" && (c.Since.IsZero() || !c.Since.Add(q.stableFor()).After(q.Now))
}

// stayed says whether a cluster's replicas have been there long enough to go back to a better one.
func (q *question) stayed(c *candidate) bool {
	return c.had == nil || c.had.Since == nil || !c.had.Since.Add(q.minimumStay()).After(q.Now)
}

func seedOf(o federation.ObjectReference) uint64 {
	h := fnv.New64a()
	for _, part := range []string{o.APIVersion, o.Kind, o.Namespace, o.Name} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// rank mixes an object's seed with a cluster's name: FNV-1a over the name, then the finalizer of SplitMix64 (Steele,
// Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
func rank(seed uint64, cluster string) uint64 {
	x := seed
	for i := range len(cluster) {
		x = (x ^ uint64(cluster[i])) * 1099511628211
	}
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// inRank orders candidates that are equal in all that matters.
func inRank(a, b *candidate) int {
	switch {
	case a.rank < b.rank:
		return -1
	case a.rank > b.rank:
		return 1
	}
	return strings.Compare(a.Name, b.Name)
}
