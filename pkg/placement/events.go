package placement

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/policy"
)

type queue = workqueue.TypedRateLimitingInterface[Key]

// inlet passes keys on to the controller's queue, and keeps them while there is none: the catalog starts before it.
type inlet struct {
	mu      sync.Mutex
	queue   queue
	waiting map[Key]struct{}
}

func (i *inlet) open(_ context.Context, q queue) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for key := range i.waiting {
		q.Add(key)
	}
	i.queue, i.waiting = q, nil
	return nil
}

func (i *inlet) add(key Key) { i.addAfter(key, 0) }

func (i *inlet) addAfter(key Key, wait time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.queue != nil {
		i.queue.AddAfter(key, wait)
		return
	}
	if i.waiting == nil {
		i.waiting = map[Key]struct{}{}
	}
	i.waiting[key] = struct{}{}
}

// objectChanged takes up objects whose decision may change, and those that an object stopped or began to need.
func (c *Controller) objectChanged(k kind.Kind, before, after *unstructured.Unstructured) {
	if after != nil && (before == nil || matters(before, after)) {
		c.changes.add(keyOf(k, after))
	}
	c.takeUpReleased(k, before, after)
}

// matters says whether a change can change the decision: status and the like can't.
func matters(before, after *unstructured.Unstructured) bool {
	return changed(before, after) || before.GetUID() != after.GetUID() ||
		(before.GetDeletionTimestamp() == nil) != (after.GetDeletionTimestamp() == nil) ||
		!maps.Equal(before.GetAnnotations(), after.GetAnnotations()) || !maps.Equal(before.GetLabels(), after.GetLabels())
}

// changed says whether more than metadata and status may have changed. Kinds without a generation always may.
func changed(before, after *unstructured.Unstructured) bool {
	return after.GetGeneration() == 0 && before.GetResourceVersion() != after.GetResourceVersion() || before.GetGeneration() != after.GetGeneration()
}

func keyOf(k kind.Kind, obj *unstructured.Unstructured) Key {
	return Key{k.GroupKind(), types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}}
}

// Objects all come up by themselves at the start, so that what the first lists of clusters and decisions hold needs no
// second look.

func (c *Controller) decisionAdded(ctx context.Context, e event.TypedCreateEvent[*federation.PlacementDecision], q queue) {
	c.written.arrived(e.Object)
	if !e.IsInInitialList {
		// Looked at again because a cluster that changed in between did not find it in the cache.
		q.Add(objectOf(e.Object))
		c.takeUpNeeded(ctx, e.Object, q)
	}
}

func (c *Controller) decisionChanged(ctx context.Context, e event.TypedUpdateEvent[*federation.PlacementDecision], q queue) {
	c.written.arrived(e.ObjectNew)
	c.ledger.seen(objectOf(e.ObjectNew), e.ObjectNew, time.Now())
	respecified := e.ObjectOld.Generation != e.ObjectNew.Generation
	if respecified || awaited(e.ObjectOld, e.ObjectNew) || ages(e.ObjectOld, e.ObjectNew) && c.movesUnhealthy(ctx, e.ObjectNew) {
		q.Add(objectOf(e.ObjectNew))
	}
	if respecified || left(e.ObjectOld.Status.Clusters, e.ObjectNew.Status.Clusters) {
		c.takeUpNeeded(ctx, e.ObjectNew, q)
	}
}

// movesUnhealthy says whether the policy in force moves replicas that do not become ready.
func (c *Controller) movesUnhealthy(ctx context.Context, d *federation.PlacementDecision) bool {
	if d.Spec.Policy == nil {
		return false
	}
	all, err := c.policies.get(ctx, c.cache)
	if err != nil {
		return true
	}
	p := all.named(d.Spec.Object.Namespace, d.Spec.Policy)
	return p != nil && p.Rule.Moves != nil && p.Rule.Moves.UnhealthyAfter != nil
}

