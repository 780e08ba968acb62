package publish

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/named"
	"kubefed.dev/kubefed/pkg/policy"
)

// Cluster is what the names need to know of a cluster.
type Cluster struct {
	policy.Cluster
	// Down: no doubt is left that nobody reaches it.
	Down bool
	// Draining: its users are to go elsewhere.
	Draining bool
	// Drill is the drill that takes its endpoints away; empty for none.
	Drill string
}

// drillDNS is the mode in which a drill takes a cluster out of DNS alone.
const drillDNS = "DNS"

// ClusterOf reads a Cluster. It is false for one that is leaving the federation.
func ClusterOf(c *federation.Cluster) (Cluster, bool) {
	out := Cluster{Cluster: policy.ClusterOf(c)}
	out.Down = c.Status.Verdict != nil && c.Status.Verdict.State == federation.VerdictDown
	out.Draining = slices.ContainsFunc(c.Spec.Taints, func(t corev1.Taint) bool { return t.Key == federation.TaintDrain })
	if name, mode, ok := cutLast(c.Annotations[federation.AnnotationDrill], '/'); ok && mode == drillDNS {
		out.Drill = name
	}
	return out, c.DeletionTimestamp == nil
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// entry is one object with its names, as it is to be published. It does not change once it is made.
type entry struct {
	Object
	settings federation.DNSSettings
	// invalid says which settings can't be read; the others are in force.
	invalid error
	// subject has Names and all Hosts; each zone takes its own part.
	subject dns.Subject
	// observed are the endpoints with what is known of them, sorted by cluster as those of the subject.
	observed []Observed
	// otherHosts are in none of the zones.
	otherHosts []string
}

// facts are what subjects are made of beside the object and its endpoints.
type facts struct {
	federation string
	// zone is the main zone.
	zone string
	// owned says whether a name is in one of the federation's zones.
	owned    func(name string) bool
	clusters []Cluster // sorted by name
	policies []*policy.Propagation
	read     func(key Key, cluster string) bool
	// confirmed is until when an operator has confirmed that what is in doubt is gone.
	confirmed time.Time
}

// policyOf is the policy in force for an object, nil for none.
func (f *facts) policyOf(o Object) *policy.Propagation {
	return policy.Choose(f.policies, policy.Object{
		GroupKind: schema.GroupKind{Group: o.Group, Kind: o.Kind}, Namespace: o.Namespace, Name: o.Name, Labels: o.Labels,
	})
}

// entryOf makes an object's entry, nil where its settings say that it is not to be published.
func (f *facts) entryOf(o Object, observed []Observed) *entry {
	p := f.policyOf(o)
	var fromPolicy *federation.DNSSettings
	if p != nil {
		fromPolicy = p.Rule.DNS
	}
	e := &entry{Object: o}
	if e.settings, e.invalid = named.SettingsOf(o.Annotations, fromPolicy); !named.Published(e.settings) {
		return nil
	}
	e.observed = f.endpoints(o.Key, p, observed)
	e.subject = dns.Subject{Owner: dns.Owner{Ref: o.Ref(), UID: o.UID, Generation: o.Generation}, Settings: named.Planned(e.settings)}
	e.subject.Settings.Health = named.HealthOf(e.settings.Probe, o.Hosts)
	e.subject.Adopt, _ = named.AdoptOf(o.Annotations[federation.AnnotationDNSAdopt]) // told by SettingsOf
	for _, seen := range e.observed {
		endpoint := seen.Endpoint
		endpoint.Hostnames = seen.Hostnames
		e.subject.Endpoints = append(e.subject.Endpoints, endpoint)
		e.subject.Urgent = e.subject.Urgent || seen.State == dns.Draining && len(seen.Addresses) > 0
	}
	if o.Names && f.zone != "" {
		e.subject.Names = dns.Names{Service: o.Name, Namespace: o.Namespace, Federation: f.federation, Domain: f.zone}
	}
	for _, host := range o.Hosts {
		if f.owned(host) {
			e.subject.Hosts = append(e.subject.Hosts, host)
		} else {
			e.otherHosts = append(e.otherHosts, host)
		}
	}
	return e
}

// endpoints has one entry for each cluster of the federation, also for those that serve nothing: their region and zones have
// names all the same.
func (f *facts) endpoints(key Key, p *policy.Propagation, observed []Observed) []Observed {
	out := make([]Observed, 0, len(f.clusters))
	for i := range f.clusters {
		c := &f.clusters[i]
		at := slices.IndexFunc(observed, func(o Observed) bool { return o.Cluster == c.Name })
		var seen Observed
		switch {
		case at >= 0:
			seen = observed[at]
		case f.read(key, c.Name):
			seen = Observed{Endpoint: dns.Endpoint{State: dns.Unhealthy}, Reason: reasonAbsent}
		default:
			seen = Observed{Endpoint: dns.Endpoint{State: dns.Unknown}, Reason: reasonNotRead, Message: "the cluster was not read yet"}
		}
		seen.Cluster, seen.Provider, seen.Region, seen.Zones = c.Name, c.Provider, c.Region, c.Zones
		seen.Order = orderOf(p, c)
		if seen.Doubtful && assented(f.confirmed, seen.Since) {
			seen.Doubtful = false
		}
		out = append(out, heed(seen, c))
	}
	slices.SortFunc(out, func(a, b Observed) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return out
}

// Reasons of endpoints that are given here; a Source gives others.
const (
	reasonAbsent  = "Absent"  // the cluster does not have the object
	reasonNotRead = "NotRead" // the cluster was not read since the control plane began
	reasonDown    = "ClusterDown"
	reasonDrill   = "Drill"
	reasonDrain   = "Draining"
)

// heed lets what is believed of a cluster as a whole win over what was seen of one endpoint. A verdict of Down is certain: the
// brake does not hold it back, nor what an operator drains. A cluster that drains still serves.
func heed(seen Observed, c *Cluster) Observed {
	switch {
	case len(seen.Addresses) == 0:
	case c.Drill != "":
		seen.State, seen.Doubtful, seen.Reason, seen.Message = dns.Unhealthy, false, reasonDrill, "drill "+c.Drill+" takes the cluster out of DNS"
	case c.Down:
		seen.State, seen.Doubtful, seen.Reason, seen.Message = dns.Unhealthy, false, reasonDown, "the cluster is down"
	case c.Draining && seen.State == dns.Unhealthy:
		seen.Doubtful = false // An operator wants its users to go elsewhere, and they can't use it anyway.
	case c.Draining && (seen.State == dns.Healthy || seen.State == dns.Degraded):
		seen.State, seen.Reason, seen.Message = dns.Draining, reasonDrain, "the cluster is being drained"
	}
	return seen
}

// orderOf is the rank of a cluster's group; those that no group selects come last.
func orderOf(p *policy.Propagation, c *Cluster) int {
	if p == nil {
		return 0
	}
	for i := range p.Rule.ClusterGroups {
		if policy.MatchCluster(&p.Rule.ClusterGroups[i].ClusterSelector, &c.Cluster) {
			return i
		}
	}
	return len(p.Rule.ClusterGroups)
}
