package dnstest

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"kubefed.dev/kubefed/pkg/dns"
)

// Lives takes Services through random lives in zones of a provider: each state is planned for and applied, and then nothing is left to
// do, nothing of someone else's was touched, and the name is not empty while something is healthy. fresh is an empty zone that belongs
// to the test.
func Lives(t *testing.T, fresh func() (p dns.Provider, zone string)) {
	rapid.Check(t, func(r *rapid.T) {
		provider, zone := fresh()
		s := &suite{provider: provider, zone: zone, fence: dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}}
		subject := dns.Subject{Owner: dns.Owner{Ref: "svc/shop/web", UID: "7d1c"},
			Names: dns.Names{Service: "web", Namespace: "shop", Federation: "earth", Domain: zone}}
		foreign := set(rapid.SampledFrom([]string{s.name("other"), subject.Names.Cluster("c0"), subject.Names.Global()}).Draw(r, "foreign"), dns.TXT, dns.Quote("v=spf1 -all"))
		s.life(t, r, &subject, foreign)
	})
}

func (s *suite) life(t *testing.T, r *rapid.T, subject *dns.Subject, foreign dns.RecordSet) {
	if err := s.apply(t, s.fence, foreign.Name, nil, []dns.RecordSet{foreign}); err != nil {
		r.Fatal(err)
	}
	for range rapid.IntRange(1, 4).Draw(r, "steps") {
		draw(r, subject, s.zone)
		// What is published decides about what is unknown, so it takes a few plans until there is nothing to do.
		for left, n := 5, 1; n > 0; left-- {
			if n = s.settle(t, subject); n > 0 && left == 0 {
				r.Fatalf("%d changes in plan after plan for %+v", n, subject)
			}
		}
		there := s.records(t).Sets
		if !slices.ContainsFunc(there, func(o dns.RecordSet) bool { return dns.Same(o, foreign) }) {
			r.Errorf("someone else's %s was touched", foreign)
		}
		healthy := slices.ContainsFunc(subject.Endpoints, func(e dns.Endpoint) bool { return e.State == dns.Healthy })
		answers := slices.ContainsFunc(there, func(o dns.RecordSet) bool {
			return o.Name == subject.Names.Global() && (o.Type == dns.A || o.Type == dns.AAAA)
		})
		if healthy && !answers {
			r.Errorf("the global name is empty while an endpoint is healthy: %+v", subject)
		}
		for _, o := range there {
			if err := o.Check(); err != nil {
				r.Error(err)
			}
		}
	}
}

// draw makes a subject as chance will have it.
func draw(r *rapid.T, s *dns.Subject, zone string) {
	s.Settings = dns.Settings{
		Policy:   rapid.SampledFrom([]dns.Policy{dns.All, dns.Weighted, dns.Nearest, dns.Ordered}).Draw(r, "policy"),
		Fallback: rapid.SampledFrom([]dns.Fallback{dns.Flatten, dns.ToWider, dns.Strict}).Draw(r, "fallback"),
		WhenDead: rapid.SampledFrom([]dns.WhenDead{dns.Static, dns.Open, dns.Closed}).Draw(r, "dead"),
		TTL:      rapid.SampledFrom([]uint32{20, 60}).Draw(r, "ttl"),
	}
	s.Settings.Health = rapid.SampledFrom([]dns.HealthCheck{{}, {Type: "TCP"}, {Type: "HTTP", Path: "/", Host: "web.example.com"}}).Draw(r, "health")
	s.Hosts = rapid.SampledFrom([][]string{nil, {"*.wild." + zone}}).Draw(r, "hosts")
	s.Urgent = rapid.Bool().Draw(r, "urgent")
	s.Endpoints = nil
	for i := range rapid.IntRange(0, 4).Draw(r, "endpoints") {
		e := dns.Endpoint{
			Cluster: fmt.Sprint("c", i), Weight: rapid.Uint32Range(0, 300).Draw(r, "weight"), Order: rapid.IntRange(0, 2).Draw(r, "order"),
			State: rapid.SampledFrom([]dns.State{dns.Healthy, dns.Healthy, dns.Degraded, dns.Unhealthy, dns.Unknown, dns.Draining}).Draw(r, "state"),
		}
		e.ProbePort = rapid.SampledFrom([]uint16{80, 80, 443, 0}).Draw(r, "probePort")
		place := rapid.SampledFrom([][2]string{{"aws", "eu-west-1"}, {"aws", "us-east-1"}, {"gcp", "us-east4"}, {"onprem", "basement"}}).Draw(r, "place")
		e.Provider, e.Region, e.Zones = place[0], place[1], []string{place[1] + "a"}
		e.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{9, 9, byte(i), 1})}
		for _, more := range []string{fmt.Sprintf("9.9.%d.2", i), fmt.Sprintf("2600::%d", i+1)} {
			if rapid.Bool().Draw(r, "more") {
				e.Addresses = append(e.Addresses, netip.MustParseAddr(more))
			}
		}
		if rapid.Bool().Draw(r, "balancer") {
			e.Hostnames = []string{fmt.Sprintf("web-%d.us-east-1.elb.amazonaws.com", i)}
		}
		if rapid.Bool().Draw(r, "port") {
			e.Ports = []dns.Port{{Name: "http", Protocol: "tcp", Number: 80}}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
}
