package sync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/override"
)

// Controller passes what happens in the federation API on to the members' queues, and what happens in members to the
// folder.
type Controller struct {
	view   *view
	folder *folder
	// started is set once this process leads: before, nobody writes to members.
	started atomic.Bool

	mu      sync.Mutex
	engaged map[string]engagement
	members map[string]*member
}

// engagement is what the registry said of a member.
type engagement struct {
	ctx    context.Context
	member *cluster.Member
}

// Add registers sync with a manager whose cache also feeds the catalog; it writes through federationClient. It hears of
// members as a cluster.Engager.
func Add(mgr manager.Manager, catalog *kind.Catalog, federationClient client.Client, federationName string, options Options) (*Controller, error) {
	c := &Controller{engaged: map[string]engagement{}, members: map[string]*member{}}
	c.view = &view{
		federation: federationName, options: options.withDefaults(), catalog: catalog, reader: mgr.GetCache(),
		recorder: mgr.GetEventRecorder("sync"), log: mgr.GetLogger().WithName("sync"),
		buried: map[Key]map[types.UID]federation.TombstoneSpec{}, changes: map[Key]time.Time{},
	}
	c.folder = newFolder(federationClient, c)
	if err := c.watch(mgr, catalog); err != nil {
		return nil, err
	}
	fold, err := controller.NewTyped("fold", mgr, controller.TypedOptions[Key]{
		Reconciler: c.folder, MaxConcurrentReconciles: 8,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[Key](100*time.Millisecond, 30*time.Second),
	})
	if err != nil {
		return nil, fmt.Errorf("registering the folder: %w", err)
	}
	if err := fold.Watch(c.folder.queue); err != nil {
		return nil, fmt.Errorf("registering the folder: %w", err)
	}
	if err := mgr.Add(c); err != nil {
		return nil, fmt.Errorf("registering sync: %w", err)
	}
	return c, nil
}

// Start begins with the members that are there once this process leads, and lets those begin that come later.
func (c *Controller) Start(ctx context.Context) error {
	c.mu.Lock()
	c.started.Store(true)
	engaged := slices.Collect(maps.Values(c.engaged))
	c.mu.Unlock()
	for _, e := range engaged {
		c.begin(e)
	}
	<-ctx.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		m.cancel()
	}
	return nil
}

