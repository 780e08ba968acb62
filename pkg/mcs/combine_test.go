package mcs

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	mcsv1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"kubefed.dev/kubefed/pkg/dns"
)

func port(name string, number int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Protocol: corev1.ProtocolTCP, Port: number}
}

func clusterIP(ports ...corev1.ServicePort) corev1.ServiceSpec {
	return corev1.ServiceSpec{ClusterIP: "10.0.0.1", Ports: ports, SessionAffinity: corev1.ServiceAffinityNone}
}

func headless(ports ...corev1.ServicePort) corev1.ServiceSpec {
	return corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: ports, SessionAffinity: corev1.ServiceAffinityNone}
}

// TestCombine is the part of the API's conformance suite that is about properties of an import: union of ports, conflicts
// resolved for the oldest and told, headlessness, session affinity.
func TestCombine(t *testing.T) {
	sticky := clusterIP(port("http", 80))
	sticky.SessionAffinity = corev1.ServiceAffinityClientIP
	at := func(minute int) time.Time { return time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		exports   []export
		kind      mcsv1.ServiceImportType
		ports     []string
		affinity  corev1.ServiceAffinity
		conflicts []string
	}{
		"alike": {[]export{{cluster: "rohan", created: at(1), spec: clusterIP(port("http", 80))}, {cluster: "gondor", created: at(2), spec: clusterIP(port("http", 80))}},
			mcsv1.ClusterSetIP, []string{"http"}, corev1.ServiceAffinityNone, nil},
		"ports are united": {[]export{{cluster: "gondor", created: at(1), spec: clusterIP(port("http", 80))}, {cluster: "rohan", created: at(2), spec: clusterIP(port("http", 80), port("stcp", 142))}},
			mcsv1.ClusterSetIP, []string{"http", "stcp"}, corev1.ServiceAffinityNone, []string{"PortConflict"}},
		"of a port's numbers the oldest counts": {[]export{{cluster: "gondor", created: at(2), spec: clusterIP(port("http", 81))}, {cluster: "rohan", created: at(1), spec: clusterIP(port("http", 80))}},
			mcsv1.ClusterSetIP, []string{"http"}, corev1.ServiceAffinityNone, []string{"PortConflict"}},
		"the oldest says whether it is headless": {[]export{{cluster: "gondor", created: at(1), spec: clusterIP(port("http", 80))}, {cluster: "rohan", created: at(2), spec: headless(port("http", 80))}},
			mcsv1.ClusterSetIP, []string{"http"}, corev1.ServiceAffinityNone, []string{"TypeConflict"}},
		"headless": {[]export{{cluster: "gondor", created: at(1), spec: headless(port("http", 80))}}, mcsv1.Headless, []string{"http"}, corev1.ServiceAffinityNone, nil},
		"session affinity": {[]export{{cluster: "gondor", created: at(1), spec: sticky}, {cluster: "rohan", created: at(2), spec: clusterIP(port("http", 80))}},
			mcsv1.ClusterSetIP, []string{"http"}, corev1.ServiceAffinityClientIP, []string{"SessionAffinityConflict"}},
		"of the same age the first by name": {[]export{{cluster: "rohan", created: at(1), spec: headless()}, {cluster: "gondor", created: at(1), spec: clusterIP()}},
			mcsv1.ClusterSetIP, nil, corev1.ServiceAffinityNone, []string{"TypeConflict"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := combine(test.exports)
			var ports []string
			for _, p := range got.spec.Ports {
				ports = append(ports, p.Name)
				if p.Name == "http" && p.Port != 80 {
					t.Errorf("port http is %d", p.Port)
				}
			}
			if diff := cmp.Diff([]any{test.kind, test.ports, test.affinity, test.conflicts}, []any{got.spec.Type, ports, got.spec.SessionAffinity, got.conflicts}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (len(got.conflicts) > 0) != (got.detail != "") {
				t.Errorf("conflicts %v with detail %q", got.conflicts, got.detail)
			}
		})
	}
}

func TestAllocate(t *testing.T) {
	within := netip.MustParsePrefix("243.0.0.0/29") // six addresses
	taken := map[netip.Addr]bool{}
	for i, key := range []string{"a/a", "b/b", "c/c", "d/d", "e/e", "f/f"} {
		a, err := allocate(within, key, taken)
		if err != nil || taken[a] || !within.Contains(a) || a == within.Addr() {
			t.Fatalf("%d: %v, %v", i, a, err)
		}
		if again, _ := allocate(within, key, taken); again != a {
			t.Errorf("%s: %v, then %v", key, a, again)
		}
		taken[a] = true
	}
	if a, err := allocate(within, "g/g", taken); err == nil {
		t.Errorf("a seventh address of six: %v", a)
	}
}

func pods(cluster string, spec corev1.ServiceSpec, of ...endpoint) export {
	return export{cluster: cluster, spec: spec, endpoints: []endpoints{{family: "IPv4", ports: []endpointPort{{name: "http", protocol: corev1.ProtocolTCP, port: 8080}}, of: of}}}
}

func TestImported(t *testing.T) {
	up := func(a, host string) endpoint {
		return endpoint{addresses: []string{a}, hostname: host, ready: true, serving: true}
	}
	balanced := pods("rohan", clusterIP(port("http", 80)), up("10.2.0.1", ""))
	balanced.balancer = []string{"192.0.2.7"}
	for name, test := range map[string]struct {
		from      export
		member    string
		headless  bool
		addresses []string
		port      int32
	}{
		"pods of another cluster":                {pods("rohan", clusterIP(port("http", 80)), up("10.2.0.2", ""), up("10.2.0.1", "")), "gondor", false, []string{"10.2.0.1", "10.2.0.2"}, 8080},
		"a load balancer of another cluster":     {balanced, "gondor", false, []string{"192.0.2.7"}, 80},
		"the cluster's own pods":                 {balanced, "rohan", false, []string{"10.2.0.1"}, 8080},
		"headless goes to pods":                  {balanced, "gondor", true, []string{"10.2.0.1"}, 8080},
		"nothing of a cluster without endpoints": {pods("rohan", clusterIP(port("http", 80))), "gondor", false, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var addresses []string
			for _, s := range imported("earth", "shop", "web", test.member, test.headless, test.from) {
				for _, e := range s.Endpoints {
					addresses = append(addresses, e.Addresses...)
				}
				if *s.Ports[0].Port != test.port || *s.Ports[0].Name != "http" {
					t.Errorf("ports %v", s.Ports)
				}
				want := map[string]string{LabelImport: "earth", mcsv1.LabelServiceName: "web", mcsv1.LabelSourceCluster: "rohan", "endpointslice.kubernetes.io/managed-by": managedBy}
				for k, v := range want {
					if s.Labels[k] != v {
						t.Errorf("label %s=%q, want %q", k, s.Labels[k], v)
					}
				}
				if service := s.Labels["kubernetes.io/service-name"]; (service == derivedName("web")) == test.headless {
					t.Errorf("of service %q", service)
				}
			}
			if diff := cmp.Diff(test.addresses, addresses); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestClaims is the DNS specification of KEP-1645.
func TestClaims(t *testing.T) {
	owner := dns.Owner{Ref: "si/shop/web"}
	lines := func(claims []dns.Claim) []string {
		var out []string
		for _, c := range claims {
			for _, s := range c.Sets {
				if err := s.Check(); err != nil {
					t.Error(err)
				}
				out = append(out, s.String())
			}
		}
		return out
	}
	ports := []mcsv1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}}
	ready := endpoint{addresses: []string{"10.1.0.1"}, hostname: "db-0", ready: true}
	for name, test := range map[string]struct {
		spec    mcsv1.ServiceImportSpec
		exports []export
		want    []string
	}{
		"clusterset IP": {mcsv1.ServiceImportSpec{Type: mcsv1.ClusterSetIP, IPs: []string{"243.0.0.7"}, Ports: ports}, nil, []string{
			"_http._tcp.web.shop.svc.clusterset.local. 5 SRV 0 50 80 web.shop.svc.clusterset.local.",
			"web.shop.svc.clusterset.local. 5 A 243.0.0.7",
			"web.shop.svc.clusterset.local. 5 SRV 0 50 80 web.shop.svc.clusterset.local.",
		}},
		"headless, ready endpoints only": {mcsv1.ServiceImportSpec{Type: mcsv1.Headless, Ports: ports},
			[]export{pods("gondor", headless(), ready, endpoint{addresses: []string{"10.1.0.2"}}), pods("rohan", headless(), endpoint{addresses: []string{"10.2.0.1"}, ready: true})}, []string{
				"10-2-0-1.rohan.web.shop.svc.clusterset.local. 5 A 10.2.0.1",
				"_http._tcp.web.shop.svc.clusterset.local. 5 SRV 0 50 8080 10-2-0-1.rohan.web.shop.svc.clusterset.local., 0 50 8080 db-0.gondor.web.shop.svc.clusterset.local.",
				"db-0.gondor.web.shop.svc.clusterset.local. 5 A 10.1.0.1",
				"web.shop.svc.clusterset.local. 5 A 10.1.0.1, 10.2.0.1",
				"web.shop.svc.clusterset.local. 5 SRV 0 50 8080 10-2-0-1.rohan.web.shop.svc.clusterset.local., 0 50 8080 db-0.gondor.web.shop.svc.clusterset.local.",
			}},
		"headless without a ready endpoint has no names": {mcsv1.ServiceImportSpec{Type: mcsv1.Headless, Ports: ports}, []export{pods("gondor", headless(), endpoint{addresses: []string{"10.1.0.2"}})}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, lines(claims(owner, "shop", "web", test.spec, test.exports))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
