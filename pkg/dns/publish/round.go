package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"kubefed.dev/kubefed/pkg/dns"
)

const (
	// rereadInterval is how often a zone is read as a whole, to repair what another hand changed.
	rereadInterval = 5 * time.Minute
	readLimit      = time.Minute
	applyLimit     = 2 * time.Minute
)

// round brings the zone to what the board says of the objects that changed, and of all where the zone was read anew. It returns
// how long to sleep if nothing wakes it.
func (w *worker) round(ctx context.Context) time.Duration {
	refs, all := w.take()
	if w.view == nil || all || w.options.now().Sub(w.readAt) >= w.options.reread {
		if err := w.read(ctx); err != nil {
			w.again(refs, true)
			return w.fail(ctx, err)
		}
		for _, ref := range w.board.refs() {
			refs[ref] = true
		}
		for ref := range w.view.owned {
			refs[ref] = true
		}
		all = true
	}
	if err := w.bring(ctx, refs, all); err != nil {
		w.again(refs, false)
		return w.fail(ctx, err)
	}
	if all && w.reached != nil {
		if err := w.reached(); err != nil {
			log.FromContext(ctx).Error(err, "zone not put into service")
		} else {
			w.reached = nil
		}
	}
	w.failures = 0
	return w.readAt.Add(w.options.reread).Sub(w.options.now())
}

// again has objects looked at in the next round too.
func (w *worker) again(refs map[string]bool, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(w.dirty, refs)
	w.all = w.all || all
}

// read reads the zone as a whole.
func (w *worker) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	zones, err := w.provider.Zones(ctx)
	if err != nil {
		return fmt.Errorf("listing zones: %w", err)
	}
	i := slices.IndexFunc(zones, func(z dns.Zone) bool { return z.Name == w.zone })
	if i < 0 {
		return &dns.Error{Kind: dns.NotFound, Subject: w.zone, Err: errors.New("the provider does not know the zone")}
	}
	snapshot, err := w.provider.Records(ctx, w.zone)
	if err != nil {
		return fmt.Errorf("reading the zone: %w", err)
	}
	readsTotal.WithLabelValues(w.zone).Inc()
	if seen := dns.EpochOf(snapshot, w.zone, w.fence.federation); seen > w.fence.Current().Epoch {
		if err := w.fence.raise(ctx, seen); err != nil {
			return &dns.Error{Kind: dns.Fenced, Subject: w.zone, Err: err}
		}
	}
	w.limits, w.readAt = zones[i].Limits, w.options.now()
	w.view = newView(w.options.Federation, w.zone, snapshot)
	return nil
}

// wish is what a few objects want of the zone.
type wish struct {
	answers map[string]*dns.Answer
	plan    dns.Plan
}

// wishOf plans for some objects.
func (w *worker) wishOf(ctx context.Context, refs map[string]bool, epoch int64) wish {
	out := wish{answers: map[string]*dns.Answer{}}
	input := dns.PlanInput{Federation: w.options.Federation, Epoch: epoch, Zone: dns.Zone{Name: w.zone, Limits: w.limits},
		Known: map[string]bool{}, Gone: func(name string, owner dns.Owner) bool { return w.mayGo(name) || w.gone(ctx, name, owner) }, Owned: len(w.view.owners)}
	names := map[string]bool{}
	for ref := range refs {
		maps.Copy(names, w.view.owned[ref])
	}
	for ref, answer := range w.answers(slices.Collect(maps.Keys(refs))) {
		out.answers[ref] = answer
		input.Claims = append(input.Claims, answer.Claims...)
		input.Known[ref] = true
		for _, claim := range answer.Claims {
			names[claim.Name] = true
		}
	}
	input.Sites = w.view.at(names)
	out.plan = dns.MakePlan(input)
	return out
}

