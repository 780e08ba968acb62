package dns

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Basis says why endpoints were chosen.
type Basis string

const (
	// OnHealth: they are usable.
	OnHealth Basis = "Healthy"
	// OnDraining: nothing else is usable, and those that drain still serve.
	OnDraining Basis = "Draining"
	// OnLastKnown: nothing is usable; what was published stays.
	OnLastKnown Basis = "LastKnownGood"
	// OnOpen: nothing is usable; all are published as wished.
	OnOpen Basis = "AllKnown"
	// OnSorry: nothing is usable; the sorry addresses are published.
	OnSorry Basis = "Sorry"
	// OnNothing: there is nothing to publish.
	OnNothing Basis = "Nothing"
)

// sorryCluster marks the endpoint of the sorry addresses: it is no cluster's, so it gets no cluster name.
const sorryCluster = ""

// Choose picks the endpoints that answer at the global name. While one endpoint is Healthy the result is never empty.
func Choose(s Subject) ([]Endpoint, Basis) {
	settings := s.Settings.withDefaults()
	var known, usable, draining, lastKnown []Endpoint
	for _, e := range s.Endpoints {
		if len(e.Addresses) == 0 {
			continue
		}
		known = append(known, e)
		published := slices.ContainsFunc(e.Addresses, func(a netip.Addr) bool { return slices.Contains(s.Published, a.Unmap()) })
		switch {
		case e.State == Healthy, e.State == Degraded, e.State == Unknown && published, e.State == Draining && e.Kept:
			usable = append(usable, e)
		case e.State == Draining:
			draining = append(draining, e)
		}
		if published {
			lastKnown = append(lastKnown, e)
		}
	}
	switch {
	case len(usable) > 0:
		return preferred(usable, settings.Policy), OnHealth
	case len(draining) > 0:
		return preferred(draining, settings.Policy), OnDraining
	case settings.WhenDead == Static && len(lastKnown) > 0:
		return lastKnown, OnLastKnown
	case settings.WhenDead == Open && len(known) > 0:
		return known, OnOpen
	case settings.WhenDead == Sorry && len(known) > 0:
		return []Endpoint{{Cluster: sorryCluster, Addresses: settings.SorryAddresses}}, OnSorry
	}
	return nil, OnNothing
}

// preferred is the part of usable endpoints that the policy lets answer, whoever asks.
func preferred(usable []Endpoint, policy Policy) []Endpoint {
	switch policy {
	case Ordered:
		first := slices.MinFunc(usable, func(a, b Endpoint) int { return cmp.Compare(a.Order, b.Order) }).Order
		return slices.DeleteFunc(slices.Clone(usable), func(e Endpoint) bool { return e.Order != first })
	case Weighted:
		weighty := slices.DeleteFunc(slices.Clone(usable), func(e Endpoint) bool { return e.Weight == 0 })
		if len(weighty) > 0 {
			return weighty
		}
	}
	return usable
}

// backups are the usable endpoints of the next group after those that policy Ordered chose.
func backups(s Subject, chosen []Endpoint) []Endpoint {
	s.Endpoints = within(s.Endpoints, func(e Endpoint) bool { return len(chosen) > 0 && e.Order > chosen[0].Order })
	next, basis := Choose(s)
	if basis != OnHealth {
		return nil
	}
	return next
}

// Place is where a client or an endpoint is. Empty is unknown.
type Place struct {
	Provider string `json:"provider,omitempty"`
	Region   string `json:"region,omitempty"`
}

// Distance ranks a set of policy Nearest by how far it is from a client: 0 in its region of its cloud, 1 in its region,
// 2 in its cloud, 3 elsewhere. Those of the lowest rank answer.
func Distance(client Place, to Routing) int {
	region := client.Region != "" && to.Region == client.Region
	cloud := client.Provider != "" && to.Provider == client.Provider
	switch {
	case region && cloud:
		return 0
	case region:
		return 1
	case cloud:
		return 2
	}
	return 3
}

// gather takes the addresses of endpoints, of one family, at most maxAddresses: one of each cluster in turn, the weightiest cluster
// first, so that as many failure domains as possible are in the answer. The choice depends on its input alone.
func gather(endpoints []Endpoint, t Type) []string {
	queues := make([][]netip.Addr, 0, len(endpoints))
	for _, at := range byWeight(endpoints) {
		var q []netip.Addr
		for _, a := range endpoints[at].Addresses {
			if a = a.Unmap(); a.Is4() == (t == A) && publishable(a) && !slices.Contains(q, a) {
				q = append(q, a)
			}
		}
		if len(q) > 0 {
			slices.SortFunc(q, netip.Addr.Compare)
			queues = append(queues, q)
		}
	}
	var data []string
	for i, more := 0, true; more && len(data) < maxAddresses; i++ {
		more = false
		for _, q := range queues {
			if i < len(q) && len(data) < maxAddresses {
				more = true
				if d := q[i].String(); !slices.Contains(data, d) {
					data = append(data, d)
				}
			}
		}
	}
	slices.Sort(data)
	return data
}

// byWeight are the indices of endpoints, the weightiest first.
func byWeight(endpoints []Endpoint) []int {
	order := make([]int, len(endpoints))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &endpoints[i], &endpoints[j]
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), strings.Compare(a.Cluster, b.Cluster))
	})
	return order
}

// publishable: link-local addresses and the unspecified one lead nowhere.
func publishable(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast()
}
