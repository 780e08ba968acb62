package mcs

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	mcsv1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// export is one cluster's copy of an exported Service.
type export struct {
	cluster string
	// created is when the copy was; the oldest wins a conflict.
	created time.Time
	spec    corev1.ServiceSpec
	// balancer are addresses of the cluster's load balancer that other clusters can use.
	balancer  []string
	endpoints []endpoints
}

// endpoints is one EndpointSlice of a copy, with what matters elsewhere.
type endpoints struct {
	family string // IPv4 or IPv6
	ports  []endpointPort
	of     []endpoint
}

type endpointPort struct {
	name     string
	protocol corev1.Protocol
	app      *string
	port     int32
}

type endpoint struct {
	addresses []string
	hostname  string
	zone      string
	ready     bool
	serving   bool
	leaving   bool
}

// combined is what all exports of one Service are together.
type combined struct {
	spec mcsv1.ServiceImportSpec
	// clusters export it, sorted.
	clusters []string
	// conflicts are reasons of the condition Conflict, sorted; detail says more.
	conflicts []string
	detail    string
}

// combine merges exports as KEP-1645 says: ports are united, and of what differs the oldest export's counts.
func combine(exports []export) combined {
	exports = slices.SortedFunc(slices.Values(exports), func(a, b export) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.cluster, b.cluster))
	})
	first := exports[0].spec
	c := combined{spec: mcsv1.ServiceImportSpec{Type: typeOf(first), SessionAffinity: first.SessionAffinity}}
	if first.SessionAffinityConfig != nil {
		c.spec.SessionAffinityConfig = first.SessionAffinityConfig.DeepCopy()
	}
	if first.InternalTrafficPolicy != nil {
		policy := *first.InternalTrafficPolicy
		c.spec.InternalTrafficPolicy = &policy
	}
	if first.TrafficDistribution != nil {
		distribution := *first.TrafficDistribution
		c.spec.TrafficDistribution = &distribution
	}
	c.ports(exports)
	var odd []string
	for _, e := range exports {
		c.clusters = append(c.clusters, e.cluster)
		reasons := c.differs(e.spec)
		if len(reasons) > 0 {
			odd = append(odd, e.cluster)
		}
		for _, r := range reasons {
			if !slices.Contains(c.conflicts, r) {
				c.conflicts = append(c.conflicts, r)
			}
		}
	}
	slices.Sort(c.clusters)
	slices.Sort(c.conflicts)
	if len(odd) > 0 {
		slices.Sort(odd)
		c.detail = "the Service in " + strings.Join(odd, ", ") + " differs from that in " + exports[0].cluster + ", which is the oldest and counts"
	}
	return c
}

func typeOf(s corev1.ServiceSpec) mcsv1.ServiceImportType {
	if s.ClusterIP == corev1.ClusterIPNone {
		return mcsv1.Headless
	}
	return mcsv1.ClusterSetIP
}

// ports unites the ports of exports, in the order of their age.
func (c *combined) ports(exports []export) {
	c.spec.Ports = []mcsv1.ServicePort{}
	for _, e := range exports {
		for _, p := range e.spec.Ports {
			port := portOf(p)
			if !slices.ContainsFunc(c.spec.Ports, func(have mcsv1.ServicePort) bool {
				return have.Name == port.Name || have.Protocol == port.Protocol && have.Port == port.Port
			}) {
				c.spec.Ports = append(c.spec.Ports, port)
			}
		}
	}
}

func portOf(p corev1.ServicePort) mcsv1.ServicePort {
	return mcsv1.ServicePort{Name: p.Name, Protocol: cmp.Or(p.Protocol, corev1.ProtocolTCP), AppProtocol: p.AppProtocol, Port: p.Port}
}

// differs are the reasons for which an export is not as the import.
func (c *combined) differs(s corev1.ServiceSpec) []string {
	var reasons []string
	say := func(differs bool, reason mcsv1.ServiceExportConditionReason) {
		if differs {
			reasons = append(reasons, string(reason))
		}
	}
	own := make([]mcsv1.ServicePort, 0, len(s.Ports))
	for _, p := range s.Ports {
		own = append(own, portOf(p))
	}
	byName := func(a, b mcsv1.ServicePort) int { return cmp.Compare(a.Name, b.Name) }
	say(!reflect.DeepEqual(slices.SortedFunc(slices.Values(own), byName), slices.SortedFunc(slices.Values(c.spec.Ports), byName)), mcsv1.ServiceExportReasonPortConflict)
	say(typeOf(s) != c.spec.Type, mcsv1.ServiceExportReasonTypeConflict)
	say(s.SessionAffinity != c.spec.SessionAffinity, mcsv1.ServiceExportReasonSessionAffinityConflict)
	say(s.SessionAffinity == c.spec.SessionAffinity && !reflect.DeepEqual(s.SessionAffinityConfig, c.spec.SessionAffinityConfig), mcsv1.ServiceExportReasonSessionAffinityConfigConflict)
	say(!reflect.DeepEqual(s.InternalTrafficPolicy, c.spec.InternalTrafficPolicy), mcsv1.ServiceExportReasonInternalTrafficPolicyConflict)
	say(!reflect.DeepEqual(s.TrafficDistribution, c.spec.TrafficDistribution), mcsv1.ServiceExportReasonTrafficDistributionConflict)
	return reasons
}
