package traffic

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
)

// nameserver is a real one that answers with some records, and counts the questions.
func nameserver(t *testing.T, records ...string) (address string, asked *atomic.Int64, answer func(...string)) {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked = &atomic.Int64{}
	var now atomic.Value
	now.Store(records)
	server := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		asked.Add(1)
		m := new(dns.Msg).SetReply(question)
		for _, text := range now.Load().([]string) {
			rr, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			if kind := rr.Header().Rrtype; kind == question.Question[0].Qtype || kind == dns.TypeCNAME {
				m.Answer = append(m.Answer, rr)
			}
		}
		if len(now.Load().([]string)) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return socket.LocalAddr().String(), asked, func(records ...string) { now.Store(records) }
}

func TestResolverKeepsAnswersForTheirTime(t *testing.T) {
	server, asked, answer := nameserver(t, "web.example. 20 IN A 127.0.0.2", "web.example. 5 IN A 127.0.0.3")
	r, now := newResolver(), time.Now()
	r.now = func() time.Time { return now }
	look := func(turn int) string {
		address, ttl, err := r.address(t.Context(), "web.example", []string{server}, turn)
		if err != nil {
			return err.Error()
		}
		return address + " " + ttl.String()
	}
	if a, b := look(0), look(1); a == b || !strings.HasSuffix(a, " 5s") || asked.Load() != 1 {
		t.Errorf("addresses %q, %q after %d questions", a, b, asked.Load())
	}
	answer("web.example. 5 IN A 127.0.0.3")
	now = now.Add(4 * time.Second)
	if a, b := look(0), look(1); a == b || asked.Load() != 1 {
		t.Errorf("within the time to live: %q, %q after %d questions", a, b, asked.Load())
	}
	now = now.Add(time.Second)
	if a, b := look(0), look(1); a != "127.0.0.3 5s" || b != a || asked.Load() != 2 {
		t.Errorf("afterwards: %q, %q after %d questions", a, b, asked.Load())
	}
	answer()
	now = now.Add(5 * time.Second)
	if got := look(0); !strings.Contains(got, "NXDOMAIN") {
		t.Errorf("a name that is gone: %q", got)
	}
	answer("web.example. 5 IN CNAME lb.example.", "lb.example. 3 IN A 127.0.0.4")
	if got := look(0); got != "127.0.0.4 3s" {
		t.Errorf("an alias, after a failure that is not kept: %q", got)
	}
}

func TestResolverAsksTheNextServer(t *testing.T) {
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := closed.LocalAddr().String()
	closed.Close()
	server, _, _ := nameserver(t, "web.example. 20 IN A 127.0.0.2")
	for range 2 {
		if addresses, _, err := lookup(t.Context(), "web.example", []string{dead, server}, 0); err != nil || addresses[0] != "127.0.0.2" {
			t.Errorf("addresses %v, error %v", addresses, err)
		}
	}
	if _, _, err := lookup(t.Context(), "web.example", nil, 0); err == nil {
		t.Error("an answer without a server")
	}
}

// TestLoad: real requests through a real server of names, to a web server that fails for a while.
func TestLoad(t *testing.T) {
	var broken atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() || r.Host != "web.example" || r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer web.Close()
	server, _, _ := nameserver(t, "web.example. 1 IN A 127.0.0.1")
	_, port, err := net.SplitHostPort(web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l := Start(Subject{
		Key: "shop/web", Hostname: "web.example", Servers: []string{server}, Port: port, Rate: 100,
		Target:   probe.Target{Type: federation.ProbeHTTP, Host: "web.example", Path: "/healthz"},
		Clusters: map[string]string{"127.0.0.1": "gondor"},
	}, federation.DrillServiceResult{Requests: 1000, Failed: 10}, 10*time.Second)
	defer l.Stop()
	until := func(why string, ok func(federation.DrillServiceResult) bool) federation.DrillServiceResult {
		t.Helper()
		var got federation.DrillServiceResult
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if got, _, _ = l.Result(); ok(got) {
				return got
			}
		}
		t.Fatalf("still waiting for %s: %+v", why, got)
		return got
	}
	well := until("requests", func(r federation.DrillServiceResult) bool { return r.Requests >= 1020 })
	if well.Failed != 10 || well.TTLSeconds != 1 || well.Hostname != "web.example" {
		t.Errorf("before: %+v", well)
	}
	broken.Store(true)
	until("failures", func(r federation.DrillServiceResult) bool {
		return r.Failed >= 15 && strings.Contains(r.LastError, "503")
	})
	broken.Store(false)
	failed := until("an end of failures", func(r federation.DrillServiceResult) bool {
		return time.Since(r.LastFailure.Time) > 500*time.Millisecond
	})
	if len(failed.Outages) != 1 || failed.Outages[0].Failed != failed.Failed-10 || failed.Clusters[0].Name != "gondor" || failed.Clusters[0].Failed != failed.Failed-10 {
		t.Errorf("afterwards: %+v", failed)
	}
	if _, recent, bad := l.Result(); bad != failed.Failed-10 || recent <= bad {
		t.Errorf("%d of the %d latest failed, want %d", bad, recent, failed.Failed-10)
	}
}

func TestRecord(t *testing.T) {
	zero := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return zero.Add(time.Duration(seconds * float64(time.Second))) }
	micro := func(seconds float64) *metav1.MicroTime { return &metav1.MicroTime{Time: at(seconds)} }
	bad := errors.New("refused")
	r := &record{window: 10 * time.Second}
	r.setTimes(federation.DrillTimes{Injected: micro(0), Withdrawn: micro(10), Restoring: micro(60)})
	for _, o := range []outcome{
		{sent: at(1), err: bad, cluster: "gondor", ttl: 5 * time.Second},
		{sent: at(0.5), err: bad, cluster: "gondor"}, // it was sent before, and ended after
		{sent: at(1.8), err: bad},                    // no address
		{sent: at(14), err: bad},                     // in a cache still
		{sent: at(16), err: bad},                     // late
		{sent: at(61), err: bad},                     // while it is taken back
		{sent: at(62)},
	} {
		r.add(o, o.sent.Add(time.Second))
	}
	got, recent, failed := r.read(at(64))
	want := federation.DrillServiceResult{
		Requests: 7, Failed: 6, FailedLate: 1, FailedInRestore: 1, FirstFailure: micro(0.5), LastFailure: micro(61), LastError: "refused", TTLSeconds: 5,
		Outages:  []federation.DrillOutage{{From: *micro(0.5), To: *micro(1.8), Failed: 3}, {From: *micro(14), To: *micro(14), Failed: 1}, {From: *micro(16), To: *micro(16), Failed: 1}, {From: *micro(61), To: *micro(61), Failed: 1}},
		Clusters: []federation.DrillAnswers{{Name: "gondor", Requests: 2, Failed: 2}},
	}
	if diff := cmp.Diff(want, got); diff != "" || recent != 2 || failed != 1 {
		t.Errorf("%d of %d latest failed (-want +got):\n%s", failed, recent, diff)
	}
	for i := range 1000 {
		r.add(outcome{sent: at(100 + 3*float64(i)), err: bad, cluster: strings.Repeat("x", i%100)}, at(100))
	}
	if got, _, _ := r.read(at(100)); len(got.Outages) > outagesLimit || len(got.Clusters) > clustersLimit || got.Failed != 1006 {
		t.Errorf("%d outages, %d clusters, %d failed", len(got.Outages), len(got.Clusters), got.Failed)
	}
}
