package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"slices"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// rounds is how often the zone is read again because a prerequisite failed although the copy said that it holds.
const rounds = 8

// writer is one call of Apply.
type writer struct {
	*session
	provider *Provider
	zone     string
	fence    dns.Fence
	receipt  dns.Receipt
}

// Apply implements dns.Provider. Several changes share a message as long as all their prerequisites hold.
func (p *Provider) Apply(ctx context.Context, zone string, fence dns.Fence, changes []dns.Change) (dns.Receipt, error) {
	if err := p.known(zone); err != nil {
		return dns.Receipt{}, err
	}
	s, err := p.dial(ctx, p.config.Server, p.config.Key)
	if err != nil {
		return dns.Receipt{}, p.explain(ctx, zone, err)
	}
	defer s.close()
	w := &writer{session: s, provider: p, zone: zone, fence: fence}
	var pending []dns.Change
	for _, c := range changes {
		if err := checkPlain(c); err != nil {
			w.fail(c, err)
			continue
		}
		pending = append(pending, c)
	}
	for round := 0; len(pending) > 0; round++ {
		if round == rounds {
			for _, c := range pending {
				w.fail(c, &dns.Error{Kind: dns.Conflict, Subject: c.Name, Err: fmt.Errorf("the zone was changed by others %d times meanwhile", rounds)})
			}
			break
		}
		if pending, err = w.round(ctx, pending, round > 0); err != nil {
			return dns.Receipt{}, p.explain(ctx, zone, err)
		}
	}
	serial, err := s.serial(zone)
	if err != nil {
		return dns.Receipt{}, p.explain(ctx, zone, err)
	}
	w.receipt.Version = version(serial)
	return w.receipt, nil
}

func (w *writer) fail(c dns.Change, err error) {
	w.receipt.Failed = append(w.receipt.Failed, dns.Failure{Change: c, Err: classify(c.Name, err)})
}

// round tries changes on what the zone holds and returns those to be tried again on what it holds by then. In rounds after the first
// each change has a message of its own.
func (w *writer) round(ctx context.Context, changes []dns.Change, again bool) (pending []dns.Change, err error) {
	now, err := w.provider.read(ctx, w.session, w.zone, again)
	if err != nil {
		return nil, err
	}
	content := dns.NewContent(w.zone, now.sets)
	lease := now.raw[dns.Key{Name: dns.LeaseName(w.zone, w.fence.Federation), Type: dns.TXT}]
	if len(changes) == 0 {
		return nil, nil
	}
	held, err := records(w.fence.Record(w.zone))
	if err != nil {
		return nil, err
	}
	next := newUpdate(w.zone, w.fence.Federation, lease)
	flush := func() error {
		if len(next.edits) == 0 {
			return nil
		}
		undone, err := w.write(ctx, next)
		pending = append(pending, undone...)
		next = newUpdate(w.zone, w.fence.Federation, held)
		return err
	}
	for _, c := range changes {
		removed, added, failed, err := content.Apply(w.fence, []dns.Change{c})
		if err != nil {
			return nil, err
		}
		if len(failed) > 0 {
			w.receipt.Failed = append(w.receipt.Failed, failed...)
			continue
		}
		if len(removed)+len(added) == 0 {
			continue
		}
		e := edit{change: c, removed: removed, added: added}
		for _, s := range c.Before {
			e.before = append(e.before, now.raw[s.Key()])
		}
		if again {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		taken, err := next.add(e)
		if err == nil && !taken {
			if err := flush(); err != nil {
				return nil, err
			}
			taken, err = next.add(e)
		}
		if err != nil || !taken {
			w.fail(c, &dns.Error{Kind: dns.Invalid, Subject: c.Name, Err: err})
		}
	}
	return pending, flush()
}

// write sends an update and returns the changes that are to be tried again.
func (w *writer) write(ctx context.Context, u *update) (again []dns.Change, err error) {
	_, err = w.exchange(u.message())
	if answer, ok := errors.AsType[*rcodeError](err); ok && answer.tsig == 0 {
		if answer.conflict() || len(u.edits) > 1 {
			for _, e := range u.edits {
				again = append(again, e.change)
			}
			return again, nil
		}
		w.fail(u.edits[0].change, answer)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, w.readBack(ctx, u)
}

// readBack asks for the CNAMEs that an update brought: BIND and Knot answer NOERROR and leave them out where other data stands. That is
// data of a type that prerequisites could not name; anything else that stands there instead came later.
func (w *writer) readBack(ctx context.Context, u *update) error {
	for _, e := range u.edits {
		for _, s := range e.added {
			if s.Type != dns.CNAME {
				continue
			}
			m := new(miekg.Msg).SetQuestion(s.Name, miekg.TypeCNAME)
			m.RecursionDesired = false
			reply, err := w.exchange(m)
			if err == nil && slices.ContainsFunc(reply.Answer, func(rr miekg.RR) bool { return rr.Header().Rrtype == miekg.TypeCNAME }) {
				continue
			}
			now, err := w.provider.read(ctx, w.session, w.zone, true)
			if err != nil {
				return err
			}
			for _, stands := range now.sets {
				if stands.Name == s.Name && !slices.Contains(besides, typeOf(stands)) && stands.Type != dns.CNAME {
					w.fail(e.change, &dns.Error{Kind: dns.Conflict, Subject: s.Name, Err: fmt.Errorf("the server left out the CNAME, because %s stands there", stands)})
				}
			}
		}
	}
	return nil
}
