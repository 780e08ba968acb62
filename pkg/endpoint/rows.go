package endpoint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// port is a port at which an object is served. service is the number that the object itself names, which differs for node ports.
type port struct {
	name, protocol  string
	number, service uint16
}

// place is where a load balancer serves.
type place struct {
	addresses []netip.Addr
	hostnames []string
}

func (p place) empty() bool { return len(p.addresses) == 0 && len(p.hostnames) == 0 }

func (p place) same(o place) bool {
	return slices.Equal(p.addresses, o.addresses) && slices.Equal(p.hostnames, o.hostnames)
}

func (p *place) add(ip, hostname string) {
	if a, err := netip.ParseAddr(ip); err == nil {
		p.addresses = append(p.addresses, a.Unmap())
	} else if hostname != "" {
		p.hostnames = append(p.hostnames, strings.ToLower(hostname))
	}
}

func (p *place) tidy() {
	slices.SortFunc(p.addresses, netip.Addr.Compare)
	p.addresses = slices.Compact(p.addresses)
	slices.Sort(p.hostnames)
	p.hostnames = slices.Compact(p.hostnames)
}

// service is what is kept of a Service.
type service struct {
	place
	ports []port // as seen at place
	// exposed: people outside the cluster are to reach it. nodes: at its nodes' node ports; local: at those with ready pods only.
	exposed, nodes, local bool
	selector              bool
}

func sameService(a, b service) bool {
	return a.place.same(b.place) && slices.Equal(a.ports, b.ports) &&
		a.exposed == b.exposed && a.nodes == b.nodes && a.local == b.local && a.selector == b.selector
}

func trimService(o metav1.Object) (service, error) {
	s, ok := o.(*corev1.Service)
	if !ok {
		return service{}, fmt.Errorf("following Services: got a %T", o)
	}
	row := service{selector: len(s.Spec.Selector) > 0}
	balanced := s.Spec.Type == corev1.ServiceTypeLoadBalancer
	row.exposed = balanced || s.Spec.Type == corev1.ServiceTypeNodePort || len(s.Spec.ExternalIPs) > 0
	if s.Spec.Type == corev1.ServiceTypeExternalName || s.DeletionTimestamp != nil {
		row.exposed = false
	}
	if balanced {
		for _, i := range s.Status.LoadBalancer.Ingress {
			row.add(i.IP, i.Hostname)
		}
	}
	for _, ip := range s.Spec.ExternalIPs {
		row.add(ip, "")
	}
	row.tidy()
	row.nodes = s.Spec.Type == corev1.ServiceTypeNodePort && row.place.empty()
	row.local = s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	for _, p := range s.Spec.Ports {
		q := port{name: p.Name, protocol: strings.ToLower(string(p.Protocol)), number: uint16(p.Port), service: uint16(p.Port)}
		if row.nodes {
			q.number = uint16(p.NodePort)
		}
		if q.number != 0 {
			row.ports = append(row.ports, q)
		}
	}
	return row, nil
}

// slice is what is kept of an EndpointSlice.
type slice struct {
	service       string
	family        discoveryv1.AddressType
	ready, wanted int32
	nodes         []string // with ready pods, sorted
}

func sameSlice(a, b slice) bool {
	return a.service == b.service && a.family == b.family && a.ready == b.ready && a.wanted == b.wanted && slices.Equal(a.nodes, b.nodes)
}

func trimSlice(o metav1.Object) (slice, error) {
	s, ok := o.(*discoveryv1.EndpointSlice)
	if !ok {
		return slice{}, fmt.Errorf("following EndpointSlices: got a %T", o)
	}
	row := slice{service: s.Labels[discoveryv1.LabelServiceName], family: s.AddressType}
	for _, e := range s.Endpoints {
		ready := e.Conditions.Ready == nil || *e.Conditions.Ready
		if ready || e.Conditions.Terminating == nil || !*e.Conditions.Terminating {
			row.wanted++
		}
		if !ready {
			continue
		}
		row.ready++
		if e.NodeName != nil && !slices.Contains(row.nodes, *e.NodeName) {
			row.nodes = append(row.nodes, strings.Clone(*e.NodeName))
		}
	}
	slices.Sort(row.nodes)
	return row, nil
}

// ingress is what is kept of an Ingress.
type ingress struct {
	place
	ports    []port
	backends []string // Services of its namespace, sorted
	host     string   // the first one without a wildcard
}

func sameIngress(a, b ingress) bool {
	return a.place.same(b.place) && slices.Equal(a.ports, b.ports) && slices.Equal(a.backends, b.backends) && a.host == b.host
}

