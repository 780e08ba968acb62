package check

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/server"
)

const zone = "example.com."

// start runs the embedded server with sets in its zone, and returns its address.
func start(t *testing.T, sets ...dns.RecordSet) string {
	t.Helper()
	s, err := server.New(server.Config{
		Listen: []string{"127.0.0.1:0"}, Log: logr.Discard(),
		Zones: []server.Zone{{Name: zone, Servers: map[string][]netip.Addr{"ns1." + zone: {netip.MustParseAddr("127.0.0.1")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); s.Wait() })
	byName := map[string][]dns.RecordSet{}
	for _, set := range sets {
		byName[set.Name] = append(byName[set.Name], set)
	}
	var changes []dns.Change
	for name, after := range byName {
		changes = append(changes, dns.Change{Name: name, After: after})
	}
	receipt, err := s.Apply(ctx, zone, dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, changes)
	if err != nil || len(receipt.Failed) > 0 {
		t.Fatal(err, receipt.Failed)
	}
	return s.Addresses()[0].String()
}

func set(name string, kind dns.Type, data ...string) dns.RecordSet {
	return dns.RecordSet{Name: name + "." + zone, Type: kind, TTL: 20, Data: data}.Canonical()
}

func routed(s dns.RecordSet, id string) dns.RecordSet {
	s.SetID, s.Routing = id, dns.Routing{Policy: dns.Weighted, Weight: 1}
	return s
}

func names(sets ...dns.RecordSet) []Name {
	var all []Name
	for _, s := range sets {
		if n := len(all); n > 0 && all[n-1].Name == s.Name {
			all[n-1].Sets = append(all[n-1].Sets, s)
			continue
		}
		all = append(all, Name{Name: s.Name, Sets: []dns.RecordSet{s}})
	}
	return all
}

func TestZone(t *testing.T) {
	web, web6, alias := set("web", dns.A, "192.0.2.1", "192.0.2.2"), set("web", dns.AAAA, "2001:db8::1"), set("old", dns.CNAME, "web."+zone)
	port := set("_http._tcp.web", dns.SRV, "0 1 80 web."+zone)
	some, other := routed(set("near", dns.A, "192.0.2.1"), "a"), routed(set("near", dns.A, "192.0.2.2"), "b")
	all := []dns.RecordSet{web, web6, alias, port, some, other}
	for _, tc := range []struct {
		name string
		has  []dns.RecordSet
		want []Name
		// differs are "NAME TYPE: want | got", for each protocol.
		differs []string
	}{
		{"as it should be", all, names(all...), nil},
		{"nothing", nil, nil, nil},
		{"a name that is held without data", []dns.RecordSet{set("_kubefed.web", dns.TXT, `"x"`)}, []Name{{Name: "web." + zone}}, nil},
		{"an address too many", []dns.RecordSet{web}, names(set("web", dns.A, "192.0.2.1")), []string{"web A: 192.0.2.1 | 192.0.2.1, 192.0.2.2"}},
		{"no such name", nil, names(web), []string{"web A: 192.0.2.1, 192.0.2.2 | NXDOMAIN"}},
		{"an address that is to be gone", []dns.RecordSet{web}, []Name{{Name: web.Name}}, []string{"web A: no data | 192.0.2.1, 192.0.2.2"}},
		{"of the other family", []dns.RecordSet{web, web6}, names(web), []string{"web AAAA: no data | 2001:db8::1"}},
		{"none of those to choose from", []dns.RecordSet{set("near", dns.A, "192.0.2.9")}, names(some, other), []string{"near A: some of 192.0.2.1, 192.0.2.2 | 192.0.2.9"}},
		{"another port", []dns.RecordSet{web, port}, names(set("_http._tcp.web", dns.SRV, "0 1 81 web."+zone)), []string{"_http._tcp.web SRV: 0 1 81 web.example.com. | 0 1 80 web.example.com."}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			address := start(t, tc.has...)
			r := Asker{}.Zone(t.Context(), Zone{Name: zone, Servers: []string{address}, Names: tc.want})
			if len(r.Servers) != 1 || r.Servers[0].UDP != ok || r.Servers[0].TCP != ok || r.Servers[0].Serial == 0 {
				t.Errorf("servers %+v", r.Servers)
			}
			seen := map[string][]string{}
			for _, d := range r.Differences {
				line := strings.TrimSuffix(d.Name, "."+zone) + " " + d.Type + ": " + d.Want + " | " + d.Got
				seen[d.Protocol] = append(seen[d.Protocol], line)
			}
			for _, protocol := range []string{"udp", "tcp"} {
				if diff := cmp.Diff(tc.differs, seen[protocol], cmpopts.SortSlices(strings.Compare)); diff != "" {
					t.Errorf("over %s (-want +got):\n%s", protocol, diff)
				}
			}
			if r.Failing() != (len(tc.differs) > 0) {
				t.Errorf("failing is %t", r.Failing())
			}
		})
	}
}

func TestServersThatDiffer(t *testing.T) {
	web := set("web", dns.A, "192.0.2.1")
	good := start(t, web)
	other, err := server.New(server.Config{Listen: []string{"127.0.0.1:0"}, Log: logr.Discard(),
		Zones: []server.Zone{{Name: "example.org.", Servers: map[string][]netip.Addr{"ns.example.net.": nil}}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := other.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); other.Wait() }()
	strange := other.Addresses()[0].String()
	behind := stub(t, func(m *miekg.Msg) *miekg.Msg {
		reply := new(miekg.Msg).SetReply(m)
		reply.Authoritative = true
		switch m.Question[0].Qtype {
		case miekg.TypeSOA:
			reply.Answer = records(t, "example.com. 300 IN SOA ns1.example.com. h.example.com. 1 1 1 1 1")
		case miekg.TypeA:
			reply.Answer = records(t, "web.example.com. 20 IN A 192.0.2.1")
		}
		return reply
	})
	r := Asker{Timeout: 2 * time.Second}.Zone(t.Context(), Zone{Name: zone, Servers: []string{good, strange, behind, "127.0.0.1:1"}, Names: names(web)})
	got := map[string]string{}
	for _, s := range r.Servers {
		got[s.Address] = s.UDP + ", " + s.TCP
	}
	want := map[string]string{good: "ok, ok", behind: "ok, ok", "127.0.0.1:1": "nobody listens there, nobody listens there",
		strange: "does not serve the zone: REFUSED, does not serve the zone: REFUSED"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("servers (-want +got):\n%s", diff)
	}
	if len(r.Differences) != 1 || r.Differences[0].Type != "SOA" || r.Differences[0].Got != "serial 1" || r.Differences[0].Server != behind {
		t.Errorf("differences %+v, want the serial of the one that is behind", r.Differences)
	}
	if !r.Failing() {
		t.Error("not failing")
	}
}

func TestHead(t *testing.T) {
	h, err := Asker{}.Head(t.Context(), zone, []string{"127.0.0.1:1", start(t)})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(h.SOA, "SOA\tns1.example.com.") || len(h.Servers) != 2 || !strings.Contains(h.Servers[1], "127.0.0.1") {
		t.Errorf("%+v", h)
	}
	if _, err := (Asker{}).Head(t.Context(), "example.org.", []string{start(t)}); err == nil || !strings.Contains(err.Error(), "does not serve the zone") {
		t.Errorf("of another zone: %v", err)
	}
}

func TestDelegation(t *testing.T) {
	checked := []Server{{Address: "192.0.2.53:53"}}
	for _, tc := range []struct {
		name    string
		records []string
		rcode   int
		want    string
	}{
		{"to the server that was checked", []string{"example.com. 60 IN NS ns1.example.com.", "ns1.example.com. 60 IN A 192.0.2.53"}, 0, Delegated},
		{"not at all", nil, miekg.RcodeNameError, NotDelegated},
		{"not, and the parent holds the name", nil, 0, NotDelegated},
		{"to servers that do not answer", nil, miekg.RcodeServerFailure, Unknown},
		{"to others", []string{"example.com. 60 IN NS ns9.example.net.", "ns9.example.net. 60 IN A 192.0.2.9"}, 0, Elsewhere},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resolver := stub(t, func(m *miekg.Msg) *miekg.Msg {
				reply := new(miekg.Msg).SetRcode(m, tc.rcode)
				for _, rr := range records(t, tc.records...) {
					if q := m.Question[0]; rr.Header().Name == q.Name && rr.Header().Rrtype == q.Qtype {
						reply.Answer = append(reply.Answer, rr)
					}
				}
				return reply
			})
			d := Asker{}.Delegation(t.Context(), resolver, zone, checked)
			if d.State != tc.want || (d.Message == "") != (tc.want == Delegated) {
				t.Errorf("%+v, want %s", d, tc.want)
			}
		})
	}
	if d := (Asker{}).Delegation(t.Context(), "127.0.0.1:1", zone, checked); d.State != Unknown {
		t.Errorf("without a resolver: %+v", d)
	}
}

func records(t *testing.T, texts ...string) []miekg.RR {
	t.Helper()
	var all []miekg.RR
	for _, text := range texts {
		rr, err := miekg.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	return all
}

// stub is a server over UDP and TCP at one address that answers as told.
func stub(t *testing.T, answer func(*miekg.Msg) *miekg.Msg) string {
	t.Helper()
	handler := miekg.HandlerFunc(func(w miekg.ResponseWriter, m *miekg.Msg) { _ = w.WriteMsg(answer(m)) })
	for range 20 { // a port that is free for UDP may be taken for TCP
		udp := &miekg.Server{Addr: "127.0.0.1:0", Net: "udp", Handler: handler}
		ready := make(chan string, 1)
		udp.NotifyStartedFunc = func() { ready <- udp.PacketConn.LocalAddr().String() }
		go func() { _ = udp.ListenAndServe() }()
		address := <-ready
		t.Cleanup(func() { _ = udp.Shutdown() })
		tcp := &miekg.Server{Addr: address, Net: "tcp", Handler: handler}
		listening := make(chan error, 1)
		tcp.NotifyStartedFunc = func() { listening <- nil }
		go func() { listening <- tcp.ListenAndServe() }()
		if <-listening == nil {
			t.Cleanup(func() { _ = tcp.Shutdown() })
			return address
		}
	}
	t.Fatal("no port is free for UDP and TCP")
	return ""
}
