// Package explain tells what a federation publishes in DNS, where and why, and what it withholds and why: from what the API
// holds (GlobalEndpoints, Clusters, the Federation's zones) and the function that decides in production, dns.Records. It is
// pure: it reads no API and asks no server.
package explain

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

// World is what the API holds of a federation's names.
type World struct {
	// Federation is its name.
	Federation string
	// Zones are those that it publishes to. The first is the main zone, in which Services have their names.
	Zones     []Zone
	Clusters  []federation.Cluster
	Endpoints []federation.GlobalEndpoints
}

// Zone is one DNS zone.
type Zone struct {
	// Name is absolute, in lower case.
	Name string
	// Limits are its provider's, of which those matter here that say by which policies it chooses among sets.
	Limits dns.Limits
}

// Object is what is published for one Service, Ingress or Gateway.
type Object struct {
	Object federation.ObjectReference `json:"object"`
	// Published is the condition's status: True, False or Unknown.
	Published string                 `json:"published"`
	Reason    string                 `json:"reason,omitempty"`
	Message   string                 `json:"message,omitempty"`
	Settings  federation.DNSSettings `json:"settings,omitzero"`
	// Basis says by what the endpoints that answer were chosen.
	Basis dns.Basis `json:"basis"`
	Names []Name    `json:"names"`
	// Withheld are the clusters that the global name, or the hosts, do not name.
	Withheld []Withheld `json:"withheld,omitempty"`
	// Refused are names that can't be published, and clusters that can't be named, each with the reason.
	Refused []string `json:"refused,omitempty"`
	// OtherHosts are in none of the federation's zones.
	OtherHosts []string `json:"otherHosts,omitempty"`
}

// Name is one name and what it answers.
type Name struct {
	Name string `json:"name"`
	// Zone is the zone that holds it; empty where none does.
	Zone string `json:"zone,omitempty"`
	// Level is what the name stands for, such as "global", "region eu-west-1", "cluster gondor", "port http/tcp" or "host".
	Level string `json:"level"`
	// Records are what it answers; none where the name is held and has no data.
	Records []dns.RecordSet `json:"records,omitempty"`
	// Clusters are those whose endpoints answer.
	Clusters []string `json:"clusters,omitempty"`
	// Backups are those to which the zone's provider turns by itself while the others do not answer its health checks.
	Backups []string `json:"backups,omitempty"`
	Why     string   `json:"why"`
	// owner is for the record beside the name.
	owner dns.Owner
}

// Withheld is a cluster whose endpoint is not in the answers.
type Withheld struct {
	Cluster   string       `json:"cluster"`
	State     string       `json:"state"`
	Addresses []string     `json:"addresses,omitempty"`
	Since     *metav1.Time `json:"since,omitempty"`
	Why       string       `json:"why"`
}

// Objects explains each of the world's endpoints, by namespace, kind and name.
func (w World) Objects() []Object {
	all := make([]Object, 0, len(w.Endpoints))
	for i := range w.Endpoints {
		all = append(all, w.object(&w.Endpoints[i]))
	}
	slices.SortFunc(all, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Object.Namespace, b.Object.Namespace), cmp.Compare(a.Object.Kind, b.Object.Kind), cmp.Compare(a.Object.Name, b.Object.Name))
	})
	return all
}

func (w World) object(g *federation.GlobalEndpoints) Object {
	o := Object{Object: reference(g), Settings: g.Spec.Settings, OtherHosts: g.Spec.OtherHosts, Published: string(metav1.ConditionUnknown)}
	if c := meta.FindStatusCondition(g.Status.Conditions, federation.EndpointsPublished); c != nil {
		o.Published, o.Reason, o.Message = string(c.Status), c.Reason, c.Message
	}
	if g.Spec.Settings.Publish != nil && !*g.Spec.Settings.Publish {
		o.Basis = dns.OnNothing
		return o
	}
	subject := w.Subject(g)
	answers := w.answers(subject)
	main := answers[0]
	o.Basis = main.Basis
	for _, err := range main.Refused {
		o.Refused = append(o.Refused, err.Error())
	}
	levels := levelsOf(subject)
	for _, answer := range answers {
		for _, claim := range answer.Claims {
			o.Names = append(o.Names, w.name(subject, answer.Basis, levels, claim))
		}
	}
	o.Withheld = withheld(g, subject, main)
	return o
}

