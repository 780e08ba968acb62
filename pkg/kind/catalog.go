package kind

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

var crdKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// Handler is told of every addition, change and deletion of an object of a federatable kind; Federated is not yet
// asked, so that an object that stops being federated is seen too. It must not block or change obj.
type Handler func(k Kind, obj *unstructured.Unstructured)

// Catalog holds the federatable kinds that a federation API serves and watches their objects: native kinds from
// discovery at start, custom ones from their CRDs as these come and go. Safe for concurrent use.
type Catalog struct {
	discovery discovery.DiscoveryInterface
	cache     cache.Cache

	mu        sync.RWMutex
	kinds     map[schema.GroupKind]Kind
	informers map[schema.GroupKind]cache.Informer
	handlers  []Handler
	native    bool // natives are all in kinds
}

// NewCatalog makes a catalog that reads through c. Handlers are added before Start.
func NewCatalog(d discovery.DiscoveryInterface, c cache.Cache, handlers ...Handler) *Catalog {
	return &Catalog{discovery: d, cache: c, handlers: handlers,
		kinds: map[schema.GroupKind]Kind{}, informers: map[schema.GroupKind]cache.Informer{}}
}

// Handle adds a handler. Call it before Start.
func (c *Catalog) Handle(h Handler) { c.handlers = append(c.handlers, h) }

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
	if _, err := informer.AddEventHandler(handlerFor(func(obj *unstructured.Unstructured, gone bool) { c.follow(ctx, obj, gone) })); err != nil {
		return fmt.Errorf("watching CustomResourceDefinitions: %w", err)
	}
	<-ctx.Done()
	return nil
}

// addNatives adds every native kind that can be listed, watched and changed, in its preferred version.
func (c *Catalog) addNatives(ctx context.Context) error {
	lists, err := discovery.ServerPreferredResources(c.discovery)
	if err != nil {
		return fmt.Errorf("discovering the kinds that the federation API serves: %w", err)
	}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return fmt.Errorf("discovering the kinds that the federation API serves: %w", err)
		}
		for _, r := range list.APIResources {
			gk := schema.GroupKind{Group: gv.Group, Kind: r.Kind}
			if !Federatable(gk) || !hasVerbs(r.Verbs, "get", "list", "watch", "create", "delete") {
				continue
			}
			// Kinds of CRDs come with their CRD, which also says when they go.
			if _, served := nativeGroups[gv.Group]; !served {
				continue
			}
			if err := c.add(ctx, Kind{GroupVersionKind: gv.WithKind(r.Kind), Resource: r.Name, Namespaced: r.Namespaced, Rule: RuleOf(gk)}); err != nil {
				return err
			}
		}
	}
	c.mu.Lock()
	c.native = true
	c.mu.Unlock()
	return nil
}

var nativeGroups = map[string]struct{}{
	"": {}, "apps": {}, "batch": {}, "autoscaling": {}, "networking.k8s.io": {}, "policy": {}, "storage.k8s.io": {},
	"scheduling.k8s.io": {}, "apiextensions.k8s.io": {},
}

func hasVerbs(have []string, want ...string) bool {
	return !slices.ContainsFunc(want, func(v string) bool { return !slices.Contains(have, v) })
}

func (c *Catalog) add(ctx context.Context, k Kind) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.kinds[k.GroupKind()]; ok && have.GroupVersionKind == k.GroupVersionKind {
		return nil
	} else if ok {
		c.removeLocked(ctx, k.GroupKind()) // served in another version now
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(k.GroupVersionKind)
	informer, err := c.cache.GetInformer(ctx, obj, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching %s: %w", k.GroupVersionKind, err)
	}
	handlers := c.handlers
	if _, err := informer.AddEventHandler(handlerFor(func(obj *unstructured.Unstructured, _ bool) {
		for _, h := range handlers {
			h(k, obj)
		}
	})); err != nil {
		return fmt.Errorf("watching %s: %w", k.GroupVersionKind, err)
	}
	c.kinds[k.GroupKind()], c.informers[k.GroupKind()] = k, informer
	return nil
}

func (c *Catalog) removeLocked(ctx context.Context, gk schema.GroupKind) {
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
	k, served := kindOf(crd)
	if !Federatable(k.GroupKind()) {
		return
	}
	if gone || !served {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.removeLocked(ctx, k.GroupKind())
		return
	}
	if err := c.add(ctx, k); err != nil {
		log.FromContext(ctx).Error(err, "adding kind")
	}
}

// kindOf reads the kind that a CRD defines, in its storage version where that is served, and whether it is served yet.
func kindOf(crd *unstructured.Unstructured) (Kind, bool) {
	get := func(fields ...string) string { s, _, _ := unstructured.NestedString(crd.Object, fields...); return s }
	k := Kind{Resource: get("spec", "names", "plural"), Namespaced: get("spec", "scope") == "Namespaced"}
	k.Group, k.Kind = get("spec", "group"), get("spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		m, _ := v.(map[string]any)
		if name, _ := m["name"].(string); m["served"] == true && (k.Version == "" || m["storage"] == true) {
			k.Version = name
		}
	}
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	established := slices.ContainsFunc(conditions, func(c any) bool {
		m, _ := c.(map[string]any)
		return m["type"] == "Established" && m["status"] == "True"
	})
	return k, established && k.Version != "" && crd.GetDeletionTimestamp() == nil
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
	if err := c.cache.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, obj); err != nil {
		return nil, err
	}
	return obj, nil
}

// handlerFor adapts a function to client-go's handlers and unwraps tombstones of missed deletions.
func handlerFor(f func(obj *unstructured.Unstructured, gone bool)) toolscache.ResourceEventHandlerFuncs {
	call := func(obj any, gone bool) {
		if unknown, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
			obj = unknown.Obj
		}
		if u, ok := obj.(*unstructured.Unstructured); ok {
			f(u, gone)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { call(obj, false) },
		UpdateFunc: func(_, obj any) { call(obj, false) },
		DeleteFunc: func(obj any) { call(obj, true) },
	}
}
