package mcs

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
	mcsv1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/dns"
)

// DefaultRange is where clusterset IPs come from: reserved addresses (RFC 1112 section 4) that no cluster uses for pods or Services.
const DefaultRange = "243.0.0.0/16"

// Options are the controller's.
type Options struct {
	// Federation is the federation's name.
	Federation string
	// Range is an IPv4 range for clusterset IPs.
	Range netip.Prefix
	// Zone writes clusterset.local; nil where nobody serves it.
	Zone dns.Provider
	// Current is called after Zone was written, or needed no write.
	Current func() error
	// Fence says under which lease Zone is written.
	Fence func() dns.Fence
}

// Controller makes ServiceImports of ServiceExports. It is a cluster.Engager: members are watched once there is something
// to import.
type Controller struct {
	options Options
	client  client.Client
	reader  client.Reader
	events  chan event.TypedGenericEvent[types.NamespacedName]
	zone    *zone

	mu      sync.Mutex
	active  bool
	members map[string]*member
	wanted  map[types.NamespacedName]desired
	// waiting are imports of which no cluster that exports them could be read yet.
	waiting map[types.NamespacedName]bool
}

// Add registers the controller; it runs on the leader. The scheme of mgr must know multicluster.x-k8s.io/v1beta1.
func Add(mgr manager.Manager, federationClient client.Client, o Options) (cluster.Engager, error) {
	c := &Controller{options: o, client: federationClient, reader: mgr.GetAPIReader(),
		events:  make(chan event.TypedGenericEvent[types.NamespacedName], 256),
		members: map[string]*member{}, wanted: map[types.NamespacedName]desired{}, waiting: map[types.NamespacedName]bool{}}
	if o.Zone != nil {
		c.zone = newZone(o)
		if err := mgr.Add(c.zone); err != nil {
			return nil, err
		}
	}
	enqueue := handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
		GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], q queue) {
			q.Add(reconcile.Request{NamespacedName: e.Object})
		},
	}
	err := builder.ControllerManagedBy(mgr).Named("mcs").
		For(&mcsv1.ServiceExport{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&mcsv1.ServiceImport{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&federation.Cluster{}, handler.EnqueueRequestsFromMapFunc(c.all), builder.WithPredicates(verdictChanged)).
		WatchesRawSource(source.TypedChannel(c.events, enqueue)).
		WithOptions(controller.Options{SkipNameValidation: ptr.To(true), MaxConcurrentReconciles: 2}).
		Complete(c)
	return c, err
}

// Engage follows a member until ctx ends.
func (c *Controller) Engage(ctx context.Context, m *cluster.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beginLocked(ctx, m)
}

// beginLocked follows a member from now on, with the mutex held.
func (c *Controller) beginLocked(ctx context.Context, m *cluster.Member) {
	n := newMember(ctx, m, c.options.Federation, c.want, func(key types.NamespacedName) { c.changed(ctx, key) })
	c.members[m.Name] = n
	if c.active {
		n.start()
	}
}

// seen reads a member afresh that is ready again: watches that failed for long pause for up to a minute before they try again.
func (c *Controller) seen(cl *federation.Cluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.members[cl.Name]
	switch {
	case m == nil || m.engaged.Err() != nil:
	case !isReady(cl):
		m.away = true
	case m.away:
		m.cancel()
		c.beginLocked(m.engaged, m.Member)
	}
}

// changed has an import looked at again; all of them for the zero key.
func (c *Controller) changed(ctx context.Context, key types.NamespacedName) {
	keys := []types.NamespacedName{key}
	if key.Name == "" {
		keys = c.keys()
	}
	for _, k := range keys {
		select {
		case c.events <- event.TypedGenericEvent[types.NamespacedName]{Object: k}:
		case <-ctx.Done():
			return
		}
	}
}

// keys are all imports that were looked at.
func (c *Controller) keys() []types.NamespacedName {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Keys(c.wanted)), maps.Keys(c.waiting))
}

func (c *Controller) want(key types.NamespacedName) (desired, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.wanted[key]
	return d, ok
}

// all are the requests for every import, when a cluster came, went or failed.
func (c *Controller) all(_ context.Context, o client.Object) []reconcile.Request {
	if cl, ok := o.(*federation.Cluster); ok {
		c.seen(cl)
	}
	var requests []reconcile.Request
	for _, key := range c.keys() {
		requests = append(requests, reconcile.Request{NamespacedName: key})
	}
	return requests
}

