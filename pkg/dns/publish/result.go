package publish

import (
	"net/netip"
	"slices"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
)

// result is what became of one object in one zone. It does not change once it is made.
type result struct {
	// names are those on record.
	names int
	// published are all addresses at them; answering those at names that are not one cluster's own.
	published, answering []netip.Addr
	basis                dns.Basis
	// failsOver: the provider has backups at a name.
	failsOver bool
	// refused, conflicts and invalid say which names are not published, and why.
	refused, conflicts, invalid []string
	// pending: not written, or not seen at every server yet.
	pending bool
	// held: names that are to go wait, because so many would go at once.
	held bool
	// absent is since when every server answers without a cluster's addresses.
	absent map[string]time.Time
	// maxTTL is the highest with which the object was published in the last hour.
	maxTTL time.Duration
}

// settled is the result of a round for one object.
func (w *worker) settled(ref string, answer *dns.Answer, plan *dns.Plan, now time.Time) *result {
	r := &result{names: len(w.view.owned[ref]), pending: w.pending[ref] > 0}
	var endpoints []dns.Endpoint
	if e, _ := w.board.get(ref); e != nil {
		endpoints = e.subject.Endpoints
	}
	r.published, r.answering = w.view.answering(ref, endpoints)
	before := w.results[ref]
	if before != nil {
		r.refused, r.conflicts, r.invalid, r.held, r.basis = before.refused, before.conflicts, before.invalid, before.held, before.basis
		r.failsOver = before.failsOver
	}
	if answer != nil {
		r.basis = answer.Basis
		r.failsOver = slices.ContainsFunc(answer.Claims, func(c dns.Claim) bool { return len(c.Backups) > 0 })
		r.refused = nil
		for _, err := range answer.Refused {
			r.refused = append(r.refused, err.Error())
		}
	}
	if plan != nil {
		r.conflicts, r.invalid, r.held = nil, nil, false
		for _, c := range plan.Conflicts {
			if c.Owner.Ref == ref {
				r.conflicts = append(r.conflicts, c.Name+": "+c.Reason)
			}
		}
		for _, c := range plan.Held {
			r.held = r.held || w.view.owners[c.Name].Ref == ref
		}
		for name, q := range w.quarantined {
			if q.ref == ref {
				r.invalid = append(r.invalid, name+": "+q.err.Error())
			}
		}
		slices.Sort(r.invalid)
	}
	w.count(r, before, ref, now)
	return r
}

// ttlMemory is how long a TTL is remembered after names have another.
const ttlMemory = time.Hour

// count takes the time since when clusters' addresses are gone.
func (w *worker) count(r, before *result, ref string, now time.Time) {
	seen := w.ttls[ref]
	if ttl := time.Duration(w.view.maxTTL(ref)) * time.Second; ttl >= seen.ttl || now.Sub(seen.at) > ttlMemory {
		seen = ttlSeen{ttl, now}
		w.ttls[ref] = seen
	}
	r.maxTTL = seen.ttl
	e, _ := w.board.get(ref)
	if e == nil || r.pending {
		return
	}
	for _, endpoint := range e.subject.Endpoints {
		if endpoint.State != dns.Draining || slices.ContainsFunc(endpoint.Addresses, func(a netip.Addr) bool { return slices.Contains(r.answering, a.Unmap()) }) {
			continue
		}
		if r.absent == nil {
			r.absent = map[string]time.Time{}
		}
		r.absent[endpoint.Cluster] = now
		if before != nil && !before.absent[endpoint.Cluster].IsZero() {
			r.absent[endpoint.Cluster] = before.absent[endpoint.Cluster]
		}
	}
}

type ttlSeen struct {
	ttl time.Duration
	at  time.Time
}
