package endpoint

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

var options = cmp.Options{cmp.AllowUnexported(served{}, place{}, port{}, slice{}, node{}, gateway{}, ingress{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}

func addrs(texts ...string) (out []netip.Addr) {
	for _, text := range texts {
		out = append(out, addr(text))
	}
	return out
}

func TestServeService(t *testing.T) {
	two := int32(2)
	both := []slice{{service: "web", family: discoveryv1.AddressTypeIPv4, ready: 2, wanted: 3, nodes: []string{"b"}}, {service: "web", family: discoveryv1.AddressTypeIPv6, ready: 2, wanted: 3}}
	nodes := map[types.NamespacedName]node{
		{Name: "a"}: {addresses: addrs("203.0.113.1"), usable: true}, {Name: "b"}: {addresses: addrs("203.0.113.2"), usable: true}, {Name: "c"}: {addresses: addrs("203.0.113.3")},
	}
	for _, test := range []struct {
		name   string
		change func(*corev1.Service)
		want   *served
	}{
		{"for the cluster itself", func(*corev1.Service) {}, nil},
		{"going", func(s *corev1.Service) {
			s.Spec.Type, s.DeletionTimestamp = corev1.ServiceTypeLoadBalancer, &metav1.Time{}
		}, nil},
		{"load balancer, no address yet", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer },
			&served{ports: []port{{"http", "tcp", 80, 80}}, ready: &two, wanted: 3}},
		{"load balancer", func(s *corev1.Service) {
			s.Spec.Type = corev1.ServiceTypeLoadBalancer
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "127.0.0.9"}, {Hostname: "LB.example.com"}, {IP: "::ffff:127.0.0.9"}, {IP: "2001:db8::1"}}
		}, &served{place: place{addrs("127.0.0.9", "2001:db8::1"), []string{"lb.example.com"}}, ports: []port{{"http", "tcp", 80, 80}}, ready: &two, wanted: 3}},
		{"external IPs", func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"192.0.2.1", "nonsense"} },
			&served{place: place{addresses: addrs("192.0.2.1")}, ports: []port{{"http", "tcp", 80, 80}}, ready: &two, wanted: 3}},
		{"node ports", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort },
			&served{place: place{addresses: addrs("203.0.113.1", "203.0.113.2")}, ports: []port{{"http", "tcp", 30080, 80}}, ready: &two, wanted: 3}},
		{"node ports of nodes with pods", func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalTrafficPolicy = corev1.ServiceTypeNodePort, corev1.ServiceExternalTrafficPolicyLocal
		}, &served{place: place{addresses: addrs("203.0.113.2")}, ports: []port{{"http", "tcp", 30080, 80}}, ready: &two, wanted: 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &corev1.Service{Spec: corev1.ServiceSpec{
				Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30080}},
			}}
			test.change(s)
			row, err := trimService(s)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := serveService(types.NamespacedName{Name: "web"}, row, both, nodes)
			if test.want == nil && ok || test.want != nil && !ok {
				t.Fatalf("served: %v", ok)
			}
			if test.want != nil {
				if diff := cmp.Diff(*test.want, got, options); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
	if s, _ := serveService(types.NamespacedName{Name: "web"}, service{exposed: true}, nil, nil); s.ready != nil {
		t.Error("without a selector and slices readiness is unknown")
	}
}

// TestFewNodesStay: of many nodes few are named, and those stay when others come and go.
func TestFewNodesStay(t *testing.T) {
	nodes := map[types.NamespacedName]node{}
	for i := range 100 {
		nodes[types.NamespacedName{Name: fmt.Sprint("n", i)}] = node{addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}, usable: true}
	}
	web := types.NamespacedName{Namespace: "default", Name: "web"}
	before := nodeAddresses(web, false, nil, nodes)
	if len(before) != maxNodes {
		t.Fatalf("%d nodes", len(before))
	}
	gone := nodes[types.NamespacedName{Name: "n50"}].addresses[0]
	delete(nodes, types.NamespacedName{Name: "n50"})
	after := nodeAddresses(web, false, nil, nodes)
	for _, a := range before {
		kept := false
		for _, b := range after {
			kept = kept || a == b
		}
		if !kept && a != gone {
			t.Errorf("%s left without a reason", a)
		}
	}
}

