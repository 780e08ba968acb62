package sync

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"kubefed.dev/kubefed/pkg/kind"
)

var namespaceKind = schema.GroupKind{Kind: "Namespace"}

// queue feeds keys to a controller-runtime controller: it is the controller's source, and keeps what is added before
// the controller starts.
type queue struct {
	mu      sync.Mutex
	started workqueue.TypedRateLimitingInterface[Key]
	early   []Key
}

func newQueue() *queue { return &queue{} }

// Start implements source.TypedSource.
func (q *queue) Start(_ context.Context, to workqueue.TypedRateLimitingInterface[Key]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.started = to
	for _, key := range q.early {
		addNow(to, key)
	}
	q.early = nil
	return nil
}

// add has a key reconciled after a time; keys that are waiting already are not added twice.
func (q *queue) add(key Key, after time.Duration) {
	q.mu.Lock()
	to := q.started
	if to == nil {
		q.early = append(q.early, key)
	}
	q.mu.Unlock()
	switch {
	case to == nil:
	case after > 0:
		to.AddAfter(key, after)
	default:
		addNow(to, key)
	}
}

// addNow puts what other objects wait for in a member ahead of them.
func addNow(to workqueue.TypedRateLimitingInterface[Key], key Key) {
	if pq, ok := to.(priorityqueue.PriorityQueue[Key]); ok && awaited(key.GroupKind) {
		ahead := 1
		pq.AddWithOpts(priorityqueue.AddOpts{Priority: &ahead}, key)
		return
	}
	to.Add(key)
}

// awaited says whether other objects need those of a kind: what they are in, what defines them, what they refer to.
func awaited(gk schema.GroupKind) bool {
	return gk == namespaceKind || gk == crdKind || kind.Dependency(gk)
}
