package sync

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// A change in a member is folded with what else changes within foldWindow. What has come to rest is written at once.
// While a rollout moves on, its first intermediate status is written after firstWindow and each further one after twice
// as long, up to lastWindow; the decision's status waits until the object's has been written twice. So a rollout costs
// a handful of writes however many clusters it runs in and however long it takes, and a short one costs one of each.
const (
	foldWindow  = 50 * time.Millisecond
	firstWindow = 3 * time.Second
	lastWindow  = 16 * time.Second
)

// unwritten is what an object waits with.
type unwritten struct {
	since  time.Time // when something was first seen that is not written yet
	rounds int       // intermediate statuses written since the object was last at rest
}

func (u unwritten) window() time.Duration { return min(firstWindow<<min(u.rounds, 8), lastWindow) }

// folder brings the members' word on one object back to the federation API: PlacementDecision.status and the object's
// own status; and it lets go of objects that no member holds any more.
type folder struct {
	client     client.Client
	controller *Controller
	queue      *queue

	mu         sync.Mutex
	unwritten  map[Key]unwritten
	finalizing map[Key]bool
}

func newFolder(c client.Client, controller *Controller) *folder {
	return &folder{client: c, controller: controller, queue: newQueue(),
		unwritten: map[Key]unwritten{}, finalizing: map[Key]bool{}}
}

// enqueue has a key folded within foldWindow.
func (f *folder) enqueue(key Key) { f.queue.add(key, foldWindow) }

// reviewFinalizing looks again at what waits for a member to delete its copy.
func (f *folder) reviewFinalizing() {
	f.mu.Lock()
	keys := slices.Collect(maps.Keys(f.finalizing))
	f.mu.Unlock()
	for _, key := range keys {
		f.enqueue(key)
	}
}

// Reconcile folds one object.
func (f *folder) Reconcile(ctx context.Context, key Key) (reconcile.Result, error) {
	v := f.controller.view
	in, err := v.read(ctx, key, "")
	if err != nil {
		return reconcile.Result{}, err
	}
	if !in.complete {
		return reconcile.Result{RequeueAfter: 100 * time.Millisecond}, nil
	}
	if err := f.settleTombstones(ctx, key); err != nil {
		return reconcile.Result{}, err
	}
	switch {
	case in.decision == nil && (in.object == nil || !slices.Contains(in.object.GetFinalizers(), federation.FinalizerMembers)):
		f.done(key)
		return reconcile.Result{}, nil
	case in.object == nil || in.object.GetDeletionTimestamp() != nil || !kind.Federated(key.GroupKind, in.object):
		return f.finalize(ctx, key, in)
	case in.decision == nil || in.decision.Spec.Object.UID != in.object.GetUID():
		return reconcile.Result{}, nil // pkg/placement has yet to decide
	}
	return f.fold(ctx, key, in)
}

func (f *folder) done(key Key) {
	f.mu.Lock()
	delete(f.unwritten, key)
	delete(f.finalizing, key)
	f.mu.Unlock()
	f.controller.view.allArrived(key)
}

// waiting is what a key waits with; it waits from the first call on.
func (f *folder) waiting(key Key) unwritten {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.unwritten[key]
	if u.since.IsZero() {
		u.since = time.Now()
		f.unwritten[key] = u
	}
	return u
}

// wrote begins the next round.
func (f *folder) wrote(key Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unwritten[key] = unwritten{rounds: f.unwritten[key].rounds + 1}
}

func (f *folder) fold(ctx context.Context, key Key, in reading) (reconcile.Result, error) {
	s, err := f.controller.summarize(ctx, key, in)
	if err != nil {
		return reconcile.Result{}, err
	}
	objectDue := s.object != nil && !equality.Semantic.DeepEqual(s.object, nested(in.object.Object, "status"))
	decisionDue := !equality.Semantic.DeepEqual(s.decision, in.decision.Status)
	if !objectDue && !decisionDue {
		if s.rest {
			f.done(key)
		}
		return reconcile.Result{}, nil
	}
	u := f.waiting(key)
	if age := time.Since(u.since); !s.rest && age < u.window() {
		return reconcile.Result{RequeueAfter: u.window() - age}, nil
	}
	if decisionDue && (s.rest || !objectDue || u.rounds >= 2) {
		if err := f.writeDecision(ctx, in.decision, s.decision); err != nil {
			return retryable(err)
		}
	}
	if objectDue {
		if err := f.writeStatus(ctx, in, s.object); err != nil {
			return retryable(err)
		}
	}
	f.wrote(key)
	return reconcile.Result{}, nil
}

// retryable lets an object that went away in the meantime go.
func retryable(err error) (reconcile.Result, error) {
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, err
}

func (f *folder) writeDecision(ctx context.Context, d *federation.PlacementDecision, status federation.PlacementDecisionStatus) error {
	data, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return fmt.Errorf("encoding status of decision %s/%s: %w", d.Namespace, d.Name, err)
	}
	target := &federation.PlacementDecision{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name}}
	controlPlaneWrites.WithLabelValues("decision-status").Inc()
	if err := f.client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, data)); err != nil {
		return fmt.Errorf("writing status of decision %s/%s: %w", d.Namespace, d.Name, err)
	}
	return nil
}

func (f *folder) writeStatus(ctx context.Context, in reading, status map[string]any) error {
	patch := maps.Clone(status)
	for field := range nested(in.object.Object, "status") {
		if _, ok := status[field]; !ok {
			patch[field] = nil
		}
	}
	data, err := json.Marshal(map[string]any{"status": patch})
	if err != nil {
		return fmt.Errorf("encoding status of %s %s: %w", in.kind.Kind, in.object.GetName(), err)
	}
	target := &unstructured.Unstructured{}
	target.SetGroupVersionKind(in.kind.GroupVersionKind)
	target.SetNamespace(in.object.GetNamespace())
	target.SetName(in.object.GetName())
	controlPlaneWrites.WithLabelValues("object-status").Inc()
	if err := f.client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, data)); err != nil {
		return fmt.Errorf("writing status of %s %s: %w", in.kind.Kind, in.object.GetName(), err)
	}
	return nil
}
