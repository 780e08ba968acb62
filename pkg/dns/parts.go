package dns

import (
	"maps"
	"net/netip"
	"slices"
)

// part is what one set of a name, or for policy All the sets of one cluster, is made of.
type part struct {
	// id is empty for a plain set of all endpoints.
	id        string
	routing   Routing
	endpoints []Endpoint
}

// parts divides the endpoints of a name as the provider is to choose among them.
func (w *writer) parts(endpoints []Endpoint) []part {
	plain := []part{{endpoints: endpoints}}
	if !w.routing || w.basis == OnSorry {
		return plain
	}
	if w.settings.Policy == Nearest && w.limits.Region != nil {
		if parts := w.byRegion(endpoints); parts != nil {
			return parts
		}
		return plain
	}
	if zone, _ := w.balancer(endpoints, A); w.settings.Policy == All && zone != "" && w.alone() {
		return plain // there are no aliases among sets of policy All
	}
	if w.settings.Policy == Ordered {
		if w.failsOver(endpoints) {
			return []part{{id: "primary", endpoints: endpoints, routing: Routing{Policy: Ordered}},
				{id: "secondary", endpoints: w.backups, routing: Routing{Policy: Ordered, Backup: true}}}
		}
		return plain
	}
	var parts []part
	for _, e := range endpoints {
		p := part{id: e.Cluster, endpoints: []Endpoint{e}, routing: Routing{Policy: w.settings.Policy}}
		switch w.settings.Policy {
		case Weighted:
			p.routing.Weight = e.Weight
		case Nearest:
			p.routing.Provider, p.routing.Region = e.Provider, e.Region
		}
		parts = append(parts, p)
	}
	return parts
}

// alone: one cluster serves the subject. A name that is left with one of several, for as long as the others are ill, is not turned
// into an alias and back, which would replace all of its sets.
func (w *writer) alone() bool {
	return len(within(w.subject.Endpoints, func(e Endpoint) bool { return len(e.Addresses) > 0 })) == 1
}

// failsOver: the provider can ask what answers at a name whether it still does, and there is something to turn to. That is so at names
// that answer with the whole first group.
func (w *writer) failsOver(endpoints []Endpoint) bool {
	if len(w.backups) == 0 || len(endpoints) != len(w.chosen) {
		return false
	}
	for _, t := range []Type{A, AAAA} {
		data := gather(endpoints, t)
		if zone, _ := w.balancer(endpoints, t); zone == "" && len(data) > 0 && w.health(endpoints, data) == (HealthCheck{}) {
			return false
		}
	}
	return true
}

// health is how the provider asks addresses of endpoints: the zero value where it can't, or is not to.
func (w *writer) health(endpoints []Endpoint, data []string) HealthCheck {
	h := w.settings.Health
	if w.limits.HealthChecks == nil || h.Type == "" || len(endpoints) == 0 {
		return HealthCheck{}
	}
	h.Port = endpoints[0].ProbePort
	if h.Port == 0 || slices.ContainsFunc(endpoints, func(e Endpoint) bool { return e.ProbePort != h.Port }) {
		return HealthCheck{}
	}
	for _, d := range data {
		if a, err := netip.ParseAddr(d); err != nil || !w.limits.HealthChecks(a) {
			return HealthCheck{}
		}
	}
	return h
}

// byRegion is one part for each of the provider's own regions; nil if an endpoint is nowhere near one: it must not be left out.
func (w *writer) byRegion(endpoints []Endpoint) []part {
	at := map[string][]Endpoint{}
	for _, e := range endpoints {
		region := w.limits.Region(e.Provider, e.Region)
		if region == "" {
			return nil
		}
		at[region] = append(at[region], e)
	}
	var parts []part
	for _, region := range slices.Sorted(maps.Keys(at)) {
		parts = append(parts, part{id: region, routing: Routing{Policy: Nearest, Region: region}, endpoints: at[region]})
	}
	return parts
}

// balancer is the load balancer of which a set of endpoints can be an alias, with its zone: that of a single one. Of
// type AAAA it is one that has such addresses.
func (w *writer) balancer(endpoints []Endpoint, t Type) (zone, host string) {
	if w.limits.LoadBalancer == nil || len(endpoints) != 1 || len(endpoints[0].Hostnames) != 1 || len(gather(endpoints, t)) == 0 {
		return "", ""
	}
	host = Absolute(endpoints[0].Hostnames[0])
	return w.limits.LoadBalancer(host), host
}