// Reconcile makes one import what its export says.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	key := request.NamespacedName
	var wish mcsv1.ServiceExport
	err := c.client.Get(ctx, key, &wish)
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, err
	}
	exported := err == nil && wish.DeletionTimestamp == nil
	if !exported && !c.knows(ctx, key) {
		return reconcile.Result{}, nil
	}
	c.activate()
	invalid := ""
	if exported {
		if invalid, err = c.invalid(ctx, key); err != nil {
			return reconcile.Result{}, err
		}
	}
	var d desired
	var all combined
	if exported && invalid == "" {
		if d.exports, d.unknown, err = c.exports(ctx, key); err != nil {
			return reconcile.Result{}, err
		}
		if len(d.exports) == 0 && len(d.unknown) > 0 { // unknown is not empty: looked at again once a member was read
			c.mu.Lock()
			defer c.mu.Unlock()
			c.waiting[key] = true
			return reconcile.Result{}, nil
		}
		if len(d.exports) > 0 {
			all = combine(d.exports)
			d.spec, d.clusters = &all.spec, all.clusters
			d.labels, d.annotations = wish.Spec.ExportedLabels, wish.Spec.ExportedAnnotations
		}
	}
	if err := c.store(ctx, key, &d); err != nil {
		return reconcile.Result{}, err
	}
	all.clusters = d.clusters
	c.mu.Lock()
	delete(c.waiting, key)
	c.wanted[key] = d
	members := make([]*member, 0, len(c.members))
	for name, m := range c.members {
		if m.ctx.Err() != nil {
			delete(c.members, name)
			continue
		}
		members = append(members, m)
	}
	c.mu.Unlock()
	for _, m := range members {
		m.queue.Add(key)
	}
	c.publish(key, d)
	if !exported {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, c.tell(ctx, &wish, invalid, all, d.spec)
}

// knows says whether there is, or was, an import of this name.
func (c *Controller) knows(ctx context.Context, key types.NamespacedName) bool {
	if d, ok := c.want(key); ok {
		return d.spec != nil
	}
	var have mcsv1.ServiceImport
	if err := c.client.Get(ctx, key, &have); !apierrors.IsNotFound(err) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active // a member has something of that name
}

func (c *Controller) activate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active = true
	for _, m := range c.members {
		m.start()
	}
}

// invalid says why a Service can't be exported; empty where it can.
func (c *Controller) invalid(ctx context.Context, key types.NamespacedName) (string, error) {
	var s corev1.Service
	err := c.reader.Get(ctx, key, &s)
	switch {
	case apierrors.IsNotFound(err):
		return string(mcsv1.ServiceExportReasonNoService), nil
	case err != nil:
		return "", err
	case s.Spec.Type == corev1.ServiceTypeExternalName:
		return string(mcsv1.ServiceExportReasonInvalidServiceType), nil
	}
	return "", nil
}

// exports reads what clusters export under a name, and which clusters can't be read. The endpoints of a cluster that is Down
// are left out while another one has some that are ready.
func (c *Controller) exports(ctx context.Context, key types.NamespacedName) ([]export, map[string]bool, error) {
	var clusters federation.ClusterList
	if err := c.client.List(ctx, &clusters); err != nil {
		return nil, nil, err
	}
	var out []export
	unknown, down := map[string]bool{}, map[string]bool{}
	for _, cl := range clusters.Items {
		if cl.DeletionTimestamp != nil {
			continue
		}
		c.mu.Lock()
		m := c.members[cl.Name]
		c.mu.Unlock()
		if m == nil || m.ctx.Err() != nil || !m.ready() {
			unknown[cl.Name] = true
			continue
		}
		if e, ok := m.export(ctx, key); ok {
			out = append(out, e)
			down[cl.Name] = isDown(&cl)
		}
	}
	alive := slices.ContainsFunc(out, func(e export) bool { return !down[e.cluster] && e.ready() })
	for i := range out {
		if alive && down[out[i].cluster] {
			out[i].endpoints, out[i].balancer = nil, nil
		}
	}
	return out, unknown, nil
}

func (e export) ready() bool {
	return slices.ContainsFunc(e.endpoints, func(s endpoints) bool {
		return slices.ContainsFunc(s.of, func(p endpoint) bool { return p.ready })
	})
}

func isDown(c *federation.Cluster) bool {
	return c.Status.Verdict != nil && c.Status.Verdict.State == federation.VerdictDown
}

func isReady(c *federation.Cluster) bool {
	return meta.IsStatusConditionTrue(c.Status.Conditions, federation.ClusterReady)
}

