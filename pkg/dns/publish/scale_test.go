package publish

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
)

// fleet are Services in clusters, each with an address of its own in each.
func fleet(b *bench, services int, failed string) map[string]*entry {
	all := map[string]*entry{}
	for i := range services {
		o := service(fmt.Sprintf("s%d", i))
		var observed []Observed
		for j, c := range b.facts.clusters {
			seen := at(c.Name, dns.Healthy, netip.AddrFrom4([4]byte{10, byte(j), byte(i >> 8), byte(i)}).String())
			if c.Name == failed {
				seen.State = dns.Unhealthy
			}
			observed = append(observed, seen)
		}
		all[o.Ref()] = b.facts.entryOf(o, observed)
	}
	return all
}

// timed is a provider that notes its calls.
type timed struct {
	dns.Provider
	mu      sync.Mutex
	calls   int
	changes int
	last    time.Time
}

func (p *timed) Apply(ctx context.Context, zone string, fence dns.Fence, changes []dns.Change) (dns.Receipt, error) {
	receipt, err := p.Provider.Apply(ctx, zone, fence, changes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.changes, p.last = p.calls+1, p.changes+len(changes), time.Now()
	return receipt, err
}

func (p *timed) take() (calls, changes int, last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls, changes, last = p.calls, p.changes, p.last
	p.calls, p.changes = 0, 0
	return calls, changes, last
}

// TestManyServices: 1,000 Services in 10 clusters at the embedded server, the loss of a cluster in one call, and rest.
func TestManyServices(t *testing.T) {
	services := 1000
	if testing.Short() {
		services = 100
	}
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("c%d", i))
	}
	embedded, stop := serve(t, t.TempDir())
	defer stop()
	p := &timed{Provider: embedded}
	b := newBench(t, p, names...)
	b.start()
	defer b.stop()
	step := func(what string, entries map[string]*entry, perService int) {
		t.Helper()
		began := time.Now()
		b.worker.mark(b.board.put(entries, nil)...)
		eventually(t, func() string {
			for ref, e := range entries {
				r := b.worker.result(ref)
				usable := slices.DeleteFunc(slices.Clone(e.subject.Endpoints), func(e dns.Endpoint) bool { return e.State != dns.Healthy })
				if r == nil || len(r.answering) != len(usable) {
					return ref + " is not as it should be"
				}
			}
			return ""
		})
		calls, changes, last := p.take()
		t.Logf("%s: answered %s after, told %s after", what, last.Sub(began).Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		if calls != 1 || changes != perService*services {
			t.Errorf("%s: %d calls with %d changes, want 1 with %d", what, calls, changes, perService*services)
		}
	}
	step("published", fleet(b, services, ""), 33) // the federation, a cloud, SRV; 10 regions, zones and clusters
	step("lost", fleet(b, services, "c3"), 6)     // the federation, the cloud, SRV; the region, the zone and the cluster
	rest := b.settledAt(p)
	b.worker.again(nil, true)
	b.worker.poke()
	if now := b.settledAt(p); now != rest {
		t.Errorf("at rest the zone went from version %s to %s", rest, now)
	}
	// One Service among many is changed at once.
	one := service("s7")
	began := time.Now()
	var observed []Observed
	for _, name := range names {
		observed = append(observed, at(name, dns.Unhealthy))
	}
	observed[1] = at("c1", dns.Healthy, "192.0.2.1")
	b.put(one, observed...)
	eventually(t, func() string {
		if r := b.worker.result(one.Ref()); len(r.answering) != 1 {
			return fmt.Sprintf("it answers %v", r.answering)
		}
		return ""
	})
	b.answers(p, b.names(one).Global(), "192.0.2.1")
	t.Logf("one among them: %s", time.Since(began).Round(time.Millisecond))
}

// TestTwoWriters: another hand changes foreign records and the federation's own all the time; in the end each name of the
// federation is as it should be, and nothing of the other's is lost.
func TestTwoWriters(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	b := newBench(t, p, "gondor", "rohan")
	b.start()
	fence := dns.Fence{Federation: "earth", Holder: "other", Epoch: 1}
	var foreign sync.Map
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			set := dns.RecordSet{Name: fmt.Sprintf("host%d.%s", i%20, testZone), Type: dns.A, TTL: 60, Data: []string{fmt.Sprintf("203.0.113.%d", i%250)}}
			change := dns.Change{Name: set.Name, After: []dns.RecordSet{set}}
			if before, ok := foreign.Load(set.Name); ok {
				change.Before = []dns.RecordSet{before.(dns.RecordSet)}
			}
			if r, err := p.Apply(ctx, testZone, fence, []dns.Change{change}); err == nil && len(r.Failed) == 0 {
				foreign.Store(set.Name, set)
			}
			// Someone takes the federation's addresses for their own now and then.
			if s, err := p.Records(ctx, testZone); err == nil && i%5 == 0 {
				for _, own := range s.Sets {
					if own.Type == dns.A && rand.N(10) == 0 && dns.InZone(own.Name, "svc."+testZone) {
						vandal := own
						vandal.Data = []string{"203.0.113.254"}
						_, _ = p.Apply(ctx, testZone, fence, []dns.Change{{Name: own.Name, Before: []dns.RecordSet{own}, After: []dns.RecordSet{vandal}}})
					}
				}
			}
		}
	})
	want := map[string][]string{}
	for i := range 200 {
		o := service(fmt.Sprintf("s%d", i%20))
		a, c := fmt.Sprintf("192.0.2.%d", i), fmt.Sprintf("198.51.100.%d", i)
		b.put(o, at("gondor", dns.Healthy, a), at("rohan", dns.Healthy, c))
		want[b.names(o).Global()] = []string{a, c}
	}
	stop()
	writing.Wait()
	b.worker.again(nil, true)
	b.worker.poke()
	for name, addresses := range want {
		slices.Sort(addresses)
		b.answers(p, name, addresses...)
	}
	foreign.Range(func(name, set any) bool {
		b.answers(p, name.(string), set.(dns.RecordSet).Data...)
		return true
	})
}
