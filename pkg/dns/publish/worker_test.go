package publish

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/named"
	"kubefed.dev/kubefed/pkg/policy"
)

const testZone = "global.example.com."

// bench is a board with a worker, without an API.
type bench struct {
	t      *testing.T
	facts  facts
	board  *board
	worker *worker
	// absent are owners that are certain to be gone.
	mu     sync.Mutex
	absent map[string]bool
	stop   func()
}

func clusters(names ...string) (out []Cluster) {
	for _, name := range names {
		out = append(out, Cluster{Cluster: policy.Cluster{Name: name, Provider: "aws", Region: name + "-region", Zones: []string{name + "-region-a"}}})
	}
	return out
}

func newBench(t *testing.T, provider dns.Provider, names ...string) *bench {
	t.Helper()
	options := &Options{Federation: "earth", Zones: []Zone{{Name: testZone, Provider: provider}}, Fence: NewFence(nil, nil, "earth", "test", false)}
	options.fill()
	if err := options.Fence.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, board: newBoard(), worker: newWorker(testZone, provider), absent: map[string]bool{}}
	b.facts = facts{federation: "earth", zone: testZone, owned: func(n string) bool { return options.zoneOf(n) != "" }, clusters: clusters(names...),
		read: func(Key, string) bool { return false }}
	b.worker.board, b.worker.options, b.worker.fence = b.board, options, options.Fence
	b.worker.changed = func(...string) {}
	b.worker.gone = func(_ context.Context, _ string, owner dns.Owner) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.absent[owner.Ref]
	}
	return b
}

// start runs the worker until the test ends, or until stop.
func (b *bench) start() {
	ctx, cancel := context.WithCancel(b.t.Context())
	ctx = log.IntoContext(ctx, testr.New(b.t))
	done := make(chan struct{})
	go func() { defer close(done); b.worker.run(ctx) }()
	b.stop = sync.OnceFunc(func() { cancel(); <-done })
	b.t.Cleanup(b.stop)
}

func service(name string, annotations ...string) Object {
	o := Object{Key: Key{Kind: "Service", Namespace: "shop", Name: name}, UID: "uid-" + name, Generation: 1, Names: true, Annotations: map[string]string{}}
	for _, a := range annotations {
		key, value, _ := strings.Cut(a, "=")
		o.Annotations[key] = value
	}
	return o
}

func at(cluster string, state dns.State, addresses ...string) Observed {
	o := Observed{Endpoint: dns.Endpoint{Cluster: cluster, State: state, Weight: 1, Ports: []dns.Port{{Name: "http", Protocol: "tcp", Number: 80}}}}
	for _, a := range addresses {
		o.Addresses = append(o.Addresses, netip.MustParseAddr(a))
	}
	return o
}

// put has the worker look at an object.
func (b *bench) put(o Object, observed ...Observed) {
	b.worker.mark(b.board.put(map[string]*entry{o.Ref(): b.facts.entryOf(o, observed)}, nil)...)
}

func (b *bench) delete(o Object) {
	b.mu.Lock()
	b.absent[o.Ref()] = true
	b.mu.Unlock()
	b.worker.mark(b.board.put(map[string]*entry{o.Ref(): nil}, nil)...)
}

func (b *bench) names(o Object) dns.Names {
	return dns.Names{Service: o.Name, Namespace: o.Namespace, Federation: "earth", Domain: testZone}
}

// addresses are those of one name.
func addresses(t *testing.T, p dns.Provider, name string) (found []string) {
	t.Helper()
	s, err := p.Records(t.Context(), testZone)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range s.Sets {
		if set.Name == name && (set.Type == dns.A || set.Type == dns.AAAA) {
			found = append(found, set.Data...)
		}
	}
	slices.Sort(found)
	return found
}

func version(t *testing.T, p dns.Provider) string {
	t.Helper()
	s, err := p.Records(t.Context(), testZone)
	if err != nil {
		t.Fatal(err)
	}
	return s.Version
}

// eventually waits until check returns nothing, and says what it waited for.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	why := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if why = check(); why == "" {
			return
		}
	}
	t.Fatalf("still waiting: %s", why)
}

