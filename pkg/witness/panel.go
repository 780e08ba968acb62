// Package witness asks the witnesses in members what they see of the other members. In: live connections to members, and what is
// to be asked. Out: sightings, from memory. A witness is polled through its member's own API server, so it needs no credential
// and no way to the federation, and writes nothing. The package decides nothing: pkg/verdict weighs what it tells.
//
//	Panel --POST services/witness/proxy/sightings--> member's API server --> witness pod --> other members
package witness

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/probe"
	"kubefed.dev/kubefed/pkg/verdict"
	"kubefed.dev/kubefed/pkg/witness/watch"
)

const (
	// pollTimeout bounds one poll.
	pollTimeout = 3 * time.Second
	// absentPeriod is the pause after a member said that it has no witness, or that the federation may not ask it.
	absentPeriod = 15 * time.Second
	// life is how long a sighting counts after the witness asked last, and a witness's seat after it answered last.
	life = 15 * time.Second
	// unheardAfter is how many polls in a row must fail before what a witness said last counts no more: its own cluster is in doubt,
	// and what it saw of others that died with it is old.
	unheardAfter = 2
	// hurry is for how long all witnesses are polled more often after one of them fell silent: verdicts wait for them.
	hurry = 15 * time.Second
	// perCluster is how many witnesses look at one cluster.
	perCluster = 5
	// perWitness bounds what one witness is asked to look at.
	perWitness = watch.MaxTargets / 2
)

// Panel polls the witness of every member, each by itself: none waits for another. It is a cluster.Engager, and is safe for concurrent
// use.
type Panel struct {
	mu      sync.Mutex
	targets func() []probe.Target
	seats   map[string]*seat
	silent  time.Time // when a witness that had answered did not, last
}

// seat is the witness in one member.
type seat struct {
	heard     time.Time // when it answered last
	failures  int       // polls without an answer since
	wake      chan struct{}
	sightings map[probe.Target]probe.Sighting
	known     map[probe.Target]bool // seen alive by it
}

// New makes a panel without members.
func New() *Panel {
	return &Panel{targets: func() []probe.Target { return nil }, seats: map[string]*seat{}}
}

// SetTargets says what is to be asked: API servers of members first, so that they are not crowded out by endpoints. f must return
// at once. A witness never looks at its own cluster.
func (p *Panel) SetTargets(f func() []probe.Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets = f
}

// Sightings are what witnesses that can be heard say of a target that they know: those who never saw it alive can't tell.
func (p *Panel) Sightings(t probe.Target) []probe.Sighting {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []probe.Sighting
	for _, name := range slices.Sorted(maps.Keys(p.seats)) {
		seat := p.seats[name]
		if s, ok := seat.sightings[t]; ok && seat.known[t] && time.Since(s.At) <= life {
			list = append(list, s)
		}
	}
	return list
}

// Of is what witnesses that can be heard see of a cluster, by witness.
func (p *Panel) Of(name string) map[string][]verdict.Sighting {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := map[string][]verdict.Sighting{}
	for witness, seat := range p.seats {
		for t, s := range seat.sightings {
			if t.Cluster == name && time.Since(s.At) <= life {
				found[witness] = append(found[witness], verdict.Sighting{Sighting: s, Known: seat.known[t]})
			}
		}
	}
	return found
}

// Engage polls a member's witness until ctx ends.
func (p *Panel) Engage(ctx context.Context, m *cluster.Member) {
	ctx = log.IntoContext(ctx, log.Log.WithName("witness").WithValues("cluster", m.Name))
	go p.run(ctx, m)
}

func (p *Panel) run(ctx context.Context, m *cluster.Member) {
	core, err := corev1client.NewForConfig(m.Config)
	if err != nil {
		log.FromContext(ctx).Error(err, "polling the witness")
		return
	}
	s := &seat{known: map[probe.Target]bool{}, wake: make(chan struct{}, 1)}
	p.mu.Lock()
	p.seats[m.Name] = s
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.seats[m.Name] == s { // and not that of a newer connection
			delete(p.seats, m.Name)
		}
		forget(m.Name)
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		timer.Reset(p.round(ctx, core.RESTClient(), m.Name, s))
	}
}