func (c *Controller) decisionGone(ctx context.Context, e event.TypedDeleteEvent[*federation.PlacementDecision], q queue) {
	c.written.arrived(e.Object)
	c.ledger.forget(objectOf(e.Object))
	c.failovers.forget(objectOf(e.Object))
	q.Add(objectOf(e.Object))
	c.takeUpNeeded(ctx, e.Object, q)
}

func objectOf(d *federation.PlacementDecision) Key {
	o := d.Spec.Object
	gv, _ := schema.ParseGroupVersion(o.APIVersion) // written by Place
	return Key{schema.GroupKind{Group: gv.Group, Kind: o.Kind}, types.NamespacedName{Namespace: o.Namespace, Name: o.Name}}
}

func (c *Controller) clusterAdded(ctx context.Context, e event.TypedCreateEvent[*federation.Cluster], q queue) {
	c.roster.outdate()
	if !e.IsInInitialList {
		facts := ClusterFacts(e.Object)
		c.takeUp(ctx, &facts, &facts, q)
	}
}

func (c *Controller) clusterChanged(ctx context.Context, e event.TypedUpdateEvent[*federation.Cluster], q queue) {
	before, after := ClusterFacts(e.ObjectOld), ClusterFacts(e.ObjectNew)
	if !apiequality.Semantic.DeepEqual(before.Free, after.Free) {
		c.ledger.observed(after.Name, time.Now())
	}
	if !sameCluster(before, after) {
		held, _ := c.roster.last()
		c.roster.outdate()
		c.takeUp(ctx, &before, &after, q)
		if before.Down != after.Down || before.Confirmed != after.Confirmed {
			c.takeUpHeld(ctx, held, q)
		}
	}
}

func (c *Controller) federationAdded(ctx context.Context, e event.TypedCreateEvent[*federation.Federation], q queue) {
	held, _ := c.roster.last()
	c.roster.outdate()
	c.takeUpHeld(ctx, held, q)
}

func (c *Controller) federationChanged(ctx context.Context, e event.TypedUpdateEvent[*federation.Federation], q queue) {
	if e.ObjectOld.Generation != e.ObjectNew.Generation {
		held, _ := c.roster.last()
		c.roster.outdate()
		c.takeUpHeld(ctx, held, q)
	}
}

// takeUpHeld takes up what is in clusters that the budget holds back no more, or does now; before are the clusters as they
// were.
func (c *Controller) takeUpHeld(ctx context.Context, before []Cluster, q queue) {
	after, err := c.roster.clusters(ctx, c.cache)
	if err != nil {
		log.FromContext(ctx).Error(err, "taking up what the budget of failovers concerns")
		return
	}
	for i := range after {
		at, found := slices.BinarySearchFunc(before, after[i], byName)
		if found && before[at].Held != after[i].Held && len(after[i].Taints) > 0 {
			c.takeUp(ctx, &before[at], &after[i], q)
		}
	}
}

func (c *Controller) clusterGone(ctx context.Context, e event.TypedDeleteEvent[*federation.Cluster], q queue) {
	c.roster.outdate()
	before := ClusterFacts(e.Object)
	after := before
	after.Deleted = true
	c.takeUp(ctx, &before, &after, q)
}

// takeUp adds the objects whose decisions a changed cluster can change, behind what users do meanwhile.
func (c *Controller) takeUp(ctx context.Context, before, after *Cluster, q queue) {
	var all federation.PlacementDecisionList
	if err := c.cache.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing decisions", "cluster", after.Name)
		return
	}
	policies, err := c.policies.get(ctx, c.cache)
	if err != nil {
		log.FromContext(ctx).Error(err, "taking up what a cluster concerns", "cluster", after.Name)
		return
	}
	room := onlyRoom(before, after)
	for i := range all.Items {
		d := &all.Items[i].Spec
		p := policies.named(d.Object.Namespace, d.Policy)
		if concernedBy(d, p, before, after, room) {
			addBehind(q, objectOf(&all.Items[i]))
		}
	}
}

