package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

var (
	_ dns.Provider = (*Server)(nil)
	_ dns.Waiter   = (*Server)(nil)
)

// Zones implements dns.Provider.
func (s *Server) Zones(context.Context) ([]dns.Zone, error) {
	var zones []dns.Zone
	for _, name := range slices.Sorted(maps.Keys(s.primaries)) {
		zones = append(zones, dns.Zone{Name: name, Limits: dns.Limits{Routing: true}})
	}
	return zones, nil
}

// Records implements dns.Provider. The records of the zone's configuration are not among them.
func (s *Server) Records(_ context.Context, zone string) (dns.Snapshot, error) {
	p, ok := s.primaries[zone]
	if !ok {
		return dns.Snapshot{}, &dns.Error{Kind: dns.NotFound, Subject: zone}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return dns.Snapshot{Version: strconv.FormatUint(uint64(p.serving.serial), 10), Sets: p.content.Sets()}, nil
}

// Apply implements dns.Provider: what it says is answered when it returns, and secondaries are told.
func (s *Server) Apply(_ context.Context, zone string, fence dns.Fence, changes []dns.Change) (dns.Receipt, error) {
	p, ok := s.primaries[zone]
	if !ok {
		return dns.Receipt{}, &dns.Error{Kind: dns.NotFound, Subject: zone}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	free, refused := p.notConfigured(changes)
	removed, added, failed, err := p.content.Apply(fence, free)
	if err != nil {
		return dns.Receipt{}, err
	}
	receipt := dns.Receipt{Failed: append(refused, failed...)}
	if len(removed)+len(added) > 0 {
		if err := s.publish(p, removed, added); err != nil {
			return dns.Receipt{}, &dns.Error{Kind: dns.Unavailable, Subject: zone, Err: err}
		}
	}
	receipt.Version = strconv.FormatUint(uint64(p.serving.serial), 10)
	return receipt, nil
}

// notConfigured takes out changes at names that the zone's configuration has records for.
func (p *primary) notConfigured(changes []dns.Change) (free []dns.Change, refused []dns.Failure) {
	for _, c := range changes {
		if sets, ok := p.fixed[c.Name]; ok && c.Name != p.config.Name {
			refused = append(refused, dns.Failure{Change: c, Err: &dns.Error{Kind: dns.Conflict, Subject: c.Name,
				Err: fmt.Errorf("the zone's configuration has %s", sets[0])}})
			continue
		}
		free = append(free, c)
	}
	return free, refused
}

// publish swaps in the zone as the content says. That the file cannot be written is logged, not an error: to go on answering
// with a dead endpoint would be worse.
func (s *Server) publish(p *primary, removed, added []dns.RecordSet) error {
	names := map[string]bool{}
	for _, sets := range [][]dns.RecordSet{removed, added} {
		for _, set := range sets {
			names[set.Name] = true
		}
	}
	old := p.serving
	z, err := p.compile(nextSerial(old.serial), maps.Keys(names))
	if err != nil {
		return err
	}
	p.serving = z
	s.swap(z) // Clients come first; secondaries are told once it is on disk, so that they know no serial which a crash takes back.
	versionsTotal.Inc()
	if err := p.store.append(entry{Serial: z.serial, Removed: removed, Added: added}, p.content.Sets); err != nil {
		s.log.Error(err, "zone not saved", "zone", p.config.Name)
	}
	d := delta{from: old.serial, to: z.serial}
	for name := range names {
		wire, err := packName(name)
		if err != nil {
			return err
		}
		before, after := flat(sourceOf(old.nodes.get(wire))), flat(sourceOf(z.nodes.get(wire)))
		d.removed = append(d.removed, without(before, after)...)
		d.added = append(d.added, without(after, before)...)
	}
	p.journal = append(p.journal, d)
	p.journal = p.journal[max(0, len(p.journal)-maxJournal):]
	s.notify(p)
	return nil
}

func sourceOf(n *node) []dns.RecordSet {
	if n == nil {
		return nil
	}
	var sets []dns.RecordSet
	for _, set := range n.sets {
		sets = append(sets, set.source...)
	}
	return sets
}

// without is a less b; both are sorted.
func without(a, b []string) []string {
	var out []string
	for _, s := range a {
		if _, found := slices.BinarySearch(b, s); !found {
			out = append(out, s)
		}
	}
	return out
}

// Await implements dns.Waiter: it asks the secondaries until all have the version.
func (s *Server) Await(ctx context.Context, zone string, r dns.Receipt) error {
	p, ok := s.primaries[zone]
	if !ok {
		return &dns.Error{Kind: dns.NotFound, Subject: zone}
	}
	version, err := strconv.ParseUint(r.Version, 10, 32)
	if err != nil {
		return &dns.Error{Kind: dns.Invalid, Subject: zone, Err: err}
	}
	for _, secondary := range p.config.Secondaries {
		for pause := 20 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
			serial, err := s.serialAt(ctx, zone, secondary)
			if err == nil && int32(serial-uint32(version)) >= 0 {
				break
			}
			if err == nil {
				err = fmt.Errorf("has serial %d, not yet %d", serial, version)
			}
			select {
			case <-ctx.Done():
				return &dns.Error{Kind: dns.Unavailable, Subject: zone, Err: fmt.Errorf("secondary %s: %w", secondary.Address, errors.Join(ctx.Err(), err))}
			case <-time.After(pause):
			}
		}
	}
	return nil
}

func (s *Server) serialAt(ctx context.Context, zone string, secondary Secondary) (uint32, error) {
	m := new(miekg.Msg).SetQuestion(zone, typeSOA)
	reply, err := s.exchange(ctx, m, secondary)
	if err != nil {
		return 0, err
	}
	for _, rr := range reply.Answer {
		if soa, ok := rr.(*miekg.SOA); ok {
			return soa.Serial, nil
		}
	}
	return 0, fmt.Errorf("answers %s without a serial", miekg.RcodeToString[reply.Rcode])
}

// Addresses are where the server listens: over UDP and TCP, then over TLS.
func (s *Server) Addresses() []netip.AddrPort { return slices.Clone(s.addresses) }
