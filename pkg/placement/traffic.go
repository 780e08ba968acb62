package placement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// What holds back or slows down that replicas leave a living cluster: clients that hold its addresses from DNS, and
// disruption budgets.

// missingTraffic is for spec.missing.
const missingTraffic = "waits until no client can hold the addresses of a cluster that is drained from DNS any more"

const (
	// trafficPeriod is how often a workload is looked at that waits for DNS.
	trafficPeriod = 2 * time.Second
	// trafficMost bounds the wait for addresses that no answer names: some were never published.
	trafficMost = 10 * time.Minute
)

// Disruption is what a PodDisruptionBudget says of an object's pods.
type Disruption struct{ MinAvailable, MaxUnavailable *intstr.IntOrString }

// allows is how many of n pods may be missing; percentages are rounded up, as the disruption controller does.
func (d Disruption) allows(n int64) int64 {
	switch {
	case d.MaxUnavailable != nil:
		most, err := intstr.GetScaledValueFromIntOrPercent(d.MaxUnavailable, int(n), true)
		if err != nil {
			return 0
		}
		return min(int64(most), n)
	case d.MinAvailable != nil:
		least, err := intstr.GetScaledValueFromIntOrPercent(d.MinAvailable, int(n), true)
		if err != nil {
			return 0
		}
		return max(n-int64(least), 0)
	}
	return n
}

// stepOf is how many replicas may leave a cluster at a time: as many as budgets allow to be missing of its share, and at
// least one, because its replacement is ready elsewhere.
func (q *question) stepOf(share int64) int64 {
	step := share
	for _, d := range q.Object.Disruptions {
		step = min(step, d.allows(share))
	}
	return max(step, 1)
}

// restraints finds what holds back that an object's replicas leave clusters. Only what moves is asked about.
func (c *Controller) restraints(ctx context.Context, k kind.Kind, obj *unstructured.Unstructured, in *Input) error {
	if k.PodTemplate == nil || in.Current == nil || in.Object.Unfederated || !in.Object.Divided {
		return nil
	}
	drained := slices.DeleteFunc(slices.Clone(in.Clusters), func(cl Cluster) bool {
		return cl.Down || !cl.Ready || !includes(in.Current.Clusters, cl.Name) || !slices.ContainsFunc(cl.Taints, isDrain)
	})
	if !in.Current.Moving && len(drained) == 0 {
		return nil
	}
	pods, _, _ := unstructured.NestedStringMap(obj.Object, slices.Concat(k.PodTemplate, []string{"metadata", "labels"})...)
	if len(pods) == 0 {
		return nil
	}
	var err error
	if in.Object.Disruptions, err = c.disruptions(ctx, obj.GetNamespace(), pods); err != nil || len(drained) == 0 {
		return err
	}
	in.Object.Serving, err = c.serving(ctx, obj.GetNamespace(), pods, drained, in.Now)
	return err
}

func isDrain(t corev1.Taint) bool {
	return t.Key == federation.TaintDrain && t.Effect == corev1.TaintEffectNoExecute
}

var (
	serviceKind = schema.GroupKind{Kind: "Service"}
	budgetKind  = schema.GroupKind{Group: "policy", Kind: "PodDisruptionBudget"}
)

// disruptions are the budgets that select pods.
func (c *Controller) disruptions(ctx context.Context, namespace string, pods labels.Set) (all []Disruption, err error) {
	err = c.visitAll(ctx, budgetKind, namespace, func(obj *unstructured.Unstructured) {
		var budget policyv1.PodDisruptionBudget
		if runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &budget) != nil || budget.Spec.Selector == nil {
			return
		}
		if selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector); err == nil && selector.Matches(pods) {
			all = append(all, Disruption{budget.Spec.MinAvailable, budget.Spec.MaxUnavailable})
		}
	})
	return all, err
}

// serving are the clusters whose addresses clients may hold, of a Service that selects pods.
func (c *Controller) serving(ctx context.Context, namespace string, pods labels.Set, drained []Cluster, now time.Time) (names []string, err error) {
	k, _ := c.catalog.Lookup(serviceKind)
	var failed error
	err = c.visitAll(ctx, serviceKind, namespace, func(obj *unstructured.Unstructured) {
		selector, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "selector")
		if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(pods) {
			return
		}
		var published federation.GlobalEndpoints
		err := c.cache.Get(ctx, k.DecisionKey(namespace, obj.GetName()), &published, client.UnsafeDisableDeepCopy)
		if apierrors.IsNotFound(err) {
			return
		} else if err != nil {
			failed = fmt.Errorf("reading where Service %s/%s is published: %w", namespace, obj.GetName(), err)
			return
		}
		for i := range drained {
			if held(&published, &drained[i], now) {
				names = insert(names, drained[i].Name)
			}
		}
	})
	return names, errors.Join(err, failed)
}

// held says whether clients may still hold a cluster's addresses.
func held(published *federation.GlobalEndpoints, c *Cluster, now time.Time) bool {
	if len(published.Status.Zones) == 0 {
		return false
	}
	for i := range published.Status.Clusters {
		e := &published.Status.Clusters[i]
		if e.Name != c.Name || e.ReleasedAt != nil {
			continue
		}
		since := now
		for _, t := range c.Taints {
			if isDrain(t) && t.TimeAdded != nil {
				since = t.TimeAdded.Time
			}
		}
		return e.Published || len(e.Addresses) > 0 && now.Sub(since) < trafficMost
	}
	return false
}

// visitAll visits the objects of a kind in a namespace, none where the kind is not known.
func (c *Controller) visitAll(ctx context.Context, gk schema.GroupKind, namespace string, f func(*unstructured.Unstructured)) error {
	k, known := c.catalog.Lookup(gk)
	if !known || !c.catalog.KindSynced(gk) {
		return nil
	}
	return c.catalog.Each(ctx, k, namespace, f)
}