// round polls once and returns the pause until the next time.
func (p *Panel) round(ctx context.Context, member rest.Interface, name string, s *seat) time.Duration {
	began := time.Now()
	targets := p.assigned(name, began)
	response, err := poll(ctx, member, targets)
	if ctx.Err() != nil {
		return watch.Period
	}
	pollSeconds.WithLabelValues(name, resultOf(err)).Observe(time.Since(began).Seconds())
	if err == nil && len(response.Sightings) == len(targets) {
		p.take(s, name, targets, response, time.Now())
		return p.pause(time.Now())
	}
	p.missed(s, time.Now())
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return absentPeriod
	}
	return p.pause(time.Now())
}

// pause is the time until the next poll.
func (p *Panel) pause(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.silent) < hurry {
		return watch.Retry
	}
	return watch.Period
}

// missed notes a poll without an answer. The first after answers has the other witnesses polled at once: something may have died.
func (p *Panel) missed(s *seat, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.failures++; s.failures >= unheardAfter {
		s.sightings = nil
	}
	if s.failures != 1 || s.heard.IsZero() {
		return
	}
	p.silent = now
	for _, other := range p.seats {
		if other == s {
			continue
		}
		select {
		case other.wake <- struct{}{}:
		default:
		}
	}
}

func poll(ctx context.Context, member rest.Interface, targets []probe.Target) (watch.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	var response watch.Response
	body, err := json.Marshal(watch.Request{Targets: targets})
	if err != nil {
		return response, err
	}
	answer, err := member.Post().Namespace(federation.SystemNamespace).Resource("services").Name(cluster.WitnessName).SubResource("proxy").
		Suffix(watch.Path).SetHeader("Content-Type", "application/json").Body(body).DoRaw(ctx)
	if err != nil {
		return response, err
	}
	return response, json.Unmarshal(answer, &response)
}

// take stores an answer, with its times by the control plane's clock.
func (p *Panel) take(s *seat, name string, targets []probe.Target, response watch.Response, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.heard, s.failures = now, 0
	sightings, known := make(map[probe.Target]probe.Sighting, len(targets)), make(map[probe.Target]bool, len(targets))
	for i, t := range targets {
		seen := response.Sightings[i]
		if seen.At.IsZero() {
			known[t] = s.known[t]
			continue
		}
		seen.Witness = name // whatever it says of itself
		seen.At, seen.Since = now.Add(-max(response.Now.Sub(seen.At), 0)), now.Add(-max(response.Now.Sub(seen.Since), 0))
		seen.Message = seen.Message[:min(len(seen.Message), 200)]
		sightings[t], known[t] = seen, s.known[t] || seen.Alive
	}
	s.sightings, s.known = sightings, known
}

// assigned are the targets that one witness is to look at.
func (p *Panel) assigned(name string, now time.Time) []probe.Target {
	p.mu.Lock()
	targets := p.targets
	var others []string
	for witness, seat := range p.seats {
		if witness != name && now.Sub(seat.heard) <= life {
			others = append(others, witness)
		}
	}
	p.mu.Unlock()
	looks := map[string]bool{}
	var list []probe.Target
	for _, t := range targets() {
		at, decided := looks[t.Cluster]
		if !decided {
			at = t.Cluster != name && chosen(name, t.Cluster, others)
			looks[t.Cluster] = at
		}
		if at && len(list) < perWitness {
			list = append(list, t)
		}
	}
	return list
}

// chosen says whether a witness is among those that look at a cluster: each pair has a rank that depends on nothing else
// (rendezvous hashing), so one witness more or less moves few.
func chosen(witness, of string, others []string) bool {
	before := 0
	own := rank(witness, of)
	for _, o := range others {
		if o != of && rank(o, of) > own {
			before++
		}
	}
	return before < perCluster
}

func rank(witness, of string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(witness + "\x00" + of))
	return h.Sum64()
}
