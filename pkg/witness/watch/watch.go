// Package watch is the witness itself: it asks what it is told to ask, over and over, as long as it is told so, and says what it
// saw. In: lists of targets, by HTTP. Out: sightings. It has no credentials, reaches no API, keeps nothing and decides nothing.
package watch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"kubefed.dev/kubefed/pkg/probe"
)

const (
	// Period is the time between two questions to a target; Retry the pause after one that failed, for the first few.
	Period = 3 * time.Second
	Retry  = time.Second
	// keep is how long a target is asked after it was named last.
	keep = time.Minute
	// failuresToDeath is how many questions in a row must fail before a target that was alive is seen dead.
	failuresToDeath = 2
	// MaxTargets bounds what is asked at a time, and atOnce how many questions are under way.
	MaxTargets = 1000
	atOnce     = 64
	// maxTimeout bounds a target's own.
	maxTimeout = 5 * time.Second
)

// Watch asks targets. Safe for concurrent use.
type Watch struct {
	ctx   context.Context
	slots chan struct{}

	mu   sync.Mutex
	asks map[probe.Target]*asked
}

type asked struct {
	named    time.Time
	sighting probe.Sighting
	failures int
}

// New makes a watch that asks until ctx ends.
func New(ctx context.Context) *Watch {
	return &Watch{ctx: ctx, slots: make(chan struct{}, atOnce), asks: map[probe.Target]*asked{}}
}

// See has the targets asked from now on, and returns what is known of each, in their order. At is zero where nothing is known yet.
func (w *Watch) See(targets []probe.Target) ([]probe.Sighting, error) {
	if len(targets) > MaxTargets {
		return nil, fmt.Errorf("%d targets: at most %d", len(targets), MaxTargets)
	}
	for _, t := range targets {
		if err := check(t); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	sightings := make([]probe.Sighting, len(targets))
	for i, t := range targets {
		a := w.asks[t]
		if a == nil {
			if len(w.asks) >= 2*MaxTargets {
				return nil, fmt.Errorf("more than %d targets were named within %s", 2*MaxTargets, keep)
			}
			a = &asked{}
			w.asks[t] = a
			go w.watch(t, a)
		}
		a.named, sightings[i] = now, a.sighting
	}
	return sightings, nil
}

// check refuses what nobody's users would ask: a machine's own metadata service, and no address at all.
func check(t probe.Target) error {
	host, _, err := net.SplitHostPort(t.Address)
	if err != nil {
		return fmt.Errorf("address %q: %w", t.Address, err)
	}
	if ip, err := netip.ParseAddr(host); err == nil && (ip.Unmap().IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()) {
		return fmt.Errorf("address %s is none of a cluster's", t.Address)
	}
	return nil
}

// watch asks one target until nobody has named it for a while.
func (w *Watch) watch(t probe.Target, a *asked) {
	question := t
	if question.Timeout <= 0 {
		question.Timeout = probe.DefaultTimeout
	}
	question.Timeout = min(question.Timeout, maxTimeout)
	for w.wanted(t, a) {
		select {
		case w.slots <- struct{}{}:
		case <-w.ctx.Done():
			return
		}
		err := probe.Ask(w.ctx, question)
		<-w.slots
		timer := time.NewTimer(w.saw(a, err, time.Now()))
		select {
		case <-timer.C:
		case <-w.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// wanted says whether a target is still to be asked; if not, it is forgotten.
func (w *Watch) wanted(t probe.Target, a *asked) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() == nil && time.Since(a.named) < keep {
		return true
	}
	delete(w.asks, t)
	return false
}

// saw takes in an answer and returns the pause until the next question.
func (w *Watch) saw(a *asked, err error, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		return 0 // what ends with the watch says nothing of the target
	}
	s, first := &a.sighting, a.sighting.At.IsZero()
	if err == nil {
		a.failures = 0
		if first || !s.Alive {
			s.Since = now
		}
		s.Alive, s.Message, s.At = true, "", now
		return Period
	}
	a.failures++
	if a.failures >= failuresToDeath {
		if first || s.Alive {
			s.Since, s.Message = now, err.Error()
		}
		s.Alive, s.At = false, now
	}
	if a.failures < 3*failuresToDeath {
		return Retry
	}
	return Period
}

// Watched lists what is asked, for tests and logs; in no order.
func (w *Watch) Watched() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for t := range w.asks {
		list = append(list, t.Address)
	}
	slices.Sort(list)
	return list
}
