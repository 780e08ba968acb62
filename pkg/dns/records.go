package dns

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Claim is all that one object wants at one name.
type Claim struct {
	Name  string
	Owner Owner
	// Sets are what the name is to answer. Without any the name is held and answers that it has no data.
	Sets []RecordSet
	// Clusters are those whose endpoints answer, sorted; Backups those that the provider turns to by itself. For people and tests.
	Clusters, Backups []string
	// Stale and Adopt are as in Subject.
	Stale bool
	Adopt []RecordSet
}

// Answer is what a subject is to answer, and why.
type Answer struct {
	Claims []Claim
	Basis  Basis
	// Refused are the names that cannot be published, or the clusters that cannot be named, with the reason.
	Refused []error
}

// Records says what each name of a subject answers. What is wrong with one cluster, or one name, is refused and changes
// only the names to which it contributes. Where the zone's provider routes by the policy it is given one set for each cluster to
// choose among; elsewhere one plain set holds all.
func Records(s Subject, limits Limits) Answer {
	settings := s.Settings.withDefaults()
	if err := settings.Check(); err != nil {
		return Answer{Basis: OnNothing, Refused: []error{fmt.Errorf("settings of %s: %w", s.Owner.Ref, err)}}
	}
	var refused []error
	s.Endpoints, refused = wellFormed(s.Endpoints)
	chosen, basis := Choose(s)
	w := writer{subject: s, settings: settings, limits: limits, routing: limits.Routes(settings.Policy), basis: basis}
	w.chosen = chosen
	if settings.Policy == Ordered && w.routing && basis == OnHealth {
		w.backups = backups(s, chosen)
	}
	w.answer.Basis = basis
	w.answer.Refused = refused
	w.claim(s.Hosts, chosen)
	if s.Names != (Names{}) {
		w.levels(chosen)
		w.clusters(chosen)
		w.ports(chosen)
	}
	return w.answer
}

// wellFormed takes out what can't be part of a name, cluster by cluster, and addresses that can't be published.
func wellFormed(endpoints []Endpoint) ([]Endpoint, []error) {
	var refused []error
	kept := make([]Endpoint, 0, len(endpoints))
	seen := map[string]bool{}
	for _, e := range endpoints {
		refuse := func(what string, err error) {
			refused = append(refused, fmt.Errorf("%s of cluster %s: %w", what, e.Cluster, err))
		}
		if err := checkLabel(e.Cluster); err != nil {
			refuse("name", err)
			continue
		}
		if seen[e.Cluster] {
			refuse("endpoint", errors.New("the cluster has another one already"))
			continue
		}
		seen[e.Cluster] = true
		place := func(what string, p *string) {
			*p = strings.ToLower(*p)
			if *p == "" {
				return
			}
			if err := CheckPlace(*p); err != nil {
				refuse(what, err)
				*p = ""
			}
		}
		place("provider", &e.Provider)
		place("region", &e.Region)
		zones := slices.Clone(e.Zones)
		for i := range zones {
			place("zone", &zones[i])
		}
		slices.Sort(zones)
		e.Zones = slices.DeleteFunc(slices.Compact(zones), func(z string) bool { return z == "" })
		addresses := e.Addresses[:0:0]
		for _, a := range e.Addresses {
			if !publishable(a.Unmap()) {
				refuse("address", fmt.Errorf("%s leads nowhere from outside", a))
				continue
			}
			addresses = append(addresses, a.Unmap())
		}
		e.Addresses = addresses
		kept = append(kept, e)
	}
	return kept, refused
}

// writer gathers one subject's claims.
type writer struct {
	subject  Subject
	settings Settings
	limits   Limits
	routing  bool
	basis    Basis
	// chosen are the endpoints that answer at the global name, backups those of policy Ordered to which the provider may turn.
	chosen, backups []Endpoint
	answer          Answer
}

func (w *writer) ttl() uint32 {
	if w.subject.Urgent || w.basis != OnHealth {
		return min(urgentTTL, w.settings.TTL)
	}
	return w.settings.TTL
}

// claim adds names that answer with the addresses of endpoints.
func (w *writer) claim(names []string, endpoints []Endpoint) {
	for _, name := range names {
		name = Absolute(name)
		w.add(name, w.addresses(name, endpoints), endpoints)
	}
}

