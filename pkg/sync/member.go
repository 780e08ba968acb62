package sync

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/kind"
)

// outcome is how an object fares in a member, as far as this process saw it itself.
type outcome struct {
	State   string
	Message string
	// of is what the member was last made to hold.
	of revision
	// want digests the configuration last applied, owned what the member then held of it: they differ where the member
	// changes what is applied, as a mutating webhook does.
	want, owned Digest
	// version and uid of the copy that the last write left.
	version string
	uid     types.UID
}

// member syncs one member cluster: a queue of keys and the copies that the member holds. It lives as long as one
// uninterrupted stretch of the member's availability; after that a new one starts from a fresh list.
type member struct {
	*cluster.Member
	view   *view
	ctx    context.Context
	cancel context.CancelFunc
	// offline is set when the member stops being Ready: nothing is sent any more, what is cached may be stale.
	offline atomic.Bool
	// told is called when a key's outcome or copy changed.
	told func(Key)

	queue *queue

	mu        sync.Mutex
	kinds     map[schema.GroupKind]*copies
	outcomes  map[Key]outcome
	shortages map[Key]shortage
}

const (
	memberWorkers   = 8
	requestDeadline = 15 * time.Second
	// proofPeriod is how often a copy is looked at that waits for its replacements.
	proofPeriod = 2 * time.Second
)

func newMember(ctx context.Context, m *cluster.Member, v *view, told func(Key)) *member {
	ctx, cancel := context.WithCancel(ctx)
	return &member{
		Member: m, view: v, ctx: ctx, cancel: cancel, told: told,
		queue: newQueue(),
		kinds: map[schema.GroupKind]*copies{}, outcomes: map[Key]outcome{}, shortages: map[Key]shortage{},
	}
}

// start runs the workers until the member's context ends.
func (m *member) start() error {
	yes := true
	c, err := controller.NewTypedUnmanaged("sync", controller.TypedOptions[Key]{
		Reconciler: m, MaxConcurrentReconciles: memberWorkers, SkipNameValidation: &yes,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[Key](100*time.Millisecond, time.Minute),
		Logger:      m.view.log.WithValues("cluster", m.Name),
	})
	if err != nil {
		return fmt.Errorf("starting sync for cluster %s: %w", m.Name, err)
	}
	if err := c.Watch(m.queue); err != nil {
		return fmt.Errorf("starting sync for cluster %s: %w", m.Name, err)
	}
	go m.followShortages(m.view.options.UnschedulableAfter)
	go func() {
		if err := c.Start(m.ctx); err != nil {
			m.view.log.Error(err, "sync ended", "cluster", m.Name)
		}
	}()
	return nil
}

// enqueue has a key looked at.
func (m *member) enqueue(key Key) { m.queue.add(key, 0) }

// enqueueAll has every key looked at that this member has dealt with.
func (m *member) enqueueAll() {
	m.mu.Lock()
	keys := make([]Key, 0, len(m.outcomes))
	for key := range m.outcomes {
		keys = append(keys, key)
	}
	m.mu.Unlock()
	for _, key := range keys {
		m.enqueue(key)
	}
}

// copiesOf returns the watch of a kind, started when it is first needed. The error is a meta.NoKindMatchError where the
// member does not serve the kind.
func (m *member) copiesOf(ctx context.Context, k kind.Kind) (*copies, error) {
	m.mu.Lock()
	c, ok := m.kinds[k.GroupKind()]
	m.mu.Unlock()
	if ok && c.kind.GroupVersionKind == k.GroupVersionKind {
		return c, nil
	}
	gvr, _, err := m.Resources.Resource(ctx, k.GroupVersionKind)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.kinds[k.GroupKind()]; ok && c.kind.GroupVersionKind == k.GroupVersionKind {
		return c, nil
	}
	gk := k.GroupKind()
	c, err = watchCopies(m.ctx, m.Dynamic, gvr, k, m.view.federation, func(old, now *Copy) { m.observe(gk, old, now) })
	if err != nil {
		return nil, fmt.Errorf("watching %s in cluster %s: %w", k.Kind, m.Name, err)
	}
	m.kinds[gk] = c
	return c, nil
}

// observe is told by a watch of each change in the member.
func (m *member) observe(gk schema.GroupKind, old, now *Copy) {
	any := now
	if now == nil {
		any = old
	}
	key := Key{GroupKind: gk, Namespace: any.Namespace, Name: any.Name}
	m.mu.Lock()
	o, known := m.outcomes[key]
	if now == nil && o.uid == old.UID {
		o.uid, o.version = "", ""
		m.outcomes[key] = o
	}
	m.noteShortage(key, now, time.Now())
	m.mu.Unlock()
	if now == nil || !known || now.Owned != o.owned || now.DeletionTimestamp != nil {
		m.enqueue(key)
	}
	if statusChanged(old, now) {
		m.told(key)
	}
}

// sighting is what is known of an object in a member.
type sighting struct {
	// known is false until the member's copies of this kind have been listed.
	known   bool
	copy    *Copy
	outcome outcome
	// decided is false until the key was dealt with since this member came up.
	decided bool
	// unschedulable is how many pods find no node; nil: none, or not known.
	unschedulable *int32
}

