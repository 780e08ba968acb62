package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"kubefed.dev/kubefed/pkg/dns/named"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const (
	// writesPerSecond bounds the writes of statuses: a cluster that fails changes those of every object that it serves, and DNS goes
	// first.
	writesPerSecond = 50
	writesBurst     = 100
	// settleInterval is how long a status waits for what comes with it: the zones' results arrive one after the other.
	settleInterval = 100 * time.Millisecond
	// giveWay is how long the statuses that are due wait, in all, for zones that are being changed; yieldInterval is how often
	// it is looked whether they still are.
	giveWay       = 5 * time.Second
	yieldInterval = 10 * time.Millisecond
	// retryInterval is how long a write that failed waits.
	retryInterval = time.Second
)

// writer writes GlobalEndpoints and the Federation's zones, where they differ. One goroutine runs it.
type writer struct {
	p       *Publisher
	limiter flowcontrol.RateLimiter

	mu    sync.Mutex
	dirty map[string]bool
	// zones is set where the zones' states may have changed.
	zones bool
	wake  chan struct{}
	// written are those that the cache may not show yet.
	written map[types.NamespacedName]*federation.GlobalEndpoints
	// since is when each zone's state became so.
	since map[string]metav1.Time
}

func newWriter(p *Publisher) *writer {
	return &writer{p: p, limiter: flowcontrol.NewTokenBucketRateLimiter(writesPerSecond, writesBurst), dirty: map[string]bool{},
		wake: make(chan struct{}, 1), written: map[types.NamespacedName]*federation.GlobalEndpoints{}, since: map[string]metav1.Time{}}
}

// mark has the status of objects looked at, and the zones'.
func (w *writer) mark(refs ...string) {
	w.mu.Lock()
	for _, ref := range refs {
		w.dirty[ref] = true
	}
	w.zones = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// handler looks again at what someone else changed.
func (w *writer) handler() toolscache.ResourceEventHandler {
	again := func(obj any) {
		if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		if g, ok := obj.(*federation.GlobalEndpoints); ok {
			if key, ok := keyOfReference(g.Spec.Object); ok {
				w.mark(key.Ref())
			}
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: again, DeleteFunc: again,
		UpdateFunc: func(before, after any) {
			b, isB := before.(*federation.GlobalEndpoints)
			a, isA := after.(*federation.GlobalEndpoints)
			if isA {
				w.arrived(a)
			}
			if isA && isB && b.ResourceVersion != a.ResourceVersion {
				again(after)
			}
		},
	}
}

func (w *writer) arrived(g *federation.GlobalEndpoints) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := client.ObjectKeyFromObject(g)
	if have := w.written[key]; have != nil && have.ResourceVersion == g.ResourceVersion {
		delete(w.written, key)
	}
}

func keyOfReference(o federation.ObjectReference) (Key, bool) {
	key := Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
	for _, gk := range named.Kinds {
		if gk.Kind == o.Kind {
			key.Group = gk.Group
			return key, true
		}
	}
	return key, false
}

// run writes until ctx ends.
func (w *writer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settleInterval):
		}
		w.mu.Lock()
		refs, zones := w.dirty, w.zones
		w.dirty, w.zones = map[string]bool{}, false
		w.mu.Unlock()
		if zones {
			if err := w.writeZones(ctx); err != nil {
				w.later(ctx, err)
			}
		}
		until := time.Now().Add(giveWay)
		for ref := range refs {
			if w.yield(ctx, until); ctx.Err() != nil {
				return
			}
			if err := w.write(ctx, ref); err != nil {
				w.later(ctx, err, ref)
			}
		}
	}
}

// yield waits while zones are being changed: what people read of a cluster that failed comes after its addresses are gone.
func (w *writer) yield(ctx context.Context, until time.Time) {
	for slices.ContainsFunc(w.p.workers, (*worker).busy) && time.Now().Before(until) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(yieldInterval):
		}
	}
}