func (w *writer) add(name string, sets []RecordSet, endpoints []Endpoint) {
	if err := CheckName(name); err != nil {
		w.answer.Refused = append(w.answer.Refused, err)
		return
	}
	claim := Claim{Name: name, Owner: w.subject.Owner, Sets: sets, Stale: w.subject.Stale}
	for _, e := range endpoints {
		if e.Cluster != sorryCluster {
			claim.Clusters = append(claim.Clusters, e.Cluster)
		}
	}
	slices.Sort(claim.Clusters)
	if slices.ContainsFunc(sets, func(s RecordSet) bool { return s.Routing.Backup }) {
		for _, e := range w.backups {
			claim.Backups = append(claim.Backups, e.Cluster)
		}
		slices.Sort(claim.Backups)
	}
	for _, set := range w.subject.Adopt {
		if set.Name == name {
			claim.Adopt = append(claim.Adopt, set)
		}
	}
	w.answer.Claims = append(w.answer.Claims, claim)
}

// addresses are the sets of a name: plain, or one for each part of the endpoints among which the provider is to choose. The
// endpoints are selected once for both families.
func (w *writer) addresses(name string, endpoints []Endpoint) []RecordSet {
	var sets []RecordSet
	parts := w.parts(endpoints)
	for _, t := range []Type{A, AAAA} {
		for _, p := range parts {
			if p.routing.Policy == All {
				data := gather(p.endpoints, t)
				sets = append(sets, w.spread(name, t, p, data[:min(len(data), max(1, maxSpread/len(endpoints)))])...)
				continue
			}
			if p.routing.Backup && len(gather(endpoints, t)) == 0 {
				continue // what has no first set of a family has no second one
			}
			set := RecordSet{Name: name, Type: t, SetID: p.id, Routing: p.routing}
			if zone, host := w.balancer(p.endpoints, t); zone != "" {
				set.Alias = Alias{Zone: zone, Name: host, EvaluateHealth: p.id != ""}
				sets = append(sets, set)
			} else if set.Data = gather(p.endpoints, t); len(set.Data) > 0 {
				set.TTL = w.ttl()
				if set.SetID != "" && !p.routing.Backup {
					set.Health = w.health(p.endpoints, set.Data)
				}
				sets = append(sets, set)
			}
		}
	}
	return sets
}

// maxSpread is about how many sets there are at most of one name and type, each with one address.
const maxSpread = 64

func (w *writer) spread(name string, t Type, p part, data []string) []RecordSet {
	var sets []RecordSet
	for _, d := range data {
		sum := sha256.Sum256([]byte(d))
		sets = append(sets, RecordSet{Name: name, Type: t, TTL: w.ttl(), Data: []string{d},
			SetID: p.id + "/" + hex.EncodeToString(sum[:4]), Routing: p.routing, Health: w.health(p.endpoints, []string{d})})
	}
	return sets
}

// levels adds the global name, and those of providers, regions and zones, with their fall-back.
func (w *writer) levels(chosen []Endpoint) {
	n := w.subject.Names
	global := n.Global()
	w.claim([]string{global}, chosen)

	providers, regions, zones := map[string]bool{}, map[string]bool{}, map[[2]string]bool{}
	for _, e := range w.subject.Endpoints {
		if e.Provider != "" {
			providers[e.Provider] = true
		}
		if e.Region == "" {
			continue
		}
		regions[e.Region] = true
		for _, zone := range e.Zones {
			zones[[2]string{zone, e.Region}] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(providers)) {
		w.level(n.Provider(p), within(chosen, func(e Endpoint) bool { return e.Provider == p }), global, chosen)
	}
	inRegion := map[string][]Endpoint{}
	for _, r := range slices.Sorted(maps.Keys(regions)) {
		inRegion[r] = within(chosen, func(e Endpoint) bool { return e.Region == r })
		w.level(n.Region(r), inRegion[r], global, chosen)
	}
	for _, zr := range slices.SortedFunc(maps.Keys(zones), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[1], b[1]), cmp.Compare(a[0], b[0]))
	}) {
		zone, region := zr[0], zr[1]
		wider := inRegion[region]
		if len(wider) == 0 && w.settings.Fallback != ToWider {
			wider = chosen
		}
		own := within(chosen, func(e Endpoint) bool { return e.Region == region && slices.Contains(e.Zones, zone) })
		w.level(n.Zone(zone, region), own, n.Region(region), wider)
	}
}

