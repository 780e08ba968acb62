// Package simulation runs the functions that decide in production (verdicts, endpoint states, placement and its budgets, DNS planning, drills) over a
// made-up federation with a virtual clock and random faults, and checks after each second what the project promises. It
// knows nothing of processes and networks: the end-to-end stories do.
//
//	faults --> truth (what runs, who reaches whom) --> probes, sightings, reports
//	       --> verdict.Judge, endpoint.Judge --> placement.Place, dns.MakePlan --> truth
package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/endpoint"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/policy"
	"kubefed.dev/kubefed/pkg/verdict"
)

const (
	probePeriod    = 3  // seconds, of APIs and by witnesses
	endpointPeriod = 2  // seconds
	startsWithin   = 20 // seconds until a pod is ready
	zoneName       = "example.com."
)

// cluster is one member: the truth, and what the control plane believes.
type cluster struct {
	name   string
	region string

	// The truth. A cluster that is killed has nothing; its pods are there again when it returns.
	killed, apiDown, unserved, slow bool
	// cut: the control plane's network does not reach it. liar: its witness says that all others are dead.
	cut, liar bool
	// returned is the second in which it came back last.
	returned int

	// Belief.
	window  verdict.Window
	memory  verdict.Memory
	taints  []corev1.Taint
	ready   bool
	since   time.Time
	seen    map[string]map[string]*verdict.Sighting // by witness: of this cluster's API and endpoints
	holding bool                                    // drained by its operator
	// mark is what a drill puts on it, emptied that it is its drain taint, too.
	mark    string
	emptied bool
}

// answers says whether its API answers someone whose network is whole.
func (c *cluster) answers() bool { return !c.killed && !c.apiDown }

// serves says whether users reach its endpoints.
func (c *cluster) serves() bool { return !c.killed && !c.unserved }

// reached says whether the control plane can write to it.
func (w *World) reached(c *cluster) bool { return c.answers() && !c.slow && !c.cut && !w.cutOff }

// workload is a Deployment, or a StatefulSet, with a Service.
type workload struct {
	name     string
	replicas int32
	ordered  bool
	guarded  bool  // by a disruption budget that allows one to be missing
	placed   int32 // the replicas that the last decision was made for
	rule     *policy.Propagation
	decision *placement.Decision
	wake     time.Time
	asked    uint64 // digest of the last question
	// pods in clusters: the second in which each was made.
	pods map[string][]int
	// reports are what the control plane knows of them.
	reports map[string]report
	// blocks are where a cluster's ordinals start, by what it was told last.
	blocks map[string]int32
	tracks map[string]*track
}

type report struct{ share, ready int32 }

// track is the endpoint of a workload in one cluster.
type track struct {
	endpoint.Track
	fails, successes int
	address          netip.Addr
}

// World is a federation in which time passes.
type World struct {
	random    *rand.Rand
	second    int
	started   time.Time
	clusters  []*cluster
	workloads []*workload
	cutOff    bool // the control plane has no network
	view      verdict.View
	zone      *dns.Content
	planned   uint64
	suspect   bool

	// bounds of the federation's blast radius: paused, and how many workloads may begin to move in a minute. blind: no witness is
	// heard.
	paused, blind bool
	rate          int
	budget        placement.Pass
	begun         []int // seconds

	drill           *federation.FailoverDrill
	ordered, length int // when the drill was ordered, and for how many seconds
	resumed         bool

	faults  []fault
	journal []string
	// moved and rewritten are the seconds of the last change of a decision and of the zone.
	moved, rewritten int
	// lastFault is the second in which the last fault began or ended; kinds, since when each kind of fault is over.
	lastFault int
	broken    map[string]int
}

// New makes a federation of some clusters and workloads.
func New(seed uint64) *World {
	random := rand.New(rand.NewPCG(seed, 0x6b756265))
	w := &World{random: random, started: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), broken: map[string]int{}, zone: dns.NewContent(zoneName, nil), rate: 1 + random.IntN(2)}
	names := []string{"gondor", "rohan", "shire", "mordor", "arnor", "isengard"}
	for i := range 3 + random.IntN(4) {
		w.clusters = append(w.clusters, &cluster{name: names[i], region: fmt.Sprintf("region-%d", i/2), ready: true, since: w.started, seen: map[string]map[string]*verdict.Sighting{}})
	}
	for i := range 3 {
		l := &workload{name: fmt.Sprintf("w%d", i), replicas: int32(1 + random.IntN(9)), ordered: i == 2, guarded: i != 1, pods: map[string][]int{},
			reports: map[string]report{}, blocks: map[string]int32{}, tracks: map[string]*track{}}
		if i == 1 {
			l.rule = &policy.Propagation{Rule: &federation.Propagation{ClusterGroups: []federation.ClusterGroup{
				{Name: "first", ClusterSelector: federation.ClusterSelector{Names: []string{"gondor", "rohan"}}}, {Name: "rest"}}}}
		}
		for j, c := range w.clusters {
			l.tracks[c.name] = &track{address: netip.AddrFrom4([4]byte{192, 0, 2, byte(10*i + j + 1)})}
		}
		w.workloads = append(w.workloads, l)
	}
	return w
}

func (w *World) now() time.Time { return w.started.Add(time.Duration(w.second) * time.Second) }

func (w *World) note(format string, args ...any) {
	w.journal = append(w.journal, fmt.Sprintf("%6d s  ", w.second)+fmt.Sprintf(format, args...))
}

// ready counts a cluster's pods of a workload that serve, in truth.
func (w *World) ready(l *workload, c *cluster) int32 { return w.readyAfter(l, c, startsWithin) }

func (w *World) readyAfter(l *workload, c *cluster, seconds int) (n int32) {
	if c.killed {
		return 0
	}
	for _, made := range l.pods[c.name] {
		if w.second-max(made, c.returned) >= seconds {
			n++
		}
	}
	return n
}

func (w *World) find(name string) *cluster {
	i := slices.IndexFunc(w.clusters, func(c *cluster) bool { return c.name == name })
	return w.clusters[i]
}
