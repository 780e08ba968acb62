package explain

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/named"
)

// Subject is what the names of an object are made of, as its GlobalEndpoints say.
func (w World) Subject(g *federation.GlobalEndpoints) dns.Subject {
	o := reference(g)
	s := dns.Subject{
		Owner:     dns.Owner{Ref: OwnerRef(o), UID: string(o.UID), Generation: generation(g)},
		Settings:  SettingsOf(g.Spec.Settings, g.Spec.Hosts),
		Published: addresses(g.Status.Published),
		Hosts:     g.Spec.Hosts,
	}
	if o.Kind == "Service" && len(w.Zones) > 0 {
		s.Names = dns.Names{Service: o.Name, Namespace: o.Namespace, Federation: w.Federation, Domain: w.Zones[0].Name}
	}
	for _, c := range g.Status.Clusters {
		e := w.endpoint(c)
		e.ProbePort = probePort(g.Spec.Settings.Probe, e.Ports)
		s.Endpoints = append(s.Endpoints, e)
		s.Urgent = s.Urgent || e.State == dns.Draining && len(e.Addresses) > 0
	}
	return s
}

// reference names the object with its UID, which stands among the owners of what is published for it.
func reference(g *federation.GlobalEndpoints) federation.ObjectReference {
	o := g.Spec.Object
	for _, owner := range g.OwnerReferences {
		if o.UID == "" && owner.Kind == o.Kind && owner.Name == o.Name {
			o.UID = owner.UID
		}
	}
	return o
}

// generation is the object's for which the names were looked at last.
func generation(g *federation.GlobalEndpoints) int64 {
	if c := meta.FindStatusCondition(g.Status.Conditions, federation.EndpointsPublished); c != nil {
		return c.ObservedGeneration
	}
	return 0
}

func (w World) endpoint(c federation.ClusterEndpoint) dns.Endpoint {
	e := dns.Endpoint{Cluster: c.Name, Addresses: addresses(c.Addresses), Hostnames: c.Hostnames, State: dns.State(c.State), Order: int(c.Order)}
	e.Kept = e.State == dns.Draining && c.Reason == federation.EndpointHandingOver
	if c.Ready != nil {
		e.Weight = uint32(max(*c.Ready, 0))
	}
	for _, p := range c.Ports {
		e.Ports = append(e.Ports, dns.Port{Name: p.Name, Protocol: strings.ToLower(p.Protocol), Number: uint16(p.Port)})
	}
	for i := range w.Clusters {
		if status := w.Clusters[i].Status; w.Clusters[i].Name == c.Name {
			e.Provider, e.Region, e.Zones = status.Provider, status.Region, status.Zones
		}
	}
	return e
}

// probePort is about the one that is asked: which port of a Service a number stands for is not known here.
func probePort(p *federation.EndpointProbe, ports []dns.Port) uint16 {
	if p != nil && p.Port != nil {
		return uint16(*p.Port)
	}
	for _, port := range ports {
		if port.Protocol == "tcp" {
			return port.Number
		}
	}
	return 0
}

// SettingsOf are the settings of an object with hosts in the words of pkg/dns.
func SettingsOf(s federation.DNSSettings, hosts []string) dns.Settings {
	out := dns.Settings{
		Policy: dns.Policy(s.Routing), Fallback: dns.Fallback(s.Fallback), WhenDead: dns.WhenDead(s.WhenDead), SorryAddresses: addresses(s.SorryAddresses),
	}
	out.Health = named.HealthOf(s.Probe, hosts)
	if s.TTLSeconds != nil {
		out.TTL = uint32(*s.TTLSeconds)
	}
	return out
}

// shortKinds are the kinds as ownership records name them.
var shortKinds = map[string]string{"Service": "svc", "Ingress": "ing", "Gateway": "gw"}

// OwnerRef names an object in an ownership record.
func OwnerRef(o federation.ObjectReference) string {
	kind, ok := shortKinds[o.Kind]
	if !ok {
		kind = strings.ToLower(o.Kind)
	}
	return kind + "/" + o.Namespace + "/" + o.Name
}
