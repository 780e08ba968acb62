package sync

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// copies watches a member's objects of one kind that carry the federation's label, trimmed to Copy.
type copies struct {
	kind     kind.Kind
	resource dynamic.NamespaceableResourceInterface
	informer cache.SharedIndexInformer

	mu      sync.Mutex
	synced  bool
	waiting []func() // called once the first list is in
}

// watchCopies starts watching until ctx ends. changed is told of each change: old and now are nil for additions and
// deletions.
func watchCopies(ctx context.Context, m dynamic.Interface, gvr schema.GroupVersionResource, k kind.Kind, name string, changed func(old, now *Copy)) (*copies, error) {
	selector := federation.LabelFederation + "=" + name
	resource := m.Resource(gvr)
	c := &copies{kind: k, resource: resource}
	c.informer = cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			return resource.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			return resource.Watch(ctx, o)
		},
	}, &unstructured.Unstructured{}, 0, nil)
	if err := c.informer.SetTransform(func(obj any) (any, error) {
		if u, ok := obj.(*unstructured.Unstructured); ok {
			return copyOf(k, u), nil
		}
		return obj, nil
	}); err != nil {
		return nil, err
	}
	handler, err := c.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { changed(nil, asCopy(obj)) },
		UpdateFunc: func(old, now any) {
			if o, n := asCopy(old), asCopy(now); o.ResourceVersion != n.ResourceVersion {
				changed(o, n)
			}
		},
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			changed(asCopy(obj), nil)
		},
	})
	if err != nil {
		return nil, err
	}
	go c.informer.RunWithContext(ctx)
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
			c.release()
		}
	}()
	return c, nil
}

func asCopy(obj any) *Copy { c, _ := obj.(*Copy); return c }

// release runs what waited for the first list.
func (c *copies) release() {
	c.mu.Lock()
	waiting := c.waiting
	c.synced, c.waiting = true, nil
	c.mu.Unlock()
	for _, f := range waiting {
		f()
	}
}

// ready says whether the first list is in. Until then what is not there is unknown, not absent; then is called later.
func (c *copies) ready(then func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.synced && then != nil {
		c.waiting = append(c.waiting, then)
	}
	return c.synced
}

func (c *copies) get(namespace, name string) *Copy {
	key := name
	if namespace != "" {
		key = namespace + "/" + name
	}
	obj, _, _ := c.informer.GetStore().GetByKey(key)
	return asCopy(obj)
}

func (c *copies) client(namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return c.resource
	}
	return c.resource.Namespace(namespace)
}

// statusChanged says whether a fold may come out differently.
func statusChanged(old, now *Copy) bool {
	if old == nil || now == nil {
		return true
	}
	return old.Generation != now.Generation || !equality.Semantic.DeepEqual(old.Status, now.Status)
}
