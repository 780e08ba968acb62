package node

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// freeAddress is one that nobody listened on a moment ago.
func freeAddress(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// backend reads until the client's end, and then answers with its name and what it read.
func backend(t *testing.T, name string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(c) // what did not come is not in the answer
			fmt.Fprintf(c, "%s got %s", name, text)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

// ask sends text, closes its half, and reads the answer.
func ask(address netip.AddrPort, text string) (string, error) {
	c, err := net.DialTimeout("tcp", address.String(), time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	fmt.Fprint(c, text)
	c.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(c)
	return string(answer), err
}

func TestForwarder(t *testing.T) {
	f := newConnections(t.Context(), freeAddress(t))
	defer f.close()
	if _, err := ask(f.address, "x"); err == nil {
		t.Fatal("connected although there is no backend")
	}
	a, b := backend(t, "a"), backend(t, "b")
	if err := f.set([]string{a, b}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for range 4 {
		answer, err := ask(f.address, "hello")
		if err != nil {
			t.Fatal(err)
		}
		seen[answer]++
	}
	if diff := cmp.Diff(map[string]int{"a got hello": 2, "b got hello": 2}, seen); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}

	dead := freeAddress(t).String()
	if err := f.set([]string{dead, b}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if answer, err := ask(f.address, "y"); err != nil || answer != "b got y" {
			t.Errorf("beside a dead backend: %q, %v", answer, err)
		}
	}
	f.set([]string{dead})
	if answer, _ := ask(f.address, "y"); answer != "" { // an error, or an end before anything was read
		t.Errorf("with dead backends alone: %q, want no answer", answer)
	}
	f.set(nil)
	if _, err := ask(f.address, "x"); err == nil {
		t.Error("connected after the last backend went")
	}
}

func TestForwarderCloseEndsConnections(t *testing.T) {
	f := newConnections(t.Context(), freeAddress(t))
	if err := f.set([]string{backend(t, "a")}); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", f.address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "begun")
	f.close()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection lives on")
	}
}

func TestBackends(t *testing.T) {
	endpoint := func(address string, c discoveryv1.EndpointConditions) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: c}
	}
	ready := discoveryv1.EndpointConditions{Ready: ptr.To(true)}
	unready := discoveryv1.EndpointConditions{Ready: ptr.To(false)}
	leaving := discoveryv1.EndpointConditions{Ready: ptr.To(false), Serving: ptr.To(true), Terminating: ptr.To(true)}
	slice := func(port string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			AddressType: discoveryv1.AddressTypeIPv4, Endpoints: endpoints,
			Ports: []discoveryv1.EndpointPort{{Name: ptr.To(port), Port: ptr.To[int32](80)}},
		}
	}
	for _, tc := range []struct {
		name   string
		slices []*discoveryv1.EndpointSlice
		want   []string
	}{
		{"none", nil, nil},
		{"ready ones", []*discoveryv1.EndpointSlice{slice("http", endpoint("10.1.1.2", ready), endpoint("10.1.1.1", ready), endpoint("10.1.1.3", unready))}, []string{"127.1.1.1:80", "127.1.1.2:80"}},
		{"nothing said is ready", []*discoveryv1.EndpointSlice{slice("http", endpoint("10.1.1.2", discoveryv1.EndpointConditions{}))}, []string{"127.1.1.2:80"}},
		{"other port", []*discoveryv1.EndpointSlice{slice("dns", endpoint("10.1.1.2", ready))}, nil},
		{"in two slices", []*discoveryv1.EndpointSlice{slice("http", endpoint("10.1.1.2", ready)), slice("http", endpoint("10.1.1.2", ready))}, []string{"127.1.1.2:80"}},
		{"leaving ones are the last resort", []*discoveryv1.EndpointSlice{slice("http", endpoint("10.1.1.2", leaving), endpoint("10.1.1.3", unready))}, []string{"127.1.1.2:80"}},
		{"leaving ones beside a ready one", []*discoveryv1.EndpointSlice{slice("http", endpoint("10.1.1.2", leaving), endpoint("10.1.1.3", ready))}, []string{"127.1.1.3:80"}},
		{"address from elsewhere", []*discoveryv1.EndpointSlice{slice("http", endpoint("192.168.1.1", ready))}, []string{"192.168.1.1:80"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, backends(tc.slices, "http", v1.ProtocolTCP)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	name := "http"
	slices := []*discoveryv1.EndpointSlice{{
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.1.2"}}},
		Ports: []discoveryv1.EndpointPort{
			{Name: &name, Port: ptr.To[int32](80)},
			{Name: ptr.To("dns"), Port: ptr.To[int32](5353), Protocol: ptr.To(v1.ProtocolUDP)},
		},
	}}
	nodes := Addresses(netip.MustParsePrefix("127.20.0.0/16"), 2)
	balancer := netip.MustParseAddr("127.20.200.1")
	backend, dns := []string{"127.1.1.2:80"}, []string{"127.1.1.2:5353"}
	for _, tc := range []struct {
		name     string
		ports    []v1.ServicePort
		balancer netip.Addr
		want     map[string][]string
	}{
		{"of the cluster alone", []v1.ServicePort{{Name: name, Port: 8000}}, netip.Addr{}, map[string][]string{}},
		{"node port", []v1.ServicePort{{Name: name, Port: 8000, NodePort: 30000}}, netip.Addr{},
			map[string][]string{"127.20.0.16:30000": backend, "127.20.0.17:30000": backend}},
		{"load balancer with node port", []v1.ServicePort{{Name: name, Port: 8000, NodePort: 30000}}, balancer,
			map[string][]string{"127.20.0.16:30000": backend, "127.20.0.17:30000": backend, "127.20.200.1:8000": backend}},
		{"load balancer without node port", []v1.ServicePort{{Name: name, Port: 8000}}, balancer, map[string][]string{"127.20.200.1:8000": backend}},
		{"no endpoint", []v1.ServicePort{{Name: "other", Port: 8000}}, balancer, map[string][]string{"127.20.200.1:8000": nil}},
		{"UDP", []v1.ServicePort{{Name: "dns", Port: 53, NodePort: 30000, Protocol: v1.ProtocolUDP}}, balancer,
			map[string][]string{"UDP 127.20.0.16:30000": dns, "UDP 127.20.0.17:30000": dns, "UDP 127.20.200.1:53": dns}},
		{"UDP and TCP at one port", []v1.ServicePort{{Name: "dns", Port: 53, Protocol: v1.ProtocolUDP}, {Name: name, Port: 53, Protocol: v1.ProtocolTCP}}, balancer,
			map[string][]string{"UDP 127.20.200.1:53": dns, "127.20.200.1:53": backend}},
		{"a name of another protocol", []v1.ServicePort{{Name: name, Port: 53, Protocol: v1.ProtocolUDP}}, balancer, map[string][]string{"UDP 127.20.200.1:53": nil}},
		{"SCTP", []v1.ServicePort{{Name: name, Port: 53, NodePort: 30000, Protocol: v1.ProtocolSCTP}}, balancer, map[string][]string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := map[string][]string{}
			for from, to := range routes(&v1.Service{Spec: v1.ServiceSpec{Ports: tc.ports}}, tc.balancer, nodes, slices) {
				where := from.String()
				if from.protocol != v1.ProtocolTCP {
					where = string(from.protocol) + " " + where
				}
				got[where] = to
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
