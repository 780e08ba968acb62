// Package dnstest is the conformance suite of dns.Provider: what the planner and the controllers rely on, whatever the
// provider is.
package dnstest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/dns"
)

// Run checks a provider in one of its zones, which must be empty and belong to the test.
func Run(t *testing.T, provider dns.Provider, zone string) {
	s := &suite{provider: provider, zone: zone, fence: dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"the zone is listed, another is not found", s.zones},
		{"records that were written are read in canonical form", s.reads},
		{"a change whose Before is not what is there fails with Conflict", s.conflicts},
		{"one change fails as a whole, the others are made", s.partial},
		{"a change may be repeated", s.repeats},
		{"A and CNAME replace each other in one change", s.flips},
		{"a CNAME never stands beside other data", s.exclusive},
		{"a name outside the zone, malformed data and the other family's addresses are Invalid", s.invalid},
		{"a lower epoch is fenced off", s.fences},
		{"two federations write to one zone, each under its own lease", s.federations},
		{"of writers that race none loses an update", s.races},
		{"random schedules of two writers lose nothing", s.schedules},
		{"routed sets are kept apart", s.routed},
		{"a plan that was applied leaves nothing to do", s.settles},
	} {
		t.Run(test.name, test.run)
	}
}

type suite struct {
	provider dns.Provider
	zone     string
	fence    dns.Fence
}

func (s *suite) name(label string) string { return label + "." + s.zone }

func set(name string, t dns.Type, data ...string) dns.RecordSet {
	return dns.RecordSet{Name: name, Type: t, TTL: 60, Data: data}
}

// sets reads what is at a name.
func (s *suite) sets(t *testing.T, name string) []dns.RecordSet {
	t.Helper()
	snapshot, err := s.provider.Records(t.Context(), s.zone)
	if err != nil {
		t.Fatal(err)
	}
	var found []dns.RecordSet
	for _, set := range snapshot.Sets {
		if set.Name == name {
			found = append(found, set)
		}
	}
	return found
}

// apply makes one change and returns why it was not made.
func (s *suite) apply(t *testing.T, f dns.Fence, name string, before, after []dns.RecordSet) error {
	t.Helper()
	receipt, err := s.provider.Apply(t.Context(), s.zone, f, []dns.Change{{Name: name, Before: before, After: after}})
	if err != nil {
		return err
	}
	for _, failure := range receipt.Failed {
		return failure.Err
	}
	if w, ok := s.provider.(dns.Waiter); ok {
		if err := w.Await(t.Context(), s.zone, receipt); err != nil {
			t.Errorf("waiting for %+v: %v", receipt, err)
		}
	}
	return nil
}

func (s *suite) must(t *testing.T, name string, before, after []dns.RecordSet) {
	t.Helper()
	if err := s.apply(t, s.fence, name, before, after); err != nil {
		t.Fatalf("changing %s: %v", name, err)
	}
	s.holds(t, name, after)
}