// answers are what a subject publishes in each of its zones; one at least.
func (w World) answers(s dns.Subject) []dns.Answer {
	hosts := map[string][]string{}
	for _, h := range s.Hosts {
		z := w.zoneOf(dns.Absolute(h))
		hosts[z.Name] = append(hosts[z.Name], h)
	}
	var answers []dns.Answer
	for _, z := range w.Zones {
		part := s
		part.Hosts = hosts[z.Name]
		if s.Names.Domain != z.Name {
			part.Names = dns.Names{}
		}
		if part.Names != (dns.Names{}) || len(part.Hosts) > 0 {
			answers = append(answers, dns.Records(part, z.Limits))
		}
	}
	if len(answers) == 0 {
		s.Hosts = nil // none of them is in a zone
		answers = append(answers, dns.Records(s, dns.Limits{}))
	}
	return answers
}

// zoneOf is the longest zone that contains a name.
func (w World) zoneOf(name string) Zone {
	var best Zone
	for _, z := range w.Zones {
		if dns.InZone(name, z.Name) && len(z.Name) > len(best.Name) {
			best = z
		}
	}
	return best
}

func (w World) name(s dns.Subject, basis dns.Basis, levels map[string]level, c dns.Claim) Name {
	at, known := levels[c.Name]
	if !known {
		at = level{what: "host"}
	}
	return Name{
		Name: c.Name, Zone: w.zoneOf(c.Name).Name, Level: at.what, Records: c.Sets, Clusters: c.Clusters, Backups: c.Backups,
		Why: why(s, basis, at, c), owner: c.Owner,
	}
}

// level is what a name stands for, and the clusters that are there.
type level struct {
	what     string
	clusters map[string]bool
}

func levelsOf(s dns.Subject) map[string]level {
	levels := map[string]level{}
	if s.Names == (dns.Names{}) {
		return levels
	}
	at := func(name, what, cluster string) {
		l, ok := levels[name]
		if !ok {
			l = level{what, map[string]bool{}}
			levels[name] = l
		}
		l.clusters[cluster] = true
	}
	n := s.Names
	levels[n.Global()] = level{what: "global"}
	for _, e := range s.Endpoints {
		at(n.Cluster(e.Cluster), "cluster "+e.Cluster, e.Cluster)
		if e.Provider != "" {
			at(n.Provider(e.Provider), "provider "+strings.ToLower(e.Provider), e.Cluster)
		}
		if e.Region != "" {
			at(n.Region(e.Region), "region "+strings.ToLower(e.Region), e.Cluster)
			for _, z := range e.Zones {
				at(n.Zone(z, e.Region), "zone "+strings.ToLower(z), e.Cluster)
			}
		}
		for _, p := range e.Ports {
			if p.Name != "" {
				levels[n.Port(p.Name, p.Protocol)] = level{what: "port " + p.Name + "/" + strings.ToLower(p.Protocol)}
			}
		}
	}
	return levels
}

