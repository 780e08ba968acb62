package endpoint

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// table is what is kept of a member's objects of one kind. It is a cache.ReflectorStore that keeps a few fields of each, where an
// informer would keep whole objects. Its rows are guarded by the mutex of the member's watches.
type table[T any] struct {
	// trim makes a row of an object, same compares two.
	trim func(metav1.Object) (T, error)
	same func(a, b T) bool
	// changed is told of rows that differ, and of the end of each list, with the mutex held.
	changed func(changes []change[T], listed bool)

	mu     *sync.Mutex
	synced bool
	rows   map[types.NamespacedName]T
}

// change is a row that came, went or differs; nil is absent.
type change[T any] struct {
	name     types.NamespacedName
	was, now *T
}

func newTable[T any](mu *sync.Mutex, trim func(metav1.Object) (T, error), same func(a, b T) bool) *table[T] {
	return &table[T]{mu: mu, trim: trim, same: same, rows: map[types.NamespacedName]T{}}
}

func nameOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// Add implements cache.ReflectorStore.
func (t *table[T]) Add(obj any) error { return t.Update(obj) }

// Update implements cache.ReflectorStore.
func (t *table[T]) Update(obj any) error {
	o, ok := obj.(metav1.Object)
	if !ok {
		return fmt.Errorf("following endpoints: got a %T", obj)
	}
	row, err := t.trim(o)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	name := nameOf(o)
	was, had := t.rows[name]
	t.rows[name] = row
	switch {
	case !had:
		t.changed([]change[T]{{name, nil, &row}}, false)
	case !t.same(was, row):
		t.changed([]change[T]{{name, &was, &row}}, false)
	}
	return nil
}

// Delete implements cache.ReflectorStore.
func (t *table[T]) Delete(obj any) error {
	o, ok := obj.(metav1.Object)
	if !ok {
		return fmt.Errorf("following endpoints: got a %T", obj)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if was, had := t.rows[nameOf(o)]; had {
		delete(t.rows, nameOf(o))
		t.changed([]change[T]{{nameOf(o), &was, nil}}, false)
	}
	return nil
}

// Replace implements cache.ReflectorStore.
func (t *table[T]) Replace(list []any, _ string) error {
	rows := make(map[types.NamespacedName]T, len(list))
	for _, obj := range list {
		o, ok := obj.(metav1.Object)
		if !ok {
			return fmt.Errorf("following endpoints: got a %T", obj)
		}
		row, err := t.trim(o)
		if err != nil {
			return err
		}
		rows[nameOf(o)] = row
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var changes []change[T]
	for name, row := range rows {
		if was, had := t.rows[name]; !had {
			changes = append(changes, change[T]{name, nil, &row})
		} else if !t.same(was, row) {
			changes = append(changes, change[T]{name, &was, &row})
		}
	}
	for name, was := range t.rows {
		if _, has := rows[name]; !has {
			changes = append(changes, change[T]{name, &was, nil})
		}
	}
	t.rows, t.synced = rows, true
	t.changed(changes, true)
	return nil
}

// Resync implements cache.ReflectorStore: there is nobody to tell.
func (*table[T]) Resync() error { return nil }

// askAgain is the longest pause after a member refused a list or watch: a right that it has not given will not come in seconds.
// The first pauses are short, since an API server that has just started refuses what it allows a moment later.
const (
	askAgain     = time.Minute
	askAgainSoon = time.Second
)

// again is how reflectors pause when a member does not answer: not for long, since what one that was dead serves is to be known
// soon after it is back. Reflectors' own pauses grow to a minute.
func again() *wait.Backoff {
	return &wait.Backoff{Duration: 800 * time.Millisecond, Cap: 4 * time.Second, Steps: 5, Factor: 2, Jitter: 0.5}
}

// patient lists and watches what selector selects. A refusal is no reason to ask again at once, as reflectors do.
func patient(selector string, list func(context.Context, metav1.ListOptions) (runtime.Object, error),
	follow func(context.Context, metav1.ListOptions) (watch.Interface, error)) cache.ListerWatcher {
	pause := askAgainSoon // one reflector asks, one question at a time
	refused := func(ctx context.Context, err error) {
		switch {
		case err == nil:
			pause = askAgainSoon
		case apierrors.IsForbidden(err):
			refused(ctx, err, pause)
			pause = min(2*pause, askAgain)
		}
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			found, err := list(ctx, o)
			refused(ctx, err)
			return found, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			w, err := follow(ctx, o)
			refused(ctx, err)
			return w, err
		},
	}
}

// refused pauses after a refusal.
func refused(ctx context.Context, err error, pause time.Duration) {
	log.FromContext(ctx).Info("endpoints are unknown: the federation may not read them there; join the cluster again", "cause", err.Error())
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}
