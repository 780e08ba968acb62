package sync

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
)

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
		to.Add(key)
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
		to.Add(key)
	}
}
