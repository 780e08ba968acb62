package publish

import (
	"context"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
)

// confirmLimit is how long one wait for a zone's servers may take before it is begun anew with what was applied meanwhile.
const confirmLimit = 30 * time.Second

// confirmation is what was applied and is not known to be seen by clients yet.
type confirmation struct {
	receipt dns.Receipt
	// refs counts the changes of each object.
	refs map[string]int
	wake chan struct{}
	// problem says which servers do not have what was applied; empty while none is missed.
	problem string
}

// awaiting notes that changes were made, to be confirmed.
func (w *worker) awaiting(receipt dns.Receipt, made []dns.Change) {
	if _, ok := w.provider.(dns.Waiter); !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.confirm.receipt = receipt
	for _, c := range made {
		if ref := w.refOf(c); ref != "" {
			w.confirm.refs[ref]++
			w.pending[ref]++
		}
	}
	w.wakeConfirming()
}

// confirmLoop waits until all servers of the zone answer as was applied. Objects are not reported as published before.
func (w *worker) confirmLoop(ctx context.Context) {
	waiter, ok := w.provider.(dns.Waiter)
	if !ok {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.confirm.wake:
		}
		w.mu.Lock()
		receipt, refs := w.confirm.receipt, w.confirm.refs
		w.confirm.refs = map[string]int{}
		w.mu.Unlock()
		if len(refs) == 0 {
			continue
		}
		waitCtx, cancel := context.WithTimeout(ctx, confirmLimit)
		start := time.Now()
		err := waiter.Await(waitCtx, w.zone, receipt)
		cancel()
		if ctx.Err() != nil {
			return
		}
		w.confirmed(refs, err)
		if err == nil {
			visibleSeconds.WithLabelValues(w.zone).Observe(time.Since(start).Seconds())
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(firstBackoff):
			w.wakeConfirming()
		}
	}
}

func (w *worker) wakeConfirming() {
	select {
	case w.confirm.wake <- struct{}{}:
	default:
	}
}

// confirmed takes up the end of a wait: objects are looked at again; where some server is missed they go on waiting.
func (w *worker) confirmed(refs map[string]int, err error) {
	var again []string
	w.mu.Lock()
	before := w.confirm.problem
	w.confirm.problem = ""
	if err != nil {
		w.confirm.problem = err.Error() + ": what was changed counts as published once it answers"
	}
	for ref, n := range refs {
		if err != nil {
			w.confirm.refs[ref] += n
			continue
		}
		if w.pending[ref] -= n; w.pending[ref] <= 0 {
			delete(w.pending, ref)
		}
		again = append(again, ref)
	}
	changed := before != w.confirm.problem
	w.mu.Unlock()
	if len(again) > 0 || changed {
		w.mark(again...)
	}
}
