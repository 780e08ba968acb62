package controlplane

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestEndpointOf(t *testing.T) {
	balanced := func(port int32, ingress ...corev1.LoadBalancerIngress) *corev1.Service {
		return &corev1.Service{
			Spec:   corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: port, NodePort: 30443}}},
			Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: ingress}},
		}
	}
	node := func(kind corev1.NodeAddressType, address string) corev1.Node {
		return corev1.Node{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: kind, Address: address}}}}
	}
	nodePort := func(o *Options) { o.ServiceType = corev1.ServiceTypeNodePort }
	for _, test := range []struct {
		name    string
		change  func(*Options)
		service *corev1.Service
		nodes   []corev1.Node
		want    Endpoint
		why     string
	}{
		{name: "no address yet", service: balanced(443), why: "no address yet"},
		{name: "an address", service: balanced(443, corev1.LoadBalancerIngress{IP: "192.0.2.1"}),
			want: Endpoint{Server: "https://192.0.2.1", Hosts: []string{"192.0.2.1"}}},
		{name: "an IPv6 address", service: balanced(443, corev1.LoadBalancerIngress{IP: "2001:db8::1"}),
			want: Endpoint{Server: "https://[2001:db8::1]", Hosts: []string{"2001:db8::1"}}},
		{name: "a host name and a port", service: balanced(8443, corev1.LoadBalancerIngress{Hostname: "lb.example.net"}),
			want: Endpoint{Server: "https://lb.example.net:8443", Hosts: []string{"lb.example.net"}}},
		{name: "advertised", change: func(o *Options) { o.AdvertiseAddress = "api.example.com" }, service: balanced(443),
			want: Endpoint{Server: "https://api.example.com", Hosts: []string{"api.example.com"}}},
		{name: "port-forward", change: func(o *Options) { o.ServiceType = corev1.ServiceTypeClusterIP }, service: balanced(443),
			want: Endpoint{Server: "https://127.0.0.1:6443", PortForward: 6443}},
		{name: "node port: outside address first", change: nodePort, service: balanced(443),
			nodes: []corev1.Node{node(corev1.NodeInternalIP, "10.0.0.1"), node(corev1.NodeExternalIP, "192.0.2.7")},
			want:  Endpoint{Server: "https://192.0.2.7:30443", Hosts: []string{"192.0.2.7", "10.0.0.1"}}},
		{name: "node port without nodes", change: nodePort, service: balanced(443), why: "--api-server-advertise-address"},
		{name: "node port not given yet", change: nodePort, service: &corev1.Service{}, why: "no node port yet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, why := EndpointOf(validated(t, test.change), test.service, test.nodes)
			if (why == "") != (test.why == "") || !strings.Contains(why, test.why) {
				t.Fatalf("waits because %q, want %q", why, test.why)
			}
			if diff := cmp.Diff(test.want, got); test.why == "" && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPodsWhy(t *testing.T) {
	pod := func(state corev1.ContainerState) corev1.Pod {
		p := corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: state}}}}
		p.Name = "p"
		return p
	}
	pending := corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no node is big enough"},
	}}}
	for _, test := range []struct {
		name string
		pods []corev1.Pod
		want string
	}{
		{"none", nil, "no pod has been made yet"},
		{"not scheduled", []corev1.Pod{pending}, "no node is big enough"},
		{"no image", []corev1.Pod{pod(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}})}, "ImagePullBackOff: not found"},
		{"ended", []corev1.Pod{pod(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}})}, "exit code 1"},
		{"starting", []corev1.Pod{pod(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})}, "not ready yet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := podsWhy(test.pods); !strings.Contains(got, test.want) {
				t.Errorf("%q, want something with %q", got, test.want)
			}
		})
	}
}