// watch adds the handlers on the federation API's objects.
func (c *Controller) watch(mgr manager.Manager, catalog *kind.Catalog) error {
	catalog.HandleChange(func(k kind.Kind, before, after *unstructured.Unstructured) {
		obj := after
		if obj == nil {
			obj = before
		}
		key := Key{GroupKind: k.GroupKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
		if before != nil && after != nil && statusOnly(before, after) {
			c.folder.enqueue(key)
			return
		}
		if before != nil || c.started.Load() {
			c.view.changed(key)
		}
		c.spread(key)
	})
	ctx := context.Background()
	decisions, err := mgr.GetCache().GetInformer(ctx, &federation.PlacementDecision{})
	if err != nil {
		return fmt.Errorf("watching PlacementDecisions: %w", err)
	}
	clusters, err := mgr.GetCache().GetInformer(ctx, &federation.Cluster{})
	if err != nil {
		return fmt.Errorf("watching Clusters: %w", err)
	}
	tombstones, err := mgr.GetCache().GetInformer(ctx, &federation.Tombstone{})
	if err != nil {
		return fmt.Errorf("watching Tombstones: %w", err)
	}
	inNamespaces, err := mgr.GetCache().GetInformer(ctx, &federation.OverridePolicy{})
	if err != nil {
		return fmt.Errorf("watching OverridePolicies: %w", err)
	}
	anywhere, err := mgr.GetCache().GetInformer(ctx, &federation.ClusterOverridePolicy{})
	if err != nil {
		return fmt.Errorf("watching ClusterOverridePolicies: %w", err)
	}
	synced := []cache.InformerSynced{}
	add := func(i interface {
		AddEventHandler(cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error)
	}, handle func(before, obj any, gone bool)) error {
		registration, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { handle(nil, obj, false) },
			UpdateFunc: func(before, obj any) { handle(before, obj, false) },
			DeleteFunc: func(obj any) {
				if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
					obj = unknown.Obj
				}
				handle(nil, obj, true)
			},
		})
		if err == nil {
			synced = append(synced, registration.HasSynced)
		}
		return err
	}
	if err := add(decisions, func(before, obj any, _ bool) {
		if d, ok := obj.(*federation.PlacementDecision); ok {
			old, _ := before.(*federation.PlacementDecision)
			c.decided(old, d)
		}
	}); err != nil {
		return err
	}
	if err := add(clusters, func(before, obj any, gone bool) {
		if cl, ok := obj.(*federation.Cluster); ok {
			c.clusterChanged(cl, gone)
			if former, ok := before.(*federation.Cluster); ok {
				c.siteChanged(former, cl)
				if down(former) != down(cl) {
					c.refold(cl.Name)
				}
			}
		}
	}); err != nil {
		return err
	}
	if err := add(inNamespaces, func(_, obj any, gone bool) {
		if p, ok := obj.(*federation.OverridePolicy); ok {
			c.overrideChanged(policyKey{p.Namespace, p.Name}, p.Generation, gone, func() (*override.Policy, error) { return override.OfNamespace(p) })
		}
	}); err != nil {
		return err
	}
	if err := add(anywhere, func(_, obj any, gone bool) {
		if p, ok := obj.(*federation.ClusterOverridePolicy); ok {
			c.overrideChanged(policyKey{"", p.Name}, p.Generation, gone, func() (*override.Policy, error) { return override.OfCluster(p) })
		}
	}); err != nil {
		return err
	}
	if err := add(tombstones, func(_, obj any, gone bool) {
		if t, ok := obj.(*federation.Tombstone); ok {
			c.buried(t, gone)
		}
	}); err != nil {
		return err
	}
	c.view.synced = func() bool {
		return !slices.ContainsFunc(synced, func(s cache.InformerSynced) bool { return !s() })
	}
	return nil
}

// statusOnly says whether a change is of no interest to members: of the status, or of nothing that Render reads.
func statusOnly(before, after *unstructured.Unstructured) bool {
	return after.GetGeneration() != 0 && before.GetGeneration() == after.GetGeneration() && before.GetUID() == after.GetUID() &&
		(before.GetDeletionTimestamp() == nil) == (after.GetDeletionTimestamp() == nil) &&
		equality.Semantic.DeepEqual(nested(before.Object, "metadata", "labels"), nested(after.Object, "metadata", "labels")) &&
		equality.Semantic.DeepEqual(nested(before.Object, "metadata", "annotations"), nested(after.Object, "metadata", "annotations"))
}

// spread has a key looked at in every member that has or had to do with it: that dealt with it before, or that a decision
// or a tombstone names.
func (c *Controller) spread(key Key) {
	var d *federation.PlacementDecision
	if k, ok := c.view.catalog.Lookup(key.GroupKind); ok {
		// What can't be read now is there when the decision's own event comes.
		d, _ = c.view.decision(context.Background(), k.DecisionKey(key.Namespace, key.Name))
	}
	for _, m := range c.all() {
		s := m.see(key)
		if s.decided || s.copy != nil || d != nil && names(d, m.Name) || len(c.view.buriedIn(key, m.Name)) > 0 {
			m.enqueue(key)
		}
	}
	c.folder.enqueue(key)
}

func names(d *federation.PlacementDecision, cluster string) bool {
	if _, ok := placementIn(d, cluster); ok {
		return true
	}
	return slices.ContainsFunc(d.Status.Clusters, func(s federation.ClusterState) bool { return s.Name == cluster })
}

// decided has the members look at a decision that is new, has changed or went; before is nil where it is not known. What
// changed is its status alone where the generation did not: that was written here, and asks nothing of members.
func (c *Controller) decided(before, d *federation.PlacementDecision) {
	key := keyOf(d.Spec.Object)
	if before != nil && before.UID == d.UID && before.Generation == d.Generation {
		c.folder.enqueue(key)
		return
	}
	for _, m := range c.all() {
		if names(d, m.Name) || m.see(key).decided {
			m.enqueue(key)
		}
	}
	c.folder.enqueue(key)
}