// answers are what objects want of the zone. Where they are many, processors share them: the view is only read.
func (w *worker) answers(refs []string) map[string]*dns.Answer {
	answers := make([]*dns.Answer, len(refs))
	var working sync.WaitGroup
	size := max(minShare, (len(refs)-1)/runtime.GOMAXPROCS(0)+1)
	for first := 0; first < len(refs); first += size {
		working.Go(func() {
			for i := first; i < min(first+size, len(refs)); i++ {
				answers[i] = w.answer(refs[i])
			}
		})
	}
	working.Wait()
	found := make(map[string]*dns.Answer, len(refs))
	for i, ref := range refs {
		if answers[i] != nil {
			found[ref] = answers[i]
		}
	}
	return found
}

// minShare is how many objects a processor takes at least.
const minShare = 50

// answer is what one object wants, nil where nothing of it is in the zone, nor is to be.
func (w *worker) answer(ref string) *dns.Answer {
	e, subject := w.board.get(ref)
	if e == nil {
		return nil
	}
	subject = w.options.part(subject, w.zone)
	if subject.Names == (dns.Names{}) && len(subject.Hosts) == 0 && len(w.view.owned[ref]) == 0 {
		return nil
	}
	answer := dns.Records(w.view.recall(subject), w.limits)
	return &answer
}

// bring plans for objects and applies the plan. Where other objects change meanwhile, what is left is planned anew with them,
// so that what has just failed leaves the zone before what matters less.
func (w *worker) bring(ctx context.Context, refs map[string]bool, all bool) error {
	fence := w.fence.Current()
	wish := w.wishOf(ctx, refs, fence.Epoch)
	w.forget(refs, wish.plan.Changes)
	batches, tooLarge := dns.Batches(w.fresh(wish.plan.Changes), w.limits)
	for _, f := range tooLarge {
		w.quarantine(f)
	}
	var failed error
	for i, batch := range batches {
		if i > 0 && w.waiting() {
			w.again(refs, false)
			break
		}
		if failed = w.apply(ctx, fence, batch); failed != nil {
			break
		}
	}
	w.settle(refs, &wish)
	if failed == nil {
		w.hold(&wish, all)
		w.report(ctx)
		w.retryWaiting(&wish)
	}
	return failed
}

// forget takes refused names off the list at which objects do not want a change any more.
func (w *worker) forget(refs map[string]bool, changes []dns.Change) {
	maps.DeleteFunc(w.quarantined, func(name string, q quarantine) bool {
		return refs[q.ref] && !slices.ContainsFunc(changes, func(c dns.Change) bool { return c.Name == name })
	})
}

// fresh leaves out what the provider has refused as it is.
func (w *worker) fresh(changes []dns.Change) []dns.Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c dns.Change) bool {
		q, ok := w.quarantined[c.Name]
		if ok && q.hash != dns.HashOf(c.After) {
			delete(w.quarantined, c.Name)
			ok = false
		}
		return ok
	})
}

func (w *worker) quarantine(f dns.Failure) {
	w.quarantined[f.Change.Name] = quarantine{w.refOf(f.Change), dns.HashOf(f.Change.After), f.Err}
}

// refOf is the object for which a change is made.
func (w *worker) refOf(c dns.Change) string {
	if owner, ok := c.Owner(w.options.Federation); ok {
		return owner.Ref
	}
	return w.view.owners[c.Name].Ref // a sparse change, or a removal
}

// apply makes one call. An error is a reason to wait; a name that is refused is none.
func (w *worker) apply(ctx context.Context, fence dns.Fence, batch []dns.Change) error {
	callCtx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	start := time.Now()
	receipt, err := w.provider.Apply(callCtx, w.zone, fence, batch)
	applySeconds.WithLabelValues(w.zone).Observe(time.Since(start).Seconds())
	if err != nil {
		return fmt.Errorf("changing the zone: %w", err)
	}
	var failed error
	refused := map[string]bool{}
	for _, f := range receipt.Failed {
		refused[f.Change.Name] = true
		if dns.KindOf(f.Err) == dns.Invalid {
			w.quarantine(f)
			providerErrors.WithLabelValues(w.zone, string(dns.Invalid)).Inc()
			continue
		}
		failed = f.Err
	}
	made := slices.DeleteFunc(slices.Clone(batch), func(c dns.Change) bool { return refused[c.Name] })
	w.awaiting(receipt, made)
	if !w.view.made(made) {
		w.view = nil
		return &dns.Error{Kind: dns.Conflict, Subject: w.zone, Err: errors.New("the zone is not as it was read")}
	}
	changesTotal.WithLabelValues(w.zone).Add(float64(len(made)))
	return failed
}

