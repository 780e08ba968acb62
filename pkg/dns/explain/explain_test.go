package explain

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

func cluster(name, provider, region string, zones ...string) federation.Cluster {
	return federation.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status:     federation.ClusterStatus{Provider: provider, Region: region, Zones: zones},
	}
}

func endpoint(name, state, address string) federation.ClusterEndpoint {
	e := federation.ClusterEndpoint{Name: name, State: state, Ready: ptr.To[int32](2), Ports: []federation.EndpointPort{{Name: "http", Protocol: "TCP", Port: 80}}}
	if address != "" {
		e.Addresses = []string{address}
	}
	return e
}

// web is a Service in three clusters.
func web(change func(*federation.GlobalEndpoints)) federation.GlobalEndpoints {
	g := federation.GlobalEndpoints{
		ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: "web", UID: "2f6c"}}},
		Spec:       federation.GlobalEndpointsSpec{Object: federation.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "web"}},
		Status: federation.GlobalEndpointsStatus{
			Conditions: []metav1.Condition{{Type: federation.EndpointsPublished, Status: metav1.ConditionTrue, Reason: federation.ReasonPublished, ObservedGeneration: 17}},
			Clusters: []federation.ClusterEndpoint{
				endpoint("gondor", "Healthy", "192.0.2.1"), endpoint("rohan", "Healthy", "192.0.2.2"), endpoint("shire", "Healthy", "2001:db8::3"),
			},
		},
	}
	if change != nil {
		change(&g)
	}
	return g
}

func world(endpoints ...federation.GlobalEndpoints) World {
	return World{
		Federation: "fellowship", Zones: []Zone{{Name: "example.com.", Limits: dns.Limits{Routing: true}}, {Name: "shop.example."}},
		Clusters: []federation.Cluster{
			cluster("gondor", "aws", "us-east-1", "us-east-1a", "us-east-1b"), cluster("rohan", "gcp", "europe-west1", "europe-west1-b"), cluster("shire", "on-premises", ""),
		},
		Endpoints: endpoints,
	}
}

// lines are an object's names in short form.
func lines(o Object) []string {
	var all []string
	for _, n := range o.Names {
		var answers []string
		for _, set := range n.Records {
			id := ""
			if set.SetID != "" {
				id = "[" + set.SetID + "]"
			}
			answers = append(answers, fmt.Sprintf("%s%s %s", set.Type, id, strings.Join(set.Data, ",")))
		}
		line := fmt.Sprintf("%s | %s | %s | %s", n.Name, n.Level, strings.Join(answers, "; "), n.Why)
		all = append(all, strings.NewReplacer("web.shop.fellowship.svc.", "~", "example.com.", "^").Replace(line))
	}
	return all
}