func (c *Controller) buried(t *federation.Tombstone, gone bool) {
	if t.Spec.Object.APIVersion == federation.GroupVersion.String() {
		return // a cluster that left while it could not be reached: pkg/cluster deals with it
	}
	c.view.bury(t, gone)
	key := keyOf(t.Spec.Object)
	for _, m := range c.all() {
		if slices.Contains(t.Spec.Clusters, m.Name) {
			m.enqueue(key)
		}
	}
	c.folder.enqueue(key)
}

// clusterChanged starts a member's sync afresh when it becomes ready again: what was cached of it is old.
func (c *Controller) clusterChanged(cl *federation.Cluster, gone bool) {
	ready := !gone && cl.DeletionTimestamp == nil && usable(cl)
	c.mu.Lock()
	m, engaged := c.members[cl.Name], c.engaged[cl.Name]
	c.mu.Unlock()
	switch {
	case !ready && m != nil && !m.offline.Swap(true):
		m.enqueueAll()
	case ready && (m == nil || m.offline.Load()) && engaged.ctx != nil && engaged.ctx.Err() == nil && c.started.Load():
		c.begin(engaged)
	}
	c.folder.reviewFinalizing()
}

// refold has the status of everything in a cluster made anew, once it is taken for dead or not any more.
func (c *Controller) refold(cluster string) {
	var decisions federation.PlacementDecisionList
	if err := c.view.reader.List(context.Background(), &decisions); err != nil {
		c.view.log.Error(err, "listing decisions", "cluster", cluster)
		return
	}
	for i := range decisions.Items {
		if d := &decisions.Items[i]; names(d, cluster) {
			c.folder.enqueue(keyOf(d.Spec.Object))
		}
	}
}

// Engage starts syncing a member until ctx ends.
func (c *Controller) Engage(ctx context.Context, m *cluster.Member) {
	e := engagement{ctx: ctx, member: m}
	c.mu.Lock()
	c.engaged[m.Name] = e
	c.mu.Unlock()
	if c.started.Load() {
		c.begin(e)
	}
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		if c.engaged[m.Name].ctx == ctx {
			delete(c.engaged, m.Name)
			delete(c.members, m.Name)
		}
		c.mu.Unlock()
		c.folder.reviewFinalizing()
	})
}

// begin starts a member's sync with a fresh list if the member is ready, in place of an older one; else clusterChanged
// does when it is.
func (c *Controller) begin(e engagement) {
	if cl, err := c.view.cluster(e.ctx, e.member.Name); err != nil || cl == nil || !usable(cl) {
		return
	}
	m := newMember(e.ctx, e.member, c.view, c.folder.enqueue)
	if err := m.start(); err != nil {
		c.view.log.Error(err, "member not synced", "cluster", m.Name)
		m.cancel()
		return
	}
	c.mu.Lock()
	old := c.members[m.Name]
	c.members[m.Name] = m
	c.mu.Unlock()
	if old != nil {
		old.cancel()
	}
	go c.catchUp(m)
}

// catchUp has a new member deal with everything that decisions and tombstones say of it.
func (c *Controller) catchUp(m *member) {
	var decisions federation.PlacementDecisionList
	if err := c.view.reader.List(m.ctx, &decisions); err != nil {
		c.view.log.Error(err, "listing decisions", "cluster", m.Name)
		return
	}
	for i := range decisions.Items {
		if d := &decisions.Items[i]; names(d, m.Name) {
			m.enqueue(keyOf(d.Spec.Object))
		} else if k, ok := c.view.catalog.Lookup(keyOf(d.Spec.Object).GroupKind); ok {
			// Its copy may be there though the decision no longer says so: watching finds out.
			_, _ = m.copiesOf(m.ctx, k)
		}
	}
	c.view.mu.Lock()
	keys := slices.Collect(maps.Keys(c.view.buried))
	c.view.mu.Unlock()
	for _, key := range keys {
		if len(c.view.buriedIn(key, m.Name)) > 0 {
			m.enqueue(key)
		}
	}
}

func (c *Controller) all() []*member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.members))
}

func (c *Controller) member(name string) *member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members[name]
}
