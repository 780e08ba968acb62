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
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// folder brings the members' word on one object back to the federation API: PlacementDecision.status and the object's
// own status; and it lets go of objects that no member holds any more.
type folder struct {
	client     client.Client
	controller *Controller
	queue      *queue

	mu         sync.Mutex
	paces      map[Key]pace
	sweepAt    int // number of paces at which those of objects left alone are dropped
	finalizing map[Key]bool
	refused    map[Key]Digest // statuses that the API server did not store as they were sent
}

func newFolder(c client.Client, controller *Controller) *folder {
	return &folder{client: c, controller: controller, queue: newQueue(),
		paces: map[Key]pace{}, sweepAt: 64, finalizing: map[Key]bool{}, refused: map[Key]Digest{}}
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

// done forgets an object that is no more.
func (f *folder) done(key Key) {
	f.mu.Lock()
	delete(f.paces, key)
	delete(f.finalizing, key)
	delete(f.refused, key)
	f.mu.Unlock()
	f.controller.view.allArrived(key)
}

// written notes that nothing of an object is left to write.
func (f *folder) written(key Key, rest bool) {
	f.mu.Lock()
	if p, ok := f.paces[key]; ok {
		p.since = time.Time{}
		f.paces[key] = p
	}
	if rest {
		delete(f.finalizing, key)
	}
	f.mu.Unlock()
	if rest {
		f.controller.view.allArrived(key)
	}
}

// pace is an object's, for a generation; it runs from the first call on.
func (f *folder) pace(key Key, generation int64, now time.Time) pace {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.paces[key].next(generation, now)
	f.paces[key] = p
	if len(f.paces) > f.sweepAt {
		maps.DeleteFunc(f.paces, func(_ Key, p pace) bool { return p.since.IsZero() && now.Sub(p.last) > calm })
		f.sweepAt = max(64, 2*len(f.paces))
	}
	return p
}

func (f *folder) wrote(key Key, n news, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paces[key] = f.paces[key].wrote(n, now)
}

func (f *folder) fold(ctx context.Context, key Key, in reading) (reconcile.Result, error) {
	s, err := f.controller.summarize(ctx, key, in)
	if err != nil {
		return reconcile.Result{}, err
	}
	n := newsOf(in, s)
	n.object = n.object && !f.wasRefused(key, in, s.object)
	if !n.object && !n.decision {
		f.written(key, s.rest)
		return reconcile.Result{}, nil
	}
	now := time.Now()
	p := f.pace(key, in.object.GetGeneration()+in.decision.Generation, now)
	if wait := p.wait(n, now); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if p.decides(n) {
		if err := f.writeDecision(ctx, in.decision, s.decision); err != nil {
			return retryable(err)
		}
	}
	if n.object {
		if err := f.tell(ctx, key, in, s.object); err != nil {
			return retryable(err)
		}
	}
	f.wrote(key, n, now)
	return reconcile.Result{}, nil
}

// newsOf compares what the statuses should be with what they are.
func newsOf(in reading, s summary) news {
	previous := nested(in.object.Object, "status")
	n := news{rest: s.rest}
	n.object = s.object != nil && !equality.Semantic.DeepEqual(s.object, previous)
	n.decision = !equality.Semantic.DeepEqual(s.decision, in.decision.Status)
	n.urgent = n.object && alarming(previous, s.object) || n.decision && pressing(in.decision.Status.Clusters, s.decision.Clusters)
	n.moving = n.decision && in.decision.Spec.Moving
	// Pods that end slowly are nothing that anyone waits for.
	n.minor = n.object && !n.decision && equality.Semantic.DeepEqual(
		without(s.object, "terminatingReplicas"), without(previous, "terminatingReplicas"))
	return n
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

// tell writes an object's status. What the schema of a custom kind does not take, because it wants what members do not
// agree on or does not know what they tell, is not sent again.
func (f *folder) tell(ctx context.Context, key Key, in reading, status map[string]any) error {
	stored, err := f.writeStatus(ctx, in, status)
	if !in.kind.Custom {
		return err
	}
	if apierrors.IsInvalid(err) {
		log.FromContext(ctx).Info("status not taken by the federation API", "kind", in.kind.Kind, "namespace", key.Namespace, "name", key.Name, "cause", err.Error())
	} else if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil || !equality.Semantic.DeepEqual(stored, status) {
		f.refused[key] = digest(status)
	} else {
		delete(f.refused, key)
	}
	return nil
}

func (f *folder) wasRefused(key Key, in reading, status map[string]any) bool {
	if !in.kind.Custom {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.refused[key]
	return ok && d == digest(status)
}

// writeStatus writes an object's status and returns it as it is stored.
func (f *folder) writeStatus(ctx context.Context, in reading, status map[string]any) (map[string]any, error) {
	data, err := json.Marshal(map[string]any{"status": mergePatch(nested(in.object.Object, "status"), status)})
	if err != nil {
		return nil, fmt.Errorf("encoding status of %s %s: %w", in.kind.Kind, in.object.GetName(), err)
	}
	target := &unstructured.Unstructured{}
	target.SetGroupVersionKind(in.kind.GroupVersionKind)
	target.SetNamespace(in.object.GetNamespace())
	target.SetName(in.object.GetName())
	controlPlaneWrites.WithLabelValues("object-status").Inc()
	if err := f.client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, data), client.FieldOwner(federation.FieldManager)); err != nil {
		return nil, fmt.Errorf("writing status of %s %s: %w", in.kind.Kind, in.object.GetName(), err)
	}
	return nested(target.Object, "status"), nil
}
