package publish

import (
	"maps"
	"slices"
	"sync"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
)

// board holds the entries of all objects with names. Entries are replaced, never changed. Safe for concurrent use.
type board struct {
	mu      sync.RWMutex
	entries map[string]*entry // by owner reference
	// held are subjects as the brake leaves them, where it holds something back.
	held      map[string]dns.Subject
	suspicion *dns.Suspicion
	// confirm is how an operator confirms what has been in doubt since a time.
	confirm func(since time.Time) string
}

func newBoard() *board { return &board{entries: map[string]*entry{}, held: map[string]dns.Subject{}} }

// put takes up what objects are now, nil for one without names, and brakes. What is told anew has the subject that it had. It
// returns the references of all objects whose subject may have changed.
func (b *board) put(changed, retold map[string]*entry) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.Copy(b.entries, retold)
	if len(changed) == 0 {
		return nil
	}
	touched := map[string]bool{}
	for ref, e := range changed {
		touched[ref] = true
		if e == nil {
			delete(b.entries, ref)
		} else {
			b.entries[ref] = e
		}
	}
	all := make([]dns.Subject, 0, len(b.entries))
	for _, e := range b.entries {
		all = append(all, e.subject)
	}
	braked, suspicion := dns.Brake(all)
	if suspicion != nil && b.confirm != nil {
		suspicion.Confirm = b.confirm(latestDoubt(b.entries))
	}
	b.suspicion = suspicion
	held := map[string]dns.Subject{}
	if suspicion != nil {
		for i, s := range braked {
			if doubtful(all[i]) {
				held[s.Owner.Ref] = s
			}
		}
	}
	for ref := range held {
		if _, before := b.held[ref]; !before {
			touched[ref] = true
		}
	}
	for ref := range b.held {
		if _, still := held[ref]; !still {
			touched[ref] = true
		}
	}
	b.held = held
	return slices.Sorted(maps.Keys(touched))
}

// doubtful says whether the brake can hold back something of a subject.
func doubtful(s dns.Subject) bool {
	return slices.ContainsFunc(s.Endpoints, func(e dns.Endpoint) bool {
		return e.State == dns.Unhealthy && e.Doubtful && len(e.Addresses) > 0
	})
}

// get is an object's entry and its subject as it is to be published; nil for one without names.
func (b *board) get(ref string) (*entry, dns.Subject) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e := b.entries[ref]
	if e == nil {
		return nil, dns.Subject{}
	}
	if s, held := b.held[ref]; held {
		return e, s
	}
	return e, e.subject
}

func (b *board) has(ref string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.entries[ref] != nil
}

// refs are all objects with names.
func (b *board) refs() []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Sorted(maps.Keys(b.entries))
}

// suspects is what the brake says, nil while it holds nothing back.
func (b *board) suspects() *dns.Suspicion {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.suspicion
}
