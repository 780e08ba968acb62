package endpoint

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// agenda says what is due when. Safe for concurrent use.
type agenda[K comparable] struct {
	mu    sync.Mutex
	items []*appointment[K] // a heap, the earliest first
	of    map[K]*appointment[K]
	wake  chan struct{}
}

type appointment[K comparable] struct {
	key   K
	at    time.Time
	index int
}

func newAgenda[K comparable]() *agenda[K] {
	return &agenda[K]{of: map[K]*appointment[K]{}, wake: make(chan struct{}, 1)}
}

// set has a key come up at a time, instead of any other time; the zero time is never.
func (a *agenda[K]) set(key K, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	item, known := a.of[key]
	switch {
	case at.IsZero() && known:
		heap.Remove((*byTime[K])(a), item.index)
		delete(a.of, key)
	case at.IsZero():
	case known:
		item.at = at
		heap.Fix((*byTime[K])(a), item.index)
	default:
		item = &appointment[K]{key: key, at: at}
		a.of[key] = item
		heap.Push((*byTime[K])(a), item)
	}
	a.rouse(item)
}

// advance has a key that is to come up come up no later than at a time.
func (a *agenda[K]) advance(key K, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if item, known := a.of[key]; known && item.at.After(at) {
		item.at = at
		heap.Fix((*byTime[K])(a), item.index)
		a.rouse(item)
	}
}

// rouse wakes run where what comes first has changed.
func (a *agenda[K]) rouse(item *appointment[K]) {
	if item == nil || item.index != 0 {
		return
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// next takes what is due, or says how long it takes until something is.
func (a *agenda[K]) next(now time.Time) (key K, due bool, pause time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.items) == 0 {
		return key, false, time.Hour
	}
	first := a.items[0]
	if pause = first.at.Sub(now); pause > 0 {
		return key, false, pause
	}
	heap.Pop((*byTime[K])(a))
	delete(a.of, first.key)
	return first.key, true, 0
}

// run calls do, which must return at once, for each key when it is due, until ctx ends.
func (a *agenda[K]) run(ctx context.Context, do func(K)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		key, due, pause := a.next(time.Now())
		if due {
			do(key)
			continue
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-timer.C:
		}
	}
}

// byTime implements heap.Interface.
type byTime[K comparable] agenda[K]

func (b *byTime[K]) Len() int           { return len(b.items) }
func (b *byTime[K]) Less(i, j int) bool { return b.items[i].at.Before(b.items[j].at) }
func (b *byTime[K]) Swap(i, j int) {
	b.items[i], b.items[j] = b.items[j], b.items[i]
	b.items[i].index, b.items[j].index = i, j
}
func (b *byTime[K]) Push(x any) {
	item := x.(*appointment[K])
	item.index = len(b.items)
	b.items = append(b.items, item)
}
func (b *byTime[K]) Pop() any {
	last := b.items[len(b.items)-1]
	b.items[len(b.items)-1] = nil
	b.items = b.items[:len(b.items)-1]
	return last
}