func (s *suite) holds(t *testing.T, name string, want []dns.RecordSet) {
	t.Helper()
	byKey := func(a, b dns.RecordSet) int {
		return slices.Compare([]string{string(a.Type), a.SetID}, []string{string(b.Type), b.SetID})
	}
	want = slices.SortedFunc(slices.Values(want), byKey)
	got := slices.SortedFunc(slices.Values(s.sets(t, name)), byKey)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func wantKind(t *testing.T, err error, kind dns.ErrorKind) {
	t.Helper()
	if err == nil || dns.KindOf(err) != kind {
		t.Errorf("error %v, want one of kind %s", err, kind)
	}
}

func (s *suite) zones(t *testing.T) {
	zones, err := s.provider.Zones(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(zones, func(z dns.Zone) bool { return z.Name == s.zone }) {
		t.Errorf("zones %+v without %s", zones, s.zone)
	}
	_, err = s.provider.Records(t.Context(), "elsewhere.invalid.")
	wantKind(t, err, dns.NotFound)
	_, err = s.provider.Apply(t.Context(), "elsewhere.invalid.", s.fence, []dns.Change{{Name: "x.elsewhere.invalid."}})
	wantKind(t, err, dns.NotFound)
}

func (s *suite) reads(t *testing.T) {
	name := s.name("reads")
	s.must(t, name, nil, []dns.RecordSet{
		set(name, dns.A, "192.0.2.1", "192.0.2.2"),
		set(name, dns.AAAA, "2001:db8::1"),
		set(name, dns.TXT, dns.Quote(`said "so" \ to`), dns.Quote("v=1 a=b")),
	})
	port := s.name("_http._tcp.reads")
	s.must(t, port, nil, []dns.RecordSet{set(port, dns.SRV, "0 10 80 "+name, "1 10 8080 "+name)})
	wildcard := s.name("*.reads")
	s.must(t, wildcard, nil, []dns.RecordSet{set(wildcard, dns.A, "192.0.2.3")})
}

func (s *suite) conflicts(t *testing.T) {
	name := s.name("conflicts")
	one, two, three := set(name, dns.A, "192.0.2.1"), set(name, dns.A, "192.0.2.2"), set(name, dns.A, "192.0.2.3")
	s.must(t, name, nil, []dns.RecordSet{one})
	otherTTL := one
	otherTTL.TTL = 61
	for what, before := range map[string][]dns.RecordSet{
		"create what exists":   nil,
		"replace other data":   {two},
		"replace another TTL":  {otherTTL},
		"replace what is gone": {one, set(name, dns.AAAA, "2001:db8::1")},
	} {
		if err := s.apply(t, s.fence, name, before, []dns.RecordSet{three}); err == nil || dns.KindOf(err) != dns.Conflict {
			t.Errorf("%s: error %v, want one of kind Conflict", what, err)
		}
	}
	wantKind(t, s.apply(t, s.fence, name, []dns.RecordSet{two}, nil), dns.Conflict)
	s.holds(t, name, []dns.RecordSet{one})
	s.must(t, name, []dns.RecordSet{one}, nil)
}

func (s *suite) partial(t *testing.T) {
	good, bad := s.name("good"), s.name("bad")
	s.must(t, bad, nil, []dns.RecordSet{set(bad, dns.A, "192.0.2.1")})
	receipt, err := s.provider.Apply(t.Context(), s.zone, s.fence, []dns.Change{
		{Name: bad, After: []dns.RecordSet{set(bad, dns.AAAA, "2001:db8::2"), set(bad, dns.A, "192.0.2.2")}},
		{Name: good, After: []dns.RecordSet{set(good, dns.A, "192.0.2.2")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(receipt.Failed) != 1 || receipt.Failed[0].Change.Name != bad {
		t.Errorf("failed: %+v, want that of %s", receipt.Failed, bad)
	}
	s.holds(t, bad, []dns.RecordSet{set(bad, dns.A, "192.0.2.1")})
	s.holds(t, good, []dns.RecordSet{set(good, dns.A, "192.0.2.2")})
}

func (s *suite) repeats(t *testing.T) {
	name := s.name("repeats")
	one, two := []dns.RecordSet{set(name, dns.A, "192.0.2.1")}, []dns.RecordSet{set(name, dns.A, "192.0.2.2")}
	s.must(t, name, nil, one)
	s.must(t, name, nil, one)
	s.must(t, name, one, two)
	s.must(t, name, one, two)
	s.must(t, name, two, nil)
	s.must(t, name, two, nil)
}

func (s *suite) flips(t *testing.T) {
	name := s.name("flips")
	addresses := []dns.RecordSet{set(name, dns.A, "192.0.2.1"), set(name, dns.AAAA, "2001:db8::1")}
	alias := []dns.RecordSet{set(name, dns.CNAME, s.name("wider"))}
	s.must(t, name, nil, addresses)
	s.must(t, name, addresses, alias)
	s.must(t, name, alias, addresses)
}

func (s *suite) exclusive(t *testing.T) {
	name := s.name("exclusive")
	address, alias := []dns.RecordSet{set(name, dns.A, "192.0.2.1")}, []dns.RecordSet{set(name, dns.CNAME, s.name("wider"))}
	s.must(t, name, nil, address)
	wantKind(t, s.apply(t, s.fence, name, nil, alias), dns.Conflict)
	s.holds(t, name, address)
	s.must(t, name, address, alias)
	wantKind(t, s.apply(t, s.fence, name, nil, address), dns.Conflict)
	s.holds(t, name, alias)
}

func (s *suite) invalid(t *testing.T) {
	name := s.name("invalid")
	for what, after := range map[string]dns.RecordSet{
		"outside":        set("invalid.example.", dns.A, "192.0.2.1"),
		"not an address": set(name, dns.A, "192.0.2"),
		"other family":   set(name, dns.A, "2001:db8::1"),
		"no data":        set(name, dns.A),
		"unsorted":       set(name, dns.A, "192.0.2.2", "192.0.2.1"),
		"two CNAMEs":     set(name, dns.CNAME, s.name("a"), s.name("b")),
		"bad SRV":        set(name, dns.SRV, "0 10 80000 "+name),
	} {
		if err := s.apply(t, s.fence, after.Name, nil, []dns.RecordSet{after}); err == nil || dns.KindOf(err) != dns.Invalid {
			t.Errorf("%s: error %v, want one of kind Invalid", what, err)
		}
	}
	s.holds(t, name, nil)
}

func (s *suite) fences(t *testing.T) {
	name := s.name("fences")
	one, two := []dns.RecordSet{set(name, dns.A, "192.0.2.1")}, []dns.RecordSet{set(name, dns.A, "192.0.2.2")}
	s.must(t, name, nil, one)
	taken := s.fence
	taken.Holder, taken.Epoch = "next", 2
	if err := s.apply(t, taken, name, one, two); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.apply(t, s.fence, name, two, one), dns.Fenced)
	s.holds(t, name, two)
	lease := s.sets(t, dns.LeaseName(s.zone, s.fence.Federation))
	if len(lease) != 1 || !dns.Same(lease[0], taken.Record(s.zone)) {
		t.Errorf("lease %+v, want %+v", lease, taken.Record(s.zone))
	}
	s.fence.Epoch = 3
}

// federations lets two write to one zone, one of them in a much later term.
func (s *suite) federations(t *testing.T) {
	earth, mars := s.fence, dns.Fence{Federation: "mars", Holder: "test", Epoch: s.fence.Epoch + 40}
	own := func(f dns.Fence, label, address string) []dns.RecordSet {
		name := s.name(label)
		sets := []dns.RecordSet{set(name, dns.A, address)}
		return append(sets, dns.Ownership{Federation: f.Federation, Owner: dns.Owner{Ref: "svc/shop/" + label, UID: "7d1c"},
			Epoch: f.Epoch, Types: []dns.Type{dns.A}, Hash: dns.HashOf(sets)}.Record(name))
	}
	for _, step := range []struct {
		fence   dns.Fence
		label   string
		address string
	}{{earth, "of-earth", "192.0.2.1"}, {mars, "of-mars", "192.0.2.2"}, {earth, "also-of-earth", "192.0.2.1"}, {mars, "also-of-mars", "192.0.2.2"}, {earth, "claimed", "192.0.2.1"}} {
		if err := s.apply(t, step.fence, s.name(step.label), nil, own(step.fence, step.label, step.address)); err != nil {
			t.Errorf("%s writes %s: %v", step.fence.Federation, step.label, err)
		}
	}
	wantKind(t, s.apply(t, mars, s.name("claimed"), nil, own(mars, "claimed", "192.0.2.2")), dns.Conflict)
	s.holds(t, s.name("claimed"), own(earth, "claimed", "192.0.2.1")[:1])
	earlier := mars
	earlier.Epoch--
	wantKind(t, s.apply(t, earlier, s.name("late"), nil, own(earlier, "late", "192.0.2.2")), dns.Fenced)
	for _, f := range []dns.Fence{earth, mars} {
		if lease := s.sets(t, dns.LeaseName(s.zone, f.Federation)); len(lease) != 1 || !dns.Same(lease[0], f.Record(s.zone)) {
			t.Errorf("lease of %s is %+v, want %+v", f.Federation, lease, f.Record(s.zone))
		}
	}
}

// races lets writers add an address each to one name, by reading, adding and writing until no other was faster.
func (s *suite) races(t *testing.T) {
	name := s.name("races")
	const writers, each = 4, 8
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				for s.add(t, name, fmt.Sprintf("192.0.2.%d", w*each+i+1)) {
				}
			}
		})
	}
	wg.Wait()
	got := s.sets(t, name)
	if len(got) != 1 || len(got[0].Data) != writers*each {
		t.Errorf("%+v, want %d addresses", got, writers*each)
	}
}

// add says whether another writer was faster.
func (s *suite) add(t *testing.T, name, address string) bool {
	snapshot, err := s.provider.Records(t.Context(), s.zone)
	if err != nil {
		t.Error(err)
		return false
	}
	change := dns.Change{Name: name, After: []dns.RecordSet{set(name, dns.A, address)}}
	if i := slices.IndexFunc(snapshot.Sets, func(s dns.RecordSet) bool { return s.Name == name }); i >= 0 {
		change.Before = snapshot.Sets[i : i+1]
		change.After = []dns.RecordSet{set(name, dns.A, append(slices.Clone(snapshot.Sets[i].Data), address)...).Canonical()}
	}
	receipt, err := s.provider.Apply(t.Context(), s.zone, s.fence, []dns.Change{change})
	if err != nil {
		t.Error(err)
		return false
	}
	if len(receipt.Failed) == 0 {
		return false
	}
	if err := receipt.Failed[0].Err; dns.KindOf(err) != dns.Conflict {
		t.Error(err)
		return false
	}
	return true
}

func (s *suite) limits(t *testing.T) dns.Zone {
	t.Helper()
	zones, err := s.provider.Zones(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return zones[slices.IndexFunc(zones, func(z dns.Zone) bool { return z.Name == s.zone })]
}

// routed writes, changes and takes away sets of each policy by which the provider chooses.
func (s *suite) routed(t *testing.T) {
	limits := s.limits(t).Limits
	for _, policy := range policies(limits) {
		t.Run(string(policy), func(t *testing.T) {
			name := s.name("routed-" + strings.ToLower(string(policy)))
			both := routedSets(limits, policy, name, 1)
			next := routedSets(limits, policy, name, 3)
			s.must(t, name, nil, both)
			s.must(t, name, both, []dns.RecordSet{both[0], next[1]})
			s.must(t, name, []dns.RecordSet{both[0], next[1]}, both[:1])
			wantKind(t, s.apply(t, s.fence, name, both, next), dns.Conflict)
			s.holds(t, name, both[:1])
			plain := []dns.RecordSet{set(name, dns.A, "192.0.2.1")}
			s.must(t, name, both[:1], plain)
			s.must(t, name, plain, both)
			for _, other := range policies(limits) {
				s.must(t, name, both, routedSets(limits, other, name, 5))
				s.must(t, name, routedSets(limits, other, name, 5), both)
			}
			s.must(t, name, both, nil)
		})
	}
}

// policies are those by which the provider chooses among sets.
func policies(limits dns.Limits) []dns.Policy {
	return slices.DeleteFunc([]dns.Policy{dns.Weighted, dns.Nearest, dns.All, dns.Ordered}, func(p dns.Policy) bool { return !limits.Routes(p) })
}

// routedSets are two sets of a name among which a provider chooses by a policy; n makes them like no others.
func routedSets(limits dns.Limits, policy dns.Policy, name string, n int) []dns.RecordSet {
	one, two := set(name, dns.A, fmt.Sprintf("198.51.100.%d", n)), set(name, dns.A, fmt.Sprintf("203.0.113.%d", n))
	one.SetID, one.Routing = "gondor", dns.Routing{Policy: policy}
	two.SetID, two.Routing = "rohan", dns.Routing{Policy: policy}
	if limits.HealthChecks != nil {
		// These can be asked, and are not: the provider is one of a test.
		one.Data, two.Data = []string{fmt.Sprintf("9.9.8.%d", n)}, []string{fmt.Sprintf("9.9.9.%d", n)}
		one.Health = dns.HealthCheck{Type: "HTTPS", Port: 443, Host: "web.example.com", Path: "/healthy", Fast: true}
		two.Health = dns.HealthCheck{Type: "TCP", Port: 443}
	}
	switch {
	case policy == dns.Ordered:
		two.Routing.Backup, two.Health = true, dns.HealthCheck{}
	case policy == dns.Weighted:
		one.Routing.Weight, two.Routing.Weight = 3, uint32(n)
	case policy == dns.Nearest && limits.Region != nil:
		one.SetID, two.SetID = limits.Region("gcp", "europe-west3"), limits.Region("aws", "us-east-1")
		one.Routing.Region, two.Routing.Region = one.SetID, two.SetID
	case policy == dns.Nearest:
		one.Routing.Provider, one.Routing.Region = "gcp", "europe-west3"
		two.Routing.Provider, two.Routing.Region = "aws", "us-east-1"
	}
	return []dns.RecordSet{one, two}
}
