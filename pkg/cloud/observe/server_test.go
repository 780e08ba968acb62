package observe_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"kubefed.dev/kubefed/internal/testprogram"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/observe"
)

// simulated is a cloud whose state a test sets.
type simulated struct {
	mu        sync.Mutex
	zones     map[string][]cloud.Zone // by region
	err       error
	hangs     bool
	asked     map[string]int
	balancers []cloud.Balancer
}

func (s *simulated) set(f func(*simulated)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *simulated) times(region string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[region]
}

func (s *simulated) Zones(ctx context.Context, region string) ([]cloud.Zone, error) {
	s.mu.Lock()
	s.asked[region]++
	zones, err, hangs := s.zones[region], s.err, s.hangs
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return zones, err
}

func (s *simulated) Find(_ context.Context, _ string, names []string) ([]cloud.Balancer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.balancers, s.err
}

func (s *simulated) clients(context.Context) (observe.Clients, error) {
	return observe.Clients{Regions: s, Balancers: s}, nil
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(s), federation.AddToScheme(s)); err != nil {
		panic(err)
	}
	return s
}

// serve starts federation-apiserver without controllers, for the time of a test.
func serve(t *testing.T) (client.Client, *rest.Config) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cloud") // short: a unix socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	testprogram.Start(t, filepath.Join(dir, "log"), "federation-apiserver", "--data-dir", filepath.Join(dir, "d"), "--controllers=", "--secure-port=0")
	var direct client.Client
	var config *rest.Config
	eventually(t, 90*time.Second, func() error {
		if config, err = clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "d", "admin.kubeconfig")); err != nil {
			return err
		}
		config.QPS = -1
		if direct, err = client.New(config, client.Options{Scheme: scheme()}); err != nil {
			return err
		}
		return direct.List(t.Context(), &federation.ClusterList{})
	})
	return direct, config
}

func eventually(t testing.TB, patience time.Duration, check func() error) {
	t.Helper()
	var why error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if why = check(); why == nil {
			return
		}
	}
	t.Fatalf("still waiting: %v", why)
}

// control runs an Observer as federation-apiserver does.
func control(t *testing.T, config *rest.Config, o *observe.Observer) {
	t.Helper()
	mgr, err := manager.New(config, manager.Options{
		Scheme: scheme(), Logger: logr.Discard(), Cache: cache.Options{DefaultUnsafeDisableDeepCopy: ptr.To(true)},
		Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0", Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.SetupWithManager(mgr, mgr.GetClient()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended: %v", err)
		}
	})
}

// where makes a Cluster of which it is known where it is.
func where(t *testing.T, api client.Client, name, provider, region string, zones ...string) {
	t.Helper()
	c := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: federation.ClusterSpec{Server: "https://127.0.0.1:1", SecretName: "cluster-" + name}}
	if err := api.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c.Status = federation.ClusterStatus{Provider: provider, Region: region, Zones: zones}
	if err := api.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, api client.Client, name string) *federation.Cluster {
	t.Helper()
	c := &federation.Cluster{}
	if err := api.Get(t.Context(), client.ObjectKey{Name: name}, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// says waits until CloudKnown has a reason, and the first zone a state.
func says(t *testing.T, api client.Client, name, reason, state string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		c := read(t, api, name)
		known := meta.FindStatusCondition(c.Status.Conditions, federation.ClusterCloudKnown)
		if known == nil || known.Reason != reason {
			return fmt.Errorf("condition of %s: %+v, want %s", name, known, reason)
		}
		if state != "" && (len(c.Status.Cloud.Zones) == 0 || c.Status.Cloud.Zones[0].State != state) {
			return fmt.Errorf("%s: %+v, want %s", name, c.Status.Cloud, state)
		}
		return nil
	})
}

