package route53

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"

	"kubefed.dev/kubefed/pkg/cloud/aws/route53/route53test"
	"kubefed.dev/kubefed/pkg/dns"
)

// checked is balanced, at addresses that Route 53 can ask, in three groups.
func checked(policy dns.Policy) dns.Subject {
	s := balanced(policy)
	s.Settings.Health = dns.HealthCheck{Type: "HTTP", Host: "web.example.com", Path: "/healthy"}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		e.Hostnames, e.ProbePort, e.Order = nil, 8080, min(i, 2)
		for j, a := range e.Addresses {
			if a.Is6() {
				e.Addresses[j] = must("2600::1")
			} else {
				e.Addresses[j] = must(fmt.Sprintf("9.9.%d.%d", i, j+1))
			}
		}
	}
	return s
}

// bench is a server, a provider that has it ask endpoints, and a clock.
type healthBench struct {
	settler
	now time.Time
}

func newHealthBench(t *testing.T) *healthBench {
	server, p, _ := start(t)
	p.options.HealthChecks = true
	zones, err := p.Zones(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &healthBench{settler{t, server, p, zones[0].Limits}, time.Now()}
	c := p.zones[testZone].checks
	c.now, c.creating = func() time.Time { return b.now }, rate.NewLimiter(rate.Inf, 1)
	return b
}

// keep lets what runs beside do its work.
func (b *healthBench) keep() {
	b.t.Helper()
	b.p.keep(b.t.Context(), b.p.zones[testZone])
	if n := b.server.Dangling(); n > 0 {
		b.t.Errorf("%d health checks are named that are not there", n)
	}
}

// settled settles until Route 53 has the checks, and says what they ask.
func (b *healthBench) settled(s dns.Subject) (asked []string, sets []dns.RecordSet) {
	b.t.Helper()
	for range 3 {
		sets, _ = b.settle(s)
		b.keep()
	}
	if _, calls := b.settle(s); calls != 0 {
		b.t.Errorf("steady: %d calls", calls)
	}
	return b.asked(), sets
}

// asked is what the health checks of the federation ask.
func (b *healthBench) asked() (asked []string) {
	for _, h := range b.server.HealthChecks() {
		if c := h.HealthCheckConfig; strings.HasPrefix(h.CallerReference, "kubefed/") {
			asked = append(asked, strings.TrimSpace(fmt.Sprintf("%s %s %d %s%s %d", c.Type, c.IPAddress, c.Port, c.FullyQualifiedDomainName, c.ResourcePath, len(c.ChildHealthChecks))))
		}
	}
	slices.Sort(asked)
	return asked
}

func TestHealthChecks(t *testing.T) {
	http := func(address string) string { return "HTTP " + address + " 8080 web.example.com/healthy 0" }
	for _, test := range []struct {
		policy dns.Policy
		change func(*dns.Subject)
		want   []string
	}{
		{dns.All, nil, []string{http("2600::1"), http("9.9.0.1"), http("9.9.0.2"), http("9.9.1.1"), http("9.9.2.1"), http("9.9.3.1")}},
		{dns.Weighted, nil, []string{"CALCULATED  0  2", http("2600::1"), http("9.9.0.1"), http("9.9.0.2"), http("9.9.1.1"), http("9.9.2.1"), http("9.9.3.1")}},
		{dns.All, func(s *dns.Subject) { s.Settings.Health.Type = "" }, nil},
		{dns.All, func(s *dns.Subject) { s.Endpoints = s.Endpoints[1:2]; s.Settings.Health = dns.HealthCheck{Type: "TCP"} }, []string{"TCP 9.9.1.1 8080  0"}},
		{dns.Weighted, func(s *dns.Subject) { s.Endpoints[1].Addresses[0] = must("10.0.0.1"); s.Endpoints = s.Endpoints[1:3] }, []string{http("9.9.2.1")}},
		{dns.Ordered, nil, []string{"CALCULATED  0  2", http("2600::1"), http("9.9.0.1"), http("9.9.0.2")}},
	} {
		t.Run(fmt.Sprint(test.policy, len(test.want)), func(t *testing.T) {
			b := newHealthBench(t)
			s := checked(test.policy)
			if test.change != nil {
				test.change(&s)
			}
			asked, _ := b.settled(s)
			if diff := cmp.Diff(test.want, asked); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, h := range b.server.HealthChecks() {
				if h.Tags["kubefed.dev/federation"] != "earth" || !strings.HasPrefix(h.Tags["Name"], "earth: ") {
					t.Errorf("tags %v", h.Tags)
				}
			}
		})
	}
}

// TestHealthChecksLiveWithTheirRecords: they are replaced with what they ask, outlive a set for an hour, and what another made stays.
func TestHealthChecksLiveWithTheirRecords(t *testing.T) {
	b := newHealthBench(t)
	foreign := b.server.PutHealthCheck(route53test.HealthCheck{CallerReference: "kubefed/0123456789abcdef/of-another/x", HealthCheckConfig: route53test.HealthCheckConfig{Type: "TCP", IPAddress: "9.9.0.1", Port: 8080}})
	s := checked(dns.All)
	s.Endpoints = s.Endpoints[1:3]
	before, _ := b.settled(s)
	s.Endpoints[0].State = dns.Unhealthy
	if after, _ := b.settled(s); !slices.Equal(before, after) {
		t.Errorf("%v are left of %v while an endpoint is ill", after, before)
	}
	s.Endpoints[0].State = dns.Healthy
	calls := b.server.Calls("CreateHealthCheck")
	b.settled(s)
	if n := b.server.Calls("CreateHealthCheck"); n != calls {
		t.Errorf("%d health checks were made when it was back", n-calls)
	}
	s.Settings.Health.Path = "/other"
	if now, _ := b.settled(s); len(now) != 5 {
		t.Errorf("%v, want the old ones still there, and the new ones", now)
	}
	b.now = b.now.Add(unusedFor / 2)
	b.settled(s)
	b.now = b.now.Add(unusedFor/2 + time.Minute)
	want := []string{"HTTP 9.9.1.1 8080 web.example.com/other 0", "HTTP 9.9.2.1 8080 web.example.com/other 0", "TCP 9.9.0.1 8080  0"}
	if now, _ := b.settled(s); !slices.Equal(now, want) {
		t.Errorf("%v, want %v", now, want)
	}
	s.Settings.Health.Path = "/healthy" // its references are spent in the hour of their making only
	b.settled(s)
	b.p.options.HealthChecks = false
	plain := b.settler
	plain.limits = limits
	plain.settle(s)
	b.p.options.HealthChecks = true
	for _, h := range b.server.HealthChecks() {
		if h.ID == foreign {
			return
		}
	}
	t.Error("someone else's health check is gone")
}

// TestFailover: the first group, and the next one as its backup; a third is brought up by the control plane.
func TestFailover(t *testing.T) {
	const global = "web.shop.earth.svc." + testZone
	for _, test := range []struct {
		name   string
		change func(*dns.Subject)
		want   []string
	}{
		{"three groups", func(*dns.Subject) {}, []string{
			"A primary Ordered 0 [9.9.0.1 9.9.0.2]", "A secondary Ordered 0 [9.9.1.1]", "AAAA primary Ordered 0 [2600::1]"}},
		{"the first is ill", func(s *dns.Subject) { s.Endpoints[0].State = dns.Unhealthy }, []string{
			"A primary Ordered 0 [9.9.1.1]", "A secondary Ordered 0 [9.9.2.1 9.9.3.1]"}},
		{"one is left", func(s *dns.Subject) { s.Endpoints = s.Endpoints[:1] }, []string{"A  [9.9.0.1 9.9.0.2]", "AAAA  [2600::1]"}},
		{"the first can't be asked", func(s *dns.Subject) { s.Endpoints[0].ProbePort = 0 }, []string{"A  [9.9.0.1 9.9.0.2]", "AAAA  [2600::1]"}},
		{"it is not to be asked", func(s *dns.Subject) { s.Settings.Health.Type = "" }, []string{"A  [9.9.0.1 9.9.0.2]", "AAAA  [2600::1]"}},
		{"the first is a load balancer", func(s *dns.Subject) { s.Endpoints[0].Hostnames = []string{"web-2.us-east-1.elb.amazonaws.com"} }, []string{
			"A primary Ordered 0 alias Z35SXDOTRQ7X7K web-2.us-east-1.elb.amazonaws.com. true []", "A secondary Ordered 0 [9.9.1.1]",
			"AAAA primary Ordered 0 alias Z35SXDOTRQ7X7K web-2.us-east-1.elb.amazonaws.com. true []"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newHealthBench(t)
			for range 2 { // from what is there, and back
				b.settled(checked(dns.Ordered))
				s := checked(dns.Ordered)
				test.change(&s)
				_, sets := b.settled(s)
				if diff := cmp.Diff(test.want, at(global, sets)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestNoHealthCheckToBeHad: names are published without, it is told, and they have theirs as soon as there are some.
func TestNoHealthCheckToBeHad(t *testing.T) {
	for _, policy := range []dns.Policy{dns.All, dns.Weighted, dns.Ordered} {
		t.Run(string(policy), func(t *testing.T) {
			b := newHealthBench(t)
			b.server.LimitHealthChecks(1)
			s := checked(policy)
			b.settled(s)
			if note := b.p.Note(testZone); !strings.Contains(note, "still to be made") || !strings.Contains(note, "ask AWS for a higher quota") {
				t.Errorf("note %q", note)
			}
			checks := b.p.zones[testZone].checks
			if len(checks.bare) == 0 {
				t.Error("no set is without its check")
			}
			s.Endpoints[0].Weight = 4
			s.Settings.TTL = 30
			b.settled(s)
			b.server.LimitHealthChecks(0)
			b.keep()
			if note := b.p.Note(testZone); note != "" {
				t.Errorf("note %q", note)
			}
			b.settled(s)
			if len(checks.bare) > 0 {
				t.Errorf("without checks still: %v", checks.bare)
			}
			another := newProvider(b.p.api, b.p.options) // after a restart
			b.p = another
			if _, calls := b.settle(s); calls != 0 {
				t.Errorf("after a restart: %d calls", calls)
			}
		})
	}
}

// TestAnotherHandAtHealthChecks: what was changed or deleted is replaced.
func TestAnotherHandAtHealthChecks(t *testing.T) {
	for name, edit := range map[string]func(*route53test.Server, route53test.HealthCheck){
		"deleted": func(s *route53test.Server, h route53test.HealthCheck) { s.RemoveHealthCheck(h.ID) },
		"turned round": func(s *route53test.Server, h route53test.HealthCheck) {
			h.HealthCheckConfig.Inverted = true
			s.PutHealthCheck(h)
		},
		"asks another port": func(s *route53test.Server, h route53test.HealthCheck) {
			h.HealthCheckConfig.Port = 1
			s.PutHealthCheck(h)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newHealthBench(t)
			s := checked(dns.Weighted)
			s.Endpoints = s.Endpoints[1:3]
			want, _ := b.settled(s)
			edit(b.server, b.server.HealthChecks()[0])
			b.now = b.now.Add(time.Hour) // the caller reference of what is there is taken for this hour
			heavier := s
			heavier.Endpoints = slices.Clone(s.Endpoints)
			heavier.Endpoints[0].Weight, heavier.Endpoints[1].Weight = 7, 7
			b.settled(heavier)
			for _, asked := range want {
				if !slices.Contains(b.asked(), asked) {
					t.Errorf("%q is not asked: %v", asked, b.asked())
				}
			}
		})
	}
}

// TestClocks: the SDK makes up for a clock that is wrong; where it does not, it is told what to do.
func TestClocks(t *testing.T) {
	server, p, _ := start(t)
	server.Clock(time.Hour)
	_, err := p.Records(t.Context(), testZone)
	if err != nil && !strings.Contains(err.Error(), "clock") {
		t.Errorf("error %v says nothing of the clock", err)
	}
	t.Logf("with a clock that is an hour late: %v", err)
}
