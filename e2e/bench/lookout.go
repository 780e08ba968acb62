package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

var deploymentResource = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// lookout watches the Deployments of one server, metadata only, and says when what is expected of them has come true.
type lookout struct {
	name  string
	mu    sync.Mutex
	goals map[*goal]struct{}
}

// goal is what is expected of some Deployments.
type goal struct {
	reached func(watch.EventType, *metav1.PartialObjectMetadata) bool
	missing map[string]struct{}
	last    time.Time
	done    chan struct{}
}

// present, changed and gone are what can be expected.
func present(t watch.EventType, _ *metav1.PartialObjectMetadata) bool { return t != watch.Deleted }
func changed(t watch.EventType, o *metav1.PartialObjectMetadata) bool {
	return t == watch.Modified && o.Generation > 1
}
func gone(t watch.EventType, _ *metav1.PartialObjectMetadata) bool { return t == watch.Deleted }

// newLookout watches until ctx ends; a watch that ends before is reported to failed.
func newLookout(ctx context.Context, s *server, failed func(error)) (*lookout, error) {
	client, err := metadata.NewForConfig(s.config)
	if err != nil {
		return nil, err
	}
	list, err := client.Resource(deploymentResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Deployments of %s: %w", s.name, err)
	}
	w, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: client.Resource(deploymentResource).Watch,
	})
	if err != nil {
		return nil, fmt.Errorf("watching the Deployments of %s: %w", s.name, err)
	}
	l := &lookout{name: s.name, goals: map[*goal]struct{}{}}
	go func() {
		for event := range w.ResultChan() {
			if object, ok := event.Object.(*metav1.PartialObjectMetadata); ok {
				l.see(event.Type, object)
			} else if event.Type == watch.Error {
				failed(fmt.Errorf("watching %s: %w", s.name, apierrors.FromObject(event.Object)))
			}
		}
		if ctx.Err() == nil {
			failed(fmt.Errorf("the watch of %s ended", s.name))
		}
	}()
	return l, nil
}

func (l *lookout) see(t watch.EventType, object *metav1.PartialObjectMetadata) {
	now, key := time.Now(), object.Namespace+"/"+object.Name
	l.mu.Lock()
	defer l.mu.Unlock()
	for g := range l.goals {
		if _, ok := g.missing[key]; !ok || !g.reached(t, object) {
			continue
		}
		delete(g.missing, key)
		g.last = now
		if len(g.missing) == 0 {
			delete(l.goals, g)
			close(g.done)
		}
	}
}

// expectation is one goal in several servers.
type expectation struct {
	lookouts []*lookout
	goals    []*goal
}

// expect begins to look out for what is to come.
func expect(lookouts []*lookout, namespace string, names []string, reached func(watch.EventType, *metav1.PartialObjectMetadata) bool) *expectation {
	e := &expectation{lookouts: lookouts}
	for _, l := range lookouts {
		g := &goal{reached: reached, missing: map[string]struct{}{}, done: make(chan struct{})}
		for _, name := range names {
			g.missing[namespace+"/"+name] = struct{}{}
		}
		e.goals = append(e.goals, g)
		l.mu.Lock()
		l.goals[g] = struct{}{}
		l.mu.Unlock()
	}
	return e
}

// met waits until all has come true, and says when the last did.
func (e *expectation) met(ctx context.Context) (last time.Time, err error) {
	for i, g := range e.goals {
		select {
		case <-g.done:
			if g.last.After(last) {
				last = g.last
			}
		case <-ctx.Done():
			l := e.lookouts[i]
			l.mu.Lock()
			defer l.mu.Unlock()
			return last, fmt.Errorf("%w: %d Deployments are not as expected in %s", context.Cause(ctx), len(g.missing), l.name)
		}
	}
	return last, nil
}
