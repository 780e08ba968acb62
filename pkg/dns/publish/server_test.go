package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	miekg "github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"kubefed.dev/kubefed/internal/testprogram"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/server"
	"kubefed.dev/kubefed/pkg/kind"
)

// api is the federation API that the tests share.
var api struct {
	once   sync.Once
	config *rest.Config
	err    error
	stop   func()
}

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	code := m.Run()
	if api.stop != nil {
		api.stop()
	}
	os.Exit(code)
}

func federationAPI(t *testing.T) *rest.Config {
	t.Helper()
	api.once.Do(func() { api.config, api.stop, api.err = startAPI() })
	if api.err != nil {
		t.Fatal(api.err)
	}
	return rest.CopyConfig(api.config)
}

// startAPI starts federation-apiserver with the housekeepers that deletion needs.
func startAPI() (*rest.Config, func(), error) {
	binary, err := testprogram.Path("federation-apiserver")
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "publish")
	if err != nil {
		return nil, nil, err
	}
	var output bytes.Buffer
	cmd := exec.Command(binary, "--data-dir", dir, "--controllers=garbage-collector-controller,namespace-controller", "--secure-port=0",
		"--federation-name=earth", "--dns-zone-name="+testZone)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited
		_ = os.RemoveAll(dir)
	}
	why := errors.New("it was not asked")
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var config *rest.Config
		if config, why = clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "admin.kubeconfig")); why != nil {
			continue
		}
		config.QPS = -1
		var direct client.Client
		if direct, why = client.New(config, client.Options{Scheme: scheme()}); why != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		why = direct.List(ctx, &federation.GlobalEndpointsList{})
		cancel()
		if why == nil {
			return config, stop, nil
		}
	}
	stop()
	return nil, nil, fmt.Errorf("the federation API is not ready: %w\n%s", why, output.Bytes())
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(s), federation.AddToScheme(s)); err != nil {
		panic(err)
	}
	return s
}

// told is a Source that says what it was told.
type told struct {
	mu         sync.Mutex
	listener   func(Key)
	endpoints  map[Key]map[string]Observed
	unread     map[string]bool
	remembered map[Key][]Observed
	asked      map[Key]*federation.EndpointProbe
}

func newTold() *told {
	return &told{endpoints: map[Key]map[string]Observed{}, unread: map[string]bool{}, remembered: map[Key][]Observed{}, asked: map[Key]*federation.EndpointProbe{}}
}

func (s *told) OnChange(f func(Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = f
}

func (s *told) Endpoints(k Key) (out []Observed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.endpoints[k] {
		out = append(out, o)
	}
	return out
}

func (s *told) Read(_ Key, cluster string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.unread[cluster]
}

func (s *told) Ask(k Key, p *federation.EndpointProbe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[k] = p
}

func (s *told) Remember(k Key, o []Observed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remembered[k] = o
}

func (s *told) set(k Key, all ...Observed) {
	s.mu.Lock()
	if s.endpoints[k] == nil {
		s.endpoints[k] = map[string]Observed{}
	}
	for _, o := range all {
		s.endpoints[k][o.Cluster] = o
	}
	listener := s.listener
	s.mu.Unlock()
	if listener != nil {
		listener(k)
	}
}

// world is a federation with clusters and a publisher.
type world struct {
	t         *testing.T
	client    client.Client
	namespace string
	source    *told
	publisher *Publisher
	stop      func()

	mu     sync.Mutex
	writes []string
}

// clusterNames are the clusters of all tests, with their regions.
var clusterNames = []string{"gondor", "rohan"}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, err := client.New(federationAPI(t), client.Options{Scheme: scheme()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range clusterNames {
		cluster := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: federation.ClusterSpec{Server: "https://" + name + ".invalid", SecretName: name}}
		if err := client.IgnoreAlreadyExists(c.Create(t.Context(), cluster)); err != nil {
			t.Fatal(err)
		}
		cluster.Status = federation.ClusterStatus{Provider: "aws", Region: name + "-1", Zones: []string{name + "-1a"}}
		patch := fmt.Sprintf(`{"status":{"provider":"aws","region":"%s-1","zones":["%s-1a"],"verdict":null}}`, name, name)
		if err := c.Status().Patch(t.Context(), cluster, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	if err := c.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, client: c, namespace: namespace.Name, source: newTold()}
}

// run starts a publisher that writes to provider.
func (w *world) run(provider dns.Provider) {
	w.t.Helper()
	config := federationAPI(w.t)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return tripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet {
				w.mu.Lock()
				w.writes = append(w.writes, r.Method+" "+r.URL.Path)
				w.mu.Unlock()
			}
			return next.RoundTrip(r)
		})
	})
	mgr, err := manager.New(config, manager.Options{
		Scheme: scheme(), Logger: logr.Discard(), Cache: cache.Options{DefaultUnsafeDisableDeepCopy: ptr.To(true)},
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0", Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	catalog := kind.NewCatalog(discovery.NewDiscoveryClientForConfigOrDie(config), mgr.GetCache())
	w.publisher = New(Options{Federation: "earth", Zones: []Zone{{Name: testZone, Kind: "embedded", Provider: provider}},
		Fence: NewFence(mgr.GetAPIReader(), mgr.GetClient(), "earth", "test", false)},
		Clients{Cache: mgr.GetCache(), Client: mgr.GetClient(), Direct: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("dns")}, catalog, w.source)
	if err := errors.Join(mgr.Add(w.publisher), mgr.Add(catalog)); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the manager ended: %v", err)
		}
	})
	w.t.Cleanup(w.stop)
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// written counts the writes so far, but for events.
func (w *world) written() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.writes {
		if !strings.Contains(line, "/events") {
			n++
		}
	}
	return n
}

