package kind

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

var crdKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// Handler is told of every addition, change and deletion of an object of a federatable kind; Federated is not yet
// asked, so that an object that stops being federated is seen too. It must not block or change obj.
type Handler func(k Kind, obj *unstructured.Unstructured)

// ChangeHandler is told of a change of an object of a federatable kind with the object before, nil for an addition, and
// after, nil for a deletion. Like a Handler it must not block or change the objects.
type ChangeHandler func(k Kind, before, after *unstructured.Unstructured)

// Catalog holds the federatable kinds that a federation API serves and watches their objects: native kinds from
// discovery at start, custom ones from their CRDs as these come and go. Safe for concurrent use.
type Catalog struct {
	discovery discovery.DiscoveryInterface
	cache     cache.Cache

	adding    sync.Mutex
	mu        sync.RWMutex
	kinds     map[schema.GroupKind]Kind
	informers map[schema.GroupKind]cache.Informer
	handlers  []ChangeHandler
	native    bool // natives are all in kinds
}

// NewCatalog makes a catalog that reads through c. Handlers are added before Start.
func NewCatalog(d discovery.DiscoveryInterface, c cache.Cache, handlers ...Handler) *Catalog {
	catalog := &Catalog{discovery: d, cache: c, kinds: map[schema.GroupKind]Kind{}, informers: map[schema.GroupKind]cache.Informer{}}
	for _, h := range handlers {
		catalog.Handle(h)
	}
	return catalog
}

// Handle adds a handler. Call it before Start.
func (c *Catalog) Handle(h Handler) {
	c.HandleChange(func(k Kind, before, after *unstructured.Unstructured) {
		if after == nil {
			after = before
		}
		h(k, after)
	})
}

// HandleChange adds a handler of changes. Call it before Start.
func (c *Catalog) HandleChange(h ChangeHandler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers = append(c.handlers, h)
}

// Start finds the kinds and follows them until ctx ends. It is a controller-runtime manager.Runnable; the cache runs
// beside it.
func (c *Catalog) Start(ctx context.Context) error {
	if err := c.addNatives(ctx); err != nil {
		return err
	}
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(crdKind)
	informer, err := c.cache.GetInformer(ctx, crd)
	if err != nil {
		return fmt.Errorf("watching CustomResourceDefinitions: %w", err)
	}
	if _, err := informer.AddEventHandler(handlerFor(func(before, after *unstructured.Unstructured) {
		if after == nil {
			c.follow(ctx, before, true)
			return
		}
		c.follow(ctx, after, false)
	})); err != nil {
		return fmt.Errorf("watching CustomResourceDefinitions: %w", err)
	}
	<-ctx.Done()
	return nil
}

// addNatives adds every native kind.
func (c *Catalog) addNatives(ctx context.Context) error {
	kinds, err := Natives(c.discovery)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if err := c.add(ctx, k); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.native = true
	c.mu.Unlock()
	return nil
}

