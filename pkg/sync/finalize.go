package sync

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// finalize lets go of an object that is to be nowhere: members that are ready delete their copies; for those that are
// not, a Tombstone stays; then the finalizer and the decision go.
func (f *folder) finalize(ctx context.Context, key Key, in reading) (reconcile.Result, error) {
	f.mu.Lock()
	f.finalizing[key] = true
	f.mu.Unlock()
	var uid types.UID
	if in.object != nil {
		uid = in.object.GetUID()
	} else {
		uid = in.decision.Spec.Object.UID
	}
	holding, dead, err := f.controller.holders(ctx, key, in, uid)
	if err != nil {
		return reconcile.Result{}, err
	}
	if len(holding) > 0 {
		for _, name := range holding {
			if m := f.controller.member(name); m != nil {
				m.enqueue(key)
			}
		}
		return reconcile.Result{RequeueAfter: time.Second}, nil
	}
	if len(dead) > 0 {
		if err := f.bury(ctx, key, in, uid, dead); err != nil {
			return reconcile.Result{}, err
		}
	}
	if in.object != nil {
		if wrote, err := f.withdraw(ctx, in); wrote || err != nil {
			return retryable(err) // the rest when the write is seen
		}
		if err := f.release(ctx, in); err != nil {
			return retryable(err)
		}
	}
	if in.decision != nil && in.decision.Spec.Object.UID == uid {
		controlPlaneWrites.WithLabelValues("decision-delete").Inc()
		d := in.decision
		err := f.client.Delete(ctx, &federation.PlacementDecision{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name}},
			client.Preconditions{UID: &d.UID})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return reconcile.Result{}, fmt.Errorf("deleting decision %s/%s: %w", d.Namespace, d.Name, err)
		}
	}
	f.done(key)
	return reconcile.Result{}, nil
}

// holders sorts the clusters that may hold a copy: holding are ready and have one or may have, dead can't be asked.
// Without a decision every member is asked, since a namespace's decisions may go before its objects.
func (c *Controller) holders(ctx context.Context, key Key, in reading, uid types.UID) (holding, dead []string, err error) {
	clusters, err := c.view.clusters(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("listing clusters: %w", err)
	}
	for i := range clusters {
		cl := &clusters[i]
		named := in.decision == nil || in.decision.Spec.Object.UID != uid || names(in.decision, cl.Name)
		m := c.member(cl.Name)
		var s sighting
		if m != nil {
			s = m.see(key)
		}
		switch {
		case !named && !s.holds(uid):
		case !usable(cl):
			dead = append(dead, cl.Name)
		case !s.known || s.holds(uid) || m.offline.Load():
			holding = append(holding, cl.Name) // or not listed yet: looking it up starts the watch
		}
	}
	return holding, dead, nil
}

// bury writes the tombstone, or adds to it.
func (f *folder) bury(ctx context.Context, key Key, in reading, uid types.UID, clusters []string) error {
	ref := federation.ObjectReference{Kind: key.Kind, Namespace: key.Namespace, Name: key.Name, UID: uid}
	if in.object != nil {
		ref.APIVersion = in.object.GetAPIVersion()
	} else {
		ref.APIVersion = in.decision.Spec.Object.APIVersion
	}
	slices.Sort(clusters)
	controlPlaneWrites.WithLabelValues("tombstone").Inc()
	t := &federation.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: string(uid)}, Spec: federation.TombstoneSpec{Object: ref, Clusters: clusters}}
	err := f.client.Create(ctx, t)
	if apierrors.IsAlreadyExists(err) {
		return f.setClusters(ctx, string(uid), clusters)
	}
	if err != nil {
		return fmt.Errorf("writing tombstone of %s %s/%s: %w", key.Kind, key.Namespace, key.Name, err)
	}
	return nil
}

func (f *folder) setClusters(ctx context.Context, tombstone string, clusters []string) error {
	data, err := json.Marshal(map[string]any{"spec": map[string]any{"clusters": clusters}})
	if err != nil {
		return fmt.Errorf("encoding tombstone %s: %w", tombstone, err)
	}
	t := &federation.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: tombstone}}
	if err := f.client.Patch(ctx, t, client.RawPatch(types.MergePatchType, data)); err != nil {
		return fmt.Errorf("writing tombstone %s: %w", tombstone, err)
	}
	return nil
}

// withdraw takes back what members told of an object that stays, but is nowhere any more, and says whether there was
// anything. A Job that has ended has ended.
func (f *folder) withdraw(ctx context.Context, in reading) (wrote bool, err error) {
	previous := nested(in.object.Object, "status")
	status := foldReports(in, nil)
	if in.object.GetDeletionTimestamp() != nil || status == nil || previous == nil || equality.Semantic.DeepEqual(status, previous) ||
		in.kind.GroupKind() == jobs && finished(previous) {
		return false, nil
	}
	stored, err := f.writeStatus(ctx, in, status)
	if apierrors.IsInvalid(err) {
		return false, nil // the schema of a custom kind wants what only members can tell
	}
	return err == nil && !equality.Semantic.DeepEqual(stored, previous), err
}

// release takes the federation's finalizer off an object.
func (f *folder) release(ctx context.Context, in reading) error {
	finalizers := in.object.GetFinalizers()
	if !slices.Contains(finalizers, federation.FinalizerMembers) {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(finalizers), func(s string) bool { return s == federation.FinalizerMembers })
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": rest, "resourceVersion": in.object.GetResourceVersion()}})
	if err != nil {
		return fmt.Errorf("encoding finalizers of %s %s: %w", in.kind.Kind, in.object.GetName(), err)
	}
	target := &unstructured.Unstructured{}
	target.SetGroupVersionKind(in.kind.GroupVersionKind)
	target.SetNamespace(in.object.GetNamespace())
	target.SetName(in.object.GetName())
	controlPlaneWrites.WithLabelValues("finalizer").Inc()
	if err := f.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, data)); err != nil {
		return fmt.Errorf("releasing %s %s: %w", in.kind.Kind, in.object.GetName(), err)
	}
	return nil
}

// settleTombstones strikes the clusters off the tombstones of a name that hold no copy any more. Only a member that was
// listed since it came back can say so.
func (f *folder) settleTombstones(ctx context.Context, key Key) error {
	v := f.controller.view
	v.mu.Lock()
	specs := make([]federation.TombstoneSpec, 0, len(v.buried[key]))
	for _, spec := range v.buried[key] {
		specs = append(specs, spec)
	}
	v.mu.Unlock()
	for _, spec := range specs {
		var left []string
		for _, name := range spec.Clusters {
			cl, err := v.cluster(ctx, name)
			if err != nil {
				return fmt.Errorf("reading cluster %s: %w", name, err)
			}
			if cl == nil {
				continue // it left the federation, and what is in it with it
			}
			m := f.controller.member(name)
			if m == nil || m.offline.Load() {
				left = append(left, name)
				continue
			}
			if s := m.see(key); !s.known || s.holds(spec.Object.UID) {
				left = append(left, name)
			}
		}
		if len(left) == len(spec.Clusters) {
			continue
		}
		controlPlaneWrites.WithLabelValues("tombstone").Inc()
		if len(left) > 0 {
			if err := f.setClusters(ctx, string(spec.Object.UID), left); err != nil {
				return client.IgnoreNotFound(err)
			}
			continue
		}
		err := f.client.Delete(ctx, &federation.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: string(spec.Object.UID)}})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting tombstone %s: %w", spec.Object.UID, err)
		}
	}
	return nil
}