func within(endpoints []Endpoint, at func(Endpoint) bool) []Endpoint {
	var kept []Endpoint
	for i := range endpoints {
		if at(endpoints[i]) {
			kept = append(kept, endpoints[i])
		}
	}
	return kept
}

// level adds a name with endpoints of its own, or what the fall-back says.
func (w *writer) level(name string, own []Endpoint, widerName string, wider []Endpoint) {
	switch {
	case len(own) > 0:
		backups := w.backups
		if w.settings.Fallback == Strict {
			w.backups = nil // they are elsewhere
		}
		w.claim([]string{name}, own)
		w.backups = backups
	case w.settings.Fallback == Flatten:
		w.claim([]string{name}, wider)
	case w.settings.Fallback == ToWider && w.exists(widerName):
		w.add(name, []RecordSet{{Name: name, Type: CNAME, TTL: w.ttl(), Data: []string{widerName}}}, wider)
	default:
		w.claim([]string{name}, nil)
	}
}

func (w *writer) exists(name string) bool {
	return slices.ContainsFunc(w.answer.Claims, func(c Claim) bool { return c.Name == name && len(c.Sets) > 0 })
}

// clusters adds a name for each cluster: its own addresses, also while it drains; never another's.
func (w *writer) clusters(chosen []Endpoint) {
	for _, e := range w.subject.Endpoints {
		var own []Endpoint
		serves := e.State == Healthy || e.State == Degraded || e.State == Draining
		answers := slices.ContainsFunc(chosen, func(c Endpoint) bool { return c.Cluster == e.Cluster })
		kept := e.State == Unknown && slices.ContainsFunc(e.Addresses, w.published)
		if len(e.Addresses) > 0 && (serves || answers || kept) {
			own = []Endpoint{e}
		}
		name := w.subject.Names.Cluster(e.Cluster)
		routing := w.routing
		w.routing = false
		w.claim([]string{name}, own)
		w.routing = routing
	}
}

// ports adds SRV records whose targets are the names of clusters. For Ordered the backups are there with a higher number. A provider
// that answers with some of several sets has one for each cluster, so that one that leaves is one record less.
func (w *writer) ports(chosen []Endpoint) {
	type port struct{ name, protocol string }
	data := map[port][]string{}
	from := map[port][]Endpoint{}
	serving := map[port]int{}
	for _, e := range w.subject.Endpoints {
		for _, p := range e.Ports {
			if p.Name == "" {
				continue
			}
			key := port{strings.ToLower(p.Name), strings.ToLower(p.Protocol)}
			if _, ok := data[key]; !ok {
				data[key] = nil
			}
			serving[key]++
			target := w.subject.Names.Cluster(e.Cluster)
			answers := slices.ContainsFunc(chosen, func(c Endpoint) bool { return c.Cluster == e.Cluster })
			backup := w.settings.Policy == Ordered && (e.State == Healthy || e.State == Degraded)
			if !answers && !backup || !w.exists(target) {
				continue
			}
			data[key] = append(data[key], fmt.Sprintf("%d %d %d %s", min(max(e.Order, 0), 65535), min(e.Weight, 65535), p.Number, target))
			from[key] = append(from[key], e)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(data), func(a, b port) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.protocol, b.protocol))
	}) {
		name := w.subject.Names.Port(key.name, key.protocol)
		w.add(name, w.targets(name, data[key], from[key], serving[key]), from[key])
	}
}

// targets are the sets of a port. Those of Ordered are divided only as long as all of them fit into an answer: one with backups
// alone would be wrong. How many there could be decides, so that the form stays while some are ill.
func (w *writer) targets(name string, data []string, from []Endpoint, serving int) []RecordSet {
	if len(data) == 0 {
		return nil
	}
	if !w.limits.Routes(All) || serving > maxAddresses && w.settings.Policy == Ordered {
		return []RecordSet{RecordSet{Name: name, Type: SRV, TTL: w.ttl(), Data: data}.Canonical()}
	}
	var sets []RecordSet
	for i, d := range data {
		sets = append(sets, RecordSet{Name: name, Type: SRV, TTL: w.ttl(), Data: []string{d}, SetID: from[i].Cluster, Routing: Routing{Policy: All}}.Canonical())
	}
	return sets
}

func (w *writer) published(a netip.Addr) bool { return slices.Contains(w.subject.Published, a.Unmap()) }
