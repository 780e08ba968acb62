package server

import (
	"fmt"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
)

// large is a zone of n names with three addresses each.
func large(n int) []dns.RecordSet {
	sets := make([]dns.RecordSet, n)
	for i := range sets {
		sets[i] = set(fmt.Sprintf("s%d.shop.earth.svc.fed.example.", i), dns.A, fmt.Sprintf("10.0.%d.%d", i>>8&255, i&255), "192.0.2.1", "192.0.2.2")
	}
	return sets
}

func largeServer(t testing.TB, n int) *Server {
	t.Helper()
	s, err := New(Config{Zones: []Zone{fedZone()}, RateLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	p := s.primaries["fed.example."]
	p.content = dns.NewContent("fed.example.", large(n))
	z, err := p.compile(p.serving.serial+1, func(yield func(string) bool) {
		for i := range n {
			if !yield(fmt.Sprintf("s%d.shop.earth.svc.fed.example.", i)) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.serving = z
	s.swap(z)
	return s
}

func BenchmarkRespond(b *testing.B) {
	s := largeServer(b, 10000)
	put(b, s, set("*.wild.fed.example.", dns.A, "192.0.2.1"), set("alias.fed.example.", dns.CNAME, "s1.shop.earth.svc.fed.example."))
	for name, qname := range map[string]string{"address": "s77.shop.earth.svc.fed.example.", "nxdomain": "x.shop.earth.svc.fed.example.",
		"wildcard": "x.wild.fed.example.", "alias": "alias.fed.example."} {
		for _, edns := range []bool{false, true} {
			m := question(qname, typeA)
			if edns {
				m.SetEdns0(1232, false)
			}
			raw, err := m.Pack()
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/edns=%v", name, edns), func(b *testing.B) {
				b.ReportAllocs()
				out := make([]byte, 0, maxUDP)
				for b.Loop() {
					if s.respond(out, raw, resolver, false) == nil {
						b.Fatal("no answer")
					}
				}
			})
		}
	}
}

// TestAnswersAllocateNothing: memory does not grow with questions.
func TestAnswersAllocateNothing(t *testing.T) {
	s := newServer(t, Config{})
	s.limiter = newLimiter(1<<30, s.now)
	for _, name := range []string{"web.shop.fed.example.", "alias.fed.example.", "x.wild.fed.example.", "nothing.fed.example.", "weighted.fed.example.", "www.example."} {
		m := question(name, typeA)
		m.SetEdns0(1232, false)
		raw, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 0, maxUDP)
		if n := testing.AllocsPerRun(100, func() { s.respond(out, raw, resolver, false) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkLoad compiles 100,000 names.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		largeServer(b, 100000)
	}
}

// BenchmarkSwap changes one name of 100,000.
func BenchmarkSwap(b *testing.B) {
	s := largeServer(b, 100000)
	const name = "s500.shop.earth.svc.fed.example."
	before := s.primaries["fed.example."].content.At(name)
	fence := dns.Fence{Federation: "earth", Holder: "b", Epoch: 1}
	var longest time.Duration
	for i := 0; b.Loop(); i++ {
		begin := time.Now()
		after := []dns.RecordSet{set(name, dns.A, fmt.Sprintf("192.0.2.%d", i%250+1))}
		r, err := s.Apply(b.Context(), "fed.example.", fence, []dns.Change{{Name: name, Before: before, After: after}})
		if err != nil || len(r.Failed) > 0 {
			b.Fatal(err, r.Failed)
		}
		before, longest = after, max(longest, time.Since(begin))
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
}