func TestObserver(t *testing.T) {
	api, config := serve(t)
	aws := &simulated{asked: map[string]int{}, zones: map[string][]cloud.Zone{
		"us-east-1": {{Name: "us-east-1a", ID: "use1-az6", State: cloud.ZoneAvailable}, {Name: "us-east-1b", State: cloud.ZoneAvailable}}}}
	gcp := &simulated{asked: map[string]int{}, hangs: true}
	o := observe.New([]observe.Source{{Name: "prod", Provider: "aws", Open: aws.clients}, {Name: "earth", Provider: "gcp", Open: gcp.clients}},
		observe.Options{Period: 50 * time.Millisecond, Timeout: 500 * time.Millisecond, Published: func(c string) []string {
			return map[string][]string{"gondor": {"LB.example.", "192.0.2.1"}}[c]
		}})
	control(t, config, o)
	where(t, api, "rohan", "gcp", "europe-west4", "europe-west4-a")
	where(t, api, "gondor", "aws", "us-east-1", "us-east-1a", "us-east-1b")
	where(t, api, "arnor", "aws", "us-east-1", "us-east-1b")
	where(t, api, "shire", "on-premises", "lab", "rack-1")

	// One cloud that hangs delays nobody, and is told of.
	says(t, api, "gondor", federation.ReasonCloudAnswers, "Available")
	says(t, api, "arnor", federation.ReasonCloudAnswers, "Available")
	says(t, api, "rohan", "Unavailable", "")
	if c := read(t, api, "shire"); c.Status.Cloud != nil || len(c.Status.Conditions) > 0 {
		t.Errorf("nobody knows of shire: %+v", c.Status)
	}

	// Asked again and again, and nothing written.
	before, asked := read(t, api, "gondor").ResourceVersion, aws.times("us-east-1")
	eventually(t, 30*time.Second, func() error {
		if n := aws.times("us-east-1"); n < asked+10 {
			return fmt.Errorf("asked %d times", n-asked)
		}
		return nil
	})
	if after := read(t, api, "gondor").ResourceVersion; after != before {
		t.Errorf("written at rest: %s, then %s", before, after)
	}
	if s := o.Signal(read(t, api, "gondor")); s.Says != federation.SaysAlive {
		t.Errorf("%+v", s)
	}

	aws.set(func(s *simulated) {
		s.zones = map[string][]cloud.Zone{"us-east-1": {{Name: "us-east-1a", State: cloud.ZoneImpaired, Message: "power"}, {Name: "us-east-1b", State: cloud.ZoneAvailable}}}
		s.balancers = []cloud.Balancer{{Hostname: "lb.example", Healthy: 1, Targets: 3}, {Addresses: []string{"192.0.2.1"}, Healthy: 2, Targets: 2}}
	})
	says(t, api, "gondor", federation.ReasonCloudAnswers, "Impaired")
	if s := o.Signal(read(t, api, "gondor")); s.Says != federation.SaysImpaired || !strings.Contains(s.Message, "us-east-1a is impaired (power)") {
		t.Errorf("%+v", s)
	}
	if s := o.Signal(read(t, api, "arnor")); s.Says != federation.SaysAlive {
		t.Errorf("%+v", s)
	}
	eventually(t, 30*time.Second, func() error {
		list := read(t, api, "gondor").Status.Cloud.Balancers
		if len(list) != 1 || list[0] != (federation.CloudBalancer{Name: "LB.example.", Healthy: 1, Targets: 3}) {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	if healthy, targets, known := o.Balancer("gondor", "lb.example"); healthy != 1 || targets != 3 || !known {
		t.Errorf("%d of %d, %v", healthy, targets, known)
	}

	// Credentials revoked: unknown, nothing lost; and back.
	aws.set(func(s *simulated) {
		s.err = &cloud.Error{Kind: cloud.Denied, Operation: "ec2:DescribeAvailabilityZones in us-east-1"}
	})
	says(t, api, "gondor", "Denied", "Impaired")
	says(t, api, "arnor", "Denied", "Available")
	aws.set(func(s *simulated) { s.err = nil })
	says(t, api, "gondor", federation.ReasonCloudAnswers, "Impaired")
	eventually(t, 10*time.Second, func() error { return events(t, api, "gondor", "CloudUnknown", "CloudKnown") })

	// A cluster that left is asked for no more.
	for _, name := range []string{"gondor", "arnor"} {
		if err := api.Delete(t.Context(), read(t, api, name)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 30*time.Second, func() error {
		n := aws.times("us-east-1")
		time.Sleep(300 * time.Millisecond)
		if m := aws.times("us-east-1"); m != n {
			return fmt.Errorf("still asked: %d, then %d", n, m)
		}
		return nil
	})
}

// events are told once for each transition.
func events(t *testing.T, api client.Client, name string, reasons ...string) error {
	var list eventsv1.EventList
	if err := api.List(t.Context(), &list); err != nil {
		return err
	}
	count := map[string]int{}
	for _, e := range list.Items {
		if e.Regarding.Name == name {
			count[e.Reason]++
			if e.Series != nil {
				count[e.Reason] += int(e.Series.Count) - 1
			}
		}
	}
	for _, reason := range reasons {
		if count[reason] != 1 {
			return fmt.Errorf("events %v, want one %s", count, reason)
		}
	}
	return nil
}