// later tries again after a while.
func (w *writer) later(ctx context.Context, err error, refs ...string) {
	if ctx.Err() != nil {
		return
	}
	if !apierrors.IsConflict(err) {
		log.FromContext(ctx).Error(err, "writing what is published", "objects", refs)
	}
	time.AfterFunc(retryInterval, func() { w.mark(refs...) })
}

// write makes one GlobalEndpoints as it should be.
func (w *writer) write(ctx context.Context, ref string) error {
	key, _ := named.KeyOfRef(ref)
	k, known := w.p.catalog.Lookup(key.GroupKind())
	if !known {
		return nil // its definition is gone, and everything with it
	}
	at := k.DecisionKey(key.Namespace, key.Name)
	have, err := w.current(ctx, at)
	if err != nil {
		return err
	}
	e, _ := w.p.board.get(ref)
	if e == nil {
		return w.remove(ctx, have, ref)
	}
	want := specOf(e, k.Version)
	if have == nil {
		have = &federation.GlobalEndpoints{ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: k.GroupVersion().String(), Kind: k.Kind, Name: key.Name, UID: types.UID(e.UID)}}}, Spec: want}
		w.limiter.Accept()
		if err := w.p.clients.Client.Create(ctx, have); err != nil {
			return whereGone(err, "creating GlobalEndpoints "+at.String())
		}
		statusWrites.Inc()
		w.remember(have)
	} else if len(have.OwnerReferences) != 1 || string(have.OwnerReferences[0].UID) != e.UID {
		return w.remove(ctx, have, ref) // it is of an object that was deleted: the next look makes a new one
	}
	if !equality.Semantic.DeepEqual(have.Spec, want) {
		have = have.DeepCopy()
		have.Spec = want
		w.limiter.Accept()
		if err := w.p.clients.Client.Update(ctx, have); err != nil {
			return whereGone(err, "changing GlobalEndpoints "+at.String())
		}
		statusWrites.Inc()
		w.remember(have)
	}
	return w.writeStatus(ctx, have, e)
}

func (w *writer) writeStatus(ctx context.Context, have *federation.GlobalEndpoints, e *entry) error {
	ref := e.Ref()
	status, again := w.status(e, have.Status)
	if again > 0 {
		time.AfterFunc(again, func() { w.mark(ref) })
	}
	if equality.Semantic.DeepEqual(have.Status, status) {
		return nil
	}
	before := meta.FindStatusCondition(have.Status.Conditions, federation.EndpointsPublished)
	have = have.DeepCopy()
	have.Status = status
	w.limiter.Accept()
	if err := w.p.clients.Client.Status().Update(ctx, have); err != nil {
		return whereGone(err, fmt.Sprintf("writing the status of GlobalEndpoints %s/%s", have.Namespace, have.Name))
	}
	statusWrites.Inc()
	w.remember(have)
	if obj, err := w.p.catalog.Get(ctx, e.GroupKind(), e.Namespace, e.Name); err == nil {
		turned(w.p.clients.Events, obj, before, meta.FindStatusCondition(status.Conditions, federation.EndpointsPublished))
	}
	return nil
}

// status is an object's as it is now.
func (w *writer) status(e *entry, before federation.GlobalEndpointsStatus) (federation.GlobalEndpointsStatus, time.Duration) {
	var zones []outcome
	for _, worker := range w.p.workers {
		part := w.p.options.part(e.subject, worker.zone)
		r := worker.result(e.Ref())
		if len(part.Hosts) > 0 || part.Names.Service != "" || r != nil && r.names > 0 {
			zones = append(zones, outcome{worker.zone, worker.current(), r})
		}
	}
	return statusOf(e, before, zones, w.p.board.suspects(), doubtful(e.subject), w.p.options.now())
}

