package node

import (
	"context"
	"sync"

	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// queue carries the names of changed objects to a reconciling function. Each name is with one worker at a time; an
// error brings it back later.
type queue struct {
	name string
	workqueue.TypedRateLimitingInterface[cache.ObjectName]
}

func newQueue(name string) *queue {
	limiter := workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]()
	return &queue{name, workqueue.NewTypedRateLimitingQueue(limiter)}
}

// handler adds each object that an informer reports. Cluster-scoped objects have no namespace.
func (q *queue) handler() cache.ResourceEventHandler {
	return q.handlerBy(func(obj any) (cache.ObjectName, bool) {
		name, err := cache.DeletionHandlingObjectToName(obj)
		return name, err == nil
	})
}

// handlerBy adds what nameOf makes of each object.
func (q *queue) handlerBy(nameOf func(obj any) (cache.ObjectName, bool)) cache.ResourceEventHandler {
	add := func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		if name, ok := nameOf(obj); ok {
			q.Add(name)
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, obj any) { add(obj) }, DeleteFunc: add}
}

// run reconciles until ctx ends and all workers have returned.
func (q *queue) run(ctx context.Context, workers int, reconcile func(context.Context, cache.ObjectName) error) {
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			for q.next(ctx, reconcile) {
			}
		})
	}
	<-ctx.Done()
	q.ShutDown()
	done.Wait()
}

func (q *queue) next(ctx context.Context, reconcile func(context.Context, cache.ObjectName) error) bool {
	name, shutdown := q.Get()
	if shutdown {
		return false
	}
	defer q.Done(name)
	err := reconcile(ctx, name)
	switch {
	case err == nil:
		q.Forget(name)
	case ctx.Err() == nil:
		klog.FromContext(ctx).Error(err, "reconciling will be tried again", "queue", q.name, "object", name)
		q.AddRateLimited(name)
	}
	return true
}
