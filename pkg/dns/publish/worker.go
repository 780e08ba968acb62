package publish

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"kubefed.dev/kubefed/pkg/dns"
)

// worker keeps one zone as the board says. One goroutine runs it, so that a zone has one stream of changes.
type worker struct {
	zone     string
	provider dns.Provider
	board    *board
	options  *Options
	// gone says whether it is certain that an owner does not want a name any more.
	gone func(ctx context.Context, name string, owner dns.Owner) bool
	// fence is the writer's; raise is asked for a higher one where a zone has seen a later writer.
	fence *Fence
	// reached, where it is not nil, is called once the zone is as it should be.
	reached func() error
	// assent is until when an operator has confirmed removals.
	assent func() time.Time
	// changed is called with objects whose result changed, or nothing where the state of the zone did.
	changed func(refs ...string)
	wake    chan struct{}

	// What follows belongs to the goroutine.
	view        *view
	limits      dns.Limits
	readAt      time.Time
	failures    int
	quarantined map[string]quarantine // by name
	ttls        map[string]ttlSeen
	conflicting map[string]bool // objects that wait for a name
	// held are names whose removal is held back, and since when.
	held map[string]time.Time

	mu sync.Mutex
	// working: a round is under way; resting: what is dirty waits until the zone may be written again.
	working, resting bool

	dirty   map[string]bool
	all     bool
	results map[string]*result
	// pending counts the applied changes of an object that are not seen everywhere yet.
	pending map[string]int
	state   zoneState
	confirm confirmation
}

// quarantine is a name that the provider refuses as it is wanted.
type quarantine struct {
	ref, hash string
	err       error
}

// zoneState is what is known of a zone.
type zoneState struct {
	state, message   string
	names, conflicts int
	// healthChecks: the provider asks endpoints itself.
	healthChecks bool
}

// States of a zone beside those that are kinds of errors.
const (
	stateReady = "Ready"
	stateHeld  = "Held"
)

func newWorker(zone string, provider dns.Provider) *worker {
	return &worker{zone: zone, provider: provider, wake: make(chan struct{}, 1), quarantined: map[string]quarantine{}, ttls: map[string]ttlSeen{},
		conflicting: map[string]bool{}, dirty: map[string]bool{}, results: map[string]*result{}, pending: map[string]int{},
		confirm: confirmation{refs: map[string]int{}, wake: make(chan struct{}, 1)}}
}

// mark has objects looked at again.
func (w *worker) mark(refs ...string) {
	w.mu.Lock()
	for _, ref := range refs {
		w.dirty[ref] = true
	}
	w.mu.Unlock()
	w.poke()
}

func (w *worker) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take is what is to be looked at now: some objects, or all.
func (w *worker) take() (refs map[string]bool, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	refs, all = w.dirty, w.all
	w.dirty, w.all = map[string]bool{}, false
	return refs, all
}

func (w *worker) waiting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.dirty) > 0 || w.all
}

// busy says whether a zone has yet to be brought to what is known, and can be.
func (w *worker) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.working || !w.resting && (len(w.dirty) > 0 || w.all)
}

func (w *worker) at(working, resting bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.working, w.resting = working, resting
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) {
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithValues("zone", w.zone))
	var confirming sync.WaitGroup
	defer confirming.Wait()
	confirming.Go(func() { w.confirmLoop(ctx) })
	for {
		w.at(true, false)
		pause := w.round(ctx)
		w.at(false, w.failures > 0)
		timer := time.NewTimer(pause)
		if w.failures > 0 {
			// What changes meanwhile waits too: the zone can't be written.
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			continue
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-w.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

const (
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = time.Minute
)

// backoff is the pause after another failure, with jitter.
func (w *worker) backoff() time.Duration {
	w.failures++
	base := min(firstBackoff<<min(w.failures-1, 10), lastBackoff)
	return base/2 + rand.N(base/2)
}

// fail notes why the zone is not as it should be, and says how long to wait.
func (w *worker) fail(ctx context.Context, err error) time.Duration {
	kind := dns.KindOf(err)
	pause := w.backoff()
	switch kind {
	case dns.Conflict:
		w.view = nil
		if w.failures == 1 {
			pause = 0 // Someone else wrote: read again at once.
		}
	case dns.Throttled:
		if e, ok := errors.AsType[*dns.Error](err); ok && e.RetryAfter > 0 {
			pause = e.RetryAfter + rand.N(e.RetryAfter/4+time.Millisecond)
		}
	default:
		w.view = nil // What was asked may have happened.
	}
	providerErrors.WithLabelValues(w.zone, string(kind)).Inc()
	if ctx.Err() == nil && kind != dns.Conflict {
		w.tell(ctx, zoneState{state: string(kind), message: advice(kind, err)})
	}
	return pause
}

// tell takes up the zone's state. Counts stay where nothing new is known of them.
func (w *worker) tell(ctx context.Context, now zoneState) {
	w.mu.Lock()
	before := w.state
	if now.state != stateReady && now.state != stateHeld {
		now.names, now.conflicts, now.healthChecks = before.names, before.conflicts, before.healthChecks
	}
	w.state = now
	w.mu.Unlock()
	if now.state != before.state {
		if now.state == stateReady {
			log.FromContext(ctx).Info("zone is as it should be")
		} else {
			log.FromContext(ctx).Info("zone is not as it should be", "state", now.state, "reason", now.message)
		}
	}
	if now != before {
		w.changed()
	}
}

func (w *worker) current() zoneState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// result is what became of an object in the zone, nil where it has no names there or was not looked at yet.
func (w *worker) result(ref string) *result {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.results[ref]
}
