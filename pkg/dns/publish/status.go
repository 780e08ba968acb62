package publish

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

// outcome is what became of an object in one zone.
type outcome struct {
	zone  string
	state zoneState
	// result is nil where the object was not looked at in the zone yet.
	result *result
}

// specOf is a GlobalEndpoints' spec.
func specOf(e *entry, kind string) federation.GlobalEndpointsSpec {
	gv := schema.GroupVersion{Group: e.Group, Version: kind}
	return federation.GlobalEndpointsSpec{
		Object:   federation.ObjectReference{APIVersion: gv.String(), Kind: e.Kind, Namespace: e.Namespace, Name: e.Name},
		Settings: e.settings, Hosts: bare(e.subject.Hosts), OtherHosts: bare(e.otherHosts),
	}
}

// bare are host names as people write them.
func bare(hosts []string) (out []string) {
	for _, h := range hosts {
		out = append(out, strings.TrimSuffix(h, "."))
	}
	return out
}

// statusOf tells what is seen and published of an object. again is when to look once more although nothing changed, 0 for never.
func statusOf(e *entry, before federation.GlobalEndpointsStatus, zones []outcome, suspicion *dns.Suspicion, held bool, now time.Time) (status federation.GlobalEndpointsStatus, again time.Duration) {
	status.Conditions = slices.Clone(before.Conditions)
	var answering []netip.Addr
	for _, z := range zones {
		if z.result == nil || z.result.names == 0 {
			continue
		}
		status.Zones = append(status.Zones, federation.PublishedZone{Name: z.zone, Names: int32(z.result.names), FailsOver: z.result.failsOver})
		for _, a := range z.result.published {
			if text := a.String(); !slices.Contains(status.Published, text) {
				status.Published = append(status.Published, text)
			}
		}
		answering = append(answering, z.result.answering...)
	}
	slices.Sort(status.Published)
	var where []string
	for _, o := range e.observed {
		c := clusterOf(o, answering)
		if o.State == dns.Draining {
			var left time.Duration
			c.ReleasedAt, left = releasedAt(o.Cluster, zones, now)
			if left > 0 && (again == 0 || left < again) {
				again = left
			}
		}
		status.Clusters = append(status.Clusters, c)
		if len(o.Addresses) > 0 || o.Reason != reasonAbsent {
			where = append(where, o.Cluster+" "+string(o.State))
		}
	}
	status.Where = strings.Join(where, ", ")
	condition := conditionOf(e, zones, suspicion, held)
	condition.ObservedGeneration = e.Generation
	meta.SetStatusCondition(&status.Conditions, condition)
	return status, again
}

func clusterOf(o Observed, answering []netip.Addr) federation.ClusterEndpoint {
	c := federation.ClusterEndpoint{
		Name: o.Cluster, State: string(o.State), Hostnames: o.Hostnames, Ready: o.Ready, Order: int32(o.Order), Reason: o.Reason, Message: o.Message,
	}
	for _, a := range o.Addresses {
		c.Addresses = append(c.Addresses, a.Unmap().String())
		c.Published = c.Published || slices.Contains(answering, a.Unmap())
	}
	slices.Sort(c.Addresses)
	c.Addresses = slices.Compact(c.Addresses)
	for _, p := range o.Ports {
		c.Ports = append(c.Ports, federation.EndpointPort{Name: p.Name, Protocol: strings.ToUpper(p.Protocol), Port: int32(p.Number)})
	}
	if !o.Since.IsZero() {
		c.Since = ptr.To(metav1.NewTime(o.Since.Truncate(time.Second)))
	}
	return c
}

// releasedAt is when no client could hold a cluster's addresses any more, or how long that will take; 0 where it has not begun.
func releasedAt(cluster string, zones []outcome, now time.Time) (*metav1.Time, time.Duration) {
	d := dns.Departure{AbsentSince: map[string]time.Time{}}
	var last time.Time
	for _, z := range zones {
		switch {
		case z.result == nil:
			return nil, 0
		case z.result.names == 0:
			continue
		case z.result.absent[cluster].IsZero():
			return nil, 0
		}
		d.AbsentSince[z.zone] = z.result.absent[cluster]
		d.MaxTTL = max(d.MaxTTL, z.result.maxTTL)
		if last.Before(z.result.absent[cluster]) {
			last = z.result.absent[cluster]
		}
	}
	at := last.Add(d.MaxTTL + dns.ResolverSlack)
	if ok, _ := dns.MayRelease(d, now); !ok {
		return nil, max(at.Sub(now), time.Second)
	}
	return ptr.To(metav1.NewTime(at.Truncate(time.Second))), 0
}

