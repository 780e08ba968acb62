package publish

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kubefed.dev/kubefed/pkg/dns"
)

// recall gives a subject what the zone remembers of it: what is published, and the addresses and ports of clusters of which nothing
// is known. A control plane that begins without any memory of its own so removes nothing of a cluster that it did not
// hear of yet. Where the zone does not tell what is whose, as under a host name alone, all that nobody explains stays.
func (v *view) recall(s dns.Subject) dns.Subject {
	ref := s.Owner.Ref
	s.Published = v.published(ref)
	s.Endpoints = slices.Clone(s.Endpoints)
	unexplained := false
	for name := range v.owned[ref] {
		for _, host := range v.aliases(ref, name) {
			found := behind(host, s.Endpoints)
			s.Published = append(s.Published, found...)
			unexplained = unexplained || len(found) == 0
		}
	}
	blind := false
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if e.State != dns.Unknown || len(e.Addresses) > 0 {
			continue
		}
		if s.Names != (dns.Names{}) {
			e.Addresses = v.addresses(ref, s.Names.Cluster(e.Cluster))
			e.Ports, e.Weight = v.ports(ref, s.Names, e.Cluster)
			// What an alias stands for is not in the zone, so at none of the names can be told what is this cluster's.
			s.Stale = s.Stale || len(e.Addresses) == 0 && len(v.aliases(ref, s.Names.Cluster(e.Cluster))) > 0
		}
		blind = blind || len(e.Addresses) == 0
	}
	if blind && s.Names == (dns.Names{}) {
		s.Stale = s.Stale || unexplained || slices.ContainsFunc(s.Published, func(a netip.Addr) bool {
			return !slices.Contains(s.Settings.SorryAddresses, a) &&
				!slices.ContainsFunc(s.Endpoints, func(e dns.Endpoint) bool { return slices.Contains(e.Addresses, a) })
		})
	}
	return s
}

// ports are those that SRV records say of a cluster, with its weight.
func (v *view) ports(ref string, names dns.Names, cluster string) (ports []dns.Port, weight uint32) {
	target := names.Cluster(cluster)
	for name := range v.owned[ref] {
		labels := strings.SplitN(name, ".", 3)
		if !strings.HasPrefix(name, "_") || len(labels) < 3 {
			continue
		}
		for _, set := range v.sites[name].Sets() {
			for _, d := range set.Data {
				f := strings.Fields(d)
				if set.Type != dns.SRV || len(f) != 4 || f[3] != target {
					continue
				}
				number, _ := strconv.ParseUint(f[2], 10, 16) // as a provider gave it, so canonical
				w, _ := strconv.ParseUint(f[1], 10, 16)
				ports = append(ports, dns.Port{Name: strings.TrimPrefix(labels[0], "_"), Protocol: strings.TrimPrefix(labels[1], "_"), Number: uint16(number)})
				weight = uint32(w)
			}
		}
	}
	slices.SortFunc(ports, func(a, b dns.Port) int { return strings.Compare(a.Name+a.Protocol, b.Name+b.Protocol) })
	return ports, weight
}

// answering are the addresses with which names of an object answer, sorted: all, and those of names that are not one cluster's own.
func (v *view) answering(ref string, endpoints []dns.Endpoint) (all, found []netip.Addr) {
	add := func(to []netip.Addr, a netip.Addr) []netip.Addr {
		if at, has := slices.BinarySearchFunc(to, a, netip.Addr.Compare); !has {
			return slices.Insert(to, at, a)
		}
		return to
	}
	for name := range v.owned[ref] {
		own := clusterName(name) != ""
		addresses := v.addresses(ref, name)
		for _, host := range v.aliases(ref, name) {
			addresses = append(addresses, behind(host, endpoints)...)
		}
		for _, a := range addresses {
			all = add(all, a)
			if !own {
				found = add(found, a)
			}
		}
	}
	return all, found
}

// clusterName is the cluster whose own name this is, empty for other names.
func clusterName(name string) string {
	cluster, rest, _ := strings.Cut(name, ".")
	if strings.HasPrefix(rest, "cluster.") {
		return cluster
	}
	return ""
}

// maxTTL is the highest TTL, in seconds, with which names of an object answer.
func (v *view) maxTTL(ref string) (ttl uint32) {
	for name := range v.owned[ref] {
		for _, set := range v.sites[name].Sets() {
			ttl = max(ttl, set.TTL)
			if set.Alias != (dns.Alias{}) {
				ttl = max(ttl, dns.AliasTTL)
			}
		}
	}
	return ttl
}
