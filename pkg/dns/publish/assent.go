package publish

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

// assentOf is until when an operator has confirmed removals: what was in doubt by then may go. Zero for never.
func assentOf(annotations map[string]string) time.Time {
	t, _ := time.Parse(time.RFC3339, annotations[federation.AnnotationDNSConfirmRemovals]) // admission has refused what is none
	return t
}

// assented says whether an operator confirmed, at a time or later, what has been in doubt since another. People write seconds.
func assented(confirmed, since time.Time) bool {
	return !confirmed.IsZero() && !since.Truncate(time.Second).After(confirmed)
}

// howToAssent is the command that confirms all that has been in doubt since a time, or longer.
func howToAssent(name string, since time.Time) string {
	return fmt.Sprintf("kubectl annotate federation %s --overwrite %s=%s", name, federation.AnnotationDNSConfirmRemovals, stamp(since))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// assent is what the Federation says of removals.
func (p *Publisher) assent(ctx context.Context) (time.Time, error) {
	f := &federation.Federation{}
	err := p.clients.Cache.Get(ctx, client.ObjectKey{Name: p.options.Federation}, f, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("reading Federation %s: %w", p.options.Federation, err)
	}
	return assentOf(f.Annotations), nil
}

// confirmedUntil is the assent that is in force.
func (p *Publisher) confirmedUntil() time.Time {
	p.factsMu.RLock()
	defer p.factsMu.RUnlock()
	return p.facts.confirmed
}

// assentMatters says whether a Federation changed in what it confirms.
func assentMatters(before, after any) bool {
	b, isB := before.(*federation.Federation)
	a, isA := after.(*federation.Federation)
	return !isA || !isB || !assentOf(b.Annotations).Equal(assentOf(a.Annotations))
}

// mayGo says whether the removal of a name that is held back was confirmed.
func (w *worker) mayGo(name string) bool {
	since, held := w.held[name]
	return held && w.assent != nil && assented(w.assent(), since)
}

// hold takes up which names a plan holds back, and since when.
func (w *worker) hold(wish *wish, all bool) {
	held := map[string]time.Time{}
	for name, since := range w.held {
		owner, owned := w.view.owners[name]
		if !all && owned && wish.answers[owner.Ref] == nil {
			held[name] = since // the plan was not about it
		}
	}
	for _, c := range wish.plan.Held {
		since, before := w.held[c.Name]
		if !before {
			since = w.options.now()
		}
		held[c.Name] = since
	}
	w.held = held
}

// heldBack is the message of a zone in which removals are held back.
func (w *worker) heldBack() string {
	var last time.Time
	for _, since := range w.held {
		if last.Before(since) {
			last = since
		}
	}
	return fmt.Sprintf("%d names would go at once, without certainty that they are to: they stay. If they are to go, remove the objects or clusters "+
		"that they are for, or confirm it: %s", len(w.held), howToAssent(w.options.Federation, last))
}

// latestDoubt is since when the last of the endpoints that the brake holds back has been in doubt.
func latestDoubt(entries map[string]*entry) (last time.Time) {
	for _, e := range entries {
		for i := range e.observed {
			if o := &e.observed[i]; o.Doubtful && o.State == dns.Unhealthy && last.Before(o.Since) {
				last = o.Since
			}
		}
	}
	return last
}