func TestTrimSlice(t *testing.T) {
	yes, no, n1, n2 := true, false, "n1", "n2"
	row, err := trimSlice(&discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{discoveryv1.LabelServiceName: "web"}}, AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{
			{Conditions: discoveryv1.EndpointConditions{Ready: &yes}, NodeName: &n2}, {NodeName: &n1}, {NodeName: &n1},
			{Conditions: discoveryv1.EndpointConditions{Ready: &no}},
			{Conditions: discoveryv1.EndpointConditions{Ready: &no, Terminating: &yes}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := slice{service: "web", family: discoveryv1.AddressTypeIPv4, ready: 3, wanted: 4, nodes: []string{"n1", "n2"}}
	if diff := cmp.Diff(want, row, options); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTrimNode(t *testing.T) {
	n := &corev1.Node{Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, {Type: corev1.NodeHostName, Address: "n1"},
			{Type: corev1.NodeExternalIP, Address: "203.0.113.1"}, {Type: corev1.NodeExternalIP, Address: "203.0.113.2"}, {Type: corev1.NodeExternalIP, Address: "2001:db8::1"}},
	}}
	if row, err := trimNode(n); err != nil || !sameNode(row, node{addrs("203.0.113.1", "2001:db8::1"), true}) {
		t.Errorf("%+v, %v", row, err)
	}
	n.Status.Addresses = n.Status.Addresses[:2]
	n.Labels = map[string]string{corev1.LabelNodeExcludeBalancers: ""}
	if row, err := trimNode(n); err != nil || !sameNode(row, node{addrs("10.0.0.1"), false}) {
		t.Errorf("%+v, %v", row, err)
	}
}

func TestServeIngress(t *testing.T) {
	i := &networkingv1.Ingress{}
	backend := func(name string) networkingv1.IngressBackend {
		return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: name}}
	}
	i.Spec.TLS = []networkingv1.IngressTLS{{}}
	i.Spec.Rules = []networkingv1.IngressRule{{Host: "*.example.com"}, {Host: "shop.example.com", IngressRuleValue: networkingv1.IngressRuleValue{
		HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Backend: backend("b")}, {Backend: backend("a")}, {Backend: backend("b")}}}}}}
	row, err := trimIngress(i)
	if err != nil || row.host != "shop.example.com" || row.ports[0].number != 443 || !cmp.Equal(row.backends, []string{"a", "b"}) {
		t.Fatalf("%+v, %v", row, err)
	}
	for _, test := range []struct {
		name  string
		ready map[string]int32
		want  *int32
	}{
		{"both", map[string]int32{"a": 1, "b": 2}, func() *int32 { n := int32(3); return &n }()},
		{"nothing ready", map[string]int32{"a": 0, "b": 0}, new(int32)},
		{"one is someone else's", map[string]int32{"a": 0}, nil},
	} {
		got := serveIngress(row, func(name string) ([]slice, bool) {
			n, known := test.ready[name]
			return []slice{{ready: n, wanted: n}}, known
		})
		if !sameCount(got.ready, test.want) {
			t.Errorf("%s: %v", test.name, got.ready)
		}
	}
}

func TestServeGateway(t *testing.T) {
	list := func(items ...any) []any { return items }
	g := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"listeners": list(
			map[string]any{"name": "http", "port": int64(80), "protocol": "HTTP", "hostname": "*.example.com"},
			map[string]any{"name": "shop", "port": int64(80), "protocol": "HTTP", "hostname": "shop.example.com"},
			map[string]any{"name": "dns", "port": int64(53), "protocol": "UDP"},
			map[string]any{"name": "wrong", "port": int64(70000)}, "nonsense",
		)},
		"status": map[string]any{
			"addresses":  list(map[string]any{"value": "192.0.2.1"}, map[string]any{"type": "Hostname", "value": "lb.example.com"}, map[string]any{"type": "example.com/x", "value": "y"}),
			"conditions": list(map[string]any{"type": "Programmed", "status": "False"}),
		},
	}}
	row, err := trimGateway(g)
	if err != nil {
		t.Fatal(err)
	}
	want := served{place: place{addrs("192.0.2.1"), []string{"lb.example.com"}}, host: "shop.example.com", ports: []port{{"http", "tcp", 80, 80}, {"dns", "udp", 53, 53}}, ready: new(int32)}
	if diff := cmp.Diff(want, serveGateway(row), options); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if row, err = trimGateway(&unstructured.Unstructured{Object: map[string]any{"status": "nonsense"}}); err != nil || serveGateway(row).ready != nil {
		t.Errorf("%+v, %v", row, err)
	}
}