func (w *world) service(name string, annotations map[string]string) Key {
	w.t.Helper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Annotations: annotations},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
	if err := w.client.Create(w.t.Context(), service); err != nil {
		w.t.Fatal(err)
	}
	return Key{Kind: "Service", Namespace: w.namespace, Name: name}
}

func (w *world) name(k Key) dns.Names {
	return dns.Names{Service: k.Name, Namespace: k.Namespace, Federation: "earth", Domain: testZone}
}

// published is an object's GlobalEndpoints, and why it is not as asked.
func (w *world) published(k Key, want func(*federation.GlobalEndpoints) string) {
	w.t.Helper()
	at := kind.Kind{Resource: "services"}.DecisionKey(k.Namespace, k.Name)
	eventually(w.t, func() string {
		g := &federation.GlobalEndpoints{}
		if err := w.client.Get(w.t.Context(), at, g); err != nil {
			return err.Error()
		}
		if why := want(g); why != "" {
			return fmt.Sprintf("%s: %+v", why, g.Status)
		}
		return ""
	})
}

// reason wants the condition Published to have a reason.
func reason(want string) func(*federation.GlobalEndpoints) string {
	return func(g *federation.GlobalEndpoints) string {
		if c := meta.FindStatusCondition(g.Status.Conditions, federation.EndpointsPublished); c == nil || c.Reason != want {
			return fmt.Sprintf("Published is %+v, want reason %s", c, want)
		}
		return ""
	}
}

