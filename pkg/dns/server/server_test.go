package server

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	miekg "github.com/miekg/dns"
	"go.uber.org/goleak"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	resolver = netip.MustParseAddr("192.0.2.53")
	key      = Key{Name: "transfer", Secret: "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="}
)

func fedZone() Zone {
	return Zone{Name: "Fed.Example", Servers: map[string][]netip.Addr{
		"ns1.fed.example": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, "ns.elsewhere.example.": nil}}
}

// start runs a server on the loopback interface until the test ends.
func start(t *testing.T, config Config) *Server {
	t.Helper()
	if config.Listen == nil && config.ListenTLS == nil {
		config.Listen = []string{"127.0.0.1:0"}
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Wait) // The test's context ends before.
	return s
}

// put writes sets as one change for each name.
func put(t testing.TB, s *Server, sets ...dns.RecordSet) {
	t.Helper()
	byName := map[string][]dns.RecordSet{}
	for _, set := range sets {
		byName[set.Name] = append(byName[set.Name], set)
	}
	var changes []dns.Change
	for name, sets := range byName {
		changes = append(changes, dns.Change{Name: name, After: sets})
	}
	r, err := s.Apply(t.Context(), "fed.example.", dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, changes)
	if err != nil || len(r.Failed) > 0 {
		t.Fatalf("putting records: %v, %+v", err, r.Failed)
	}
}

func set(name string, t dns.Type, data ...string) dns.RecordSet {
	return dns.RecordSet{Name: name, Type: t, TTL: 20, Data: data}
}

func sample(t testing.TB, s *Server) {
	near := func(id, provider, region, address string) dns.RecordSet {
		r := set("near.fed.example.", dns.A, address)
		r.SetID, r.Routing = id, dns.Routing{Policy: dns.Nearest, Provider: provider, Region: region}
		return r
	}
	weighted := func(id string, weight uint32, address string) dns.RecordSet {
		r := set("weighted.fed.example.", dns.A, address)
		r.SetID, r.Routing = id, dns.Routing{Policy: dns.Weighted, Weight: weight}
		return r
	}
	var many []string
	for i := range 100 {
		many = append(many, dns.Quote(fmt.Sprintf("text number %04d", i)))
	}
	put(t, s,
		set("web.shop.fed.example.", dns.A, "192.0.2.1", "192.0.2.2"),
		set("web.shop.fed.example.", dns.AAAA, "2001:db8::1"),
		set("_http._tcp.web.shop.fed.example.", dns.SRV, "0 1 80 web.shop.fed.example."),
		set("alias.fed.example.", dns.CNAME, "second.fed.example."),
		set("second.fed.example.", dns.CNAME, "web.shop.fed.example."),
		set("away.fed.example.", dns.CNAME, "www.example."),
		set("dangling.fed.example.", dns.CNAME, "nothing.fed.example."),
		set("loop.fed.example.", dns.CNAME, "loop2.fed.example."),
		set("loop2.fed.example.", dns.CNAME, "loop.fed.example."),
		set("*.wild.fed.example.", dns.A, "192.0.2.9"),
		set("a.b.wild.fed.example.", dns.A, "192.0.2.10"),
		dns.RecordSet{Name: "big.fed.example.", Type: dns.TXT, TTL: 20, Data: many},
		near("gondor", "aws", "west", "192.0.2.21"), near("rohan", "gcp", "west", "192.0.2.22"), near("shire", "gcp", "east", "192.0.2.23"),
		weighted("gondor", 3, "192.0.2.31"), weighted("rohan", 1, "192.0.2.32"), weighted("shire", 0, "192.0.2.33"),
	)
}

// ask puts a question to the answer path.
func ask(t testing.TB, s *Server, m *miekg.Msg) *miekg.Msg {
	t.Helper()
	raw, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := s.respond(make([]byte, 0, maxUDP), raw, resolver, false)
	if out == nil {
		return nil
	}
	reply := new(miekg.Msg)
	if err := reply.Unpack(out); err != nil {
		t.Fatalf("answer to %s: %v\n%x", m.Question[0].String(), err, out)
	}
	return reply
}

func question(name string, t uint16) *miekg.Msg { return new(miekg.Msg).SetQuestion(name, t) }

