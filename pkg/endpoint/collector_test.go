package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/probe"
)

const limit = 30 * time.Second

var shop = Key{Kind: "Service", Namespace: "default", Name: "shop"}

// at is what a member says of a Service at listeners' addresses, which have one port in common.
func at(ready int32, addresses ...string) *served {
	s := &served{ready: &ready, wanted: ready}
	for _, a := range addresses {
		p := netip.MustParseAddrPort(a)
		s.addresses = append(s.addresses, p.Addr())
		s.ports = []port{{"http", "tcp", p.Port(), p.Port()}}
	}
	return s
}

// listen serves HTTP at an address of the loopback interface, and counts requests.
func listen(t *testing.T, address string) (string, *atomic.Int64, func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	asked := &atomic.Int64{}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })}}
	server.Start()
	var once sync.Once
	stop := func() { once.Do(server.Close) }
	t.Cleanup(stop)
	return listener.Addr().String(), asked, stop
}

func clusterOf(name, ready string, change func(*federation.Cluster)) *federation.Cluster {
	c := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Status.Conditions = []metav1.Condition{{Type: federation.ClusterReady, Status: metav1.ConditionStatus(ready), LastTransitionTime: metav1.Now()}}
	if change != nil {
		change(c)
	}
	return c
}

func quick() Options { return Options{Period: 50 * time.Millisecond} }

// TestAnAddressStopsAnswering: real listeners; one address of two leaves alone, the endpoint when both are gone.
func TestAnAddressStopsAnswering(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("all", func(t *testing.T) {
		c := start(t, New("f", quick()))
		var told atomic.Int64
		c.OnChange(func(Key) { told.Add(1) })
		one, _, stopOne := listen(t, "127.0.0.1:0")
		two, _, stopTwo := listen(t, "127.0.0.2:"+fmt.Sprint(netip.MustParseAddrPort(one).Port()))
		c.saw("gondor", map[Key]*served{shop: at(3, one, two)})
		o := becomes(t, c, shop, dns.Healthy, ReasonAnswers, limit)
		if len(o.Addresses) != 2 || o.Weight != 3 {
			t.Errorf("%+v", o)
		}
		before := told.Load()
		c.saw("gondor", map[Key]*served{shop: at(3, one, two)})
		if told.Load() != before {
			t.Error("told of a change that is none")
		}
		stopOne()
		eventually(t, limit, func() string {
			if o = becomes(t, c, shop, dns.Healthy, ReasonAnswers, limit); len(o.Addresses) != 1 {
				return fmt.Sprintf("%+v", o)
			}
			return ""
		})
		if o.Addresses[0] != addr("127.0.0.2") {
			t.Errorf("the wrong address is left: %+v", o)
		}
		if traffic := c.Traffic("gondor"); traffic.Probed != 1 || traffic.Alive != 1 {
			t.Errorf("traffic %+v", traffic)
		}
		stopTwo()
		if o = becomes(t, c, shop, dns.Unhealthy, ReasonNoAnswer, limit); !o.Doubtful || len(o.Addresses) != 2 {
			t.Errorf("%+v", o)
		}
		if traffic := c.Traffic("gondor"); traffic.Probed != 1 || traffic.Alive != 0 {
			t.Errorf("traffic %+v", traffic)
		}
		// Back at the same address: it is held down, not published at once.
		listen(t, one)
		becomes(t, c, shop, dns.Unknown, ReasonHoldDown, limit)
	})
}