// settle takes up what became of objects.
func (w *worker) settle(refs map[string]bool, wish *wish) {
	if w.view == nil {
		return
	}
	now := w.options.now()
	var changed []string
	w.mu.Lock()
	for ref := range refs {
		if !w.board.has(ref) {
			if w.results[ref] != nil {
				delete(w.results, ref)
				delete(w.ttls, ref)
				changed = append(changed, ref)
			}
			continue
		}
		answer := wish.answers[ref]
		if answer == nil {
			delete(w.results, ref)
			continue
		}
		w.results[ref] = w.settled(ref, answer, &wish.plan, now)
		changed = append(changed, ref)
	}
	w.mu.Unlock()
	w.changed(changed...)
}

// report takes up the state of the zone.
func (w *worker) report(ctx context.Context) {
	state := zoneState{state: stateReady, names: len(w.view.owners)}
	w.mu.Lock()
	for _, r := range w.results {
		state.conflicts += len(r.conflicts)
	}
	unconfirmed := w.confirm.problem
	w.mu.Unlock()
	switch {
	case unconfirmed != "":
		state.state, state.message = string(dns.Unavailable), unconfirmed
	case len(w.held) > 0:
		state.state, state.message = stateHeld, w.heldBack()
	default:
		state.message = w.note()
	}
	state.healthChecks = w.limits.HealthChecks != nil
	ownedNames.WithLabelValues(w.zone).Set(float64(state.names))
	conflictingNames.WithLabelValues(w.zone).Set(float64(state.conflicts))
	w.tell(ctx, state)
}

// note says what is not as it should be in a zone that is Ready: names that the provider refuses, and what it says itself.
func (w *worker) note() string {
	var notes []string
	if n := len(w.quarantined); n > 0 {
		name := slices.Min(slices.Collect(maps.Keys(w.quarantined)))
		notes = append(notes, fmt.Sprintf("%d names are refused and not published, the others are; rename their objects, or change what they answer. The first: %s",
			n, w.quarantined[name].err))
	}
	if p, ok := w.provider.(dns.Noter); ok {
		if note := p.Note(w.zone); note != "" {
			notes = append(notes, note)
		}
	}
	return strings.Join(notes, "; ")
}

// retryWaiting looks again at objects that wait for a name, once names became free.
func (w *worker) retryWaiting(wish *wish) {
	for ref := range wish.answers {
		delete(w.conflicting, ref)
	}
	for _, c := range wish.plan.Conflicts {
		w.conflicting[c.Owner.Ref] = true
	}
	if slices.ContainsFunc(wish.plan.Changes, func(c dns.Change) bool { return len(c.After) == 0 }) && len(w.conflicting) > 0 {
		w.mark(slices.Collect(maps.Keys(w.conflicting))...)
	}
}

// advice is what an operator reads of a zone's error.
func advice(kind dns.ErrorKind, err error) string {
	next := map[dns.ErrorKind]string{
		dns.Unavailable: "it is tried again; what is published stays",
		dns.Denied:      "give the credentials the right to change the zone, or give others in the DNS configuration",
		dns.NotFound:    "create the zone at the provider, or correct its name in the DNS configuration",
		dns.Throttled:   "it is tried again, slower",
		dns.Fenced:      "another control plane of the federation writes to the zone; see that only one runs",
		dns.Invalid:     "the provider refuses the call; see its message",
	}[kind]
	if next == "" {
		return err.Error()
	}
	return err.Error() + ": " + next
}
