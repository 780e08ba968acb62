package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/explain"
	dnsserver "kubefed.dev/kubefed/pkg/dns/server"
)

// object is a value as the API answers with it.
func object(t *testing.T, kind string, value any) map[string]any {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	out["kind"], out["apiVersion"] = kind, federation.GroupName+"/v1alpha1"
	return out
}

// dnsFederation is a kubeconfig of a federation API that holds these zones, and Service shop/web in two clusters, of which
// shire's does not answer.
func dnsFederation(t *testing.T, zones ...federation.ZoneStatus) (kubeconfig string) {
	t.Helper()
	group := "/apis/" + federation.GroupName + "/v1alpha1"
	resource := func(name, kind string, namespaced bool) map[string]any {
		return map[string]any{"name": name, "kind": kind, "namespaced": namespaced, "verbs": []string{"get", "list"}}
	}
	version := map[string]any{"groupVersion": federation.GroupName + "/v1alpha1", "version": "v1alpha1"}
	endpoints := object(t, "GlobalEndpointsList", federation.GlobalEndpointsList{Items: []federation.GlobalEndpoints{webEndpoints()}})
	url := server(t, map[string]map[string]any{
		infoPath: {"kind": "ConfigMap", "apiVersion": "v1", "data": map[string]any{"name": "fellowship", "federationID": "id", "dnsZone": "example.com."}},
		"/api":   {"kind": "APIVersions", "versions": []string{"v1"}},
		"/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{
			map[string]any{"name": "services", "singularName": "service", "kind": "Service", "namespaced": true, "verbs": []string{"get"}, "shortNames": []string{"svc"}},
		}},
		"/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{map[string]any{"name": federation.GroupName, "versions": []any{version}, "preferredVersion": version}}},
		group: {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": federation.GroupName + "/v1alpha1", "resources": []any{
			resource("federations", "Federation", false), resource("clusters", "Cluster", false), resource("globalendpoints", "GlobalEndpoints", true),
		}},
		group + "/federations": object(t, "FederationList", federation.FederationList{Items: []federation.Federation{
			{ObjectMeta: metav1.ObjectMeta{Name: "fellowship"}, Status: federation.FederationStatus{Zones: zones}},
		}}),
		group + "/clusters": object(t, "ClusterList", federation.ClusterList{Items: []federation.Cluster{
			{ObjectMeta: metav1.ObjectMeta{Name: "gondor"}, Status: federation.ClusterStatus{Provider: "aws", Region: "us-east-1", Zones: []string{"us-east-1a"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "shire"}, Status: federation.ClusterStatus{Provider: "on-premises", Region: "shire"}},
		}}),
		group + "/globalendpoints":                 endpoints,
		group + "/namespaces/shop/globalendpoints": endpoints,
		group + "/namespaces/bank/globalendpoints": object(t, "GlobalEndpointsList", federation.GlobalEndpointsList{}),
		"/api/v1/namespaces/shop/services/inner":   {"kind": "Service", "apiVersion": "v1", "metadata": map[string]any{"name": "inner"}, "spec": map[string]any{"type": "ClusterIP"}},
		"/api/v1/namespaces/shop/services/outer":   {"kind": "Service", "apiVersion": "v1", "metadata": map[string]any{"name": "outer"}, "spec": map[string]any{"type": "LoadBalancer"}},
	})
	config := clientcmdapi.NewConfig()
	config.Clusters["fellowship"] = &clientcmdapi.Cluster{Server: url}
	config.AuthInfos["fellowship"] = &clientcmdapi.AuthInfo{}
	config.Contexts["fellowship"] = &clientcmdapi.Context{Cluster: "fellowship", AuthInfo: "fellowship", Namespace: "shop"}
	config.CurrentContext = "fellowship"
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

func webEndpoints() federation.GlobalEndpoints {
	return federation.GlobalEndpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web.services"},
		Spec:       federation.GlobalEndpointsSpec{Object: federation.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "web", UID: "2f6c"}},
		Status: federation.GlobalEndpointsStatus{
			Conditions: []metav1.Condition{{Type: federation.EndpointsPublished, Status: metav1.ConditionTrue, Reason: federation.ReasonPublished}},
			Clusters: []federation.ClusterEndpoint{
				{Name: "gondor", State: "Healthy", Addresses: []string{"192.0.2.1"}, Ready: ptr.To[int32](2), Ports: []federation.EndpointPort{{Name: "http", Protocol: "TCP", Port: 80}}},
				{Name: "shire", State: "Unhealthy", Addresses: []string{"192.0.2.3"}, Reason: "NoReadyPods", Message: "none of 2 pods is ready"},
			},
		},
	}
}

