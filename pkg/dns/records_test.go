package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func gondor() Endpoint {
	return Endpoint{Cluster: "gondor", Provider: "aws", Region: "eu-west-1", Zones: []string{"eu-west-1a", "eu-west-1b"},
		Addresses: addrs("192.0.2.1", "2001:db8::1"), Ports: []Port{{"http", "tcp", 80}}, Weight: 3, State: Healthy}
}

func rohan() Endpoint {
	return Endpoint{Cluster: "rohan", Provider: "gcp", Region: "europe-west4", Zones: []string{"europe-west4-a"},
		Addresses: addrs("192.0.2.2"), Ports: []Port{{"http", "tcp", 8080}}, Weight: 1, Order: 1, State: Healthy}
}

func web(settings Settings, endpoints ...Endpoint) Subject {
	return Subject{Owner: Owner{Ref: "svc/shop/web", UID: "u"}, Settings: settings, Endpoints: endpoints,
		Names: Names{Service: "web", Namespace: "shop", Federation: "earth", Domain: "fed.example."}}
}

func with(e Endpoint, change func(*Endpoint)) Endpoint {
	change(&e)
	return e
}

// zoneText is what a subject answers, a line a set, and "NAME held" for a name without data.
func zoneText(a Answer) string {
	var lines []string
	for _, c := range a.Claims {
		name := strings.TrimSuffix(c.Name, ".fed.example.")
		if len(c.Sets) == 0 {
			lines = append(lines, name+" held")
		}
		for _, s := range c.Sets {
			id := ""
			if s.SetID != "" {
				id = fmt.Sprintf(" [%s %d]", s.SetID, s.Routing.Weight)
			}
			lines = append(lines, strings.ReplaceAll(fmt.Sprintf("%s %d %s%s %s", name, s.TTL, s.Type, id, strings.Join(s.Data, " ")), ".fed.example.", ""))
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestRecords(t *testing.T) {
	dead := func(e *Endpoint) { e.State = Unhealthy }
	for _, test := range []struct {
		name    string
		subject Subject
		routing bool
		basis   Basis
		want    string
	}{{
		name:    "Federation v1's names, and those of clouds, clusters and ports",
		subject: web(Settings{}, gondor(), rohan()),
		basis:   OnHealth,
		want: `
web.shop.earth.svc 20 A 192.0.2.1 192.0.2.2
web.shop.earth.svc 20 AAAA 2001:db8::1
web.shop.earth.svc.aws.cloud 20 A 192.0.2.1
web.shop.earth.svc.aws.cloud 20 AAAA 2001:db8::1
web.shop.earth.svc.gcp.cloud 20 A 192.0.2.2
web.shop.earth.svc.eu-west-1 20 A 192.0.2.1
web.shop.earth.svc.eu-west-1 20 AAAA 2001:db8::1
web.shop.earth.svc.europe-west4 20 A 192.0.2.2
web.shop.earth.svc.eu-west-1a.eu-west-1 20 A 192.0.2.1
web.shop.earth.svc.eu-west-1a.eu-west-1 20 AAAA 2001:db8::1
web.shop.earth.svc.eu-west-1b.eu-west-1 20 A 192.0.2.1
web.shop.earth.svc.eu-west-1b.eu-west-1 20 AAAA 2001:db8::1
web.shop.earth.svc.europe-west4-a.europe-west4 20 A 192.0.2.2
gondor.cluster.web.shop.earth.svc 20 A 192.0.2.1
gondor.cluster.web.shop.earth.svc 20 AAAA 2001:db8::1
rohan.cluster.web.shop.earth.svc 20 A 192.0.2.2
_http._tcp.web.shop.earth.svc 20 SRV 0 3 80 gondor.cluster.web.shop.earth.svc 1 1 8080 rohan.cluster.web.shop.earth.svc
`,
	}, {
		name:    "a dead cluster's levels publish the wider level's addresses",
		subject: web(Settings{}, with(gondor(), dead), rohan()),
		basis:   OnHealth,
		want: `
web.shop.earth.svc 20 A 192.0.2.2
web.shop.earth.svc.aws.cloud 20 A 192.0.2.2
web.shop.earth.svc.gcp.cloud 20 A 192.0.2.2
web.shop.earth.svc.eu-west-1 20 A 192.0.2.2
web.shop.earth.svc.europe-west4 20 A 192.0.2.2
web.shop.earth.svc.eu-west-1a.eu-west-1 20 A 192.0.2.2
web.shop.earth.svc.eu-west-1b.eu-west-1 20 A 192.0.2.2
web.shop.earth.svc.europe-west4-a.europe-west4 20 A 192.0.2.2
gondor.cluster.web.shop.earth.svc held
rohan.cluster.web.shop.earth.svc 20 A 192.0.2.2
_http._tcp.web.shop.earth.svc 20 SRV 1 1 8080 rohan.cluster.web.shop.earth.svc
`,
	}, {
		name:    "by CNAME, as Federation v1",
		subject: web(Settings{Fallback: ToWider}, with(gondor(), dead), with(rohan(), func(e *Endpoint) { e.Ports = nil })),
		basis:   OnHealth,
		want: `
web.shop.earth.svc 20 A 192.0.2.2
web.shop.earth.svc.aws.cloud 20 CNAME web.shop.earth.svc
web.shop.earth.svc.gcp.cloud 20 A 192.0.2.2
web.shop.earth.svc.eu-west-1 20 CNAME web.shop.earth.svc
web.shop.earth.svc.europe-west4 20 A 192.0.2.2
web.shop.earth.svc.eu-west-1a.eu-west-1 20 CNAME web.shop.earth.svc.eu-west-1
web.shop.earth.svc.eu-west-1b.eu-west-1 20 CNAME web.shop.earth.svc.eu-west-1
web.shop.earth.svc.europe-west4-a.europe-west4 20 A 192.0.2.2
gondor.cluster.web.shop.earth.svc held
rohan.cluster.web.shop.earth.svc 20 A 192.0.2.2
_http._tcp.web.shop.earth.svc held
`,
	}, {
		name:    "no fall-back",
		subject: web(Settings{Fallback: Strict}, with(gondor(), func(e *Endpoint) { e.State, e.Zones, e.Ports = Unhealthy, nil, nil })),
		basis:   OnNothing,
		want: `
web.shop.earth.svc held
web.shop.earth.svc.aws.cloud held
web.shop.earth.svc.eu-west-1 held
gondor.cluster.web.shop.earth.svc held
`,
	}, {
		name:    "weighted with routing",
		subject: web(Settings{Policy: Weighted, TTL: 60}, with(gondor(), func(e *Endpoint) { e.Region, e.Provider = "", "" }), with(rohan(), func(e *Endpoint) { e.Region, e.Provider = "", "" })),
		routing: true,
		basis:   OnHealth,
		want: `
web.shop.earth.svc 60 A [gondor 3] 192.0.2.1
web.shop.earth.svc 60 A [rohan 1] 192.0.2.2
web.shop.earth.svc 60 AAAA [gondor 3] 2001:db8::1
gondor.cluster.web.shop.earth.svc 60 A 192.0.2.1
gondor.cluster.web.shop.earth.svc 60 AAAA 2001:db8::1
rohan.cluster.web.shop.earth.svc 60 A 192.0.2.2
_http._tcp.web.shop.earth.svc 60 SRV 0 3 80 gondor.cluster.web.shop.earth.svc 1 1 8080 rohan.cluster.web.shop.earth.svc
`,
	}, {
		name: "all dead: the last known good answer, for a short time",
		subject: func() Subject {
			s := web(Settings{}, with(rohan(), func(e *Endpoint) { e.State, e.Zones, e.Ports, e.Provider = Unhealthy, nil, nil, "" }))
			s.Published = addrs("192.0.2.2")
			s.Hosts = []string{"*.Shop.fed.example"}
			return s
		}(),
		basis: OnLastKnown,
		want: `
*.shop 5 A 192.0.2.2
web.shop.earth.svc 5 A 192.0.2.2
web.shop.earth.svc.europe-west4 5 A 192.0.2.2
rohan.cluster.web.shop.earth.svc 5 A 192.0.2.2
`,
	}} {
		t.Run(test.name, func(t *testing.T) {
			got := Records(test.subject, Limits{Routing: test.routing})
			if len(got.Refused) > 0 || got.Basis != test.basis {
				t.Errorf("basis %s, want %s; refused %v", got.Basis, test.basis, got.Refused)
			}
			if diff := cmp.Diff(test.want[1:], zoneText(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	state := func(e Endpoint, s State) Endpoint { e.State = s; return e }
	published := addrs("192.0.2.1", "192.0.2.2")
	for _, test := range []struct {
		name    string
		subject Subject
		want    []string
		basis   Basis
	}{
		{"all", web(Settings{}, gondor(), rohan()), []string{"gondor", "rohan"}, OnHealth},
		{"degraded", web(Settings{}, state(gondor(), Degraded), state(rohan(), Unhealthy)), []string{"gondor"}, OnHealth},
		{"ordered: primary", web(Settings{Policy: Ordered}, gondor(), rohan()), []string{"gondor"}, OnHealth},
		{"ordered: backup", web(Settings{Policy: Ordered}, state(gondor(), Unhealthy), rohan()), []string{"rohan"}, OnHealth},
		{"weighted: none of weight 0", web(Settings{Policy: Weighted}, gondor(), with(rohan(), func(e *Endpoint) { e.Weight = 0 })), []string{"gondor"}, OnHealth},
		{"weighted: all of weight 0", web(Settings{Policy: Weighted}, with(rohan(), func(e *Endpoint) { e.Weight = 0 })), []string{"rohan"}, OnHealth},
		{"unknown and not published", web(Settings{}, state(gondor(), Unknown), rohan()), []string{"rohan"}, OnHealth},
		{"unknown and published", func() Subject {
			s := web(Settings{}, state(gondor(), Unknown), rohan())
			s.Published = published
			return s
		}(), []string{"gondor", "rohan"}, OnHealth},
		{"draining is left out", web(Settings{}, state(gondor(), Draining), rohan()), []string{"rohan"}, OnHealth},
		{"draining is all there is", web(Settings{}, state(gondor(), Draining), state(rohan(), Unhealthy)), []string{"gondor"}, OnDraining},
		{"dead and never published", web(Settings{}, state(gondor(), Unhealthy)), nil, OnNothing},
		{"dead and open", web(Settings{WhenDead: Open}, state(gondor(), Unhealthy)), []string{"gondor"}, OnOpen},
		{"dead and closed", func() Subject {
			s := web(Settings{WhenDead: Closed}, state(gondor(), Unhealthy))
			s.Published = published
			return s
		}(), nil, OnNothing},
		{"dead and sorry", web(Settings{WhenDead: Sorry, SorryAddresses: addrs("198.51.100.1")}, state(gondor(), Unhealthy)), []string{sorryCluster}, OnSorry},
	} {
		t.Run(test.name, func(t *testing.T) {
			chosen, basis := Choose(test.subject)
			var got []string
			for _, e := range chosen {
				got = append(got, e.Cluster)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || basis != test.basis {
				t.Errorf("basis %s, want %s (-want +got):\n%s", basis, test.basis, diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	long := strings.Repeat("x", 64)
	bad := with(gondor(), func(e *Endpoint) {
		e.Region, e.Zones, e.Provider = "cloud", []string{"ok", long}, "no spaces please"
		e.Addresses = addrs("192.0.2.1", "0.0.0.0", "fe80::1", "::ffff:192.0.2.9")
	})
	got := Records(web(Settings{}, bad, bad, rohan()), Limits{})
	var text []string
	for _, err := range got.Refused {
		text = append(text, err.Error())
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{"region of cluster gondor", "zone of cluster gondor", "provider of cluster gondor", "0.0.0.0", "fe80::1", "has another one already"} {
		if !strings.Contains(all, want) {
			t.Errorf("refused:\n%s\nwithout %q", all, want)
		}
	}
	if len(got.Refused) != 6 {
		t.Errorf("%d refused, want 6", len(got.Refused))
	}
	if data := got.Claims[0].Sets[0].Data; !slices.Equal(data, []string{"192.0.2.1", "192.0.2.2", "192.0.2.9"}) {
		t.Errorf("global name: %v", data)
	}

	s := web(Settings{}, gondor())
	s.Names.Namespace = long
	if got := Records(s, Limits{}); len(got.Claims) != 0 || len(got.Refused) == 0 {
		t.Errorf("a label of 64 octets: %d claims, refused %v", len(got.Claims), got.Refused)
	}
	s = web(Settings{TTL: 1 << 30}, gondor())
	if got := Records(s, Limits{}); len(got.Claims) != 0 || len(got.Refused) != 1 {
		t.Errorf("a TTL of years: %d claims, refused %v", len(got.Claims), got.Refused)
	}
}

func TestCheckName(t *testing.T) {
	labels := strings.Repeat(strings.Repeat("a", 60)+".", 4) // 244 octets
	for name, ok := range map[string]bool{
		"web.example.":                        true,
		"*.web.example.":                      true,
		"_http._tcp.web.example.":             true,
		"web.example":                         false,
		"web..example.":                       false,
		"-web.example.":                       false,
		"web.*.example.":                      false,
		"w eb.example.":                       false,
		strings.Repeat("a", 63) + ".example.": true,
		strings.Repeat("a", 64) + ".example.": false,
		labels[:len(labels)-1] + ".":          true,
		"a." + labels:                         false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("CheckName(%s): %v", name, err)
		}
	}
}

func TestDistance(t *testing.T) {
	to := Routing{Provider: "aws", Region: "west"}
	for client, want := range map[Place]int{
		{"aws", "west"}: 0, {"gcp", "west"}: 1, {"", "west"}: 1, {"aws", "east"}: 2, {"aws", ""}: 2, {"gcp", "east"}: 3, {"", ""}: 3,
	} {
		if got := Distance(client, to); got != want {
			t.Errorf("distance of %+v: %d, want %d", client, got, want)
		}
	}
	if got := Distance(Place{}, Routing{}); got != 3 {
		t.Errorf("unknown is %d from unknown, want 3", got)
	}
}

func TestMayRelease(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	gone := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, test := range []struct {
		name string
		d    Departure
		want bool
	}{
		{"nobody asked", Departure{}, false},
		{"still there", Departure{AbsentSince: map[string]time.Time{"ns1": {}, "ns2": gone(time.Hour)}}, false},
		{"cached", Departure{AbsentSince: map[string]time.Time{"ns1": gone(49 * time.Second)}, MaxTTL: 20 * time.Second}, false},
		{"one server late", Departure{AbsentSince: map[string]time.Time{"ns1": gone(time.Hour), "ns2": gone(time.Second)}, MaxTTL: 20 * time.Second}, false},
		{"gone", Departure{AbsentSince: map[string]time.Time{"ns1": gone(50 * time.Second)}, MaxTTL: 20 * time.Second}, true},
	} {
		if got, why := MayRelease(test.d, now); got != test.want || got != (why == "") {
			t.Errorf("%s: %v, %s", test.name, got, why)
		}
	}
}
