package placement

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/policy"
)

// ObjectFacts reads from an object what placing it depends on, but for Use: that takes other objects.
func ObjectFacts(k kind.Kind, obj *unstructured.Unstructured) Object {
	version, name := k.GroupVersionKind.ToAPIVersionAndKind()
	annotation := func(key string) string {
		value, _, _ := unstructured.NestedFieldNoCopy(obj.Object, "metadata", "annotations", key)
		text, _ := value.(string)
		return text
	}
	o := Object{
		Reference: federation.ObjectReference{
			APIVersion: version, Kind: name, Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID(),
		},
		Custom:          k.Custom,
		OnlyUse:         k.GroupKind() == secretKind,
		Divided:         k.Replicas != nil,
		Divisible:       k.Replicas != nil && k.Custom,
		Replicas:        number(obj, k.Replicas),
		Completions:     number(obj, k.Completions),
		Request:         requestOf(obj, k.PodTemplate),
		Rebalance:       annotation(federation.AnnotationRebalance),
		ClusterSelector: annotation(policy.AnnotationClusterSelector),
	}
	if o.Divided {
		o.Traffic = trafficOf(annotation(federation.AnnotationEgress), annotation(federation.AnnotationFetch))
	}
	if key := policy.PreferencesAnnotation(k.GroupKind()); key != "" {
		o.Preferences = annotation(key)
	}
	if k.GroupKind() == statefulSetKind {
		o.Ordered, o.FirstOrdinal = true, ptr.Deref(number(obj, ordinalsStart), 0)
	}
	return o
}

var (
	statefulSetKind = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
	ordinalsStart   = []string{"spec", "ordinals", "start"}
)

// number reads a whole number, nil where there is none.
func number(obj *unstructured.Unstructured, path []string) *int32 {
	if path == nil {
		return nil
	}
	value, _, _ := unstructured.NestedFieldNoCopy(obj.Object, path...)
	var n int64
	switch v := value.(type) {
	case int64:
		n = v
	case float64:
		n = int64(v)
	default:
		return nil
	}
	n32 := int32(min(max(n, 0), math.MaxInt32))
	return &n32
}

// roster holds the facts on all clusters, read anew from the cache after one of them changed.
type roster struct {
	mu    sync.Mutex
	fresh bool
	list  []Cluster
	// bounds are the federation's, as they were read with the list.
	bounds federation.FailoverBounds
}

// last is what was read last, of whatever age.
func (r *roster) last() ([]Cluster, federation.FailoverBounds) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list, r.bounds
}

// clusters are shared: do not change them.
func (r *roster) clusters(ctx context.Context, from client.Reader) ([]Cluster, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh {
		return r.list, nil
	}
	var all federation.ClusterList
	if err := from.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	list := make([]Cluster, 0, len(all.Items))
	for i := range all.Items {
		list = append(list, ClusterFacts(&all.Items[i]))
	}
	slices.SortFunc(list, byName)
	var federations federation.FederationList // one, made by the control plane
	if err := from.List(ctx, &federations, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("reading the federation's bounds of failover: %w", err)
	}
	r.bounds = federation.FailoverBounds{}
	for i := range federations.Items {
		r.bounds = federations.Items[i].Spec.Failover
	}
	Hold(r.bounds, list)
	r.list, r.fresh = list, true
	return list, nil
}

// outdate makes the next reader read the cache.
func (r *roster) outdate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fresh = false
}

// ClusterFacts reads from a Cluster what placing objects depends on, but for Reserved: that takes other decisions.
func ClusterFacts(c *federation.Cluster) Cluster {
	facts := Cluster{
		Cluster: policy.ClusterOf(c),
		Taints:  taintsOf(c),
		Free:    c.Status.Free,
		Ready:   meta.IsStatusConditionTrue(c.Status.Conditions, federation.ClusterReady),
		Deleted: c.DeletionTimestamp != nil,
	}
	facts.Price, facts.EgressGiB, facts.Spot = pricesOf(c)
	if ready := meta.FindStatusCondition(c.Status.Conditions, federation.ClusterReady); ready != nil {
		facts.Since = ready.LastTransitionTime.Time
	}
	if v := c.Status.Verdict; v != nil && v.State == federation.VerdictReady && v.Since.After(facts.Since) {
		facts.Since = v.Since.Time
	}
	if i := slices.IndexFunc(facts.Taints, isDown); i >= 0 {
		facts.Down, facts.Confirmed = true, confirmed(c)
		if added := facts.Taints[i].TimeAdded; added != nil {
			facts.DownSince = added.Time
		}
		if v := c.Status.Verdict; v != nil {
			for _, e := range v.Evidence {
				if e.Source == "API" && e.Says == federation.SaysDead {
					facts.SilentSince = e.Since.Time
				}
			}
		}
	}
	if len(c.Status.APIGroups) > 0 {
		facts.APIs = make(map[string]bool, len(c.Status.APIGroups))
		for _, gv := range c.Status.APIGroups {
			facts.APIs[gv] = true
		}
	}
	return facts
}

// pricesOf are the prices in force: the spec's, else what the cluster's cloud says, which stays as it is when the cloud does
// not answer. A price of egress in another currency is none.
func pricesOf(c *federation.Cluster) (p *federation.Price, egress *resource.Quantity, spot int32) {
	p = c.Spec.Price
	if s := c.Status.Price; s != nil {
		spot = s.Spot
		if p == nil {
			p = &s.Price
		}
		if p.Currency == s.Currency {
			egress = s.EgressGiB
		}
	}
	return p, egress, spot
}

func isDown(t corev1.Taint) bool {
	return t.Key == federation.TaintDown && t.Effect == corev1.TaintEffectNoExecute
}

// taintsOf are a cluster's taints: those that people set, and those that follow from its verdict.
func taintsOf(c *federation.Cluster) []corev1.Taint {
	if len(c.Status.Taints) == 0 {
		return c.Spec.Taints
	}
	return slices.Concat(c.Spec.Taints, c.Status.Taints)
}

// Repels says whether a cluster has a taint that keeps new placements away.
func Repels(c *Cluster) bool {
	return slices.ContainsFunc(c.Taints, func(t corev1.Taint) bool { return repels(&t) })
}