// TestHangingAddressesDelayNobody: an address beside many that hang is asked as often as alone.
func TestHangingAddressesDelayNobody(t *testing.T) {
	c := start(t, New("f", quick()))
	silent, err := net.Listen("tcp", "127.0.0.3:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	good, asked, stop := listen(t, "127.0.0.1:0")
	get := &federation.EndpointProbe{Type: federation.ProbeHTTP}
	for i := range 200 {
		key := Key{Kind: "Service", Namespace: "default", Name: fmt.Sprint("slow-", i)}
		c.Ask(key, &federation.EndpointProbe{Type: federation.ProbeHTTP, Path: fmt.Sprint("/", i)})
		c.saw("gondor", map[Key]*served{key: at(1, silent.Addr().String())})
	}
	c.Ask(shop, get)
	c.saw("gondor", map[Key]*served{shop: at(1, good)})
	becomes(t, c, shop, dns.Healthy, ReasonAnswers, limit)
	eventually(t, limit, func() string {
		if n := asked.Load(); n < 10 {
			return fmt.Sprintf("asked %d times", n)
		}
		return ""
	})
	began := time.Now()
	stop()
	becomes(t, c, shop, dns.Unhealthy, ReasonNoAnswer, limit)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("noticed after %s", took)
	}
	becomes(t, c, Key{Kind: "Service", Namespace: "default", Name: "slow-7"}, dns.Unknown, ReasonNoAnswer, limit)
}

// TestAServerBeginsToHang: it takes connections, and answers no more. A question over HTTP finds that out, one over TCP can't, and what
// another cluster serves is none the worse.
func TestAServerBeginsToHang(t *testing.T) {
	c := start(t, New("f", quick()))
	var hangs atomic.Bool
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if hangs.Load() {
			select {
			case <-end:
			case <-r.Context().Done():
			}
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(end) })
	good, _, _ := listen(t, "127.0.0.1:0")
	get, connect := &federation.EndpointProbe{Type: federation.ProbeHTTP}, Key{Kind: "Service", Namespace: "default", Name: "connect"}
	other := Key{Kind: "Service", Namespace: "default", Name: "other"}
	c.Ask(shop, get)
	c.Ask(other, get)
	c.saw("gondor", map[Key]*served{shop: at(1, server.Listener.Addr().String()), connect: at(1, server.Listener.Addr().String())})
	c.saw("rohan", map[Key]*served{other: at(1, good)})
	for _, key := range []Key{shop, connect, other} {
		becomes(t, c, key, dns.Healthy, ReasonAnswers, limit)
	}
	hangs.Store(true)
	becomes(t, c, shop, dns.Unhealthy, ReasonNoAnswer, limit)
	for _, key := range []Key{connect, other} {
		if o := becomes(t, c, key, dns.Healthy, ReasonAnswers, limit); len(o.Addresses) != 1 {
			t.Errorf("%+v", o)
		}
	}
}

// TestOneFailureHurriesItsCluster: what is asked once an hour is asked at once when a neighbour stopped answering.
func TestOneFailureHurriesItsCluster(t *testing.T) {
	c := start(t, New("f", Options{Period: time.Hour}))
	address, asked, stop := listen(t, "127.0.0.1:0")
	often, seldom := int32(1), Key{Kind: "Service", Namespace: "default", Name: "seldom"}
	c.Ask(shop, &federation.EndpointProbe{Type: federation.ProbeHTTP, PeriodSeconds: &often})
	c.Ask(seldom, &federation.EndpointProbe{Type: federation.ProbeHTTP, Path: "/seldom"})
	c.saw("gondor", map[Key]*served{shop: at(1, address), seldom: at(1, address)})
	becomes(t, c, shop, dns.Healthy, ReasonAnswers, limit)
	becomes(t, c, seldom, dns.Healthy, ReasonAnswers, limit)
	if asked.Load() < 2 {
		t.Errorf("asked %d times", asked.Load())
	}
	stop()
	becomes(t, c, seldom, dns.Unhealthy, ReasonNoAnswer, limit)
}