// remove deletes a GlobalEndpoints whose object has no names any more, once the zones hold none.
func (w *writer) remove(ctx context.Context, have *federation.GlobalEndpoints, ref string) error {
	if have == nil {
		return nil
	}
	w.limiter.Accept()
	if err := w.p.clients.Client.Delete(ctx, have, client.Preconditions{UID: &have.UID}); err != nil && !apierrors.IsConflict(err) {
		if apierrors.IsNotFound(err) {
			w.forget(client.ObjectKeyFromObject(have))
			return nil
		}
		return fmt.Errorf("deleting GlobalEndpoints %s/%s: %w", have.Namespace, have.Name, err)
	}
	statusWrites.Inc()
	w.forget(client.ObjectKeyFromObject(have))
	time.AfterFunc(settleInterval, func() { w.mark(ref) })
	return nil
}

// whereGone takes an object that went with its namespace for done.
func whereGone(err error, doing string) error {
	if apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, "NamespaceTerminating") {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// current is the newest GlobalEndpoints that is known, nil for none.
func (w *writer) current(ctx context.Context, at types.NamespacedName) (*federation.GlobalEndpoints, error) {
	w.mu.Lock()
	newest := w.written[at]
	w.mu.Unlock()
	if newest != nil {
		return newest, nil
	}
	g := &federation.GlobalEndpoints{}
	if err := w.p.clients.Cache.Get(ctx, at, g, client.UnsafeDisableDeepCopy); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading GlobalEndpoints %s: %w", at, err)
	}
	return g, nil
}

func (w *writer) remember(g *federation.GlobalEndpoints) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written[client.ObjectKeyFromObject(g)] = g.DeepCopy()
}

func (w *writer) forget(at types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.written, at)
}

// writeZones makes the Federation, where there is none, and its status.zones as they are.
func (w *writer) writeZones(ctx context.Context) error {
	p := w.p
	have := &federation.Federation{}
	err := p.clients.Cache.Get(ctx, client.ObjectKey{Name: p.options.Federation}, have, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		have = &federation.Federation{ObjectMeta: metav1.ObjectMeta{Name: p.options.Federation}}
		if err = p.clients.Client.Create(ctx, have); apierrors.IsAlreadyExists(err) {
			err = p.clients.Direct.Get(ctx, client.ObjectKeyFromObject(have), have)
		}
	}
	if err != nil {
		return fmt.Errorf("reading Federation %s: %w", p.options.Federation, err)
	}
	zones := w.zoneStatus(have.Status.Zones)
	if equality.Semantic.DeepEqual(zones, have.Status.Zones) || len(zones) == 0 && len(have.Status.Zones) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"zones": zones}})
	if err != nil {
		return err
	}
	w.limiter.Accept()
	target := &federation.Federation{ObjectMeta: metav1.ObjectMeta{Name: p.options.Federation}}
	if err := p.clients.Client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("writing the zones of Federation %s: %w", p.options.Federation, err)
	}
	statusWrites.Inc()
	return nil
}

// zoneStatus are the zones as they are. Since stays while the state does.
func (w *writer) zoneStatus(before []federation.ZoneStatus) (zones []federation.ZoneStatus) {
	for i, z := range w.p.options.Zones {
		state := w.p.workers[i].current()
		if state.state == "" {
			if at := slices.IndexFunc(before, func(b federation.ZoneStatus) bool { return b.Name == z.Name }); at >= 0 {
				zones = append(zones, before[at]) // not read yet by this process
			}
			continue
		}
		out := federation.ZoneStatus{Name: z.Name, Provider: z.Kind, State: state.state, Message: state.message,
			Servers: z.Servers, Names: int32(state.names), Conflicts: int32(state.conflicts), HealthChecks: state.healthChecks, DS: z.DS}
		at := slices.IndexFunc(before, func(b federation.ZoneStatus) bool { return b.Name == z.Name && b.State == state.state })
		switch {
		case at >= 0 && before[at].Since != nil:
			out.Since = before[at].Since
		default:
			now := metav1.NewTime(w.p.options.now().Truncate(time.Second))
			out.Since = &now
		}
		zones = append(zones, out)
	}
	return zones
}