func (c *Catalog) add(ctx context.Context, k Kind) error {
	// One at a time, and without keeping readers out: finding out about a kind asks the API server.
	c.adding.Lock()
	defer c.adding.Unlock()
	if have, ok := c.Lookup(k.GroupKind()); ok && have.GroupVersionKind == k.GroupVersionKind {
		return c.redefine(ctx, have, k)
	} else if ok {
		c.remove(ctx, k.GroupKind()) // served in another version now
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(k.GroupVersionKind)
	informer, err := c.cache.GetInformer(ctx, obj, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching %s: %w", k.GroupVersionKind, err)
	}
	if Depends(k) {
		if err := informer.AddIndexers(indexersOf(k)); err != nil {
			return fmt.Errorf("indexing %s by what they depend on: %w", k.GroupVersionKind, err)
		}
	}
	handlers := c.handlers
	if _, err := informer.AddEventHandler(handlerFor(func(before, after *unstructured.Unstructured) {
		now := k
		if known, ok := c.Lookup(k.GroupKind()); ok {
			now = known
		}
		for _, h := range handlers {
			h(now, before, after)
		}
	})); err != nil {
		return fmt.Errorf("watching %s: %w", k.GroupVersionKind, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds[k.GroupKind()], c.informers[k.GroupKind()] = k, informer
	return nil
}

// redefine takes up what changed in the definition of a kind that is watched already. Where its replicas are found
// elsewhere, handlers are told of all of its objects as if they were added.
func (c *Catalog) redefine(ctx context.Context, have, now Kind) error {
	if reflect.DeepEqual(have, now) {
		return nil
	}
	c.mu.Lock()
	c.kinds[now.GroupKind()] = now
	c.mu.Unlock()
	if slices.Equal(have.Replicas, now.Replicas) {
		return nil
	}
	return c.Each(ctx, now, "", func(obj *unstructured.Unstructured) {
		for _, h := range c.handlers {
			h(now, nil, obj)
		}
	})
}

func (c *Catalog) remove(ctx context.Context, gk schema.GroupKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.kinds[gk]
	if !ok {
		return
	}
	delete(c.kinds, gk)
	delete(c.informers, gk)
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(k.GroupVersionKind)
	if err := c.cache.RemoveInformer(ctx, obj); err != nil {
		log.FromContext(ctx).Error(err, "removing informer", "kind", k.GroupVersionKind)
	}
}

// follow adds or removes the kind that a CRD defines.
func (c *Catalog) follow(ctx context.Context, crd *unstructured.Unstructured, gone bool) {
	k, served := OfDefinition(crd)
	if !Federatable(k.GroupKind()) {
		return
	}
	if gone || !served {
		c.remove(ctx, k.GroupKind())
		return
	}
	if err := c.add(ctx, k); err != nil {
		// A CRD is established a moment before its kind can be discovered.
		log.FromContext(ctx).V(1).Info("kind not to be watched yet", "kind", k.GroupVersionKind, "cause", err.Error())
		time.AfterFunc(followAgain, func() { c.followName(ctx, crd.GetName()) })
	}
}

// followAgain is how long a kind waits that can't be watched yet.
const followAgain = 250 * time.Millisecond

// followName follows a CRD as it is now, if it still is.
func (c *Catalog) followName(ctx context.Context, name string) {
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(crdKind)
	if ctx.Err() == nil && c.cache.Get(ctx, types.NamespacedName{Name: name}, crd) == nil {
		c.follow(ctx, crd, false)
	}
}

// Kinds lists the kinds known now.
func (c *Catalog) Kinds() []Kind {
	c.mu.RLock()
	defer c.mu.RUnlock()
	kinds := make([]Kind, 0, len(c.kinds))
	for _, k := range c.kinds {
		kinds = append(kinds, k)
	}
	return kinds
}

// Lookup finds a kind by group and kind.
func (c *Catalog) Lookup(gk schema.GroupKind) (Kind, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	k, ok := c.kinds[gk]
	return k, ok
}

// Synced says whether all native kinds are known and every known kind's objects have been read once. Before that,
// absence from the cache means nothing.
func (c *Catalog) Synced() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.native {
		return false
	}
	for _, informer := range c.informers {
		if !informer.HasSynced() {
			return false
		}
	}
	return true
}

// KindSynced says whether one kind's objects have been read once.
func (c *Catalog) KindSynced(gk schema.GroupKind) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	informer, ok := c.informers[gk]
	return ok && informer.HasSynced()
}

// Get reads an object of a known kind from the cache. The result is shared: do not change it. The error is a
// meta.NoKindMatchError for an unknown kind and a NotFound API error for a missing object.
func (c *Catalog) Get(ctx context.Context, gk schema.GroupKind, namespace, name string) (*unstructured.Unstructured, error) {
	k, ok := c.Lookup(gk)
	if !ok {
		return nil, &meta.NoKindMatchError{GroupKind: gk}
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(k.GroupVersionKind)
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if err := c.cache.Get(ctx, key, obj, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return obj, nil
}

// Each visits the objects of a known kind in a namespace, or in all where that is "", federated or not; none before all of
// them have been read once. They are shared: do not change them.
func (c *Catalog) Each(ctx context.Context, k Kind, namespace string, visit func(obj *unstructured.Unstructured)) error {
	if !c.KindSynced(k.GroupKind()) || namespace != "" && !k.Namespaced {
		return nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(k.GroupVersion().WithKind(k.Kind + "List"))
	if err := c.cache.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing %s: %w", k.Resource, err)
	}
	for i := range list.Items {
		visit(&list.Items[i])
	}
	return nil
}

// ErrNotSynced says that an answer is not known yet because not all objects that it depends on have been read.
var ErrNotSynced = errors.New("not all objects have been read yet")

// handlerFor adapts a function to client-go's handlers and unwraps tombstones of missed deletions.
func handlerFor(f func(before, after *unstructured.Unstructured)) toolscache.ResourceEventHandlerFuncs {
	call := func(before, after any) {
		if unknown, ok := before.(toolscache.DeletedFinalStateUnknown); ok {
			before = unknown.Obj
		}
		b, _ := before.(*unstructured.Unstructured)
		a, _ := after.(*unstructured.Unstructured)
		if b != nil || a != nil {
			f(b, a)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { call(nil, obj) },
		UpdateFunc: func(before, after any) { call(before, after) },
		DeleteFunc: func(obj any) { call(obj, nil) },
	}
}