func (b *bench) answers(p dns.Provider, name string, want ...string) {
	b.t.Helper()
	eventually(b.t, func() string {
		if got := addresses(b.t, p, name); !slices.Equal(got, want) {
			return fmt.Sprintf("%s answers %v, want %v (zone: %+v)", name, got, want, b.worker.current())
		}
		return ""
	})
}

// settledAt waits until the worker has nothing to do, and returns the zone's version.
func (b *bench) settledAt(p dns.Provider) string {
	b.t.Helper()
	last, since := "", time.Now()
	eventually(b.t, func() string {
		if now := version(b.t, p); now != last || b.worker.waiting() || b.worker.current().state != stateReady {
			last, since = now, time.Now()
		}
		if time.Since(since) < 50*time.Millisecond {
			return "the zone still changes"
		}
		return ""
	})
	return last
}

func TestNamesFollowEndpoints(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	b := newBench(t, p, "gondor", "rohan")
	b.start()
	web := service("web")
	b.put(web, at("gondor", dns.Healthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2"))
	n := b.names(web)
	b.answers(p, n.Global(), "192.0.2.1", "192.0.2.2")
	b.answers(p, n.Cluster("gondor"), "192.0.2.1")
	b.put(web, at("gondor", dns.Unhealthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2"))
	b.answers(p, n.Global(), "192.0.2.2")
	b.answers(p, n.Region("gondor-region"), "192.0.2.2")
	b.put(web, at("gondor", dns.Unhealthy, "192.0.2.1"), at("rohan", dns.Unhealthy, "192.0.2.2"))
	eventually(t, func() string {
		if r := b.worker.result(web.Ref()); r == nil || r.basis != dns.OnLastKnown {
			return "the last known answer is not in force"
		}
		return ""
	})
	b.answers(p, n.Global(), "192.0.2.2")
	b.put(web, at("gondor", dns.Healthy, "192.0.2.1"), at("rohan", dns.Unhealthy, "192.0.2.2"))
	b.answers(p, n.Global(), "192.0.2.1")
	rest := b.settledAt(p)
	b.worker.mark(b.board.refs()...)
	if now := b.settledAt(p); now != rest {
		t.Errorf("at rest the zone went from version %s to %s", rest, now)
	}
	b.delete(web)
	eventually(t, func() string {
		if s, _ := p.Records(t.Context(), testZone); len(s.Sets) > 1 { // the lease
			return fmt.Sprintf("%d sets are left", len(s.Sets))
		}
		return ""
	})
}

// TestRestartRemovesNothing: a worker that knows nothing of any cluster takes nothing away, and learns cluster by cluster.
func TestRestartRemovesNothing(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	web, shop := service("web"), Object{Key: Key{Group: named.IngressKind.Group, Kind: "Ingress", Namespace: "shop", Name: "front"}, UID: "uid-front", Hosts: []string{"shop.global.example.com."}}
	gondor, rohan := at("gondor", dns.Healthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2")
	b := newBench(t, p, "gondor", "rohan")
	b.start()
	b.put(web, gondor, rohan)
	b.put(shop, gondor, rohan)
	n := b.names(web)
	b.answers(p, n.Global(), "192.0.2.1", "192.0.2.2")
	b.answers(p, shop.Hosts[0], "192.0.2.1", "192.0.2.2")
	rest := b.settledAt(p)
	b.stop()

	b = newBench(t, p, "gondor", "rohan")
	b.start()
	b.put(web)
	b.put(shop)
	if now := b.settledAt(p); now != rest {
		t.Errorf("without any knowledge the zone went from version %s to %s", rest, now)
	}
	b.put(web, at("gondor", dns.Unhealthy, "192.0.2.1"))
	b.put(shop, at("gondor", dns.Unhealthy, "192.0.2.1"))
	b.answers(p, n.Global(), "192.0.2.2")
	b.settledAt(p)
	b.answers(p, shop.Hosts[0], "192.0.2.1", "192.0.2.2") // whose 192.0.2.2 is nobody knows yet, so nothing goes
	b.put(shop, at("gondor", dns.Unhealthy, "192.0.2.1"), rohan)
	b.answers(p, shop.Hosts[0], "192.0.2.2")
}

// faulty fails calls of Apply as told.
type faulty struct {
	dns.Provider
	mu    sync.Mutex
	fail  func(n int, changes []dns.Change) (dns.Receipt, error, bool)
	calls int
}

func (f *faulty) Apply(ctx context.Context, zone string, fence dns.Fence, changes []dns.Change) (dns.Receipt, error) {
	f.mu.Lock()
	f.calls++
	n := f.calls
	f.mu.Unlock()
	if r, err, yes := f.fail(n, changes); yes {
		return r, err
	}
	return f.Provider.Apply(ctx, zone, fence, changes)
}

func TestProviderErrors(t *testing.T) {
	for _, kind := range []dns.ErrorKind{dns.Conflict, dns.Throttled, dns.Unavailable, dns.Denied, dns.NotFound} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			memory := dns.NewMemory(dns.Limits{}, testZone)
			p := &faulty{Provider: memory, fail: func(n int, _ []dns.Change) (dns.Receipt, error, bool) {
				return dns.Receipt{}, &dns.Error{Kind: kind, Subject: testZone, RetryAfter: 20 * time.Millisecond, Err: errors.New("told so")}, n == 1
			}}
			b := newBench(t, p, "gondor")
			var states []string
			b.worker.changed = func(...string) {
				now := b.worker.current()
				if states = append(states, now.state); now.state == string(kind) && (!strings.Contains(now.message, "told so: ") || now.message == "") {
					t.Errorf("message %q does not say what to do", now.message)
				}
			}
			b.start()
			web := service("web")
			b.put(web, at("gondor", dns.Healthy, "192.0.2.1"))
			b.answers(memory, b.names(web).Global(), "192.0.2.1")
			b.settledAt(memory)
			b.stop()
			if kind != dns.Conflict && !slices.Contains(states, string(kind)) {
				t.Errorf("the zone never was %s: %v", kind, states)
			}
		})
	}
}

// TestInvalidNameIsQuarantined: the rest goes on, the name is told and not tried again until it is another.
func TestInvalidNameIsQuarantined(t *testing.T) {
	memory := dns.NewMemory(dns.Limits{MaxChanges: 20}, testZone)
	bad := dns.Names{Service: "bad", Namespace: "shop", Federation: "earth", Domain: testZone}.Global()
	tried := 0
	p := &faulty{Provider: memory, fail: func(_ int, changes []dns.Change) (dns.Receipt, error, bool) {
		i := slices.IndexFunc(changes, func(c dns.Change) bool { return c.Name == bad && strings.Contains(fmt.Sprint(c.After), "192.0.2.66") })
		if i < 0 {
			return dns.Receipt{}, nil, false
		}
		tried++
		rest := slices.Delete(slices.Clone(changes), i, i+1)
		r, err := memory.Apply(t.Context(), testZone, dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, rest)
		r.Failed = append(r.Failed, dns.Failure{Change: changes[i], Err: &dns.Error{Kind: dns.Invalid, Subject: bad, Err: errors.New("not here")}})
		return r, err, true
	}}
	b := newBench(t, p, "gondor")
	b.start()
	worse, web := service("bad"), service("web")
	b.put(worse, at("gondor", dns.Healthy, "192.0.2.66"))
	b.put(web, at("gondor", dns.Healthy, "192.0.2.1"))
	b.answers(memory, b.names(web).Global(), "192.0.2.1")
	b.answers(memory, b.names(worse).Cluster("gondor"), "192.0.2.66")
	b.settledAt(memory)
	b.worker.mark(worse.Ref())
	b.settledAt(memory)
	if r := b.worker.result(worse.Ref()); len(r.invalid) != 1 || !strings.Contains(r.invalid[0], "not here") {
		t.Errorf("what is told of the bad name: %v", r.invalid)
	}
	told := func(want string) {
		t.Helper()
		eventually(t, func() string {
			if now := b.worker.current(); now.state != stateReady || (want == "") != (now.message == "") || !strings.Contains(now.message, want) {
				return fmt.Sprintf("the zone is %s: %q, want Ready: %q", now.state, now.message, want)
			}
			return ""
		})
	}
	told("1 names are refused and not published, the others are; rename their objects, or change what they answer. The first: " + bad)
	if tried != 1 {
		t.Errorf("the bad name was tried %d times", tried)
	}
	b.put(worse, at("gondor", dns.Healthy, "192.0.2.67"))
	b.answers(memory, bad, "192.0.2.67")
	told("")
	b.put(worse, at("gondor", dns.Healthy, "192.0.2.66"))
	told("1 names are refused")
	b.delete(worse)
	told("")
}

// TestFenced: who has lost the lease changes nothing more; who holds it takes the zone's term.
func TestFenced(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	later := dns.Fence{Federation: "earth", Holder: "other", Epoch: 9}
	foreign := dns.RecordSet{Name: "x." + testZone, Type: dns.A, TTL: 60, Data: []string{"192.0.2.9"}}
	if _, err := p.Apply(t.Context(), testZone, later, []dns.Change{{Name: foreign.Name, After: []dns.RecordSet{foreign}}}); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, p, "gondor")
	b.start()
	web := service("web")
	b.put(web, at("gondor", dns.Healthy, "192.0.2.1"))
	b.answers(p, b.names(web).Global(), "192.0.2.1") // without elections there is nobody else
	if f := b.worker.fence.Current(); f.Epoch != 9 {
		t.Errorf("fence %+v", f)
	}
}

// TestForeignAndSharedNames: someone else's record stays and is told; a host that two Ingresses want goes to the second once the
// first lets it go; stated as it is, a foreign record is adopted.
func TestForeignAndSharedNames(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	foreign := dns.RecordSet{Name: "a.global.example.com.", Type: dns.A, TTL: 60, Data: []string{"192.0.2.9"}}
	if _, err := p.Apply(t.Context(), testZone, dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, []dns.Change{{Name: foreign.Name, After: []dns.RecordSet{foreign}}}); err != nil {
		t.Fatal(err)
	}
	ingress := func(name string, hosts ...string) Object {
		return Object{Key: Key{Group: named.IngressKind.Group, Kind: "Ingress", Namespace: "shop", Name: name}, UID: "uid-" + name, Hosts: hosts, Annotations: map[string]string{}}
	}
	b := newBench(t, p, "gondor")
	b.start()
	one, two := ingress("one", foreign.Name, "b.global.example.com."), ingress("two", "b.global.example.com.", "elsewhere.example.org.")
	b.put(one, at("gondor", dns.Healthy, "192.0.2.1"))
	b.answers(p, "b.global.example.com.", "192.0.2.1")
	b.put(two, at("gondor", dns.Healthy, "192.0.2.2"))
	eventually(t, func() string {
		if r := b.worker.result(two.Ref()); r == nil || len(r.conflicts) != 1 || !strings.Contains(r.conflicts[0], "ing/shop/one") {
			return "the second Ingress' conflict is not told"
		}
		return ""
	})
	b.answers(p, foreign.Name, "192.0.2.9")
	if got := b.worker.current().conflicts; got != 2 {
		t.Errorf("%d conflicts in the zone, want 2", got)
	}
	if e, _ := b.board.get(two.Ref()); !slices.Equal(e.otherHosts, []string{"elsewhere.example.org."}) {
		t.Errorf("other hosts %v", e.otherHosts)
	}
	b.delete(one)
	b.answers(p, "b.global.example.com.", "192.0.2.2")

	three := ingress("three", foreign.Name)
	three.Annotations[federation.AnnotationDNSAdopt] = foreign.Name + " 60 A 192.0.2.9"
	b.put(three, at("gondor", dns.Healthy, "192.0.2.3"))
	b.answers(p, foreign.Name, "192.0.2.3")
}

// TestBrake: many clusters that vanish at once from the view of the control plane alone stay; what a verdict confirms goes.
func TestBrake(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	b := newBench(t, p, "gondor", "rohan", "shire")
	b.start()
	web := service("web")
	all := []Observed{at("gondor", dns.Healthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2"), at("shire", dns.Healthy, "192.0.2.3")}
	b.put(web, all...)
	b.answers(p, b.names(web).Global(), "192.0.2.1", "192.0.2.2", "192.0.2.3")
	for i := range 2 {
		all[i].State, all[i].Doubtful = dns.Unhealthy, true
	}
	b.put(web, all...)
	b.settledAt(p)
	b.answers(p, b.names(web).Global(), "192.0.2.1", "192.0.2.2", "192.0.2.3")
	if b.board.suspects() == nil {
		t.Error("nothing is suspected")
	}
	b.facts.clusters[0].Down = true
	b.put(web, all...)
	b.answers(p, b.names(web).Global(), "192.0.2.3")
}

// TestAssent: an operator's word lets go what is in doubt; what falls into doubt later stays.
func TestAssent(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	b := newBench(t, p, "gondor", "rohan", "shire", "bree")
	b.start()
	web := service("web")
	since := time.Date(2026, 1, 1, 12, 0, 0, 5, time.UTC)
	all := []Observed{at("gondor", dns.Healthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2"), at("shire", dns.Healthy, "192.0.2.3"), at("bree", dns.Healthy, "192.0.2.4")}
	b.board.confirm = func(since time.Time) string { return howToAssent("earth", since) }
	b.put(web, all...)
	b.answers(p, b.names(web).Global(), "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
	for i := range 2 {
		all[i].State, all[i].Doubtful, all[i].Since = dns.Unhealthy, true, since
	}
	b.put(web, all...)
	b.settledAt(p)
	b.answers(p, b.names(web).Global(), "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
	_, told, _ := strings.Cut(b.board.suspects().String(), federation.AnnotationDNSConfirmRemovals+"=")
	if b.facts.confirmed = assentOf(map[string]string{federation.AnnotationDNSConfirmRemovals: told}); b.facts.confirmed.IsZero() {
		t.Fatalf("no way to confirm it is told: %s", b.board.suspects())
	}
	all[2].State, all[2].Doubtful, all[2].Since = dns.Unhealthy, true, since.Add(time.Minute)
	all[3].State, all[3].Doubtful, all[3].Since = dns.Unhealthy, true, since.Add(time.Minute)
	b.put(web, all...)
	b.answers(p, b.names(web).Global(), "192.0.2.3", "192.0.2.4")
}

// TestAssentToHeldNames: many names that nobody wants any more stay until an operator confirms that they are to go.
func TestAssentToHeldNames(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	b := newBench(t, p, "gondor")
	var confirmed atomic.Pointer[time.Time]
	confirmed.Store(&time.Time{})
	b.worker.assent = func() time.Time { return *confirmed.Load() }
	b.start()
	front := Object{Key: Key{Group: "networking.k8s.io", Kind: "Ingress", Namespace: "shop", Name: "front"}, UID: "uid", Generation: 1}
	for i := range 30 {
		front.Hosts = append(front.Hosts, fmt.Sprintf("h%d.%s", i, testZone))
	}
	b.put(front, at("gondor", dns.Healthy, "192.0.2.1"))
	b.answers(p, front.Hosts[29], "192.0.2.1")
	gone := front.Hosts[29]
	front.Hosts = front.Hosts[:1]
	b.put(front, at("gondor", dns.Healthy, "192.0.2.1"))
	eventually(t, func() string {
		if s := b.worker.current(); s.state != stateHeld || !strings.Contains(s.message, "29 names") || !strings.Contains(s.message, federation.AnnotationDNSConfirmRemovals) {
			return fmt.Sprintf("the zone is %+v", s)
		}
		return ""
	})
	b.answers(p, gone, "192.0.2.1")
	_, told, _ := strings.Cut(b.worker.current().message, federation.AnnotationDNSConfirmRemovals+"=")
	at := assentOf(map[string]string{federation.AnnotationDNSConfirmRemovals: told})
	confirmed.Store(&at)
	b.worker.again(nil, true)
	b.worker.poke()
	b.answers(p, gone)
	b.answers(p, front.Hosts[0], "192.0.2.1")
	eventually(t, func() string {
		if s := b.worker.current(); s.state != stateReady {
			return fmt.Sprintf("the zone is %+v", s)
		}
		return ""
	})
}
