package route53

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/cloud/aws/route53/route53test"
	"kubefed.dev/kubefed/pkg/dns"
)

// balanced is a Service in clusters of AWS and another cloud, some behind load balancers that are known by host name.
func balanced(policy dns.Policy) dns.Subject {
	at := func(cluster, provider, region, host string, addresses ...string) dns.Endpoint {
		e := dns.Endpoint{Cluster: cluster, Provider: provider, Region: region, State: dns.Healthy, Weight: 3}
		if host != "" {
			e.Hostnames = []string{host}
		}
		for _, a := range addresses {
			e.Addresses = append(e.Addresses, netip.MustParseAddr(a))
		}
		return e
	}
	return dns.Subject{
		Owner:    dns.Owner{Ref: "svc/shop/web", UID: "2f6c1d0a-6d3b-4a8e-9d57-0f3f5d1c9e11"},
		Names:    dns.Names{Service: "web", Namespace: "shop", Federation: "earth", Domain: testZone},
		Settings: dns.Settings{Policy: policy},
		Endpoints: []dns.Endpoint{
			at("gondor", "aws", "eu-west-1", "K8S-web-1.elb.eu-west-1.amazonaws.com", "198.51.100.1", "198.51.100.2", "2001:db8::1"),
			at("rohan", "aws", "us-east-1", "web-2.us-east-1.elb.amazonaws.com", "198.51.100.3"),
			at("shire", "gcp", "us-east4", "", "198.51.100.4"),
			at("mordor", "aws", "eu-central-1", "web.example.net", "198.51.100.5"),
		},
	}
}

func must(address string) netip.Addr { return netip.MustParseAddr(address) }

// settler brings a zone to what subjects want, again and again.
type settler struct {
	t      *testing.T
	server *route53test.Server
	p      *Provider
	limits dns.Limits
}

func (s settler) settle(subject dns.Subject) (sets []dns.RecordSet, calls int) {
	s.t.Helper()
	existing, err := s.p.Records(s.t.Context(), testZone)
	if err != nil {
		s.t.Fatal(err)
	}
	zone := dns.Zone{Name: testZone, Limits: s.limits}
	plan := dns.MakePlan(dns.PlanInput{Federation: "earth", Epoch: 1, Zone: zone, Claims: dns.Records(subject, s.limits).Claims,
		Known: map[string]bool{subject.Owner.Ref: true}, Existing: existing})
	before := s.server.Calls("ChangeResourceRecordSets")
	if len(plan.Changes) > 0 {
		r, err := s.p.Apply(s.t.Context(), testZone, fence, plan.Changes)
		if err != nil || len(r.Failed) > 0 || len(plan.Conflicts) > 0 {
			s.t.Fatal(err, r.Failed, plan.Conflicts)
		}
	}
	existing, err = s.p.Records(s.t.Context(), testZone)
	if err != nil {
		s.t.Fatal(err)
	}
	return existing.Sets, s.server.Calls("ChangeResourceRecordSets") - before
}

// at is what a zone holds at a name, one line for each set.
func at(name string, sets []dns.RecordSet) (lines []string) {
	for _, s := range sets {
		if s.Name != name {
			continue
		}
		line := string(s.Type) + " " + s.SetID
		if s.SetID != "" {
			line += fmt.Sprintf(" %s%s %d", s.Routing.Policy, s.Routing.Region, s.Routing.Weight)
		}
		if s.Alias != (dns.Alias{}) {
			line += fmt.Sprintf(" alias %s %s %t", s.Alias.Zone, s.Alias.Name, s.Alias.EvaluateHealth)
		}
		lines = append(lines, line+fmt.Sprint(" ", s.Data))
	}
	slices.Sort(lines)
	return lines
}