func TestObjects(t *testing.T) {
	for _, tc := range []struct {
		name     string
		g        federation.GlobalEndpoints
		want     []string
		withheld []string
	}{
		{"all healthy", web(nil), []string{
			"~^ | global | A 192.0.2.1,192.0.2.2; AAAA 2001:db8::3 | usable",
			"~aws.cloud.^ | provider aws | A 192.0.2.1 | usable",
			"~gcp.cloud.^ | provider gcp | A 192.0.2.2 | usable",
			"~on-premises.cloud.^ | provider on-premises | AAAA 2001:db8::3 | usable",
			"~europe-west1.^ | region europe-west1 | A 192.0.2.2 | usable",
			"~us-east-1.^ | region us-east-1 | A 192.0.2.1 | usable",
			"~europe-west1-b.europe-west1.^ | zone europe-west1-b | A 192.0.2.2 | usable",
			"~us-east-1a.us-east-1.^ | zone us-east-1a | A 192.0.2.1 | usable",
			"~us-east-1b.us-east-1.^ | zone us-east-1b | A 192.0.2.1 | usable",
			"gondor.cluster.~^ | cluster gondor | A 192.0.2.1 | healthy",
			"rohan.cluster.~^ | cluster rohan | A 192.0.2.2 | healthy",
			"shire.cluster.~^ | cluster shire | AAAA 2001:db8::3 | healthy",
			"_http._tcp.~^ | port http/tcp | SRV 0 2 80 gondor.cluster.~^,0 2 80 rohan.cluster.~^,0 2 80 shire.cluster.~^ | usable",
		}, nil},
		{"one is dead", web(func(g *federation.GlobalEndpoints) {
			g.Status.Clusters = []federation.ClusterEndpoint{endpoint("gondor", "Unhealthy", "192.0.2.1"), endpoint("rohan", "Healthy", "192.0.2.2")}
			g.Status.Clusters[0].Reason, g.Status.Clusters[0].Message = "NoReadyPods", "none of 2 pods is ready"
			g.Status.Clusters[0].Ports, g.Status.Clusters[1].Ports = nil, nil
		}), []string{
			"~^ | global | A 192.0.2.2 | usable",
			"~aws.cloud.^ | provider aws | A 192.0.2.2 | none of its own is usable: those of the wider name",
			"~gcp.cloud.^ | provider gcp | A 192.0.2.2 | usable",
			"~europe-west1.^ | region europe-west1 | A 192.0.2.2 | usable",
			"~us-east-1.^ | region us-east-1 | A 192.0.2.2 | none of its own is usable: those of the wider name",
			"~europe-west1-b.europe-west1.^ | zone europe-west1-b | A 192.0.2.2 | usable",
			"~us-east-1a.us-east-1.^ | zone us-east-1a | A 192.0.2.2 | none of its own is usable: those of the wider name",
			"~us-east-1b.us-east-1.^ | zone us-east-1b | A 192.0.2.2 | none of its own is usable: those of the wider name",
			"gondor.cluster.~^ | cluster gondor |  | held without data: unhealthy",
			"rohan.cluster.~^ | cluster rohan | A 192.0.2.2 | healthy",
		}, []string{"gondor Unhealthy: NoReadyPods: none of 2 pods is ready"}},
		{"all dead, once published", web(func(g *federation.GlobalEndpoints) {
			g.Status.Clusters = []federation.ClusterEndpoint{endpoint("shire", "Unhealthy", "2001:db8::3")}
			g.Status.Clusters[0].Ports = nil
			g.Status.Published = []string{"2001:db8::3"}
		}), []string{
			"~^ | global | AAAA 2001:db8::3 | no endpoint is usable: the last known answer stays",
			"~on-premises.cloud.^ | provider on-premises | AAAA 2001:db8::3 | no endpoint is usable: the last known answer stays",
			"shire.cluster.~^ | cluster shire | AAAA 2001:db8::3 | no endpoint is usable: the last known answer stays",
		}, nil},
		{"ordered, and an Ingress's host in another zone", web(func(g *federation.GlobalEndpoints) {
			g.Spec.Object.Kind, g.Spec.Object.Name = "Ingress", "front"
			g.Spec.Hosts = []string{"www.shop.example"}
			g.Spec.Settings = federation.DNSSettings{Routing: federation.RoutingOrdered}
			g.Status.Clusters[1].Order, g.Status.Clusters[2].Order = 1, 2
		}), []string{"www.shop.example. | host | A 192.0.2.1 | usable, of the first group"},
			[]string{"rohan Healthy: a backup of group 1, while group 0 answers", "shire Healthy: a backup of group 2, while group 0 answers"}},
		{"weighted", web(func(g *federation.GlobalEndpoints) {
			g.Spec.Settings = federation.DNSSettings{Routing: federation.RoutingWeighted}
			g.Status.Clusters = g.Status.Clusters[:2]
			g.Status.Clusters[1].Ready = ptr.To[int32](0)
		}), nil, []string{"rohan Healthy: no pod is ready there"}},
		{"not to be published", web(func(g *federation.GlobalEndpoints) { g.Spec.Settings.Publish = ptr.To(false) }), nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := world(tc.g).Objects()[0]
			if diff := cmp.Diff(tc.want, lines(o)); diff != "" && tc.want != nil {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			var withheld []string
			for _, w := range o.Withheld {
				withheld = append(withheld, w.Cluster+" "+w.State+": "+w.Why)
			}
			if diff := cmp.Diff(tc.withheld, withheld); diff != "" {
				t.Errorf("withheld (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBackups: what the provider turns to by itself is told apart from what the federation would bring up.
func TestBackups(t *testing.T) {
	for healthChecks, want := range map[bool][]string{
		true: {"usable, of the first group; the provider turns to rohan by itself", "a backup of group 1, to which the provider turns by itself while group 0 does not answer it",
			"a backup of group 2, while group 0 answers"},
		false: {"usable, of the first group", "a backup of group 1, while group 0 answers", "a backup of group 2, while group 0 answers"},
	} {
		w := world(web(func(g *federation.GlobalEndpoints) {
			g.Spec.Settings.Routing = federation.RoutingOrdered
			for i := range g.Status.Clusters {
				g.Status.Clusters[i].Order = int32(i)
				g.Status.Clusters[i].Ports = []federation.EndpointPort{{Name: "http", Protocol: "TCP", Port: 80}}
			}
		}))
		if healthChecks {
			w.Zones[0].Limits.HealthChecks = func(netip.Addr) bool { return true }
		}
		o := w.Objects()[0]
		got := []string{o.Names[0].Why}
		for _, out := range o.Withheld {
			got = append(got, out.Why)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("health checks %t (-want +got):\n%s", healthChecks, diff)
		}
	}
}

func TestObjectsAreSorted(t *testing.T) {
	other := web(func(g *federation.GlobalEndpoints) { g.Spec.Object.Namespace = "bank" })
	var got []string
	for _, o := range world(web(nil), other).Objects() {
		got = append(got, o.Object.Namespace+"/"+o.Object.Name)
	}
	if diff := cmp.Diff([]string{"bank/web", "shop/web"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestZoneFile(t *testing.T) {
	w := world(web(func(g *federation.GlobalEndpoints) { g.Spec.Settings.Routing = federation.RoutingNearest }))
	apex := Apex{
		SOA:     "example.com.\t300\tIN\tSOA\tns1.example.com. hostmaster.example.com. 7 300 60 1209600 10",
		Records: []string{"example.com.\t300\tIN\tNS\tns1.example.com.", "ns1.example.com.\t300\tIN\tA\t192.0.2.53"},
	}
	file := w.ZoneFile("example.com.", apex, w.Objects())
	for _, want := range []string{
		"$ORIGIN example.com.\n",
		"web.shop.fellowship.svc.example.com.\t20\tIN\tA\t192.0.2.1\n", // one set, whatever the routing
		"web.shop.fellowship.svc.example.com.\t20\tIN\tA\t192.0.2.2\n",
		"_kubefed.web.shop.fellowship.svc.example.com.\t300\tIN\tTXT\t\"v=1 fed=fellowship uid=2f6c owner=svc/shop/web gen=17 ",
		"types=A,AAAA",
	} {
		if !strings.Contains(file, want) {
			t.Errorf("the file lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(file)
	}
	program, err := exec.LookPath("named-checkzone")
	if err != nil {
		if _, err = os.Stat("/usr/sbin/named-checkzone"); err != nil {
			return // `make dns-interop` has it, and the stories export a zone too
		}
		program = "/usr/sbin/named-checkzone"
	}
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program, "example.com", path).CombinedOutput(); err != nil {
		t.Errorf("named-checkzone: %v\n%s\n%s", err, out, file)
	}
}
