package endpoint

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

// eventually waits until check returns nothing; what it returns is why it still waits.
func eventually(t *testing.T, limit time.Duration, check func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		why := check()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s: %s", limit, why)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// contextOf outlives the test's body, so that what it starts can be stopped in order.
func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(t.Context()))
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }
