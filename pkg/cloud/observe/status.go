package observe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/price"
)

// priceAge is how long Cluster.status.price.at may lag behind while nothing else changes.
const priceAge = 6 * time.Hour

// maxBalancers bounds Cluster.status.cloud.balancers.
const maxBalancers = 100

// known is what is known of the place of one cluster.
type known struct {
	// source is nil for a cluster of which no source knows; waiting says that one may once it is known where the cluster is.
	source  *Source
	waiting bool
	// problem is why the source can't be asked at all.
	problem   error
	region    string
	zones     record[[]cloud.Zone]
	prices    record[offers]
	balancers record[map[string]cloud.Balancer]
	// ailing are the cluster's load balancers that had failing targets more than once in a row.
	ailing []federation.CloudBalancer
}

// Status says what a Cluster's status becomes. Equal facts give an equal status, whatever the time.
func (k known) status(cluster *federation.Cluster, now time.Time) federation.ClusterStatus {
	status := *cluster.Status.DeepCopy()
	status.Price = k.price(cluster, now)
	if k.waiting {
		return status
	}
	if k.source == nil {
		status.Cloud = nil
		meta.RemoveStatusCondition(&status.Conditions, federation.ClusterCloudKnown)
		return status
	}
	if status.Cloud == nil || status.Cloud.Account != k.source.Name {
		status.Cloud = &federation.CloudStatus{Account: k.source.Name}
	}
	if !k.zones.At.IsZero() {
		status.Cloud.Zones = k.describe(status.Zones, status.Cloud.Zones, now)
	}
	if !k.balancers.At.IsZero() {
		status.Cloud.Balancers = k.ailing[:min(len(k.ailing), maxBalancers)]
	}
	if c := k.condition(cluster); c != nil {
		c.ObservedGeneration, c.LastTransitionTime = cluster.Generation, metav1.NewTime(now.Truncate(time.Second))
		meta.SetStatusCondition(&status.Conditions, *c)
	}
	return status
}

// price is what running pods costs in a cluster: what it was where nothing is known, unless nobody is asked any more.
func (k known) price(cluster *federation.Cluster, now time.Time) *federation.PriceStatus {
	was := cluster.Status.Price
	if k.source == nil && !k.waiting {
		was = nil
	}
	var egress *price.Egress
	if found := k.prices.Value; found.currency != "" {
		egress = &price.Egress{Currency: found.currency, GiB: found.egressPerGiB}
	}
	updated := price.Of(cluster.Spec.Price, cluster.Status.Machines, k.prices.Value.machines, egress, was, now)
	if k.prices.At.IsZero() && updated != nil && was != nil && updated.Source == was.Source {
		updated.EgressGiB = was.EgressGiB // not asked since the process began
	}
	return settled(was, updated)
}

// settled leaves out what is no news: prices that are the same, read a little later.
func settled(was, updated *federation.PriceStatus) *federation.PriceStatus {
	if was == nil || updated == nil || updated.At.Sub(was.At.Time) >= priceAge {
		return updated
	}
	same := updated.DeepCopy()
	same.At = was.At
	if apiequality.Semantic.DeepEqual(same, was) {
		return was
	}
	return updated
}

// describe says how a cluster's zones are.
func (k known) describe(zones []string, before []federation.CloudZone, now time.Time) []federation.CloudZone {
	var list []federation.CloudZone
	for _, name := range slices.Sorted(slices.Values(zones)) {
		z := k.zone(name)
		entry := federation.CloudZone{Name: name, ID: z.ID, State: string(z.State), Message: z.Message, Since: metav1.NewTime(now.Truncate(time.Second))}
		if i := slices.IndexFunc(before, func(b federation.CloudZone) bool { return b.Name == name && b.State == entry.State }); i >= 0 {
			entry.Since = before[i].Since
		}
		list = append(list, entry)
	}
	return list
}

// zone is what is known of a zone, Unknown where the cloud does not name it.
func (k known) zone(name string) cloud.Zone {
	for _, z := range k.zones.Value {
		if z.Name == name || z.ID == name {
			return z
		}
	}
	if k.source.Site {
		return cloud.Zone{Name: name, State: cloud.ZoneAvailable}
	}
	return cloud.Zone{Name: name, State: cloud.ZoneUnknown, Message: "the cloud names no such zone in " + k.region}
}

// condition is CloudKnown, nil while too little is known to say.
func (k known) condition(cluster *federation.Cluster) *metav1.Condition {
	var told []string
	var reason cloud.ErrorKind
	tell := func(what string, err error, at time.Time) {
		if err == nil {
			return
		}
		if reason == "" {
			reason = cloud.KindOf(err)
		}
		text := err.Error()
		if i := slices.IndexFunc(told, func(t string) bool { return strings.Contains(t, text) }); i < 0 {
			told = append(told, fmt.Sprintf("%s: %s (%s)", what, text, asOf(at)))
		}
	}
	tell("account "+k.source.Name, k.problem, time.Time{})
	tell("zones", k.zones.trouble, k.zones.At)
	tell("prices", k.prices.trouble, k.prices.At)
	tell("load balancers", k.balancers.trouble, k.balancers.At)
	before := meta.FindStatusCondition(cluster.Status.Conditions, federation.ClusterCloudKnown)
	switch {
	case len(told) > 0:
		c := &metav1.Condition{Type: federation.ClusterCloudKnown, Status: metav1.ConditionFalse, Reason: string(reason), Message: strings.Join(told, "; ")}
		if before != nil && before.Status == c.Status && before.Reason == c.Reason && k.zones.At.IsZero() {
			c.Message = before.Message // the process that wrote it knew of what time the facts are
		}
		return c
	case k.zones.At.IsZero():
		return nil
	}
	return &metav1.Condition{Type: federation.ClusterCloudKnown, Status: metav1.ConditionTrue, Reason: federation.ReasonCloudAnswers, Message: k.agreement(cluster)}
}

func asOf(at time.Time) string {
	if at.IsZero() {
		return "nothing was read yet"
	}
	return "what is known is of " + at.UTC().Format(time.RFC3339)
}

// agreement says that the cloud answers, and what nodes say of which it does not know.
func (k known) agreement(cluster *federation.Cluster) string {
	who := "account"
	if k.source.Site {
		who = "site"
	}
	text := fmt.Sprintf("%s %s tells of %s", who, k.source.Name, k.region)
	if k.region == "" {
		text = fmt.Sprintf("%s %s is configured", who, k.source.Name)
	}
	var strange []string
	for _, name := range cluster.Status.Zones {
		if k.zone(name).State == cloud.ZoneUnknown {
			strange = append(strange, name)
		}
	}
	if len(strange) > 0 {
		text += "; it does not tell of the zones that nodes name: " + strings.Join(strange, ", ")
	}
	return text
}

// transition is the event of a change of status: one where CloudKnown took another value.
func transition(old, updated federation.ClusterStatus) (kind, reason, note string, is bool) {
	before := meta.FindStatusCondition(old.Conditions, federation.ClusterCloudKnown)
	after := meta.FindStatusCondition(updated.Conditions, federation.ClusterCloudKnown)
	switch {
	case after == nil, before != nil && before.Status == after.Status, before == nil && after.Status == metav1.ConditionTrue:
		return "", "", "", false
	case after.Status == metav1.ConditionTrue:
		return corev1.EventTypeNormal, "CloudKnown", after.Message, true
	}
	return corev1.EventTypeWarning, "CloudUnknown", after.Message, true
}