// conditionOf says whether an object is published as it should be. The first that is wrong is told.
func conditionOf(e *entry, zones []outcome, suspicion *dns.Suspicion, held bool) metav1.Condition {
	not := func(reason, format string, args ...any) metav1.Condition {
		return metav1.Condition{Type: federation.EndpointsPublished, Status: metav1.ConditionFalse, Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
	var conflicts, invalid, withheld, names []string
	var pending, seen, dead bool
	basis := dns.OnNothing
	total := 0
	for _, z := range zones {
		concerned := z.result != nil && z.result.names > 0
		if bad := z.state.state; bad != "" && bad != stateReady && bad != stateHeld && (concerned || z.result == nil) {
			withheld = append(withheld, z.zone+": "+z.state.message)
		}
		if z.result == nil {
			continue
		}
		seen = true
		conflicts, invalid = append(conflicts, z.result.conflicts...), append(append(invalid, z.result.refused...), z.result.invalid...)
		pending = pending || z.result.pending
		if z.result.names > 0 {
			total += z.result.names
			names = append(names, z.zone)
			basis = z.result.basis
			dead = dead || basis == dns.OnLastKnown || basis == dns.OnOpen || basis == dns.OnSorry
		}
	}
	switch {
	case e.invalid != nil:
		return not(federation.ReasonInvalidSettings, "%v", e.invalid)
	case e.subject.Names == (dns.Names{}) && len(e.subject.Hosts) == 0:
		return not(federation.ReasonNoZone, "none of the federation's zones holds its names: %s", orNone(bare(e.otherHosts)))
	case len(withheld) > 0:
		return not(federation.ReasonZoneUnavailable, "%s", few(withheld))
	case len(conflicts) > 0:
		return not(federation.ReasonNameConflict, "%s", few(conflicts))
	case len(invalid) > 0:
		return not(federation.ReasonNameInvalid, "%s", few(invalid))
	case held && suspicion != nil:
		return not(federation.ReasonSuspectSelf, "%s", suspicion)
	case !seen:
		return metav1.Condition{Type: federation.EndpointsPublished, Status: metav1.ConditionUnknown, Reason: federation.ReasonPending, Message: "the names are not written yet"}
	case dead || basis == dns.OnNothing && hasAddresses(e):
		return not(federation.ReasonAllUnhealthy, "no endpoint is usable; answered is %s", answered(basis))
	case basis == dns.OnNothing:
		return not(federation.ReasonNoEndpoints, "no cluster serves it at an address")
	case pending:
		return metav1.Condition{Type: federation.EndpointsPublished, Status: metav1.ConditionUnknown, Reason: federation.ReasonPending,
			Message: "not seen at every server of " + strings.Join(names, ", ") + " yet"}
	}
	return metav1.Condition{Type: federation.EndpointsPublished, Status: metav1.ConditionTrue, Reason: federation.ReasonPublished,
		Message: fmt.Sprintf("%d names in %s", total, strings.Join(names, ", "))}
}

func hasAddresses(e *entry) bool {
	return slices.ContainsFunc(e.subject.Endpoints, func(e dns.Endpoint) bool { return len(e.Addresses) > 0 })
}

func answered(basis dns.Basis) string {
	switch basis {
	case dns.OnLastKnown:
		return "what was last"
	case dns.OnOpen:
		return "with all endpoints"
	case dns.OnSorry:
		return "with the sorry addresses"
	}
	return "nothing"
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "it needs a zone; name one in the DNS configuration"
	}
	return few(list)
}

// maxTold is how many of many alike things a message names.
const maxTold = 4

func few(list []string) string {
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	if more := len(list) - maxTold; more > 0 {
		return strings.Join(list[:maxTold], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(list, "; ")
}
