package sync

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// view reads the federation API, from caches only.
type view struct {
	federation string
	options    Options
	catalog    *kind.Catalog
	reader     client.Reader // PlacementDecisions, Clusters, Tombstones
	synced     func() bool   // whether reader has been filled once
	recorder   events.EventRecorder
	log        logr.Logger

	overrides overrides

	mu      sync.Mutex
	buried  map[Key]map[types.UID]federation.TombstoneSpec
	changes map[Key]time.Time // when a change was seen that is still on its way to members
}

// reading is all that is known of an object for one member.
type reading struct {
	// complete is false until everything has been read once: absence means nothing yet.
	complete bool
	kind     kind.Kind
	object   *unstructured.Unstructured // nil: not there
	decision *federation.PlacementDecision
	wish     Wish
	// now is when it was read.
	now time.Time
}

// read gathers what is known of a key and decides on it for a cluster.
func (v *view) read(ctx context.Context, key Key, cluster string) (reading, error) {
	if !v.synced() {
		return reading{}, nil
	}
	r := reading{complete: true, now: time.Now()}
	var err error
	known := true
	if r.kind, known = v.catalog.Lookup(key.GroupKind); !known && !v.catalog.Synced() {
		return reading{}, nil
	} else if known {
		// Kind by kind, so that one whose objects can't be listed holds up no other.
		if !v.catalog.KindSynced(key.GroupKind) {
			return reading{}, nil
		}
		if r.object, err = v.object(ctx, key); err != nil {
			return reading{}, err
		}
		if r.decision, err = v.decision(ctx, r.kind.DecisionKey(key.Namespace, key.Name)); err != nil {
			return reading{}, err
		}
	}
	var uids []types.UID
	for _, ref := range v.buriedIn(key, cluster) {
		uids = append(uids, ref.UID)
		if !known { // its CRD is gone from the federation
			gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
			r.kind = kind.Kind{GroupVersionKind: gvk, Namespaced: ref.Namespace != "", Rule: kind.RuleOf(gvk.GroupKind())}
		}
	}
	federated := r.object != nil && kind.Federated(key.GroupKind, r.object)
	r.wish = Wanted(r.object, federated, r.decision, uids, cluster)
	return r, nil
}

func (v *view) object(ctx context.Context, key Key) (*unstructured.Unstructured, error) {
	obj, err := v.catalog.Get(ctx, key.GroupKind, key.Namespace, key.Name)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	return obj, err
}

func (v *view) decision(ctx context.Context, name types.NamespacedName) (*federation.PlacementDecision, error) {
	var d federation.PlacementDecision
	if err := v.reader.Get(ctx, name, &d); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return &d, nil
}

// cluster returns a Cluster, nil where it is not there or is leaving.
func (v *view) cluster(ctx context.Context, name string) (*federation.Cluster, error) {
	c, err := v.anyCluster(ctx, name)
	if c != nil && c.DeletionTimestamp != nil {
		return nil, nil
	}
	return c, err
}

// anyCluster returns a Cluster, leaving or not, nil where it is not there.
func (v *view) anyCluster(ctx context.Context, name string) (*federation.Cluster, error) {
	var c federation.Cluster
	if err := v.reader.Get(ctx, types.NamespacedName{Name: name}, &c); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return &c, nil
}

func usable(c *federation.Cluster) bool {
	return meta.IsStatusConditionTrue(c.Status.Conditions, federation.ClusterReady)
}

// answers says of clusters whether they are ready now.
func (v *view) answers(ctx context.Context) func(cluster string) bool {
	return func(name string) bool {
		c, err := v.cluster(ctx, name)
		return err == nil && c != nil && usable(c) && !down(c)
	}
}

// down says whether a cluster is taken for dead.
func down(c *federation.Cluster) bool {
	return slices.ContainsFunc(slices.Concat(c.Spec.Taints, c.Status.Taints), func(t corev1.Taint) bool {
		return t.Key == federation.TaintDown && t.Effect == corev1.TaintEffectNoExecute
	})
}

// clusters lists the members that have joined and are not leaving.
func (v *view) clusters(ctx context.Context) ([]federation.Cluster, error) {
	var list federation.ClusterList
	if err := v.reader.List(ctx, &list); err != nil {
		return nil, err
	}
	var out []federation.Cluster
	for _, c := range list.Items {
		if c.DeletionTimestamp == nil {
			out = append(out, c)
		}
	}
	return out, nil
}

// bury remembers a tombstone; gone forgets it.
func (v *view) bury(t *federation.Tombstone, gone bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := keyOf(t.Spec.Object)
	if gone {
		delete(v.buried[key], t.Spec.Object.UID)
		if len(v.buried[key]) == 0 {
			delete(v.buried, key)
		}
		return
	}
	if v.buried[key] == nil {
		v.buried[key] = map[types.UID]federation.TombstoneSpec{}
	}
	v.buried[key][t.Spec.Object.UID] = t.Spec
}

// buriedIn returns what tombstones of a name say is still to be removed from a cluster.
func (v *view) buriedIn(key Key, cluster string) (refs []federation.ObjectReference) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, spec := range v.buried[key] {
		if slices.Contains(spec.Clusters, cluster) {
			refs = append(refs, spec.Object)
		}
	}
	return refs
}

// changed notes when a user's change was seen; arrived measures how long it took to reach a member.
func (v *view) changed(key Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes[key] = time.Now()
}

func (v *view) arrived(key Key, cluster string) {
	v.mu.Lock()
	since, ok := v.changes[key]
	v.mu.Unlock()
	if ok {
		propagation.WithLabelValues(cluster).Observe(time.Since(since).Seconds())
	}
}

func (v *view) allArrived(key Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.changes, key)
}

func asConflict(err error, into **conflictError) bool { return errors.As(err, into) }