func TestQuestions(t *testing.T) {
	c := New("f", Options{})
	other := Key{Kind: "Service", Namespace: "default", Name: "other"}
	udp := &served{place: place{addresses: []netip.Addr{addr("192.0.2.7")}}, ports: []port{{"dns", "udp", 53, 53}}}
	ports := &served{place: place{addresses: []netip.Addr{addr("192.0.2.8"), addr("2001:db8::8")}}, ports: []port{{"http", "tcp", 30080, 80}, {"admin", "tcp", 30090, 9090}}}
	front := Key{Group: "networking.k8s.io", Kind: "Ingress", Namespace: "default", Name: "front"}
	secure := &served{place: place{addresses: []netip.Addr{addr("192.0.2.9")}}, host: "shop.example.com", ports: []port{{"https", "tcp", 443, 443}, {"http", "tcp", 80, 80}}}
	nine, two := int32(9090), int32(2)
	for _, test := range []struct {
		name string
		key  Key
		s    *served
		p    *federation.EndpointProbe
		want []probe.Target
	}{
		{"UDP only", shop, udp, nil, nil},
		{"off", shop, ports, &federation.EndpointProbe{Type: federation.ProbeNone}, nil},
		{"default", shop, ports, nil, []probe.Target{{Address: "192.0.2.8:30080"}, {Address: "[2001:db8::8]:30080"}}},
		{"a port by its Service's number", shop, ports, &federation.EndpointProbe{Port: &nine, TimeoutSeconds: &two},
			[]probe.Target{{Address: "192.0.2.8:30090", Timeout: 2 * time.Second}, {Address: "[2001:db8::8]:30090", Timeout: 2 * time.Second}}},
		{"an Ingress with TLS", front, secure, nil, []probe.Target{{Address: "192.0.2.9:443"}}},
		{"an Ingress over HTTP", front, secure, &federation.EndpointProbe{Type: federation.ProbeHTTP}, []probe.Target{{Address: "192.0.2.9:80", Type: federation.ProbeHTTP, Host: "shop.example.com"}}},
		{"an Ingress over HTTPS", front, secure, &federation.EndpointProbe{Type: federation.ProbeHTTPS, Host: "a.example.com", Path: "/x", ExpectedStatus: "204"},
			[]probe.Target{{Address: "192.0.2.9:443", Type: federation.ProbeHTTPS, Host: "a.example.com", Path: "/x", MinStatus: 204, MaxStatus: 204}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.Ask(test.key, test.p)
			c.Ask(other, test.p)
			c.saw("gondor", map[Key]*served{test.key: test.s})
			if test.key == shop { // the same twice is asked once
				c.saw("gondor", map[Key]*served{other: test.s})
			}
			got := map[probe.Target]bool{}
			for _, target := range c.Targets() {
				got[target] = true
			}
			for _, want := range test.want {
				want.Cluster = "gondor"
				if want.Type == "" {
					want.Type = federation.ProbeTCP
				}
				if !got[want] {
					t.Errorf("%+v is not asked", want)
				}
				delete(got, want)
			}
			if len(got) > 0 {
				t.Errorf("asked, too: %v", got)
			}
			c.saw("gondor", map[Key]*served{test.key: nil, other: nil})
			if left := c.Targets(); len(left) > 0 || len(c.Keys()) > 0 {
				t.Errorf("still asked: %v of %v", left, c.Keys())
			}
		})
	}
}