// served is an embedded server with what is to be published for Service shop/web, but for what drop leaves out.
func served(t *testing.T, drop string) string {
	t.Helper()
	s, err := dnsserver.New(dnsserver.Config{
		Listen: []string{"127.0.0.1:0"}, Log: logr.Discard(),
		Zones: []dnsserver.Zone{{Name: "example.com.", Servers: map[string][]netip.Addr{"ns1.example.com": {netip.MustParseAddr("127.0.0.1")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); s.Wait() })
	w := explain.World{Federation: "fellowship", Zones: []explain.Zone{{Name: "example.com.", Limits: dns.Limits{Routing: true}}}, Endpoints: []federation.GlobalEndpoints{webEndpoints()},
		Clusters: []federation.Cluster{
			{ObjectMeta: metav1.ObjectMeta{Name: "gondor"}, Status: federation.ClusterStatus{Provider: "aws", Region: "us-east-1", Zones: []string{"us-east-1a"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "shire"}, Status: federation.ClusterStatus{Provider: "on-premises", Region: "shire"}},
		}}
	var changes []dns.Change
	for _, n := range w.Objects()[0].Names {
		if n.Level != drop && len(n.Records) > 0 {
			changes = append(changes, dns.Change{Name: n.Name, After: n.Records})
		}
	}
	receipt, err := s.Apply(ctx, "example.com.", dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, changes)
	if err != nil || len(receipt.Failed) > 0 {
		t.Fatal(err, receipt.Failed)
	}
	return s.Addresses()[0].String()
}

func embedded(servers ...string) federation.ZoneStatus {
	return federation.ZoneStatus{Name: "example.com.", Provider: "embedded", State: "Ready", Servers: servers}
}

// told runs kubefed against a kubeconfig.
func told(t *testing.T, kubeconfig string, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Main(append(args, "--kubeconfig="+kubeconfig), Streams{In: os.Stdin, Out: &stdout, Err: &stderr})
	return code, stdout.String(), stderr.String()
}

func TestDNSRecords(t *testing.T) {
	kubeconfig := dnsFederation(t, embedded())
	for _, test := range []struct {
		args, golden string
		code         int
		errs         string
	}{
		{args: "web", golden: "dns/records.txt"},
		{args: "service/web -o wide", golden: "dns/records-wide.txt"},
		{args: "-A -o yaml", golden: "dns/records.yaml"},
		{args: "-n bank", errs: "Nothing in namespace bank has names"},
		{args: "inner", code: 1, errs: "is of type ClusterIP"},
		{args: "outer", code: 1, errs: "has no names (yet)"},
		{args: "gone", code: 1, errs: `services "gone" not found in namespace "shop"`},
		{args: "deployment/web", code: 1, errs: "others have no names"},
		{args: "-o xml", code: 1, errs: "use table, wide, json or yaml"},
	} {
		t.Run(test.args, func(t *testing.T) {
			code, out, errs := told(t, kubeconfig, append([]string{"dns", "records"}, strings.Fields(test.args)...)...)
			if code != test.code || !strings.Contains(errs, test.errs) || test.errs == "" && errs != "" {
				t.Errorf("exit code %d, errors %q; want %d and %q", code, errs, test.code, test.errs)
			}
			if test.golden != "" {
				wantGolden(t, test.golden, out)
			}
		})
	}
}

func TestDNSCheck(t *testing.T) {
	for _, test := range []struct {
		name, drop string
		args       []string
		code       int
		want       []string
	}{
		{"as it should be", "", nil, 0, []string{"Zone example.com (embedded, Ready)", "names, each as it should be at every server"}},
		{"a name is missing", "region us-east-1", nil, 1, []string{"web.shop.fellowship.svc.us-east-1.example.com", "192.0.2.1", "NXDOMAIN", "2 answers are not as they should be"}},
		{"as JSON", "region us-east-1", []string{"-o", "json"}, 1, []string{`"got": "NXDOMAIN"`}},
		{"another server", "", []string{"--server=127.0.0.1:1"}, 1, []string{"nobody listens there"}},
		{"another zone", "", []string{"--zone=example.org"}, 1, []string{"the federation's zones are example.com"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			kubeconfig := dnsFederation(t, embedded(served(t, test.drop)))
			code, out, errs := told(t, kubeconfig, append([]string{"dns", "check", "--wait=0s"}, test.args...)...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(out+errs, want) {
					t.Errorf("not said: %q", want)
				}
			}
			if t.Failed() {
				t.Log(out, errs)
			}
		})
	}
	if code, _, errs := told(t, dnsFederation(t), "dns", "check", "--wait=0s"); code != 1 || !strings.Contains(errs, "no server of zone example.com is known") {
		t.Errorf("without zones in the status: exit code %d, %s", code, errs)
	}
}

func TestDNSExport(t *testing.T) {
	kubeconfig := dnsFederation(t, embedded(served(t, "")))
	code, out, errs := told(t, kubeconfig, "dns", "export")
	if code != 0 || errs != "" || !strings.Contains(out, "SOA\tns1.example.com. hostmaster.example.com.") ||
		!strings.Contains(out, "\nweb.shop.fellowship.svc.example.com.\t20\tIN\tA\t192.0.2.1\n") {
		t.Errorf("exit code %d, %s\n%s", code, errs, out)
	}
	code, out, errs = told(t, dnsFederation(t, embedded("127.0.0.1:1", "ns.example.net:53")), "dns", "export", "example.com")
	if code != 0 || !strings.Contains(errs, "nobody listens there") || !strings.Contains(out, "ns1.example.com.\t300\tIN\tA\t127.0.0.1") || !strings.Contains(out, "NS\tns.example.net.") {
		t.Errorf("without an answer: exit code %d, %s\n%s", code, errs, out)
	}
	if code, _, errs := told(t, kubeconfig, "dns", "export", "example.org"); code != 1 || !strings.Contains(errs, "zones are example.com") {
		t.Errorf("another zone: exit code %d, %s", code, errs)
	}
}

func TestDNSCoreDNS(t *testing.T) {
	code, out, errs := told(t, dnsFederation(t, embedded("192.0.2.53:53", "192.0.2.54:5353"), federation.ZoneStatus{Name: "shop.example.", Provider: "aws-route53", Servers: []string{"ns-1.awsdns-1.net"}}),
		"dns", "coredns", "--cluster=gondor")
	if code != 0 || errs != "" {
		t.Errorf("exit code %d, %s", code, errs)
	}
	wantGolden(t, "dns/corefile.txt", out)
	if code, _, errs := told(t, dnsFederation(t, embedded()), "dns", "coredns", "--cluster=moria"); code != 1 || !strings.Contains(errs, "no cluster of this name") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}
