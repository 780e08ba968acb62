package route53

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"kubefed.dev/kubefed/pkg/cloud/aws/route53/route53test"
	"kubefed.dev/kubefed/pkg/dns"
)

// services x 10 clusters in 5 regions of 2 clouds, one zone each.
func services(n int, policy dns.Policy, hosted, ports, lost bool) (claims []dns.Claim, known map[string]bool) {
	known = map[string]bool{}
	for i := range n {
		s := dns.Subject{Owner: dns.Owner{Ref: fmt.Sprintf("svc/shop/web%d", i), UID: "2f6c1d0a-6d3b-4a8e-9d57-0f3f5d1c9e11"},
			Names:    dns.Names{Service: fmt.Sprintf("web%d", i), Namespace: "shop", Federation: "earth", Domain: testZone},
			Settings: dns.Settings{Policy: policy}}
		for c := range 10 {
			e := dns.Endpoint{Cluster: fmt.Sprintf("c%d", c), Provider: []string{"aws", "gcp"}[c%2], Region: fmt.Sprintf("region-%d", c/2),
				Zones: []string{fmt.Sprintf("region-%d-%d", c/2, c)}, State: dns.Healthy, Weight: 3,
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{198, byte(18 + c), byte(i >> 8), byte(i)})}}
			if hosted {
				e.Hostnames = []string{fmt.Sprintf("k8s-shop-web%d-%010d.elb.eu-west-%d.amazonaws.com", i, c, 1+c%3)}
			}
			if ports {
				e.Ports = []dns.Port{{Name: "http", Protocol: "tcp", Number: 80}}
			}
			if lost && c == 0 {
				e.State = dns.Unhealthy
			}
			s.Endpoints = append(s.Endpoints, e)
		}
		known[s.Owner.Ref] = true
		claims = append(claims, dns.Records(s, limits).Claims...)
	}
	return claims, known
}

// lose plans for the loss of one of ten clusters, from a zone that has all names of n Services.
func lose(t *testing.T, n int, policy dns.Policy, hosted, ports bool) []dns.Change {
	t.Helper()
	memory := dns.NewMemory(limits, testZone)
	plan := func(lost bool) dns.Plan {
		claims, known := services(n, policy, hosted, ports, lost)
		existing, err := memory.Records(t.Context(), testZone)
		if err != nil {
			t.Fatal(err)
		}
		return dns.MakePlan(dns.PlanInput{Federation: "earth", Epoch: 1, Zone: dns.Zone{Name: testZone, Limits: limits}, Claims: claims, Known: known, Existing: existing})
	}
	if r, err := memory.Apply(t.Context(), testZone, fence, plan(false).Changes); err != nil || len(r.Failed) > 0 {
		t.Fatal(err, len(r.Failed))
	}
	if steady := plan(false); len(steady.Changes) > 0 {
		t.Errorf("steady: %d names change", len(steady.Changes))
	}
	return plan(true).Changes
}

// TestLosingACluster: how many calls it takes to take one of ten clusters out of the names of 1,000 Services, global, cloud, region,
// zone and cluster, and those of a named port.
func TestLosingACluster(t *testing.T) {
	for _, test := range []struct {
		n             int
		policy        dns.Policy
		hosted, ports bool
		most          int
	}{{1000, dns.All, false, true, 8}, {250, dns.All, false, false, 2}, {250, dns.Weighted, false, true, 2}, {250, dns.Weighted, true, true, 2}} {
		t.Run(fmt.Sprint(test.policy, " by host name ", test.hosted, " with ports ", test.ports), func(t *testing.T) {
			p := newProvider(nil, Options{Federation: "earth", Zones: map[string]string{testZone: ""}})
			w := &writer{p: p, zone: p.zones[testZone], fence: fence}
			w.zone.lease = w.lease().steps[0].ResourceRecordSet
			var edits []edit
			changes := lose(t, test.n, test.policy, test.hosted, test.ports)
			for _, c := range changes {
				edits = append(edits, p.edit(w.zone, c, nil))
			}
			batches := w.pack(edits)
			t.Logf("%d names in %d calls", len(changes), len(batches))
			if len(batches) > test.most {
				t.Errorf("%d calls for %d names, want at most %d", len(batches), len(changes), test.most)
			}
		})
	}
}

// TestLosingAClusterIsMade: those calls are taken, as many as were counted, and leave nothing to do.
func TestLosingAClusterIsMade(t *testing.T) {
	const n = 20
	for _, test := range []struct {
		policy dns.Policy
		hosted bool
	}{{dns.All, false}, {dns.Weighted, false}, {dns.All, true}, {dns.Weighted, true}} {
		t.Run(fmt.Sprint(test.policy, " by host name ", test.hosted), func(t *testing.T) {
			server := route53test.New(t)
			server.AddZone(testZone, false)
			p := provider(t, server.URL, map[string]string{testZone: ""})
			settle := func(lost bool) (changes, calls int) {
				existing, err := p.Records(t.Context(), testZone)
				if err != nil {
					t.Fatal(err)
				}
				claims, known := services(n, test.policy, test.hosted, true, lost)
				plan := dns.MakePlan(dns.PlanInput{Federation: "earth", Epoch: 1, Zone: dns.Zone{Name: testZone, Limits: limits}, Claims: claims, Known: known, Existing: existing})
				if lost && len(plan.Changes) > 0 && strings.Contains(plan.Changes[0].Name, "region") {
					t.Errorf("%s goes first, want a wide name", plan.Changes[0].Name)
				}
				before := server.Calls("ChangeResourceRecordSets")
				r, err := p.Apply(t.Context(), testZone, fence, plan.Changes)
				if err != nil || len(r.Failed) > 0 {
					t.Fatal(err, len(r.Failed))
				}
				return len(plan.Changes), server.Calls("ChangeResourceRecordSets") - before
			}
			settle(false)
			if changes, calls := settle(false); calls != 0 {
				t.Errorf("steady: %d names in %d calls", changes, calls)
			}
			if changes, calls := settle(true); changes != 6*n || calls != 1 {
				t.Errorf("lost: %d names in %d calls, want %d in one", changes, calls, 6*n)
			}
			if changes, calls := settle(true); calls != 0 {
				t.Errorf("after: %d names in %d calls", changes, calls)
			}
		})
	}
}
