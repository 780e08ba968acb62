package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
)

// down is a provider that does not answer now and then, and notes when it was asked meanwhile.
type down struct {
	dns.Provider
	mu    sync.Mutex
	away  bool
	asked []time.Time
}

func (p *down) ask() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.away {
		return nil
	}
	p.asked = append(p.asked, time.Now())
	return &dns.Error{Kind: dns.Unavailable, Subject: testZone, Err: errors.New("connection refused")}
}

func (p *down) goes(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

func (p *down) Zones(ctx context.Context) ([]dns.Zone, error) {
	if err := p.ask(); err != nil {
		return nil, err
	}
	return p.Provider.Zones(ctx)
}

func (p *down) Apply(ctx context.Context, zone string, fence dns.Fence, changes []dns.Change) (dns.Receipt, error) {
	if err := p.ask(); err != nil {
		return dns.Receipt{}, err
	}
	return p.Provider.Apply(ctx, zone, fence, changes)
}

// TestProviderDownForAnHour, on a clock of its own: calls come ever more rarely and not in step, nothing that changed meanwhile is lost,
// and the zone is as it should be within a minute of the provider's return.
func TestProviderDownForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &down{Provider: dns.NewMemory(dns.Limits{}, testZone)}
		b := newBench(t, p, "gondor", "rohan")
		b.start()
		defer b.stop()
		old, gone := service("old"), service("gone")
		for _, o := range []Object{old, gone} {
			b.put(o, at("gondor", dns.Healthy, "192.0.2.1"))
		}
		b.answers(p.Provider, b.names(gone).Global(), "192.0.2.1")
		p.goes(true)
		for minute := range 60 {
			b.put(service(fmt.Sprintf("s%d", minute)), at("rohan", dns.Healthy, fmt.Sprintf("198.51.100.%d", minute)))
			if minute == 30 {
				b.put(old, at("gondor", dns.Unhealthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2"))
				b.delete(gone)
			}
			time.Sleep(time.Minute)
		}
		if s := b.worker.current(); s.state != string(dns.Unavailable) {
			t.Errorf("the zone is %+v", s)
		}
		b.answers(p.Provider, b.names(old).Global(), "192.0.2.1") // what is published stays
		p.goes(false)
		back := time.Now()
		eventually(t, func() string {
			for minute := range 60 {
				if got := addresses(t, p.Provider, b.names(service(fmt.Sprintf("s%d", minute))).Global()); len(got) != 1 {
					return fmt.Sprintf("s%d answers %v", minute, got)
				}
			}
			return ""
		})
		b.answers(p.Provider, b.names(old).Global(), "192.0.2.2")
		b.answers(p.Provider, b.names(gone).Global())
		if took := time.Since(back); took > lastBackoff {
			t.Errorf("it took %s", took)
		}
		// 0.5 s doubled up to a minute, each cut by half at most: 0.5+1+...+32 s are seven, then one in half a minute or more.
		if n := len(p.asked); n < 60 || n > 7+2*60+1 {
			t.Errorf("it was asked %d times in an hour", n)
		}
		waits := map[time.Duration]bool{}
		for i := 1; i < len(p.asked); i++ {
			wait, most := p.asked[i].Sub(p.asked[i-1]), min(firstBackoff<<min(i-1, 10), lastBackoff)
			waits[wait] = true
			if wait < most/2 || wait > most {
				t.Errorf("after %d failures it waited %s, not %s to %s", i, wait, most/2, most)
			}
		}
		if len(waits) < len(p.asked)/2 {
			t.Errorf("%d waits of %d differ", len(waits), len(p.asked))
		}
		t.Logf("asked %d times in an hour, caught up after %s", len(p.asked), time.Since(back))
	})
}