// text is a message on a few lines.
func text(m *miekg.Msg) string {
	var b strings.Builder
	fmt.Fprint(&b, miekg.RcodeToString[m.Rcode])
	for _, flag := range []struct {
		name string
		on   bool
	}{{" aa", m.Authoritative}, {" tc", m.Truncated}, {" ra", m.RecursionAvailable}} {
		if flag.on {
			b.WriteString(flag.name)
		}
	}
	for _, section := range []struct {
		name string
		rrs  []miekg.RR
	}{{"answer", m.Answer}, {"authority", m.Ns}, {"additional", m.Extra}} {
		var lines []string
		for _, rr := range section.rrs {
			if soa, ok := rr.(*miekg.SOA); ok {
				lines = append(lines, fmt.Sprintf("%s: %s %d SOA", section.name, soa.Hdr.Name, soa.Hdr.Ttl))
			} else if rr.Header().Rrtype != typeOPT {
				lines = append(lines, section.name+": "+strings.Join(strings.Fields(strings.ReplaceAll(rr.String(), "IN", "")), " "))
			}
		}
		slices.Sort(lines)
		for _, line := range lines {
			b.WriteString("\n" + line)
		}
	}
	return b.String()
}

func newServer(t testing.TB, config Config) *Server {
	t.Helper()
	if config.Zones == nil {
		config.Zones = []Zone{fedZone()}
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	sample(t, s)
	return s
}

func TestAnswers(t *testing.T) {
	s := newServer(t, Config{RateLimit: -1})
	for _, test := range []struct {
		name  string
		qname string
		qtype uint16
		want  string
	}{
		{"address", "web.shop.fed.example.", typeA, `NOERROR aa
answer: web.shop.fed.example. 20 A 192.0.2.1
answer: web.shop.fed.example. 20 A 192.0.2.2`},
		{"the question's case is kept", "WEB.shop.Fed.eXample.", typeAAAA, `NOERROR aa
answer: WEB.shop.Fed.eXample. 20 AAAA 2001:db8::1`},
		{"SRV", "_http._tcp.web.shop.fed.example.", typeSRV, `NOERROR aa
answer: _http._tcp.web.shop.fed.example. 20 SRV 0 1 80 web.shop.fed.example.`},
		{"SOA", "fed.example.", typeSOA, `NOERROR aa
answer: fed.example. 300 SOA`},
		{"NS with the addresses of those in the zone", "fed.example.", typeNS, `NOERROR aa
answer: fed.example. 300 NS ns.elsewhere.example.
answer: fed.example. 300 NS ns1.fed.example.
additional: ns1.fed.example. 300 A 127.0.0.1
additional: ns1.fed.example. 300 AAAA ::1`},
		{"no data", "web.shop.fed.example.", typeTXT, `NOERROR aa
authority: fed.example. 10 SOA`},
		{"no such name", "nothing.shop.fed.example.", typeA, `NXDOMAIN aa
authority: fed.example. 10 SOA`},
		{"an empty non-terminal exists", "shop.fed.example.", typeA, `NOERROR aa
authority: fed.example. 10 SOA`},
		{"one of two labels too", "_tcp.web.shop.fed.example.", typeA, `NOERROR aa
authority: fed.example. 10 SOA`},
		{"CNAME is followed in the zone", "alias.fed.example.", typeA, `NOERROR aa
answer: alias.fed.example. 20 CNAME second.fed.example.
answer: second.fed.example. 20 CNAME web.shop.fed.example.
answer: web.shop.fed.example. 20 A 192.0.2.1
answer: web.shop.fed.example. 20 A 192.0.2.2`},
		{"CNAME itself", "alias.fed.example.", typeCNAME, `NOERROR aa
answer: alias.fed.example. 20 CNAME second.fed.example.`},
		{"CNAME out of the zone", "away.fed.example.", typeA, `NOERROR aa
answer: away.fed.example. 20 CNAME www.example.`},
		{"CNAME to nothing (RFC 6604)", "dangling.fed.example.", typeA, `NXDOMAIN aa
answer: dangling.fed.example. 20 CNAME nothing.fed.example.
authority: fed.example. 10 SOA`},
		{"CNAME to no data", "alias.fed.example.", typeTXT, `NOERROR aa
answer: alias.fed.example. 20 CNAME second.fed.example.
answer: second.fed.example. 20 CNAME web.shop.fed.example.
authority: fed.example. 10 SOA`},
		{"wildcard", "x.y.wild.fed.example.", typeA, `NOERROR aa
answer: x.y.wild.fed.example. 20 A 192.0.2.9`},
		{"wildcard, no data", "x.wild.fed.example.", typeAAAA, `NOERROR aa
authority: fed.example. 10 SOA`},
		{"wildcard asked for as it is", "*.wild.fed.example.", typeA, `NOERROR aa
answer: *.wild.fed.example. 20 A 192.0.2.9`},
		{"a name that exists hides the wildcard (RFC 4592)", "b.wild.fed.example.", typeA, `NOERROR aa
authority: fed.example. 10 SOA`},
		{"and for the names below it", "x.b.wild.fed.example.", typeA, `NXDOMAIN aa
authority: fed.example. 10 SOA`},
		{"any: one set", "_http._tcp.web.shop.fed.example.", typeANY, `NOERROR aa
answer: _http._tcp.web.shop.fed.example. 20 SRV 0 1 80 web.shop.fed.example.`},
		{"truncated", "big.fed.example.", typeTXT, "NOERROR aa tc"},
		{"outside", "www.example.", typeA, "REFUSED"},
		{"the root", ".", typeNS, "REFUSED"},
		{"transfer over UDP", "fed.example.", typeAXFR, "REFUSED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, edns := range []bool{false, true} {
				m := question(test.qname, test.qtype)
				if edns {
					m.SetEdns0(4096, false)
				}
				reply := ask(t, s, m)
				if diff := cmp.Diff(test.want, text(reply)); diff != "" {
					t.Errorf("EDNS %v (-want +got):\n%s", edns, diff)
				}
				if reply.Id != m.Id || !reply.RecursionDesired || reply.Question[0] != m.Question[0] {
					t.Errorf("header or question: %v", reply)
				}
				if opt := reply.IsEdns0(); (opt != nil) != edns || edns && opt.UDPSize() != maxUDP {
					t.Errorf("OPT record: %v", opt)
				}
			}
		})
	}
	if got := ask(t, s, question("loop.fed.example.", typeA)); len(got.Answer) > maxChase+1 {
		t.Errorf("a loop of CNAMEs: %d records", len(got.Answer))
	}
}