// TestStanding: what Clusters say.
func TestStanding(t *testing.T) {
	c := start(t, New("f", quick()))
	c.Ask(shop, &federation.EndpointProbe{Type: federation.ProbeNone})
	c.saw("gondor", map[Key]*served{shop: at(1, "192.0.2.1:80")})
	becomes(t, c, shop, dns.Healthy, ReasonReady, limit)
	c.stands(clusterOf("gondor", "True", func(o *federation.Cluster) {
		o.Spec.Taints = []corev1.Taint{{Key: federation.TaintDrain, Effect: corev1.TaintEffectNoExecute}}
	}), false)
	becomes(t, c, shop, dns.Draining, ReasonDraining, limit)
	c.stands(clusterOf("gondor", "True", nil), false)
	becomes(t, c, shop, dns.Healthy, ReasonReady, limit)
	c.stands(clusterOf("gondor", "Unknown", nil), false) // a moment of silence
	becomes(t, c, shop, dns.Healthy, ReasonReady, limit)
	c.stands(clusterOf("gondor", "Unknown", func(o *federation.Cluster) {
		o.Status.Conditions[0].LastTransitionTime = metav1.NewTime(time.Now().Add(-staleAfter + 100*time.Millisecond))
	}), false)
	becomes(t, c, shop, dns.Unknown, ReasonUnreachable, limit) // by itself
	c.stands(clusterOf("gondor", "Unknown", func(o *federation.Cluster) { o.Status.Verdict = &federation.Verdict{State: federation.VerdictDown} }), false)
	if o := becomes(t, c, shop, dns.Unhealthy, ReasonClusterDown, limit); o.Doubtful {
		t.Errorf("a verdict is certain: %+v", o)
	}
	c.stands(clusterOf("gondor", "True", nil), true)
	if left := c.Endpoints(shop); len(left) > 0 {
		t.Errorf("the cluster has left: %+v", left)
	}
}

// TestWitnesses: one more witness makes a doubtful state certain, or takes it back.
func TestWitnesses(t *testing.T) {
	c := start(t, New("f", quick()))
	address, _, stop := listen(t, "127.0.0.1:0")
	var alive atomic.Pointer[bool]
	c.Heed(func(target probe.Target) []probe.Sighting {
		_ = c.Targets() // a panel may ask for them at any time
		all := []probe.Sighting{{Witness: "gondor", At: time.Now()}, {Witness: "shire", At: time.Now().Add(-time.Hour), Alive: true}}
		if a := alive.Load(); a != nil {
			all = append(all, probe.Sighting{Witness: "rohan", At: time.Now(), Alive: *a})
		}
		return all
	})
	c.saw("gondor", map[Key]*served{shop: at(1, address)})
	becomes(t, c, shop, dns.Healthy, ReasonAnswers, limit)
	stop()
	if o := becomes(t, c, shop, dns.Unhealthy, ReasonNoAnswer, limit); !o.Doubtful {
		t.Errorf("only the control plane and the cluster itself looked: %+v", o)
	}
	alive.Store(new(bool))
	eventually(t, limit, func() string {
		if o := becomes(t, c, shop, dns.Unhealthy, ReasonNoAnswer, limit); o.Doubtful {
			return "a witness confirms, and it is in doubt"
		}
		return ""
	})
	alive.Store(new(true))
	becomes(t, c, shop, dns.Unknown, ReasonHoldDown, limit)
}

// TestRemember: after a restart what was known holds until the member was read, and is asked.
func TestRemember(t *testing.T) {
	address, _, stop := listen(t, "127.0.0.1:0")
	before := New("f", Options{})
	before.saw("gondor", map[Key]*served{shop: at(1, address)})
	o := before.Endpoints(shop)[0]
	o.State, o.Reason, o.Since = dns.Healthy, ReasonAnswers, time.Now().Add(-time.Hour)
	gone := Key{Kind: "Service", Namespace: "default", Name: "gone"}

	c := New("f", quick())
	var told atomic.Int64
	c.OnChange(func(Key) { told.Add(1) })
	c.Remember(shop, []Observed{o})
	c.Remember(gone, []Observed{o})
	if got := c.Endpoints(shop); len(got) != 1 || !got[0].same(o) || !got[0].Since.Equal(o.Since) || told.Load() != 0 {
		t.Errorf("remembered %+v, not %+v; told %d times", got, o, told.Load())
	}
	start(t, c)
	c.sawAll("gondor", serviceKind, map[Key]*served{shop: at(1, address)})
	if got := c.Endpoints(gone); len(got) > 0 {
		t.Errorf("the member has it no more: %+v", got)
	}
	eventually(t, limit, func() string {
		if c.Traffic("gondor").Alive != 1 {
			return "it was not asked"
		}
		return ""
	})
	if got := becomes(t, c, shop, dns.Healthy, ReasonAnswers, limit); !got.Since.Equal(o.Since) || told.Load() != 1 {
		t.Errorf("since %s, not %s; told %d times, not of what is gone alone", got.Since, o.Since, told.Load())
	}
	stop()
	becomes(t, c, shop, dns.Unhealthy, ReasonNoAnswer, limit)

	late := start(t, New("f", quick()))
	late.sawAll("gondor", serviceKind, map[Key]*served{shop: at(1, address)})
	becomes(t, late, shop, dns.Unknown, ReasonNoAnswer, limit)
	late.Remember(shop, []Observed{o})
	becomes(t, late, shop, dns.Unhealthy, ReasonNoAnswer, limit)
}