// serve starts an embedded server on a directory.
func serve(t *testing.T, dir string) (*server.Server, func()) {
	t.Helper()
	s, err := server.New(server.Config{Listen: []string{"127.0.0.1:0"}, Directory: dir, RateLimit: -1, Log: logr.Discard(),
		Zones: []server.Zone{{Name: testZone, Servers: map[string][]netip.Addr{"ns1." + testZone: {netip.MustParseAddr("127.0.0.1")}}}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() { cancel(); s.Wait() })
	t.Cleanup(stop)
	return s, stop
}

// ask asks a server for the addresses of a name.
func ask(t *testing.T, s *server.Server, name string) (found []string) {
	t.Helper()
	reply, _, err := (&miekg.Client{Net: "tcp", Timeout: 5 * time.Second}).Exchange(new(miekg.Msg).SetQuestion(name, miekg.TypeA), s.Addresses()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	for _, rr := range reply.Answer {
		if a, ok := rr.(*miekg.A); ok {
			found = append(found, a.A.String())
		}
	}
	slices.Sort(found)
	return found
}

func answers(t *testing.T, s *server.Server, name string, want ...string) {
	t.Helper()
	eventually(t, func() string {
		if got := ask(t, s, name); !slices.Equal(got, want) {
			return fmt.Sprintf("%s answers %v, want %v", name, got, want)
		}
		return ""
	})
}

// TestPublish goes with a Service from its creation to its deletion, over a restart that knows nothing.
func TestPublish(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	dnsServer, stopServer := serve(t, dir)
	w.run(dnsServer)
	web := w.service("web", map[string]string{federation.AnnotationDNSProbe: "tcp:80"})
	w.source.set(web, at("gondor", dns.Healthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2"))
	n := w.name(web)
	answers(t, dnsServer, n.Global(), "192.0.2.1", "192.0.2.2")
	answers(t, dnsServer, n.Zone("gondor-1a", "gondor-1"), "192.0.2.1")
	w.published(web, reason(federation.ReasonPublished))
	w.published(web, func(g *federation.GlobalEndpoints) string {
		if g.Status.Where != "gondor Healthy, rohan Healthy" || len(g.Status.Published) != 2 || len(g.Status.Zones) != 1 || g.Spec.Settings.Probe == nil {
			return "not told as it is"
		}
		return ""
	})
	eventually(t, func() string {
		f := &federation.Federation{}
		if err := w.client.Get(t.Context(), client.ObjectKey{Name: "earth"}, f); err != nil {
			return err.Error()
		}
		if len(f.Status.Zones) != 1 || f.Status.Zones[0].State != "Ready" || f.Status.Zones[0].Names == 0 {
			return fmt.Sprintf("zones %+v", f.Status.Zones)
		}
		return ""
	})

	began := time.Now()
	w.source.set(web, at("gondor", dns.Unhealthy, "192.0.2.1"))
	answers(t, dnsServer, n.Global(), "192.0.2.2")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("an endpoint that failed left the zone after %s", took)
	} else {
		t.Logf("an endpoint that failed left the zone after %s", took)
	}
	w.source.set(web, at("gondor", dns.Healthy, "192.0.2.1"))
	answers(t, dnsServer, n.Global(), "192.0.2.1", "192.0.2.2")
	w.published(web, func(g *federation.GlobalEndpoints) string {
		if len(g.Status.Published) != 2 {
			return "not all published"
		}
		return ""
	})

	// A restart: the server answers at once, the publisher knows no member, and what was known is remembered.
	w.stop()
	stopServer()
	dnsServer, _ = serve(t, dir)
	if got := ask(t, dnsServer, n.Global()); len(got) != 2 {
		t.Errorf("after a restart %s answers %v", n.Global(), got)
	}
	before := version(t, dnsServer)
	w.source = newTold()
	w.source.unread = map[string]bool{"gondor": true, "rohan": true}
	w.run(dnsServer)
	eventually(t, func() string {
		w.source.mu.Lock()
		defer w.source.mu.Unlock()
		if len(w.source.remembered[web]) != 2 {
			return fmt.Sprintf("remembered is %+v", w.source.remembered[web])
		}
		return ""
	})
	w.published(web, func(g *federation.GlobalEndpoints) string {
		if g.Status.Clusters[0].Reason != reasonNotRead {
			return "the restart is not told"
		}
		return ""
	})
	if now := version(t, dnsServer); now != before {
		t.Errorf("a restart without knowledge took the zone from %s to %s", before, now)
	}

	// gondor has lost the Service, as far as its members say.
	w.source.mu.Lock()
	w.source.unread = nil
	w.source.mu.Unlock()
	w.source.set(web, at("rohan", dns.Healthy, "192.0.2.2"))
	answers(t, dnsServer, n.Global(), "192.0.2.2")

	if err := w.client.Delete(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: web.Namespace, Name: web.Name}}); err != nil {
		t.Fatal(err)
	}
	answers(t, dnsServer, n.Global())
	eventually(t, func() string {
		var all federation.GlobalEndpointsList
		if err := w.client.List(t.Context(), &all, client.InNamespace(w.namespace)); err != nil || len(all.Items) > 0 {
			return fmt.Sprintf("%d GlobalEndpoints are left, %v", len(all.Items), err)
		}
		return ""
	})
}

// TestClusters: verdicts, drills and drains take a cluster's endpoints out, and a cluster that leaves takes its names along.
func TestClusters(t *testing.T) {
	w := newWorld(t)
	memory := dns.NewMemory(dns.Limits{}, testZone)
	w.run(memory)
	web := w.service("web", nil)
	w.source.set(web, at("gondor", dns.Healthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2"))
	n := w.name(web)
	holds := func(name string, want ...string) {
		t.Helper()
		eventually(t, func() string {
			if got := addresses(t, memory, name); !slices.Equal(got, want) {
				return fmt.Sprintf("%s answers %v, want %v", name, got, want)
			}
			return ""
		})
	}
	patch := func(status bool, text string) {
		t.Helper()
		c := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "gondor"}}
		p := client.RawPatch("application/merge-patch+json", []byte(text))
		err := w.client.Patch(t.Context(), c, p)
		if status {
			err = w.client.Status().Patch(t.Context(), c, p)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	holds(n.Global(), "192.0.2.1", "192.0.2.2")
	patch(true, `{"status":{"verdict":{"state":"Down","since":"2026-01-01T00:00:00Z"}}}`)
	holds(n.Global(), "192.0.2.2")
	patch(true, `{"status":{"verdict":{"state":"Unreachable","since":"2026-01-01T00:00:00Z"}}}`)
	holds(n.Global(), "192.0.2.1", "192.0.2.2")
	patch(false, `{"metadata":{"annotations":{"federation.kubefed.dev/drill":"tuesday/DNS"}}}`)
	holds(n.Global(), "192.0.2.2")
	patch(false, `{"metadata":{"annotations":{"federation.kubefed.dev/drill":null}}}`)
	holds(n.Global(), "192.0.2.1", "192.0.2.2")
	w.published(web, reason(federation.ReasonPublished))
	patch(false, `{"spec":{"taints":[{"key":"federation.kubefed.dev/drain","effect":"NoExecute"}]}}`)
	holds(n.Global(), "192.0.2.2")
	holds(n.Cluster("gondor"), "192.0.2.1")
	w.published(web, func(g *federation.GlobalEndpoints) string {
		if c := g.Status.Clusters[0]; c.State != "Draining" || c.Published || c.ReleasedAt != nil {
			return "the drain is not told, or its end too early"
		}
		return ""
	})
	patch(false, `{"spec":{"taints":null}}`)
	holds(n.Global(), "192.0.2.1", "192.0.2.2")

	// In the API the cluster waits for its finalizers; its names go at once.
	if err := w.client.Delete(t.Context(), &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "gondor"}}); err != nil {
		t.Fatal(err)
	}
	holds(n.Global(), "192.0.2.2")
	eventually(t, func() string {
		s, err := memory.Records(t.Context(), testZone)
		for _, set := range s.Sets {
			if err == nil && strings.Contains(set.Name, "gondor") {
				return set.Name + " is left of the cluster"
			}
		}
		return ""
	})
}

// TestRest: many Services cost no write once they are published, also over the next reading of the zone.
func TestRest(t *testing.T) {
	w := newWorld(t)
	memory := dns.NewMemory(dns.Limits{}, testZone)
	w.run(memory)
	const services = 50
	for i := range services {
		k := w.service(fmt.Sprintf("s%d", i), nil)
		w.source.set(k, at("gondor", dns.Healthy, fmt.Sprintf("192.0.2.%d", i)), at("rohan", dns.Healthy, fmt.Sprintf("198.51.100.%d", i)))
	}
	last, since := 0, time.Now()
	eventually(t, func() string {
		if n := w.written(); n != last || n < 2*services {
			last, since = n, time.Now()
		}
		if time.Since(since) < time.Second {
			return fmt.Sprintf("%d writes so far", last)
		}
		return ""
	})
	t.Logf("%d writes for %d Services", last, services)
	rest := version(t, memory)
	w.publisher.workers[0].again(nil, true)
	w.publisher.workers[0].poke()
	w.publisher.inbox.addAll()
	w.publisher.writer.mark(w.publisher.board.refs()...)
	time.Sleep(500 * time.Millisecond) // that nothing happens
	if n := w.written(); n != last {
		t.Errorf("%d writes at rest", n-last)
	}
	if now := version(t, memory); now != rest {
		t.Errorf("the zone went from %s to %s at rest", rest, now)
	}
}

// TestAdmission: what can't be published is refused when it is written.
func TestAdmission(t *testing.T) {
	w := newWorld(t)
	bad := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "bad", Annotations: map[string]string{federation.AnnotationDNSTTL: "soon"}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}}}
	if err := w.client.Create(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "dns-ttl") || !strings.Contains(err.Error(), "whole seconds") {
		t.Errorf("a TTL that is none: %v", err)
	}
	bad.Annotations = nil
	if err := w.client.Create(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	bad.Annotations = map[string]string{federation.AnnotationDNSRouting: "best"}
	if err := w.client.Update(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "Nearest") {
		t.Errorf("a routing that is none: %v", err)
	}
	all := &federation.Federation{ObjectMeta: metav1.ObjectMeta{Name: "earth-" + w.namespace}}
	for value, want := range map[string]string{"now": "is not a time", "2999-01-01T00:00:00Z": "in the future"} {
		all.Annotations = map[string]string{federation.AnnotationDNSConfirmRemovals: value}
		if err := w.client.Create(t.Context(), all); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("removals confirmed at %s: %v", value, err)
		}
	}
}
