package placement_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
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
	"github.com/go-logr/logr/testr"
	dto "github.com/prometheus/client_model/go"
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
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"kubefed.dev/kubefed/internal/testprogram"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/placement"
)

// server is the federation API that the tests share; startServer fills it.
var server struct {
	once   sync.Once
	config *rest.Config
	err    error
	stop   func()
}

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	code := m.Run()
	if server.stop != nil {
		server.stop()
	}
	os.Exit(code)
}

// federationAPI starts federation-apiserver without controllers, once.
func federationAPI(t testing.TB) *rest.Config {
	t.Helper()
	server.once.Do(func() { server.config, server.stop, server.err = startServer() })
	if server.err != nil {
		t.Fatal(server.err)
	}
	return rest.CopyConfig(server.config)
}

func startServer() (*rest.Config, func(), error) {
	binary, err := testprogram.Path("federation-apiserver")
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "placement")
	if err != nil {
		return nil, nil, err
	}
	var output bytes.Buffer
	cmd := exec.Command(binary, "--data-dir", dir, "--controllers=", "--secure-port=0")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting the federation API: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited
		_ = os.RemoveAll(dir)
	}
	config, err := connect(filepath.Join(dir, "admin.kubeconfig"), exited)
	if err != nil {
		if errors.Is(err, errExited) {
			exited <- nil
		}
		stop()
		return nil, nil, fmt.Errorf("%w\n%s", err, output.Bytes())
	}
	return config, stop, nil
}

var errExited = errors.New("the federation API ended")

// connect waits until the server has written its kubeconfig and serves the federation's kinds.
func connect(kubeconfig string, exited <-chan error) (*rest.Config, error) {
	why := errors.New("it was not asked")
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-exited:
			return nil, fmt.Errorf("%w: %w", errExited, err)
		default:
		}
		var config *rest.Config
		if config, why = clientcmd.BuildConfigFromFlags("", kubeconfig); why != nil {
			continue
		}
		config.QPS = -1
		var direct client.Client
		if direct, why = client.New(config, client.Options{Scheme: scheme()}); why != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		why = errors.Join(direct.List(ctx, &federation.ClusterList{}), direct.List(ctx, &federation.PlacementDecisionList{}))
		cancel()
		if why == nil {
			return config, nil
		}
	}
	return nil, fmt.Errorf("the federation API is not ready: %w", why)
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(s), federation.AddToScheme(s)); err != nil {
		panic(err)
	}
	return s
}

// running is a placement controller in a manager of its own.
type running struct {
	writes  *recorder
	cache   cache.Cache
	catalog *kind.Catalog
	stop    func()
}

// run starts placement as federation-apiserver does and stops it with the test, or earlier by stop.
func run(t testing.TB) *running {
	t.Helper()
	r := &running{writes: &recorder{}}
	config := federationAPI(t)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return r.writes.through(next) })
	options := manager.Options{
		Scheme: scheme(), Logger: logr.Discard(),
		Cache:                  cache.Options{DefaultUnsafeDisableDeepCopy: ptr.To(true)},
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		Controller:             ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
	}
	if test, ok := t.(*testing.T); ok && testing.Verbose() {
		options.Logger = testr.NewWithOptions(test, testr.Options{})
	}
	mgr, err := manager.New(config, options)
	if err != nil {
		t.Fatal(err)
	}
	r.cache, r.catalog = mgr.GetCache(), kind.NewCatalog(discovery.NewDiscoveryClientForConfigOrDie(config), mgr.GetCache())
	if err := errors.Join(placement.Add(mgr, r.catalog, placement.Options{}), mgr.Add(r.catalog)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended: %v", err)
		}
	})
	t.Cleanup(r.stop)
	eventually(t, func() error {
		if !r.catalog.Synced() {
			return errors.New("the catalog is not synced")
		}
		return nil
	})
	return r
}

// recorder notes every request that writes.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) through(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Method != http.MethodGet {
			r.mu.Lock()
			r.lines = append(r.lines, req.Method+" "+strings.TrimPrefix(req.URL.Path, "/apis/federation.kubefed.dev/v1alpha1/"))
			r.mu.Unlock()
		}
		return next.RoundTrip(req)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// in lists the writes in a namespace so far, oldest first.
func (r *recorder) in(namespace string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := []string{}
	for _, line := range r.lines {
		if method, rest, ok := strings.Cut(line, " namespaces/"+namespace+"/placementdecisions"); ok {
			lines = append(lines, strings.TrimSpace(method+" "+strings.TrimPrefix(rest, "/")))
		}
	}
	return lines
}

// eventually waits until check returns nil, and says why it did not.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	var why error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if why = check(); why == nil {
			return
		}
	}
	t.Fatalf("still waiting: %v", why)
}

// decided counts the decisions made by this process with one result.
func decided(t testing.TB, result string) int {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "kubefed_placement_decisions_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			if slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() == result }) {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}