// why says in a few words why a name answers so.
func why(s dns.Subject, basis dns.Basis, at level, c dns.Claim) string {
	own := at.clusters == nil || slices.ContainsFunc(c.Clusters, func(name string) bool { return at.clusters[name] })
	switch {
	case len(c.Sets) == 0 && strings.HasPrefix(at.what, "cluster "):
		return "held without data: " + stateOf(s, strings.TrimPrefix(at.what, "cluster "))
	case len(c.Sets) == 0 && strings.HasPrefix(at.what, "port "):
		return "held without data: no cluster serves the port"
	case len(c.Sets) == 0:
		return "held without data: no endpoint of its own is usable, and the fall-back gives none"
	case basis == dns.OnSorry && !strings.HasPrefix(at.what, "cluster "):
		return "no endpoint is usable: the sorry addresses"
	case !own && c.Sets[0].Type == dns.CNAME:
		return "none of its own is usable: an alias of the wider name"
	case !own:
		return "none of its own is usable: those of the wider name"
	}
	switch basis {
	case dns.OnDraining:
		return "draining; nothing else is usable"
	case dns.OnLastKnown:
		return "no endpoint is usable: the last known answer stays"
	case dns.OnOpen:
		return "no endpoint is usable: all of them"
	}
	if strings.HasPrefix(at.what, "cluster ") {
		return stateOf(s, c.Clusters[0])
	}
	switch s.Settings.Policy {
	case dns.Weighted:
		return "usable, by ready pods"
	case dns.Nearest:
		if c.Sets[0].SetID == "" && len(c.Clusters) > 1 {
			return "usable; the zone's provider does not know which is near to whom"
		}
		return "usable, the nearest to who asks"
	case dns.Ordered:
		if len(c.Backups) > 0 {
			return "usable, of the first group; the provider turns to " + strings.Join(c.Backups, ", ") + " by itself"
		}
		return "usable, of the first group"
	}
	return "usable"
}

func stateOf(s dns.Subject, cluster string) string {
	for _, e := range s.Endpoints {
		if strings.EqualFold(e.Cluster, cluster) {
			if len(e.Addresses) == 0 {
				return "no address"
			}
			return strings.ToLower(string(e.State))
		}
	}
	return "not there"
}

// withheld are the clusters that no wide name answers with.
func withheld(g *federation.GlobalEndpoints, s dns.Subject, a dns.Answer) []Withheld {
	named, backup := map[string]bool{}, map[string]bool{}
	if len(a.Claims) > 0 {
		for _, cluster := range a.Claims[0].Clusters { // hosts and the global name come first, and answer alike
			named[cluster] = true
		}
		for _, cluster := range a.Claims[0].Backups {
			backup[cluster] = true
		}
	}
	first := int32(-1)
	for _, c := range g.Status.Clusters {
		if named[c.Name] && (first < 0 || c.Order < first) {
			first = c.Order
		}
	}
	var out []Withheld
	for _, c := range g.Status.Clusters {
		if !named[c.Name] {
			out = append(out, Withheld{Cluster: c.Name, State: c.State, Addresses: c.Addresses, Since: c.Since, Why: whyNot(c, s, first, backup[c.Name])})
		}
	}
	return out
}

func whyNot(c federation.ClusterEndpoint, s dns.Subject, first int32, backup bool) string {
	said := strings.TrimPrefix(strings.TrimSuffix(c.Reason+": "+c.Message, ": "), ": ")
	usable := c.State == string(dns.Healthy) || c.State == string(dns.Degraded)
	switch {
	case len(c.Addresses) == 0:
		return cmp.Or(said, "it has no address")
	case backup:
		return fmt.Sprintf("a backup of group %d, to which the provider turns by itself while group %d does not answer it", c.Order, first)
	case usable && s.Settings.Policy == dns.Ordered && first >= 0 && c.Order > first:
		return fmt.Sprintf("a backup of group %d, while group %d answers", c.Order, first)
	case usable && s.Settings.Policy == dns.Weighted:
		return "no pod is ready there"
	case c.State == string(dns.Unknown):
		return cmp.Or(said, "nothing is known of it, and it was not published before")
	case c.State == string(dns.Draining):
		return cmp.Or(said, "it is being drained")
	}
	return cmp.Or(said, "it does not answer")
}

func addresses(texts []string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, a.Unmap())
		}
	}
	return all
}
