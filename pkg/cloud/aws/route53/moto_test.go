package route53

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/cloud/aws/moto"
	"kubefed.dev/kubefed/pkg/dns"
)

// TestWireOfMoto checks requests and answers against moto, a server of another hand: what the fake of this repository and this
// package could have misunderstood alike. It needs moto_server, named by MOTO_SERVER: make e2e-clouds installs it.
//
// The conformance suite is left to the fake: moto 5 does not compare what a DELETE says with what is there, makes half of a batch,
// takes a CNAME beside other data and a CREATE of what exists, deletes a SetIdentifier from all names at once, and knows no
// StartRecordIdentifier. So here are the calls that succeed at Route 53, and none whose refusal matters.
func TestWireOfMoto(t *testing.T) {
	url := moto.Start(t)
	if url == "" {
		return
	}
	client, err := NewClient(t.Context(), Account{Endpoint: url, RequestsPerSecond: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, byID := range []bool{false, true} {
		t.Run(fmt.Sprint("by ID ", byID), func(t *testing.T) {
			zone, err := client.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String(testZone), CallerReference: aws.String("test")})
			if err != nil {
				t.Fatal(err)
			}
			id := ""
			if byID {
				id = *zone.HostedZone.Id // There are two of this name then.
			}
			p := New(client, Options{Federation: "earth", Zones: map[string]string{testZone: id}, PollInterval: time.Millisecond})
			if zones, err := p.Zones(t.Context()); err != nil || len(zones) != 1 || zones[0].Name != testZone {
				t.Fatalf("zones %v, %v", zones, err)
			}
			roundTrip(t, p, plainSets())
		})
	}
	t.Run("health checks", func(t *testing.T) { checksOfMoto(t, client) })
	p := New(client, Options{Zones: map[string]string{"none.example.": ""}})
	if _, err := p.Records(t.Context(), "none.example."); dns.KindOf(err) != dns.NotFound {
		t.Errorf("error %v, want one of kind NotFound", err)
	}
	p = New(client, Options{Zones: map[string]string{testZone: "Z0000000000000"}})
	if _, err := p.Records(t.Context(), testZone); dns.KindOf(err) != dns.NotFound {
		t.Errorf("error %v, want one of kind NotFound", err)
	}
}

// roundTrip writes sets of all forms, reads them, replaces them and takes them away.
func roundTrip(t *testing.T, p *Provider, sets []dns.RecordSet) {
	next := make([]dns.RecordSet, len(sets))
	for i, s := range sets {
		s.TTL = 30
		next[i] = s
	}
	for i, step := range []struct{ before, after []dns.RecordSet }{{nil, sets}, {sets, next}, {next, nil}} {
		// moto takes no CREATE that it has seen before, not even after a DELETE: each batch has another lease.
		fence := dns.Fence{Federation: "earth", Holder: "test", Epoch: int64(i + 1)}
		r, err := p.Apply(t.Context(), testZone, fence, changesOf(step.before, step.after))
		if err != nil || len(r.Failed) > 0 {
			t.Fatal(err, r.Failed)
		}
		if err := p.Await(t.Context(), testZone, r); err != nil {
			t.Error(err)
		}
		got, err := p.Records(t.Context(), testZone)
		if err != nil {
			t.Fatal(err)
		}
		want := dns.NewContent(testZone, append(step.after, fence.Record(testZone))).Sets()
		if diff := cmp.Diff(want, dns.NewContent(testZone, got.Sets).Sets()); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	}
}