func trimIngress(o metav1.Object) (ingress, error) {
	i, ok := o.(*networkingv1.Ingress)
	if !ok {
		return ingress{}, fmt.Errorf("following Ingresses: got a %T", o)
	}
	row := ingress{}
	for _, at := range i.Status.LoadBalancer.Ingress {
		row.add(at.IP, at.Hostname)
	}
	row.tidy()
	row.ports = []port{{"http", "tcp", 80, 80}}
	if len(i.Spec.TLS) > 0 {
		// First, because a redirect from port 80 may be switched off.
		row.ports = []port{{"https", "tcp", 443, 443}, {"http", "tcp", 80, 80}}
	}
	if b := i.Spec.DefaultBackend; b != nil && b.Service != nil {
		row.backends = append(row.backends, b.Service.Name)
	}
	for _, rule := range i.Spec.Rules {
		if row.host == "" && !strings.HasPrefix(rule.Host, "*") {
			row.host = rule.Host
		}
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			if path.Backend.Service != nil {
				row.backends = append(row.backends, path.Backend.Service.Name)
			}
		}
	}
	slices.Sort(row.backends)
	row.backends = slices.Compact(row.backends)
	return row, nil
}

// gateway is what is kept of a Gateway.
type gateway struct {
	place
	ports      []port
	host       string
	programmed *bool // nil: it does not say
}

func sameGateway(a, b gateway) bool {
	return a.place.same(b.place) && slices.Equal(a.ports, b.ports) && a.host == b.host &&
		(a.programmed == nil) == (b.programmed == nil) && (a.programmed == nil || *a.programmed == *b.programmed)
}

// trimGateway reads gateway.networking.k8s.io/v1 (sigs.k8s.io/gateway-api, apis/v1/gateway_types.go).
func trimGateway(o metav1.Object) (gateway, error) {
	g, ok := o.(*unstructured.Unstructured)
	if !ok {
		return gateway{}, fmt.Errorf("following Gateways: got a %T", o)
	}
	row := gateway{}
	for _, at := range listed(g.Object, "status", "addresses") {
		value, _ := at["value"].(string)
		if kind, _ := at["type"].(string); kind == "Hostname" {
			row.add("", value)
		} else {
			row.add(value, "")
		}
	}
	row.tidy()
	for _, l := range listed(g.Object, "spec", "listeners") {
		name, _ := l["name"].(string)
		number, _ := l["port"].(int64)
		protocol := "tcp"
		if l["protocol"] == "UDP" {
			protocol = "udp"
		}
		if host, _ := l["hostname"].(string); row.host == "" && !strings.HasPrefix(host, "*") {
			row.host = host
		}
		p := port{name, protocol, uint16(number), uint16(number)}
		known := slices.ContainsFunc(row.ports, func(q port) bool { return q.number == p.number && q.protocol == p.protocol })
		if number > 0 && number < 1<<16 && !known {
			row.ports = append(row.ports, p)
		}
	}
	for _, c := range listed(g.Object, "status", "conditions") {
		if status, _ := c["status"].(string); c["type"] == "Programmed" && (status == "True" || status == "False") {
			row.programmed = new(status == "True")
		}
	}
	return row, nil
}

// listed are the maps in the list at a path.
func listed(object map[string]any, path ...string) (out []map[string]any) {
	list, _, _ := unstructured.NestedFieldNoCopy(object, path...)
	all, _ := list.([]any)
	for _, item := range all {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// node is what is kept of a node.
type node struct {
	addresses []netip.Addr // external ones, else internal ones, of each family the first
	usable    bool
}

func sameNode(a, b node) bool { return a.usable == b.usable && slices.Equal(a.addresses, b.addresses) }

func trimNode(o metav1.Object) (node, error) {
	n, ok := o.(*corev1.Node)
	if !ok {
		return node{}, fmt.Errorf("following nodes: got a %T", o)
	}
	row := node{}
	_, excluded := n.Labels[corev1.LabelNodeExcludeBalancers]
	for _, c := range n.Status.Conditions {
		row.usable = row.usable || c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	}
	row.usable = row.usable && !excluded && n.DeletionTimestamp == nil
	for _, kind := range []corev1.NodeAddressType{corev1.NodeExternalIP, corev1.NodeInternalIP} {
		for _, at := range n.Status.Addresses {
			a, err := netip.ParseAddr(at.Address)
			family := func(b netip.Addr) bool { return b.Is4() == a.Unmap().Is4() }
			if err == nil && at.Type == kind && !slices.ContainsFunc(row.addresses, family) {
				row.addresses = append(row.addresses, a.Unmap())
			}
		}
		if len(row.addresses) > 0 {
			break
		}
	}
	return row, nil
}
