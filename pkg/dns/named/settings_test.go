package named

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

func TestSettingsOf(t *testing.T) {
	probe := func(p federation.EndpointProbe) federation.DNSSettings { return federation.DNSSettings{Probe: &p} }
	for _, test := range []struct {
		name, annotation, value string
		policy                  *federation.DNSSettings
		want                    federation.DNSSettings
		// wrong is part of the error.
		wrong string
	}{
		{name: "nothing"},
		{name: "routing whatever its case", annotation: federation.AnnotationDNSRouting, value: "nearest", want: federation.DNSSettings{Routing: "Nearest"}},
		{name: "routing that is none", annotation: federation.AnnotationDNSRouting, value: "latency", wrong: "use one of All, Weighted, Nearest, Ordered"},
		{name: "the annotation wins over the policy", annotation: federation.AnnotationDNSTTL, value: "5m", policy: &federation.DNSSettings{TTLSeconds: ptr.To[int32](9), Routing: "All"},
			want: federation.DNSSettings{TTLSeconds: ptr.To[int32](300), Routing: "All"}},
		{name: "a bad one leaves the policy's", annotation: federation.AnnotationDNSTTL, value: "soon", policy: &federation.DNSSettings{TTLSeconds: ptr.To[int32](9)},
			want: federation.DNSSettings{TTLSeconds: ptr.To[int32](9)}, wrong: "whole seconds"},
		{name: "TTL as a number", annotation: federation.AnnotationDNSTTL, value: " 20 ", want: federation.DNSSettings{TTLSeconds: ptr.To[int32](20)}},
		{name: "TTL of nothing", annotation: federation.AnnotationDNSTTL, value: "0", wrong: "1 to 86400"},
		{name: "TTL of a fraction", annotation: federation.AnnotationDNSTTL, value: "1500ms", wrong: "whole seconds"},
		{name: "not published", annotation: federation.AnnotationDNSPublish, value: "False", want: federation.DNSSettings{Publish: ptr.To(false)}},
		{name: "published or not", annotation: federation.AnnotationDNSPublish, value: "maybe", wrong: `use "true" or "false"`},
		{name: "fall-back", annotation: federation.AnnotationDNSFallback, value: "cname", want: federation.DNSSettings{Fallback: "CNAME"}},
		{name: "sorry without addresses", annotation: federation.AnnotationDNSWhenDead, value: "sorry", wrong: "give them in " + federation.AnnotationDNSSorryAddresses},
		{name: "sorry addresses", annotation: federation.AnnotationDNSSorryAddresses, value: "192.0.2.1, 2001:DB8::1", want: federation.DNSSettings{SorryAddresses: []string{"192.0.2.1", "2001:db8::1"}}},
		{name: "sorry addresses that are none", annotation: federation.AnnotationDNSSorryAddresses, value: "sorry.example.com", wrong: "no IP address"},
		{name: "no probe", annotation: federation.AnnotationDNSProbe, value: "none", want: probe(federation.EndpointProbe{Type: "None"})},
		{name: "a port", annotation: federation.AnnotationDNSProbe, value: "tcp:443", want: probe(federation.EndpointProbe{Type: "TCP", Port: ptr.To[int32](443)})},
		{name: "a port too high", annotation: federation.AnnotationDNSProbe, value: "tcp:65536", wrong: "1 to 65535"},
		{name: "a URL", annotation: federation.AnnotationDNSProbe, value: "https://shop.example.com:8443/healthz?deep=1",
			want: probe(federation.EndpointProbe{Type: "HTTPS", Host: "shop.example.com", Port: ptr.To[int32](8443), Path: "/healthz?deep=1"})},
		{name: "a URL of the endpoint", annotation: federation.AnnotationDNSProbe, value: "http:///healthz", want: probe(federation.EndpointProbe{Type: "HTTP", Path: "/healthz"})},
		{name: "a URL of another protocol", annotation: federation.AnnotationDNSProbe, value: "ftp://x/", wrong: "use none, tcp"},
		{name: "the policy's timing stays", annotation: federation.AnnotationDNSProbe, value: "tcp", policy: &federation.DNSSettings{Probe: &federation.EndpointProbe{PeriodSeconds: ptr.To[int32](7)}},
			want: probe(federation.EndpointProbe{Type: "TCP", PeriodSeconds: ptr.To[int32](7)})},
		{name: "a status without an HTTP probe", annotation: federation.AnnotationDNSProbeStatus, value: "200", wrong: "no HTTP probe"},
		{name: "a status", annotation: federation.AnnotationDNSProbeStatus, value: "200-204", policy: &federation.DNSSettings{Probe: &federation.EndpointProbe{Type: "HTTP"}},
			want: probe(federation.EndpointProbe{Type: "HTTP", ExpectedStatus: "200-204"})},
		{name: "adoption", annotation: federation.AnnotationDNSAdopt, value: "www.example.com 300 A", wrong: "NAME TTL TYPE DATA"},
		{name: "adoption of an address of the other family", annotation: federation.AnnotationDNSAdopt, value: "www.example.com 300 A ::1", wrong: "other address family"},
	} {
		t.Run(test.name, func(t *testing.T) {
			annotations := map[string]string{}
			if test.annotation != "" {
				annotations[test.annotation] = test.value
			}
			got, err := SettingsOf(annotations, test.policy)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			switch {
			case test.wrong == "" && err != nil:
				t.Error(err)
			case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong) || !strings.Contains(err.Error(), federation.GroupName)):
				t.Errorf("error %v, want one that names the annotation and says %q", err, test.wrong)
			}
		})
	}
}