// plainSets are of all forms but those with health checks.
func plainSets() []dns.RecordSet {
	weighted := func(cluster string, weight uint32) dns.RecordSet {
		s := address("weighted", "192.0.2.1")
		s.SetID, s.Routing = cluster, dns.Routing{Policy: dns.Weighted, Weight: weight}
		return s
	}
	spread := address("spread", "192.0.2.1")
	spread.SetID, spread.Routing = "gondor/1234", dns.Routing{Policy: dns.All}
	target := dns.RecordSet{Name: "_https._tcp.srv." + testZone, Type: dns.SRV, TTL: 20, Data: []string{"0 10 443 srv." + testZone},
		SetID: "gondor", Routing: dns.Routing{Policy: dns.All}}
	return []dns.RecordSet{
		{Name: "*." + testZone, Type: dns.A, TTL: 20, Data: []string{"192.0.2.1", "192.0.2.2"}},
		{Name: "cname." + testZone, Type: dns.CNAME, TTL: 20, Data: []string{"elsewhere.example."}},
		{Name: "six." + testZone, Type: dns.AAAA, TTL: 20, Data: []string{"2001:db8::1"}},
		spread, target,
		{Name: "_http._tcp.srv." + testZone, Type: dns.SRV, TTL: 20, Data: []string{"0 10 80 srv." + testZone}},
		{Name: "text." + testZone, Type: dns.TXT, TTL: 20, Data: []string{dns.Quote(`said "so" \ to`)}},
		weighted("gondor", 3), weighted("rohan", 1),
	}
}

// checksOfMoto writes failover and weighted sets with health checks, of one address and of two.
func checksOfMoto(t *testing.T, client *route53.Client) {
	const checkedZone = "checked.example."
	if _, err := client.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String(checkedZone), CallerReference: aws.String("checked")}); err != nil {
		t.Fatal(err)
	}
	p := New(client, Options{Federation: "earth", Zones: map[string]string{checkedZone: ""}, PollInterval: time.Millisecond, HealthChecks: true})
	fence := dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}
	set := func(label, id string, routing dns.Routing, health dns.HealthCheck, data ...string) dns.RecordSet {
		return dns.RecordSet{Name: label + "." + checkedZone, Type: dns.A, TTL: 20, Data: data, SetID: id, Routing: routing, Health: health}
	}
	web := dns.HealthCheck{Type: "HTTPS", Port: 443, Host: "web.example.com", Path: "/healthy", Fast: true}
	changes := changesOf(nil, []dns.RecordSet{
		set("ordered", "primary", dns.Routing{Policy: dns.Ordered}, web, "9.9.0.1", "9.9.0.2"),
		set("ordered", "secondary", dns.Routing{Policy: dns.Ordered, Backup: true}, dns.HealthCheck{}, "9.9.1.1"),
		set("weighted", "gondor", dns.Routing{Policy: dns.Weighted, Weight: 3}, dns.HealthCheck{Type: "TCP", Port: 80}, "9.9.0.1"),
	})
	r, err := p.Apply(t.Context(), checkedZone, fence, changes)
	if err != nil || len(r.Failed) > 0 {
		t.Fatal(err, r.Failed)
	}
	if note := p.Note(checkedZone); note != "" {
		t.Error(note)
	}
	var want []dns.RecordSet
	for _, c := range changes {
		want = append(want, c.After...)
	}
	fresh := New(client, Options{Federation: "earth", Zones: map[string]string{checkedZone: ""}, HealthChecks: true})
	got, err := fresh.Records(t.Context(), checkedZone) // another process knows them too
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dns.NewContent(checkedZone, append(want, fence.Record(checkedZone))).Sets(), dns.NewContent(checkedZone, got.Sets).Sets()); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	checks := fresh.zones[checkedZone].checks
	named := map[string]bool{}
	now := time.Now()
	checks.used(named) // as if no set named them any more
	checks.now = func() time.Time { return now.Add(unusedFor + time.Minute) }
	checks.readAt = checks.now()
	fresh.keep(t.Context(), fresh.zones[checkedZone])
	left, err := client.ListHealthChecks(t.Context(), &route53.ListHealthChecksInput{})
	if err != nil || len(left.HealthChecks) != 0 {
		t.Errorf("%d health checks are left, %v", len(left.HealthChecks), err)
	}
}

// changesOf is one change for each name.
func changesOf(before, after []dns.RecordSet) []dns.Change {
	byName := map[string]*dns.Change{}
	at := func(s dns.RecordSet) *dns.Change {
		if byName[s.Name] == nil {
			byName[s.Name] = &dns.Change{Name: s.Name}
		}
		return byName[s.Name]
	}
	for _, s := range before {
		at(s).Before = append(at(s).Before, s)
	}
	for _, s := range after {
		at(s).After = append(at(s).After, s)
	}
	var changes []dns.Change
	for _, c := range byName {
		changes = append(changes, *c)
	}
	return changes
}