func TestConforms(t *testing.T) {
	s, err := New(Config{Zones: []Zone{{Name: "fed.example.", Servers: map[string][]netip.Addr{"ns.elsewhere.example.": nil}}}, Directory: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Wait()
	dnstest.Run(t, s, "fed.example.")
	checkServed(t, s)
}

// checkServed compares the answers with a zone that is compiled afresh.
func checkServed(t *testing.T, s *Server) {
	t.Helper()
	p := s.primaries["fed.example."]
	fresh := &primary{config: p.config, apex: p.apex, fixed: p.fixed, content: p.content}
	names := map[string]bool{}
	for name := range p.fixed {
		names[name] = true
	}
	for _, set := range p.content.Sets() {
		names[set.Name] = true
	}
	fresh.serving = &zone{name: p.config.Name, apex: []byte(p.apex), nodes: newTree()}
	z, err := fresh.compile(p.serving.serial, func(yield func(string) bool) {
		for name := range names {
			if !yield(name) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, shard := range p.serving.nodes {
		if len(shard) != len(z.nodes[i]) {
			t.Errorf("shard %d has %d names, compiled afresh %d", i, len(shard), len(z.nodes[i]))
		}
		for name, n := range shard {
			other := z.nodes[i][name]
			if other == nil || other.children != n.children || len(other.sets) != len(n.sets) {
				t.Errorf("%q: %d sets and %d names below, compiled afresh %+v", name, len(n.sets), n.children, other)
			}
		}
	}
}

func TestRestartServesLastKnownGood(t *testing.T) {
	config := Config{Zones: []Zone{fedZone()}, Directory: t.TempDir()}
	s := newServer(t, config)
	before, _ := s.Records(t.Context(), "fed.example.")
	put(t, s, set("later.fed.example.", dns.A, "192.0.2.77"))
	after, _ := s.Records(t.Context(), "fed.example.")
	if before.Version >= after.Version {
		t.Errorf("serial %s, then %s", before.Version, after.Version)
	}
	s.Wait()

	again, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Wait()
	now, _ := again.Records(t.Context(), "fed.example.")
	if diff := cmp.Diff(after, now); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	if got := text(ask(t, again, question("later.fed.example.", typeA))); !strings.Contains(got, "192.0.2.77") {
		t.Error(got)
	}
}

func TestSerialGrowsOnlyWithChanges(t *testing.T) {
	s := newServer(t, Config{})
	version := func() string {
		r, err := s.Records(t.Context(), "fed.example.")
		if err != nil {
			t.Fatal(err)
		}
		return r.Version
	}
	first := version()
	put(t, s, set("web.shop.fed.example.", dns.A, "192.0.2.1", "192.0.2.2"))
	if got := version(); got != first {
		t.Errorf("serial %s after a write of what is there, want %s", got, first)
	}
	for i := range 5 {
		last := version()
		put(t, s, set(fmt.Sprintf("new%d.fed.example.", i), dns.A, "192.0.2.1"))
		if got := version(); got <= last {
			t.Errorf("serial %s after %s", got, last)
		}
	}
	for serial, want := range map[uint32]bool{0xffffffff: true, 0x7fffffff: true, 1: true} {
		if next := nextSerial(serial); (int32(next-serial) > 0) != want || next == 0 {
			t.Errorf("serial %d after %d", next, serial)
		}
	}
}