func FuzzSettingsOf(f *testing.F) {
	for _, r := range readers {
		f.Add(r.name, "tcp:80")
	}
	f.Add(federation.AnnotationDNSAdopt, "a.example. 3 TXT \"x\"\nb.example. 3 A 192.0.2.1")
	f.Fuzz(func(t *testing.T, name, value string) {
		s, err := SettingsOf(map[string]string{name: value}, nil)
		if bad := Planned(s).Check(); err == nil && bad != nil {
			t.Errorf("%s=%q was accepted: %v", name, value, bad)
		}
	})
}

// TestHealthOf: what a provider asks is never stricter than the probe.
func TestHealthOf(t *testing.T) {
	hosts := []string{"shop.example.com."}
	fast := int32(10)
	for name, test := range map[string]struct {
		probe *federation.EndpointProbe
		hosts []string
		want  dns.HealthCheck
	}{
		"by default":        {nil, hosts, dns.HealthCheck{Type: "TCP"}},
		"none":              {&federation.EndpointProbe{Type: "None"}, hosts, dns.HealthCheck{}},
		"TCP, often":        {&federation.EndpointProbe{Type: "TCP", PeriodSeconds: &fast}, nil, dns.HealthCheck{Type: "TCP", Fast: true}},
		"HTTP":              {&federation.EndpointProbe{Type: "HTTP"}, nil, dns.HealthCheck{Type: "HTTP", Path: "/"}},
		"an Ingress":        {&federation.EndpointProbe{Type: "HTTPS", Path: "/up"}, hosts, dns.HealthCheck{Type: "HTTPS", Path: "/up", Host: "shop.example.com"}},
		"any host":          {&federation.EndpointProbe{Type: "HTTPS"}, []string{"*.example.com."}, dns.HealthCheck{Type: "HTTPS", Path: "/"}},
		"a host":            {&federation.EndpointProbe{Type: "HTTP", Host: "a.example"}, hosts, dns.HealthCheck{Type: "HTTP", Path: "/", Host: "a.example"}},
		"a narrower status": {&federation.EndpointProbe{Type: "HTTP", ExpectedStatus: "200"}, nil, dns.HealthCheck{Type: "HTTP", Path: "/"}},
		"another status":    {&federation.EndpointProbe{Type: "HTTP", ExpectedStatus: "200-404"}, nil, dns.HealthCheck{Type: "TCP"}},
		"a long path":       {&federation.EndpointProbe{Type: "HTTP", Path: "/" + strings.Repeat("x", 255)}, nil, dns.HealthCheck{Type: "TCP"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := HealthOf(test.probe, test.hosts); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestAdoptOf(t *testing.T) {
	got, err := AdoptOf("WWW.example.com 300 a 192.0.2.2\nwww.example.com. 300 A 192.0.2.1\n\nwww.example.com 60 TXT \"v=spf1  -all\"")
	if err != nil {
		t.Fatal(err)
	}
	want := []dns.RecordSet{
		{Name: "www.example.com.", Type: dns.A, TTL: 300, Data: []string{"192.0.2.1", "192.0.2.2"}},
		{Name: "www.example.com.", Type: dns.TXT, TTL: 60, Data: []string{`"v=spf1  -all"`}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheck(t *testing.T) {
	service := func(name string) Object {
		return Object{Key: Key{Kind: "Service", Namespace: "shop", Name: name}, Names: true}
	}
	quiet := service(strings.Repeat("a", 63))
	quiet.Annotations = map[string]string{federation.AnnotationDNSPublish: "false"}
	long := strings.Repeat("a", 63)
	for _, test := range []struct {
		name   string
		object Object
		zone   string
		ports  map[string]string
		wrong  string
	}{
		{name: "well", object: service("web"), zone: "example.com", ports: map[string]string{"http": "TCP"}},
		{name: "no zone", object: service(long)},
		{name: "too long", object: service(long), zone: strings.Repeat(long+".", 3), wrong: "shorten the names"},
		{name: "too long, and not published", object: quiet, zone: strings.Repeat(long+".", 3)},
		{name: "a bad annotation, also where nothing is published", object: Object{Key: service("web").Key, Annotations: map[string]string{federation.AnnotationDNSTTL: "x"}}, wrong: "dns-ttl"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Check(test.object, "earth", test.zone, test.ports)
			if test.wrong == "" && err != nil || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("error %v, want %q", err, test.wrong)
			}
		})
	}
}