// TestHostnames: one that fails does not take the others with it, and its last answer holds.
func TestHostnames(t *testing.T) {
	var broken atomic.Bool
	c := start(t, New("f", Options{Resolve: func(_ context.Context, name string) (Resolved, error) {
		if name == "never.example.com" || broken.Load() {
			return Resolved{}, errors.New("no such name")
		}
		return Resolved{Addresses: []netip.Addr{addr("192.0.2.2"), addr("192.0.2.1")}, TTL: time.Second}, nil
	}}))
	none := &federation.EndpointProbe{Type: federation.ProbeNone}
	hidden := Key{Kind: "Service", Namespace: "default", Name: "hidden"}
	c.Ask(shop, none)
	c.Ask(hidden, none)
	c.saw("gondor", map[Key]*served{
		shop:   {place: place{hostnames: []string{"lb.example.com", "never.example.com"}}},
		hidden: {place: place{hostnames: []string{"never.example.com"}}},
	})
	if o := becomes(t, c, shop, dns.Healthy, ReasonReady, limit); len(o.Addresses) != 2 || len(o.Hostnames) != 2 || o.Ready != nil {
		t.Errorf("%+v", o)
	}
	if o := becomes(t, c, hidden, dns.Unknown, ReasonUnresolved, limit); len(o.Addresses) != 0 || len(o.Hostnames) != 1 {
		t.Errorf("%+v", o)
	}
	c.resolved("lb.example.com", Resolved{}, errors.New("the resolver is away"))
	if o := becomes(t, c, shop, dns.Healthy, ReasonReady, limit); len(o.Addresses) != 2 {
		t.Errorf("the last answer is gone: %+v", o)
	}
	c.mu.Lock()
	c.hosts["lb.example.com"].good = time.Now().Add(-lastGood - time.Second)
	c.mu.Unlock()
	broken.Store(true)
	c.resolved("lb.example.com", Resolved{}, errors.New("the resolver is away"))
	becomes(t, c, shop, dns.Unknown, ReasonUnresolved, limit)
	c.saw("gondor", map[Key]*served{shop: nil, hidden: nil})
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.hosts) > 0 {
		t.Errorf("still resolved: %v", c.hosts)
	}
}

// TestSize: 1,000 Services in 10 clusters take little memory, and are asked at most maxRate times a second.
func TestSize(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	c := New("f", Options{})
	for cluster := range 10 {
		all := map[Key]*served{}
		for i := range 1000 {
			a := netip.AddrFrom4([4]byte{127, byte(cluster), byte(i >> 8), byte(i)})
			all[Key{Kind: "Service", Namespace: "default", Name: fmt.Sprint("shop-", i)}] = at(2, netip.AddrPortFrom(a, 80).String())
		}
		c.sawAll(fmt.Sprint("cluster-", cluster), serviceKind, all)
	}
	if used := int64(heap()-before) >> 20; used > 32 {
		t.Errorf("10,000 endpoints take %d MiB", used)
	} else {
		t.Logf("10,000 endpoints take %d MiB", used)
	}
	for _, q := range c.questions {
		if rate := float64(len(c.questions)) / c.pause(q).Seconds(); rate > maxRate*10/9+1 {
			t.Fatalf("%.0f questions a second", rate)
		}
	}
}