func concernedBy(d *Decision, p *policy.Propagation, before, after *Cluster, onlyRoom bool) bool {
	if onlyRoom {
		return awaitsRoom(d, p)
	}
	return concerns(d, p, before, after)
}

// onlyRoom says whether nothing but what is free in a cluster, or what it costs, changed.
func onlyRoom(before, after *Cluster) bool {
	b, a := *before, *after
	for _, c := range []*Cluster{&a, &b} {
		c.Free, c.Price, c.EgressGiB, c.Spot = nil, nil, nil, 0
	}
	return before != after && sameCluster(b, a)
}

func sameCluster(a, b Cluster) bool {
	return a.Since.Equal(b.Since) && reflect.DeepEqual(a.Cluster, b.Cluster) && a.Ready == b.Ready && a.Deleted == b.Deleted &&
		maps.Equal(a.APIs, b.APIs) && apiequality.Semantic.DeepEqual(a.Taints, b.Taints) && a.Held == b.Held && a.Confirmed == b.Confirmed &&
		apiequality.Semantic.DeepEqual(a.Free, b.Free) && apiequality.Semantic.DeepEqual(a.Price, b.Price) &&
		apiequality.Semantic.DeepEqual(a.EgressGiB, b.EgressGiB) && a.Spot == b.Spot
}

// awaitsRoom says whether a decision can change because there is more or less room in clusters: where something is
// missing, where a better group may take it back, and where replicas follow the room at all times.
func awaitsRoom(d *Decision, p *policy.Propagation) bool {
	if d.Missing != "" || d.Unplaced > 0 || slices.ContainsFunc(d.Excluded, func(e federation.Exclusion) bool { return e.Reason == federation.ReasonFull }) {
		return true
	}
	return p != nil && (len(p.Rule.ClusterGroups) > 1 || p.Rule.ReplicaDivision != nil && p.Rule.ReplicaDivision.Rebalance)
}

// concerns says whether a decision can change because a cluster joins, leaves, or is not as it was. p is the policy that
// the decision names, nil where there is none any more.
func concerns(d *Decision, p *policy.Propagation, before, after *Cluster) bool {
	has := slices.ContainsFunc(d.Clusters, func(p federation.ClusterPlacement) bool { return p.Name == after.Name })
	kept := slices.ContainsFunc(d.Excluded, func(e federation.Exclusion) bool { return slices.Contains(e.Clusters, after.Name) })
	switch {
	case after.Deleted:
		return has || kept
	case d.Policy != nil && d.Policy.Kind == federation.PolicyAnnotations:
		return true
	case p != nil:
		return has || kept || selects(p, before) || selects(p, after)
	case has && (d.Moving || !apiequality.Semantic.DeepEqual(before.Taints, after.Taints) || before.Held != after.Held):
		return true
	case displacedBefore(d, after.Name) != nil:
		return true
	case !after.Ready:
		return false // it keeps what it has and gets nothing
	case kept || d.Missing != "":
		return true
	}
	divided := len(d.Clusters) > 0 && d.Clusters[0].Replicas != nil
	return !has && !divided && d.Reason != reasonZero
}

// selects says whether a policy lets its objects go to a cluster.
func selects(p *policy.Propagation, c *Cluster) bool {
	return len(p.Rule.ClusterGroups) == 0 || slices.ContainsFunc(p.Rule.ClusterGroups, func(g federation.ClusterGroup) bool {
		return policy.MatchCluster(&g.ClusterSelector, &c.Cluster)
	})
}

func addBehind(q queue, key Key) {
	if pq, ok := q.(priorityqueue.PriorityQueue[Key]); ok {
		behind := -1
		pq.AddWithOpts(priorityqueue.AddOpts{Priority: &behind}, key)
		return
	}
	q.Add(key)
}
