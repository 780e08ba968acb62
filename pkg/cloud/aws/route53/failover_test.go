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

// TestLosingACluster: how many calls it takes to take one of ten clusters out of the names of 1,000 Services, global, cloud, region,
// zone and cluster, and those of a named port.
func TestLosingACluster(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 50
	}
	for _, test := range []struct {
		policy dns.Policy
		n      int
		hosted bool
		ports  bool
	}{{dns.All, n, false, true}, {dns.Weighted, 50, false, false}, {dns.All, n / 4, true, true}, {dns.Weighted, 50, true, true}} {
		t.Run(fmt.Sprint(test.policy, " by host name ", test.hosted, " with ports ", test.ports), func(t *testing.T) {
			server := route53test.New(t)
			server.AddZone(testZone, false)
			p := provider(t, server.URL, map[string]string{testZone: ""})
			var existing dns.Snapshot
			settle := func(lost bool) (changes, calls int) {
				claims, known := services(test.n, test.policy, test.hosted, test.ports, lost)
				plan := dns.MakePlan(dns.PlanInput{Federation: "earth", Epoch: 1, Zone: dns.Zone{Name: testZone, Limits: limits}, Claims: claims, Known: known, Existing: existing})
				if lost && len(plan.Changes) > 0 && strings.Contains(plan.Changes[0].Name, "region") {
					t.Errorf("%s goes first, want a wide name", plan.Changes[0].Name)
				}
				before := server.Calls("ChangeResourceRecordSets")
				r, err := p.Apply(t.Context(), testZone, dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, plan.Changes)
				if err != nil || len(r.Failed) > 0 {
					t.Fatal(err, len(r.Failed))
				}
				return len(plan.Changes), server.Calls("ChangeResourceRecordSets") - before
			}
			read := func() {
				var err error
				if existing, err = p.Records(t.Context(), testZone); err != nil {
					t.Fatal(err)
				}
			}
			changes, calls := settle(false)
			t.Logf("created: %d names in %d calls", changes, calls)
			read()
			if changes, calls = settle(false); calls != 0 {
				t.Errorf("steady: %d names in %d calls", changes, calls)
			}
			changes, calls = settle(true)
			t.Logf("lost: %d names in %d calls", changes, calls)
			names := 5
			if test.ports {
				names++
			}
			if most := max(1, 8*test.n/1000); changes != names*test.n || calls > most {
				t.Errorf("%d calls for %d names of %d Services, want at most %d", calls, changes, test.n, most)
			}
			if test.n > 50 {
				return // To read it all again would take as long as all before.
			}
			read()
			if changes, calls = settle(true); calls != 0 {
				t.Errorf("after: %d names in %d calls", changes, calls)
			}
		})
	}
}
