package cluster

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// nodeWatch follows a member's nodes, trimmed to what their facts are made of.
type nodeWatch struct {
	informer cache.SharedIndexInformer
	reg      cache.ResourceEventHandlerRegistration

	mu       sync.Mutex
	dirty    bool
	facts    *NodeFacts
	revision int    // of facts
	refused  string // the member does not let the federation see nodes
	free     []federation.FreeNodes
	freeOf   [2]int // revisions of the facts and of the pods that free is made of
}

// watchNodes starts to follow the nodes until the connection or ctx ends.
func watchNodes(ctx context.Context, c *connection, running *sync.WaitGroup) (*nodeWatch, error) {
	w := &nodeWatch{dirty: true}
	w.informer = cache.NewSharedIndexInformer(
		cache.NewListWatchFromClient(c.core.RESTClient(), "nodes", "", fields.Everything()), &corev1.Node{}, 0, cache.Indexers{})
	if err := w.informer.SetTransform(trimNode); err != nil {
		return nil, err
	}
	if err := w.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { w.failed(err) }); err != nil {
		return nil, err
	}
	touch := func() { w.mu.Lock(); w.dirty, w.refused = true, ""; w.mu.Unlock() }
	reg, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { touch() }, UpdateFunc: func(_, _ any) { touch() }, DeleteFunc: func(any) { touch() },
	})
	if err != nil {
		return nil, err
	}
	w.reg = reg
	running.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		w.informer.RunWithContext(ctx)
	})
	return w, nil
}

func (w *nodeWatch) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = ""
	if apierrors.IsForbidden(err) {
		w.refused = err.Error()
	}
}

// Facts returns what the nodes say, nil while that is unknown, and what the member said where it refuses.
func (w *nodeWatch) Facts() (*NodeFacts, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.reg.HasSynced() {
		return nil, w.refused
	}
	if w.dirty {
		facts := FactsOfNodes(w.nodes())
		w.facts, w.dirty = &facts, false
		w.revision++
	}
	return w.facts, w.refused
}

// Free returns what is free on the nodes, nil while that is not known yet, nothing where the member does not tell. Call
// it after Facts.
func (w *nodeWatch) Free(pods *podWatch) []federation.FreeNodes {
	used, revision, refused := pods.Used()
	if refused {
		return []federation.FreeNodes{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if used == nil || !w.reg.HasSynced() {
		return nil
	}
	if of := [2]int{w.revision, revision}; w.free == nil || w.freeOf != of {
		w.free, w.freeOf = FreeOf(w.nodes(), used), of
	}
	return w.free
}

func (w *nodeWatch) nodes() []*corev1.Node {
	objects := w.informer.GetStore().List()
	nodes := make([]*corev1.Node, 0, len(objects))
	for _, obj := range objects {
		if node, ok := obj.(*corev1.Node); ok {
			nodes = append(nodes, node)
		}
	}
	return nodes
}
