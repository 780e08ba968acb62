package endpoint

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
)

// served is what a member says of one object: where it is served, and how much is ready behind it.
type served struct {
	place
	ports  []port
	host   string // asked for by HTTP probes, where the probe names none
	ready  *int32 // nil: unknown
	wanted int32
}

func (s served) same(o served) bool {
	return s.place.same(o.place) && slices.Equal(s.ports, o.ports) && s.host == o.host && s.wanted == o.wanted && sameCount(s.ready, o.ready)
}

func sameCount(a, b *int32) bool { return a == b || a != nil && b != nil && *a == *b }

// capacity adds up the slices of a Service. A pod with two families is in one slice of each.
func capacity(all []slice) (ready, wanted int32) {
	of := map[string][2]int32{}
	for _, s := range all {
		n := of[string(s.family)]
		of[string(s.family)] = [2]int32{n[0] + s.ready, n[1] + s.wanted}
	}
	for _, n := range of {
		ready, wanted = max(ready, n[0]), max(wanted, n[1])
	}
	return ready, wanted
}

// serveService is false for a Service that is for its own cluster only.
func serveService(name types.NamespacedName, s service, behind []slice, nodes map[types.NamespacedName]node) (served, bool) {
	if !s.exposed {
		return served{}, false
	}
	out := served{place: s.place, ports: s.ports}
	ready, wanted := capacity(behind)
	if s.selector || wanted > 0 {
		out.ready, out.wanted = &ready, wanted
	}
	if s.nodes {
		out.addresses = nodeAddresses(name, s.local, behind, nodes)
	}
	return out, true
}

// maxNodes is how many nodes stand for all of them: answers hold no more addresses.
const maxNodes = 8

// nodeAddresses picks nodes for a Service's node ports: of those that are ready, which differ from Service to Service and stay the
// same as long as they are there (rendezvous hashing).
func nodeAddresses(name types.NamespacedName, local bool, behind []slice, nodes map[types.NamespacedName]node) (out []netip.Addr) {
	type candidate struct {
		weight uint64
		name   string
	}
	var picked []candidate
	for of, n := range nodes {
		here := !local || slices.ContainsFunc(behind, func(s slice) bool { return slices.Contains(s.nodes, of.Name) })
		if n.usable && here && len(n.addresses) > 0 {
			h := fnv.New64a()
			_, _ = h.Write([]byte(name.String() + " " + of.Name))
			picked = append(picked, candidate{h.Sum64(), of.Name})
		}
	}
	slices.SortFunc(picked, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(a.name, b.name)) })
	for _, c := range picked[:min(maxNodes, len(picked))] {
		out = append(out, nodes[types.NamespacedName{Name: c.name}].addresses...)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// serveIngress adds up what is ready behind all backends. Where nothing is, and one of them is not the federation's, it is unknown.
func serveIngress(i ingress, behind func(service string) (all []slice, known bool)) served {
	out := served{place: i.place, ports: i.ports, host: i.host}
	var ready int32
	unknown := len(i.backends) == 0
	for _, name := range i.backends {
		all, known := behind(name)
		r, w := capacity(all)
		ready, out.wanted, unknown = ready+r, out.wanted+w, unknown || !known
	}
	if ready > 0 || !unknown {
		out.ready = &ready
	}
	return out
}

func serveGateway(g gateway) served {
	out := served{place: g.place, ports: g.ports, host: g.host}
	if g.programmed != nil && !*g.programmed {
		out.ready = new(int32)
	}
	return out
}

// question is what a probe asks at an address, and false where it asks nothing: probes are off, or there is no TCP port.
func (s served) question(p *federation.EndpointProbe, cluster string, address netip.Addr) (probe.Target, bool) {
	number, ok := s.probePort(p)
	if !ok {
		return probe.Target{}, false
	}
	target, asks := probe.Of(p, cluster, netip.AddrPortFrom(address, number).String())
	if target.Host == "" && target.Type != federation.ProbeTCP {
		target.Host = s.host
	}
	return target, asks
}

func (s served) probePort(p *federation.EndpointProbe) (uint16, bool) {
	if p != nil && p.Port != nil {
		for _, q := range s.ports {
			if q.service == uint16(*p.Port) {
				return q.number, q.protocol == "tcp"
			}
		}
		return uint16(*p.Port), true
	}
	tcp := slices.DeleteFunc(slices.Clone(s.ports), func(q port) bool { return q.protocol != "tcp" })
	if len(tcp) == 0 {
		return 0, false
	}
	if p != nil && len(tcp) > 1 {
		usual := map[string]uint16{federation.ProbeHTTP: 80, federation.ProbeHTTPS: 443}[p.Type]
		if i := slices.IndexFunc(tcp, func(q port) bool { return q.service == usual }); i >= 0 {
			return tcp[i].number, true
		}
	}
	return tcp[0].number, true
}
