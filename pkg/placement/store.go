package placement

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// fieldOwner is placement's name among the managers of a decision's fields.
const fieldOwner = client.FieldOwner("kubefed-placement")

// store writes a decision with one request, and says what was done; resultDeferred where the cache lags behind. Only
// placement writes specs, so that a change needs no precondition.
func (c *Controller) store(ctx context.Context, at types.NamespacedName, current *federation.PlacementDecision, want Decision) (string, error) {
	d := &federation.PlacementDecision{ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name}}
	if current == nil {
		d.Spec = want
		err := c.federation.Create(ctx, d, fieldOwner)
		switch {
		case apierrors.IsAlreadyExists(err): // the cache does not show it yet
			return resultDeferred, nil
		case apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			return resultUnchanged, nil // the object goes with its namespace
		case err != nil:
			return "", fmt.Errorf("creating PlacementDecision %s: %w", at, err)
		}
		decisionsTotal.WithLabelValues(resultCreated).Inc()
		c.remember(ctx, d)
		return resultCreated, nil
	}
	patch, err := specPatch(want)
	if err != nil {
		return "", err
	}
	err = c.federation.Patch(ctx, d, client.RawPatch(types.JSONPatchType, patch), fieldOwner)
	switch {
	case apierrors.IsNotFound(err): // deleted; the cache does not show it yet
		c.written.forget(at)
		return resultDeferred, nil
	case err != nil:
		return "", fmt.Errorf("changing PlacementDecision %s: %w", at, err)
	}
	decisionsTotal.WithLabelValues(resultChanged).Inc()
	c.remember(ctx, d)
	return resultChanged, nil
}

// specPatch is the JSON patch (RFC 6902) that makes a decision's spec the wanted one, whatever it was.
func specPatch(want Decision) ([]byte, error) {
	return json.Marshal([]struct {
		Op    string   `json:"op"`
		Path  string   `json:"path"`
		Value Decision `json:"value"`
	}{{"replace", "/spec", want}})
}

// decision reads the newest known decision, nil where there is none: what the cache holds, or what was written a moment
// ago and has not arrived there yet. The result is shared: do not change it.
func (c *Controller) decision(ctx context.Context, at types.NamespacedName) (*federation.PlacementDecision, error) {
	cached, err := c.cached(ctx, at)
	if err != nil {
		return nil, err
	}
	return c.written.newest(at, cached), nil
}

func (c *Controller) cached(ctx context.Context, at types.NamespacedName) (*federation.PlacementDecision, error) {
	d := &federation.PlacementDecision{}
	if err := c.cache.Get(ctx, at, d, client.UnsafeDisableDeepCopy); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading PlacementDecision %s: %w", at, err)
	}
	return d, nil
}

// remember keeps a decision just written until the cache has it. It may have it already: the cache is asked after the
// entry is made, because its event drops entries.
func (c *Controller) remember(ctx context.Context, d *federation.PlacementDecision) {
	c.written.put(d)
	if cached, err := c.cached(ctx, client.ObjectKeyFromObject(d)); err == nil && cached != nil {
		c.written.arrived(cached)
	}
}

// written holds decisions that were written and have not been seen in the cache yet, so that the next decision on the
// same object starts from the last one. The zero value is ready to use.
type written struct {
	mu sync.Mutex
	by map[types.NamespacedName]*federation.PlacementDecision
}

func (w *written) put(d *federation.PlacementDecision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[types.NamespacedName]*federation.PlacementDecision{}
	}
	w.by[client.ObjectKeyFromObject(d)] = d
}

func (w *written) forget(at types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, at)
}

// arrived drops the entry that an event on the same decision, a deletion too, has caught up with.
func (w *written) arrived(d *federation.PlacementDecision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := client.ObjectKeyFromObject(d)
	if have := w.by[at]; have != nil && !older(d, have) {
		delete(w.by, at)
	}
}

func (w *written) newest(at types.NamespacedName, cached *federation.PlacementDecision) *federation.PlacementDecision {
	w.mu.Lock()
	defer w.mu.Unlock()
	if have := w.by[at]; have != nil && (cached == nil || older(cached, have)) {
		return have
	}
	return cached
}

func older(a, b *federation.PlacementDecision) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order < 0
}
