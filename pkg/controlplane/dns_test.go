package controlplane

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"kubefed.dev/kubefed/pkg/dns/config"
)

func parsed(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestValidateDNS(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string // part of the error, "" for none
	}{
		{"as the API", nil, ""},
		{"not exposed", func(o *Options) { o.DNS.ServiceType = NotExposed }, ""},
		{"another type", func(o *Options) { o.DNS.ServiceType = "ExternalName" }, "--dns-service-type=ExternalName: use LoadBalancer"},
		{"a file", func(o *Options) {
			o.DNS.Config = parsed(t, "zones: [{name: example.com, provider: aws-route53}, {name: shop.example}]")
		}, ""},
		{"a file with another main zone", func(o *Options) { o.DNS.Config = parsed(t, "zones: [{name: shop.example}, {name: example.com}]") }, "zones[0].name is shop.example."},
		{"a file that says where to listen", func(o *Options) {
			o.DNS.Config = parsed(t, "server: {listen: [\":53\"]}\nzones: [{name: example.com}]")
		}, "server.listen"},
		{"TLS at a privileged port", func(o *Options) {
			o.DNS.Config = parsed(t, "server: {listenTLS: [\":853\"], tls: {certFile: a, keyFile: b}}\nzones: [{name: example.com}]")
		}, "above 1023"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := fellowship(test.change).Validate()
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" {
				wantError(t, err, test.want)
			}
		})
	}
}

func TestDNSEndpointOf(t *testing.T) {
	service := func(change func(*corev1.Service)) *corev1.Service {
		s := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 53, NodePort: 30053}}}}
		if change != nil {
			change(s)
		}
		return s
	}
	nodes := []corev1.Node{{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, {Type: corev1.NodeExternalIP, Address: "192.0.2.7"},
	}}}}
	for _, test := range []struct {
		name    string
		kind    corev1.ServiceType
		service *corev1.Service
		nodes   []corev1.Node
		want    DNSEndpoint
		why     string
	}{
		{name: "no address yet", kind: "LoadBalancer", service: service(nil), why: "no address yet"},
		{name: "two addresses and a name", kind: "LoadBalancer", service: service(func(s *corev1.Service) {
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1", Hostname: "x"}, {IP: "2001:db8::1"}, {Hostname: "lb.example.net"}}
		}), want: DNSEndpoint{Hosts: []string{"192.0.2.1", "2001:db8::1", "lb.example.net"}, Port: 53}},
		{name: "node port", kind: "NodePort", service: service(nil), nodes: nodes, want: DNSEndpoint{Hosts: []string{"192.0.2.7"}, Port: 30053}},
		{name: "node port without nodes", kind: "NodePort", service: service(nil), why: "no node of the host"},
		{name: "node port not given yet", kind: "NodePort", service: &corev1.Service{}, nodes: nodes, why: "no node port yet"},
		{name: "inside", kind: "ClusterIP", service: service(func(s *corev1.Service) { s.Spec.ClusterIP = "10.96.0.53" }), want: DNSEndpoint{Hosts: []string{"10.96.0.53"}, Port: 53, Inside: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, why := DNSEndpointOf(validated(t, func(o *Options) { o.DNS.ServiceType = test.kind }), test.service, test.nodes)
			if (why == "") != (test.why == "") || !strings.Contains(why, test.why) {
				t.Fatalf("waits because %q, want %q", why, test.why)
			}
			if diff := cmp.Diff(test.want, got); test.why == "" && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What the pod reads can be read, and says where the world finds the zone.
func TestStoredConfig(t *testing.T) {
	at := DNSEndpoint{Hosts: []string{"192.0.2.1", "lb.example.net", "2001:db8::1"}, Port: 53}
	for _, test := range []struct {
		name, given string
		want        []config.NameServer
	}{
		{"by default", "", []config.NameServer{{Name: "ns1.example.com.", Addresses: []string{"192.0.2.1", "2001:db8::1"}}, {Name: "lb.example.net."}}},
		{"as the user says", "zones: [{name: example.com, embedded: {nameServers: [{name: a.example.net}]}}]", []config.NameServer{{Name: "a.example.net"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := validated(t, func(o *Options) {
				o.DNS.Reached = at
				if test.given != "" {
					o.DNS.Config = parsed(t, test.given)
				}
			})
			c := parsed(t, string(dnsFiles(o)[keyDNSConfig]))
			if diff := cmp.Diff(test.want, c.Zones[0].Embedded.NameServers); diff != "" {
				t.Errorf("name servers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"192.0.2.1:53", "lb.example.net:53", "[2001:db8::1]:53"}, c.Server.Advertise); diff != "" {
				t.Errorf("advertised (-want +got):\n%s", diff)
			}
			if given := parsed(t, string(dnsFiles(o)[keyDNSGiven])); len(given.Server.Advertise) > 0 {
				t.Error("what was found out is kept as given")
			}
		})
	}
}

// An Init without DNS flags keeps what an earlier one stored, files included.
func TestKeepDNS(t *testing.T) {
	first := validated(t, func(o *Options) {
		o.DNS.Config = parsed(t, "zones: [{name: example.com, provider: rfc2136, rfc2136: {server: \"192.0.2.9:53\", key: {name: k, secretFile: /etc/federation/dns/file-1}}}]")
		o.DNS.Files = map[string][]byte{"file-1": []byte("secret")}
	})
	stored := corev1.Secret{Data: dnsFiles(first)}
	kept, err := DNS{}.keep(stored)
	if err != nil {
		t.Fatal(err)
	}
	second := validated(t, func(o *Options) { o.DNS = kept })
	if diff := cmp.Diff(dnsFiles(first), dnsFiles(second)); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	if second.DNS.exposed(second.DNSZone) {
		t.Error("a server that serves nothing is exposed")
	}
	embedded := DNS{Config: config.Default("example.com")}
	if other, err := embedded.keep(stored); err != nil || other.Config != embedded.Config {
		t.Errorf("what the user gives does not win: %v", err)
	}
	stored.Data[keyDNSGiven] = []byte("zones: x")
	if _, err := (DNS{}).keep(stored); err == nil || !strings.Contains(err.Error(), "give --dns-provider-config again") {
		t.Errorf("of something else: %v", err)
	}
}