func (s sighting) holds(uid types.UID) bool {
	return s.copy != nil && s.copy.OriginUID == uid || s.copy == nil && s.outcome.uid != ""
}

func (m *member) see(key Key) sighting {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s sighting
	s.outcome, s.decided = m.outcomes[key]
	s.unschedulable = m.shortages[key].unschedulable
	if c := m.kinds[key.GroupKind]; c != nil && c.ready(nil) {
		s.known, s.copy = true, c.get(key.Namespace, key.Name)
	} else if s.decided && s.outcome.State == federation.StateUnsupported {
		s.known = true
	}
	return s
}

func (m *member) outcome(key Key) outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.outcomes[key]
}

// settle records an outcome and tells of it if it says something new.
func (m *member) settle(key Key, o outcome) {
	m.mu.Lock()
	old, had := m.outcomes[key]
	m.outcomes[key] = o
	m.mu.Unlock()
	if !had || old.State != o.State || old.Message != o.Message || old.of != o.of {
		m.told(key)
	}
}

func (m *member) forget(key Key) {
	m.mu.Lock()
	_, had := m.outcomes[key]
	delete(m.outcomes, key)
	m.mu.Unlock()
	if had {
		m.told(key)
	}
}

// Reconcile makes one object true in this member.
func (m *member) Reconcile(ctx context.Context, key Key) (reconcile.Result, error) {
	in, err := m.view.read(ctx, key, m.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !in.complete {
		return reconcile.Result{RequeueAfter: 50 * time.Millisecond}, nil
	}
	if in.wish.Verb == Leave && len(in.wish.Buried) == 0 {
		m.forget(key)
		return reconcile.Result{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestDeadline)
	defer cancel()
	c, err := m.copiesOf(ctx, in.kind)
	if err != nil {
		return m.unavailable(key, in, err)
	}
	if !c.ready(func() { m.enqueue(key) }) {
		return reconcile.Result{}, nil
	}
	live := c.get(key.Namespace, key.Name)
	if live != nil && buried(in.wish, live.OriginUID) && !withdrawn(in, live.OriginUID) {
		return m.remove(ctx, c, key, in, live)
	}
	switch in.wish.Verb {
	case Apply:
		return m.apply(ctx, c, key, in, live)
	case Remove:
		if live == nil && m.outcome(key).uid != "" {
			// Written a moment ago, not seen in the watch yet.
			o := m.outcome(key)
			live = &Copy{OriginUID: in.wish.UID}
			live.Name, live.Namespace, live.UID = key.Name, key.Namespace, o.uid
		}
		if live == nil || live.OriginUID != in.wish.UID {
			m.forget(key)
			m.told(key)
			return reconcile.Result{}, nil
		}
		if withdrawn(in, live.OriginUID) {
			if ok, why := replaced(in, live, m.view.answers(ctx)); !ok {
				o := m.outcome(key)
				o.State, o.Message = federation.StateDeleting, why
				m.settle(key, o)
				return reconcile.Result{RequeueAfter: proofPeriod}, nil
			}
		}
		return m.remove(ctx, c, key, in, live)
	}
	m.told(key)
	return reconcile.Result{}, nil
}

func buried(w Wish, origin types.UID) bool {
	if w.Verb == Remove && w.UID == origin {
		return true
	}
	for _, uid := range w.Buried {
		if uid == origin {
			return true
		}
	}
	return false
}

// unavailable settles a key whose kind the member does not serve, or of which that is not known.
func (m *member) unavailable(key Key, in reading, err error) (reconcile.Result, error) {
	var missing *meta.NoKindMatchError
	if !errors.As(err, &missing) && !meta.IsNoMatchError(err) {
		m.settle(key, outcome{State: federation.StateWaiting, Message: fmt.Sprintf("can't tell whether the cluster serves %s: %v", in.kind.Kind, err)})
		return reconcile.Result{RequeueAfter: 5 * time.Second}, nil
	}
	o := outcome{State: federation.StateUnsupported, Message: fmt.Sprintf("the cluster does not serve %s %s", in.kind.GroupVersion(), in.kind.Kind)}
	if in.wish.Verb != Apply {
		// What is not served can't be held.
		m.settle(key, o)
		return reconcile.Result{}, nil
	}
	first := m.outcome(key).State == ""
	m.settle(key, o)
	if first {
		return reconcile.Result{RequeueAfter: time.Second}, nil // its CRD may be on the way
	}
	return reconcile.Result{RequeueAfter: 10 * time.Second}, nil
}

// older says whether resource version a is before b. API servers of today promise that they compare as numbers
// (Kubernetes API concepts, "Resource versions").
func older(a, b string) bool {
	x, errA := strconv.ParseUint(a, 10, 64)
	y, errB := strconv.ParseUint(b, 10, 64)
	return errA == nil && errB == nil && x < y
}

func inSync(live *Copy, want Digest, o outcome) bool {
	if live == nil {
		return o.want == want && o.uid != "" && o.State == federation.StateSynced
	}
	return live.Owned == want || o.want == want && (live.Owned == o.owned || older(live.ResourceVersion, o.version))
}

// drifted says whether what the federation owns was changed by someone else since it was in sync.
func drifted(live *Copy, want Digest, o outcome) bool {
	return live != nil && o.State == federation.StateSynced && o.want == want
}
