package endpoint

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
)

// TestTheCloudTakesTheDoubt: two addresses stop answering together. The one behind whose load balancer its cloud finds nothing healthy
// leaves at once, the other after a moment in doubt; while both answer, the cloud's word changes nothing.
func TestTheCloudTakesTheDoubt(t *testing.T) {
	c := start(t, New("f", quick()))
	one, _, stopOne := listen(t, "127.0.0.1:0")
	two, _, stopTwo := listen(t, "127.0.0.2:0")
	known, unknown := Key{Kind: "Service", Namespace: "default", Name: "known"}, shop
	c.HeedBalancers(func(cluster, name string) (healthy, all int, is bool) {
		return 0, 3, cluster == "gondor" && name == netip.MustParseAddrPort(one).Addr().String()
	})
	var mu sync.Mutex
	reasons := map[Key][]string{}
	left := map[Key]time.Time{}
	c.OnChange(func(key Key) {
		for _, o := range c.Endpoints(key) {
			mu.Lock()
			reasons[key] = append(reasons[key], o.Reason)
			if o.State == dns.Unhealthy {
				left[key] = time.Now()
			}
			mu.Unlock()
		}
	})
	c.saw("gondor", map[Key]*served{known: at(1, one), unknown: at(1, two)})
	for _, key := range []Key{known, unknown} {
		becomes(t, c, key, dns.Healthy, ReasonAnswers, limit)
	}
	c.Fares("gondor")
	becomes(t, c, known, dns.Healthy, ReasonAnswers, limit)
	stopOne()
	stopTwo()
	if o := becomes(t, c, known, dns.Unhealthy, ReasonNoAnswer, limit); o.Doubtful {
		t.Errorf("%+v", o)
	}
	if o := becomes(t, c, unknown, dns.Unhealthy, ReasonNoAnswer, limit); !o.Doubtful {
		t.Errorf("%+v", o)
	}
	eventually(t, limit, func() string {
		mu.Lock()
		defer mu.Unlock()
		if len(left) < 2 {
			return "not told of both yet"
		}
		return ""
	})
	mu.Lock()
	defer mu.Unlock()
	doubted := func(key Key) (yes bool) {
		for _, r := range reasons[key] {
			yes = yes || r == ReasonDoubt
		}
		return yes
	}
	if doubted(known) || !doubted(unknown) {
		t.Errorf("doubt: %v and %v", reasons[known], reasons[unknown])
	}
	t.Logf("with the cloud's word %s sooner", left[unknown].Sub(left[known]).Round(time.Millisecond))
}
