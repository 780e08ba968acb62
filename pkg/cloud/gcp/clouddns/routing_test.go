package clouddns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gdns "google.golang.org/api/dns/v1"

	"kubefed.dev/kubefed/pkg/cloud/gcp/clouddns/clouddnstest"
	"kubefed.dev/kubefed/pkg/dns"
)

const webName = "web." + testZone

func weighted(cluster string, weight uint32, data ...string) dns.RecordSet {
	set := dns.RecordSet{Name: webName, Type: dns.A, TTL: 20, SetID: cluster, Data: data, Routing: dns.Routing{Policy: dns.Weighted, Weight: weight}}
	if strings.Contains(data[0], ":") {
		set.Type = dns.AAAA
	}
	return set
}

var (
	gondor, rohan, six = weighted("gondor", 3, "192.0.2.1"), weighted("rohan", 1, "192.0.2.2", "192.0.2.3"), weighted("rohan", 0, "2001:db8::2")
	webOwner           = dns.Owner{Ref: "svc/shop/web", UID: "7d1c"}
)

// plan is what is to be done for weighted sets to be there.
func plan(t *testing.T, p *Provider, sets ...dns.RecordSet) dns.Plan {
	t.Helper()
	zones, err := p.Zones(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	existing, err := p.Records(t.Context(), testZone)
	if err != nil {
		t.Fatal(err)
	}
	return dns.MakePlan(dns.PlanInput{Federation: "earth", Epoch: 1, Zone: zones[0], Existing: existing, Known: map[string]bool{webOwner.Ref: true},
		Claims: []dns.Claim{{Name: webName, Owner: webOwner, Sets: sets}}})
}

func do(t *testing.T, p *Provider, changes []dns.Change) map[string]dns.ErrorKind {
	t.Helper()
	r, err := p.Apply(t.Context(), testZone, fence, changes)
	if err != nil {
		t.Fatal(err)
	}
	return failures(r)
}

// raws are the record sets as Cloud DNS has them, by name and type.
func raws(t *testing.T, p *Provider) map[string]*gdns.ResourceRecordSet {
	t.Helper()
	z, id, err := p.zone(t.Context(), testZone)
	if err != nil {
		t.Fatal(err)
	}
	list, err := p.list(t.Context(), z, id)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*gdns.ResourceRecordSet{}
	for _, raw := range list {
		found[strings.TrimSuffix(raw.Name, testZone)+raw.Type] = raw
	}
	return found
}

func TestWeightedSets(t *testing.T) {
	_, p := start(t)
	made := plan(t, p, gondor, rohan, six)
	if failed := do(t, p, made.Changes); len(failed) > 0 {
		t.Fatal(failed)
	}
	type item struct {
		Weight float64
		Data   string
	}
	got := map[string][]item{}
	for key, raw := range raws(t, p) {
		if raw.RoutingPolicy == nil {
			continue
		}
		for _, i := range raw.RoutingPolicy.Wrr.Items {
			got[key] = append(got[key], item{i.Weight, strings.Join(i.Rrdatas, " ")})
		}
	}
	if diff := cmp.Diff(map[string][]item{"web.A": {{3, "192.0.2.1"}, {1, "192.0.2.2 192.0.2.3"}}, "web.AAAA": {{0, "2001:db8::2"}}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s, err := p.Records(t.Context(), testZone)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range s.Sets {
		if strings.HasPrefix(set.Name, "_items.") {
			t.Errorf("%s is read", set)
		}
	}
	if again := plan(t, p, gondor, rohan, six); len(again.Changes) > 0 {
		t.Errorf("a second plan: %+v", again.Changes)
	}
	// A change that does not name an item leaves it.
	heavier := weighted("gondor", 5, "192.0.2.1")
	if failed := do(t, p, []dns.Change{{Name: webName, Before: []dns.RecordSet{gondor}, After: []dns.RecordSet{heavier}}}); len(failed) > 0 {
		t.Error(failed)
	}
	if next := plan(t, p, heavier, rohan, six); len(next.Changes) != 1 || len(next.Changes[0].Before) != 4 || !dns.Same(next.Changes[0].Before[0], heavier) {
		t.Errorf("%+v, want all three sets as they are and another hash", next.Changes)
	}
	// Back to a plain set, and nothing: no names of items are left.
	if failed := do(t, p, plan(t, p, address("web", "192.0.2.1")).Changes); len(failed) > 0 {
		t.Error(failed)
	}
	for key := range raws(t, p) {
		if strings.HasPrefix(key, "_items.") {
			t.Errorf("%s is left", key)
		}
	}
}

// TestAnotherHandAtWeightedSets: what was planned before is a Conflict; the next plan repairs it.
func TestAnotherHandAtWeightedSets(t *testing.T) {
	const namesKey = "_items._kubefed.web.TXT"
	for name, edit := range map[string]func(*clouddnstest.Server, map[string]*gdns.ResourceRecordSet){
		"a weight is changed": func(_ *clouddnstest.Server, at map[string]*gdns.ResourceRecordSet) {
			at["web.A"].RoutingPolicy.Wrr.Items[1].Weight = 2
		},
		"a weight is a fraction": func(_ *clouddnstest.Server, at map[string]*gdns.ResourceRecordSet) {
			at["web.A"].RoutingPolicy.Wrr.Items[1].Weight = 1.5
		},
		"an address is changed": func(_ *clouddnstest.Server, at map[string]*gdns.ResourceRecordSet) {
			at["web.A"].RoutingPolicy.Wrr.Items[1].Rrdatas = []string{"192.0.2.9"}
		},
		"an item is gone": func(_ *clouddnstest.Server, at map[string]*gdns.ResourceRecordSet) {
			at["web.A"].RoutingPolicy.Wrr.Items = at["web.A"].RoutingPolicy.Wrr.Items[:1]
		},
		"an item is more": func(_ *clouddnstest.Server, at map[string]*gdns.ResourceRecordSet) {
			wrr := at["web.A"].RoutingPolicy.Wrr
			wrr.Items = append(wrr.Items, &gdns.RRSetRoutingPolicyWrrPolicyWrrPolicyItem{Weight: 1, Rrdatas: []string{"192.0.2.9"}})
		},
		"it is plain": func(_ *clouddnstest.Server, at map[string]*gdns.ResourceRecordSet) {
			at["web.A"].RoutingPolicy, at["web.A"].Rrdatas = nil, []string{"192.0.2.1"}
		},
		"it is by place": func(_ *clouddnstest.Server, at map[string]*gdns.ResourceRecordSet) {
			at["web.A"].RoutingPolicy = &gdns.RRSetRoutingPolicy{Geo: &gdns.RRSetRoutingPolicyGeoPolicy{
				Items: []*gdns.RRSetRoutingPolicyGeoPolicyGeoPolicyItem{{Location: "us-east1", Rrdatas: []string{"192.0.2.1"}}}}}
		},
		"the names are others": func(_ *clouddnstest.Server, at map[string]*gdns.ResourceRecordSet) {
			at[namesKey].Rrdatas[0] = strings.Replace(at[namesKey].Rrdatas[0], "rohan", "mordor", 1)
		},
		"the names can't be read": func(_ *clouddnstest.Server, at map[string]*gdns.ResourceRecordSet) {
			at[namesKey].Rrdatas = []string{`"A/ = /"`, `"x"`}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, p := start(t)
			do(t, p, plan(t, p, gondor, rohan, six).Changes)
			stale := plan(t, p, weighted("gondor", 7, "192.0.2.1"), rohan, six).Changes
			at := raws(t, p)
			edit(server, at)
			for _, key := range []string{"web.A", namesKey} {
				server.Put("fed", at[key])
			}
			if diff := cmp.Diff(map[string]dns.ErrorKind{webName: dns.Conflict}, do(t, p, stale)); diff != "" {
				t.Errorf("a change planned before (-want +got):\n%s", diff)
			}
			repair := plan(t, p, gondor, rohan, six)
			if !slices.Equal(repair.Repairs, []string{webName}) || len(repair.Conflicts) > 0 {
				t.Errorf("repairs %v, conflicts %v", repair.Repairs, repair.Conflicts)
			}
			if failed := do(t, p, repair.Changes); len(failed) > 0 {
				t.Errorf("repairing: %v", failed)
			}
			if again := plan(t, p, gondor, rohan, six); len(again.Changes) > 0 {
				t.Errorf("after it: %+v", again.Changes)
			}
		})
	}
}

// TestItemsInAnotherOrder: who has which item is in the names, not in the order.
func TestItemsInAnotherOrder(t *testing.T) {
	server, p := start(t)
	do(t, p, plan(t, p, gondor, rohan, six).Changes)
	at := raws(t, p)
	slices.Reverse(at["web.A"].RoutingPolicy.Wrr.Items)
	server.Put("fed", at["web.A"])
	if again := plan(t, p, gondor, rohan, six); len(again.Changes) > 0 {
		t.Errorf("%+v", again.Changes)
	}
	if failed := do(t, p, plan(t, p, weighted("gondor", 1, "192.0.2.1"), rohan, six).Changes); len(failed) > 0 {
		t.Error(failed)
	}
}

func TestNotAWeightedSet(t *testing.T) {
	near, heavy, odd, slow := gondor, weighted("gondor", maxWeight+1, "192.0.2.1"), weighted("a=b", 1, "192.0.2.1"), rohan
	near.Routing.Policy, slow.TTL = dns.Nearest, 30
	spread, other := gondor, byPlace("us-east1", "192.0.2.9")
	spread.Routing = dns.Routing{Policy: dns.All}
	for name, sets := range map[string][]dns.RecordSet{"nearest without a region": {near}, "spread": {spread}, "two policies": {gondor, other},
		"no region of Google Cloud": {byPlace("eu-west-1", "192.0.2.1")}, "too heavy": {heavy}, "no name for an item": {odd}, "two TTLs": {gondor, slow}} {
		t.Run(name, func(t *testing.T) {
			_, p := start(t)
			if diff := cmp.Diff(map[string]dns.ErrorKind{webName: dns.Invalid}, do(t, p, []dns.Change{create(sets...)})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func byPlace(region string, data ...string) dns.RecordSet {
	set := weighted(region, 0, data...)
	set.Routing = dns.Routing{Policy: dns.Nearest, Region: region}
	return set
}

// spreadOut is a Service in clusters of several clouds.
func spreadOut() dns.Subject {
	s := dns.Subject{Owner: webOwner, Settings: dns.Settings{Policy: dns.Nearest},
		Names: dns.Names{Service: "web", Namespace: "shop", Federation: "earth", Domain: testZone}}
	for _, e := range []struct{ cluster, provider, region, address string }{
		{"gondor", "gcp", "europe-west3", "198.51.100.1"}, {"rohan", "aws", "eu-central-1", "198.51.100.2"},
		{"shire", "aws", "us-east-1", "198.51.100.3"}, {"mordor", "azure", "southeastasia", "198.51.100.4"},
	} {
		s.Endpoints = append(s.Endpoints, dns.Endpoint{Cluster: e.cluster, Provider: e.provider, Region: e.region, State: dns.Healthy,
			Weight: 3, Addresses: []netip.Addr{netip.MustParseAddr(e.address)}})
	}
	s.Endpoints[0].Addresses = append(s.Endpoints[0].Addresses, netip.MustParseAddr("2001:db8::1"))
	return s
}

// TestNearest: one item for each region of Google Cloud, with all clusters that are nearest to it.
func TestNearest(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*dns.Subject)
		want   map[string]string
	}{
		{"all are there", func(*dns.Subject) {}, map[string]string{"A": "asia-southeast1 198.51.100.4; europe-west3 198.51.100.1 198.51.100.2; us-east4 198.51.100.3", "AAAA": "europe-west3 2001:db8::1"}},
		{"one of two at a place", func(s *dns.Subject) { s.Endpoints[0].State = dns.Unhealthy }, map[string]string{"A": "asia-southeast1 198.51.100.4; europe-west3 198.51.100.2; us-east4 198.51.100.3"}},
		{"a place is without", func(s *dns.Subject) { s.Endpoints[2].State = dns.Unhealthy }, map[string]string{"A": "asia-southeast1 198.51.100.4; europe-west3 198.51.100.1 198.51.100.2", "AAAA": "europe-west3 2001:db8::1"}},
		{"one is nowhere", func(s *dns.Subject) { s.Endpoints[3].Provider, s.Endpoints[3].Region = "onprem", "basement" }, map[string]string{"A": "all 198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4", "AAAA": "all 2001:db8::1"}},
		{"weighted instead", func(s *dns.Subject) { s.Settings.Policy = dns.Weighted }, map[string]string{"A": "3 198.51.100.1; 3 198.51.100.4; 3 198.51.100.2; 3 198.51.100.3", "AAAA": "3 2001:db8::1"}},
		{"ordered, which is flattened", func(s *dns.Subject) { s.Settings.Policy, s.Endpoints[0].Order = dns.Ordered, 1 }, map[string]string{"A": "all 198.51.100.2 198.51.100.3 198.51.100.4"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, p := start(t)
			subject := spreadOut()
			for range 2 { // from what is there, and back
				settle(t, p, spreadOut())
				subject = spreadOut()
				test.change(&subject)
				settle(t, p, subject)
			}
			got := map[string]string{}
			for _, raw := range raws(t, p) {
				if raw.Name == subject.Names.Global() {
					got[raw.Type] = itemsText(raw)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func itemsText(raw *gdns.ResourceRecordSet) string {
	if raw.RoutingPolicy == nil {
		return "all " + strings.Join(raw.Rrdatas, " ")
	}
	var items []string
	if geo := raw.RoutingPolicy.Geo; geo != nil {
		for _, i := range geo.Items {
			items = append(items, i.Location+" "+strings.Join(i.Rrdatas, " "))
		}
	}
	if wrr := raw.RoutingPolicy.Wrr; wrr != nil {
		for _, i := range wrr.Items {
			items = append(items, fmt.Sprint(i.Weight, " ", strings.Join(i.Rrdatas, " ")))
		}
	}
	return strings.Join(items, "; ")
}

// settle makes a zone as a subject wants it; a second plan finds nothing to do.
func settle(t *testing.T, p *Provider, subject dns.Subject) {
	t.Helper()
	for i := range 2 {
		existing, err := p.Records(t.Context(), testZone)
		if err != nil {
			t.Fatal(err)
		}
		plan := dns.MakePlan(dns.PlanInput{Federation: "earth", Epoch: 1, Zone: dns.Zone{Name: testZone, Limits: limits}, Existing: existing,
			Known: map[string]bool{subject.Owner.Ref: true}, Claims: dns.Records(subject, limits).Claims, Gone: func(string, dns.Owner) bool { return true }})
		if failed := do(t, p, plan.Changes); len(failed) > 0 || len(plan.Conflicts) > 0 || i > 0 && len(plan.Changes) > 0 {
			t.Fatalf("time %d: %d changes, failed %v, conflicts %v", i, len(plan.Changes), failed, plan.Conflicts)
		}
	}
}

// TestAnotherHandAtPlaces: what another hand changed is repaired.
func TestAnotherHandAtPlaces(t *testing.T) {
	for name, edit := range map[string]func(*gdns.ResourceRecordSet){
		"an address":     func(raw *gdns.ResourceRecordSet) { raw.RoutingPolicy.Geo.Items[0].Rrdatas = []string{"192.0.2.9"} },
		"a place":        func(raw *gdns.ResourceRecordSet) { raw.RoutingPolicy.Geo.Items[0].Location = "us-west1" },
		"an item less":   func(raw *gdns.ResourceRecordSet) { raw.RoutingPolicy.Geo.Items = raw.RoutingPolicy.Geo.Items[1:] },
		"it is fenced":   func(raw *gdns.ResourceRecordSet) { raw.RoutingPolicy.Geo.EnableFencing = true },
		"another order":  func(raw *gdns.ResourceRecordSet) { slices.Reverse(raw.RoutingPolicy.Geo.Items) },
		"checked by GCP": func(raw *gdns.ResourceRecordSet) { raw.RoutingPolicy.HealthCheck = "projects/p/global/healthChecks/h" },
	} {
		t.Run(name, func(t *testing.T) {
			server, p := start(t)
			settle(t, p, spreadOut())
			for _, raw := range raws(t, p) {
				if raw.Name == spreadOut().Names.Global() && raw.Type == "A" {
					edit(raw)
					server.Put("fed", raw)
				}
			}
			settle(t, p, spreadOut())
			for _, raw := range raws(t, p) {
				if raw.Name == spreadOut().Names.Global() && raw.Type == "A" {
					if got := itemsText(raw); !strings.Contains(got, "asia-southeast1 198.51.100.4") || raw.RoutingPolicy.Geo.EnableFencing || raw.RoutingPolicy.HealthCheck != "" {
						t.Errorf("%s", got)
					}
				}
			}
		})
	}
}