func TestRouting(t *testing.T) {
	const (
		global = "web.shop.earth.svc." + testZone
		eu     = "Z2IFOLAFXWLO4F k8s-web-1.elb.eu-west-1.amazonaws.com."
		us     = "Z35SXDOTRQ7X7K web-2.us-east-1.elb.amazonaws.com."
	)
	for _, test := range []struct {
		policy dns.Policy
		lost   int // endpoints that are lost, from the end
		at     string
		want   []string
	}{
		{dns.Weighted, 0, global, []string{
			"A gondor Weighted 3 alias " + eu + " true []", "A mordor Weighted 3 [198.51.100.5]", "A rohan Weighted 3 alias " + us + " true []",
			"A shire Weighted 3 [198.51.100.4]", "AAAA gondor Weighted 3 alias " + eu + " true []"}},
		{dns.Nearest, 0, global, []string{
			"A eu-central-1 Nearesteu-central-1 0 [198.51.100.5]", "A eu-west-1 Nearesteu-west-1 0 alias " + eu + " true []",
			"A us-east-1 Nearestus-east-1 0 [198.51.100.3 198.51.100.4]", "AAAA eu-west-1 Nearesteu-west-1 0 alias " + eu + " true []"}},
		{dns.Ordered, 0, global, []string{"A  [198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4 198.51.100.5]", "AAAA  [2001:db8::1]"}},
		{dns.Ordered, 3, global, []string{"A  alias " + eu + " false []", "AAAA  alias " + eu + " false []"}},
		{dns.All, 0, "gondor.cluster." + global, []string{"A  alias " + eu + " false []", "AAAA  alias " + eu + " false []"}},
		{dns.All, 0, "mordor.cluster." + global, []string{"A  [198.51.100.5]"}},
	} {
		t.Run(fmt.Sprint(test.policy, " at ", test.at, " without ", test.lost), func(t *testing.T) {
			server, p, _ := start(t)
			s := settler{t, server, p, limits}
			subject := balanced(test.policy)
			s.settle(subject)
			if _, calls := s.settle(subject); calls != 0 {
				t.Errorf("steady: %d calls", calls)
			}
			for i := len(subject.Endpoints) - test.lost; i < len(subject.Endpoints); i++ {
				subject.Endpoints[i].State = dns.Unhealthy
			}
			sets, _ := s.settle(subject)
			if diff := cmp.Diff(test.want, at(test.at, sets)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, calls := s.settle(subject); calls != 0 {
				t.Errorf("steady: %d calls", calls)
			}
			subject.Stale = true
			for i := range subject.Endpoints {
				subject.Endpoints[i].State, subject.Endpoints[i].Addresses = dns.Unknown, nil
			}
			if stale, _ := s.settle(subject); len(at(test.at, stale)) != len(test.want) {
				t.Errorf("stale: %q", at(test.at, stale))
			}
			s.settle(balanced(test.policy))
		})
	}
}

// TestOneCluster: its load balancer is what all names are an alias of, under the default policy too.
func TestOneCluster(t *testing.T) {
	server, p, _ := start(t)
	subject := balanced(dns.All)
	subject.Endpoints = subject.Endpoints[1:2]
	sets, _ := settler{t, server, p, limits}.settle(subject)
	want := []string{"A  alias Z35SXDOTRQ7X7K web-2.us-east-1.elb.amazonaws.com. false []"}
	for _, name := range []string{subject.Names.Global(), subject.Names.Region("us-east-1"), subject.Names.Cluster("rohan")} {
		if diff := cmp.Diff(want, at(name, sets)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestNearestWithoutARegion: a cluster that is nowhere near a region of AWS is not left out.
func TestNearestWithoutARegion(t *testing.T) {
	server, p, _ := start(t)
	subject := balanced(dns.Nearest)
	subject.Endpoints[3].Provider, subject.Endpoints[3].Region = "onprem", "basement"
	sets, _ := settler{t, server, p, limits}.settle(subject)
	want := []string{"A  [198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4 198.51.100.5]", "AAAA  [2001:db8::1]"}
	if diff := cmp.Diff(want, at("web.shop.earth.svc."+testZone, sets)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
