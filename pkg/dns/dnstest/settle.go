package dnstest

import (
	"net/netip"
	"slices"
	"testing"

	"kubefed.dev/kubefed/pkg/dns"
)

// settles takes a Service through its life; after each step a second plan finds nothing to do.
func (s *suite) settles(t *testing.T) {
	subject := dns.Subject{
		Owner: dns.Owner{Ref: "svc/shop/web", UID: "7d1c"},
		Names: dns.Names{Service: "web", Namespace: "shop", Federation: "earth", Domain: s.zone},
		Hosts: []string{s.name("*.wild")},
		Endpoints: []dns.Endpoint{
			{Cluster: "gondor", Provider: "aws", Region: "eu-west-1", Zones: []string{"eu-west-1a", "eu-west-1b"}, State: dns.Healthy, Weight: 2,
				Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, Ports: []dns.Port{{Name: "http", Protocol: "tcp", Number: 80}}},
			{Cluster: "rohan", Provider: "gcp", Region: "europe-west4", Zones: []string{"europe-west4-a"}, State: dns.Healthy, Weight: 1,
				Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.2")}, Ports: []dns.Port{{Name: "http", Protocol: "tcp", Number: 80}}},
		},
	}
	step := func(what string, change func(*dns.Subject)) {
		t.Helper()
		change(&subject)
		if n := s.settle(t, &subject); n == 0 {
			t.Errorf("%s: nothing was changed", what)
		}
		if n := s.settle(t, &subject); n != 0 {
			t.Errorf("%s: %d changes in a second plan", what, n)
		}
	}
	step("created", func(*dns.Subject) {})
	step("a cluster dies", func(s *dns.Subject) { s.Endpoints[0].State = dns.Unhealthy })
	step("falls back by CNAME", func(s *dns.Subject) { s.Settings.Fallback = dns.ToWider })
	step("all die", func(s *dns.Subject) { s.Endpoints[1].State = dns.Unhealthy })
	step("recovered", func(s *dns.Subject) { s.Endpoints[0].State, s.Endpoints[1].State = dns.Healthy, dns.Healthy })
	step("weighted", func(s *dns.Subject) { s.Settings.Policy, s.Settings.TTL = dns.Weighted, 30 })
	step("nearest", func(s *dns.Subject) { s.Settings.Policy, s.Settings.TTL = dns.Nearest, 40 })
	step("a cluster leaves", func(s *dns.Subject) { s.Endpoints = s.Endpoints[:1] })
	subject.Names, subject.Hosts = dns.Names{}, nil
	s.settle(t, &subject)
	for _, set := range s.records(t).Sets {
		if name := set.Name; dns.InZone(name, s.name("svc")) {
			t.Errorf("%s is left of a deleted Service", set)
		}
	}
}

func (s *suite) records(t *testing.T) dns.Snapshot {
	t.Helper()
	existing, err := s.provider.Records(t.Context(), s.zone)
	if err != nil {
		t.Fatal(err)
	}
	return existing
}

// behind are the addresses of load balancers that a zone has aliases of.
func behind(existing dns.Snapshot, endpoints []dns.Endpoint) (found []netip.Addr) {
	for _, e := range endpoints {
		if slices.ContainsFunc(existing.Sets, func(s dns.RecordSet) bool {
			return s.Alias.Name != "" && slices.ContainsFunc(e.Hostnames, func(h string) bool { return dns.Absolute(h) == s.Alias.Name })
		}) {
			found = append(found, e.Addresses...)
		}
	}
	return found
}

// settle plans and applies, and returns the number of changes.
func (s *suite) settle(t *testing.T, subject *dns.Subject) int {
	t.Helper()
	existing, zone := s.records(t), s.limits(t)
	subject.Published = append(dns.Published(existing, "earth")[subject.Owner.Ref], behind(existing, subject.Endpoints)...)
	answer := dns.Records(*subject, zone.Limits)
	if len(answer.Refused) > 0 {
		t.Errorf("refused: %v", answer.Refused)
	}
	plan := dns.MakePlan(dns.PlanInput{Federation: "earth", Epoch: s.fence.Epoch, Zone: zone, Claims: answer.Claims,
		Known: map[string]bool{subject.Owner.Ref: true}, Existing: existing,
		Gone: func(string, dns.Owner) bool { return true }})
	if len(plan.Conflicts) > 0 {
		t.Errorf("conflicts: %+v", plan.Conflicts)
	}
	batches, failed := dns.Batches(plan.Changes, zone.Limits)
	for _, f := range failed {
		t.Errorf("%s: %v", f.Change.Name, f.Err)
	}
	for _, batch := range batches {
		receipt, err := s.provider.Apply(t.Context(), s.zone, s.fence, batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range receipt.Failed {
			t.Errorf("%s: %v", f.Change.Name, f.Err)
		}
		if w, ok := s.provider.(dns.Waiter); ok {
			if err := w.Await(t.Context(), s.zone, receipt); err != nil {
				t.Error(err)
			}
		}
	}
	return len(plan.Changes)
}
