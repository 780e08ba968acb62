package cluster

import (
	"context"
	"fmt"
	"time"
)

// await polls check until it returns no reason to wait, or timeout passes; the error then says what for and why. An
// error of check is a reason to wait: it may pass.
func await(ctx context.Context, timeout time.Duration, what string, progress func(string, ...any), check func(context.Context) (why string, err error)) error {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	said, last := "", "no answer yet"
	for {
		why, err := check(bounded)
		switch {
		case err == nil && why == "":
			return nil
		case err == nil:
			last = why
		case bounded.Err() == nil:
			last = err.Error()
		}
		if last != said {
			progress("waiting for %s: %s", what, last)
			said = last
		}
		select {
		case <-bounded.Done():
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted while waiting for %s (%s)", what, last)
			}
			return fmt.Errorf("waited %s for %s: %s", timeout, what, last)
		case <-tick.C:
		}
	}
}