// store makes the federation's own ServiceImport, which keeps the address, or deletes it.
func (c *Controller) store(ctx context.Context, key types.NamespacedName, d *desired) error {
	var have mcsv1.ServiceImport
	err := c.client.Get(ctx, key, &have)
	found := err == nil
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if d.spec == nil {
		if found && have.Labels[LabelImport] == c.options.Federation {
			return client.IgnoreNotFound(c.client.Delete(ctx, &mcsv1.ServiceImport{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}))
		}
		return nil
	}
	d.keep(&have)
	if d.spec.Type == mcsv1.ClusterSetIP {
		ip, err := c.address(ctx, key, have.Spec.IPs)
		if err != nil {
			return err
		}
		d.spec.IPs = []string{ip}
		d.spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	want := d.object(c.options.Federation, key)
	if !found {
		if err := c.client.Create(ctx, want.DeepCopy()); err != nil {
			return fmt.Errorf("creating ServiceImport %s: %w", key, err)
		}
	} else if !equality.Semantic.DeepEqual(have.Spec, want.Spec) || !within(want.Labels, have.Labels) || !within(want.Annotations, have.Annotations) {
		next := have.DeepCopy()
		next.Spec, next.Labels, next.Annotations = want.Spec, want.Labels, want.Annotations
		if err := c.client.Update(ctx, next); err != nil {
			return fmt.Errorf("updating ServiceImport %s: %w", key, err)
		}
	}
	if equality.Semantic.DeepEqual(have.Status.Clusters, want.Status.Clusters) {
		return nil
	}
	u, err := statusOf(want)
	if err != nil {
		return err
	}
	delete(u.Object["status"].(map[string]any), "endpointSliceObjects") // none are here
	return c.client.Status().Patch(ctx, u, client.Merge)
}

// address keeps the address of an import, or allocates one.
func (c *Controller) address(ctx context.Context, key types.NamespacedName, has []string) (string, error) {
	if len(has) > 0 {
		if a, err := netip.ParseAddr(has[0]); err == nil && c.options.Range.Contains(a) {
			return has[0], nil
		}
	}
	var all mcsv1.ServiceImportList
	if err := c.client.List(ctx, &all); err != nil {
		return "", err
	}
	taken := map[netip.Addr]bool{}
	take := func(ips []string) {
		for _, ip := range ips {
			if a, err := netip.ParseAddr(ip); err == nil {
				taken[a] = true
			}
		}
	}
	for _, i := range all.Items {
		take(i.Spec.IPs)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, d := range c.wanted { // those that the cache does not show yet
		if d.spec != nil && k != key {
			take(d.spec.IPs)
		}
	}
	a, err := allocate(c.options.Range, key.String(), taken)
	return a.String(), err
}

// publish has the zone answer for an import.
func (c *Controller) publish(key types.NamespacedName, d desired) {
	if c.zone == nil {
		return
	}
	owner := dns.Owner{Ref: "si/" + key.Namespace + "/" + key.Name, UID: "si"}
	var records []dns.Claim
	if d.spec != nil {
		records = claims(owner, key.Namespace, key.Name, *d.spec, d.exports)
	}
	c.zone.set(owner.Ref, records, len(d.unknown) > 0)
}

// tell writes the conditions of an export where they change.
func (c *Controller) tell(ctx context.Context, e *mcsv1.ServiceExport, invalid string, all combined, spec *mcsv1.ServiceImportSpec) error {
	next := e.DeepCopy()
	set := func(t mcsv1.ServiceExportConditionType, status metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&next.Status.Conditions, metav1.Condition{Type: string(t), Status: status, Reason: reason, Message: message, ObservedGeneration: e.Generation})
	}
	if invalid != "" {
		message := "there is no Service of this name in the federation API: create it, or delete the export"
		if invalid == string(mcsv1.ServiceExportReasonInvalidServiceType) {
			message = "a Service of type ExternalName has no endpoints to export"
		}
		set(mcsv1.ServiceExportConditionValid, metav1.ConditionFalse, invalid, message)
		set(mcsv1.ServiceExportConditionReady, metav1.ConditionFalse, string(mcsv1.ServiceExportReasonPending), message)
		meta.RemoveStatusCondition(&next.Status.Conditions, string(mcsv1.ServiceExportConditionConflict))
	} else {
		set(mcsv1.ServiceExportConditionValid, metav1.ConditionTrue, string(mcsv1.ServiceExportReasonValid), "the Service can be exported")
		if spec == nil {
			set(mcsv1.ServiceExportConditionReady, metav1.ConditionFalse, string(mcsv1.ServiceExportReasonPending), "no cluster has the Service yet")
		} else {
			set(mcsv1.ServiceExportConditionReady, metav1.ConditionTrue, string(mcsv1.ServiceExportReasonExported), "exported from "+strings.Join(all.clusters, ", "))
		}
		if len(all.conflicts) > 0 {
			set(mcsv1.ServiceExportConditionConflict, metav1.ConditionTrue, strings.Join(all.conflicts, ","), all.detail)
		} else {
			set(mcsv1.ServiceExportConditionConflict, metav1.ConditionFalse, string(mcsv1.ServiceExportReasonNoConflicts), "all clusters agree")
		}
	}
	if equality.Semantic.DeepEqual(e.Status.Conditions, next.Status.Conditions) {
		return nil
	}
	return client.IgnoreNotFound(c.client.Status().Patch(ctx, next, client.MergeFrom(e)))
}

// verdictChanged lets through what matters of a Cluster: that it comes, goes, is Down, or can be read.
var verdictChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		old, ok := e.ObjectOld.(*federation.Cluster)
		now, also := e.ObjectNew.(*federation.Cluster)
		return ok && also && (isDown(old) != isDown(now) || isReady(old) != isReady(now) || (old.DeletionTimestamp == nil) != (now.DeletionTimestamp == nil))
	},
}
