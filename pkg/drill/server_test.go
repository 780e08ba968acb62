package drill_test

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
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"kubefed.dev/kubefed/internal/testprogram"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/drill"
)

// serve starts federation-apiserver without controllers, for the time of a test.
func serve(t *testing.T) (client.Client, *rest.Config) {
	t.Helper()
	dir, err := os.MkdirTemp("", "drill") // short: a unix socket's path must be
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
		return direct.List(t.Context(), &federation.FailoverDrillList{})
	})
	return direct, config
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(s), federation.AddToScheme(s)); err != nil {
		panic(err)
	}
	return s
}

// control runs the controller as federation-apiserver does, until stop.
func control(t *testing.T, config *rest.Config) (stop func()) {
	t.Helper()
	mgr, err := manager.New(config, manager.Options{
		Scheme: scheme(), Logger: logr.Discard(),
		Cache:   cache.Options{DefaultUnsafeDisableDeepCopy: ptr.To(true)},
		Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := drill.New("fellowship", mgr.GetClient(), discovery.NewDiscoveryClientForConfigOrDie(config)).SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
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

// member makes a Cluster that is ready.
func member(t *testing.T, api client.Client, name string, taints ...corev1.Taint) {
	t.Helper()
	c := &federation.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       federation.ClusterSpec{Server: "https://127.0.0.1:1", SecretName: "cluster-" + name, Provider: "aws", Taints: taints},
	}
	if err := api.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	health(t, api, name, true)
}

func health(t *testing.T, api client.Client, name string, ready bool) {
	t.Helper()
	c := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
		t.Fatal(err)
	}
	before := c.DeepCopy()
	condition := metav1.Condition{Type: federation.ClusterReady, Status: metav1.ConditionTrue, Reason: federation.ReasonClusterReady}
	if !ready {
		condition.Status, condition.Reason = metav1.ConditionFalse, federation.ReasonClusterNotReachable
	}
	meta.SetStatusCondition(&c.Status.Conditions, condition)
	if err := api.Status().Patch(t.Context(), c, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

func rehearse(t *testing.T, api client.Client, name, mode, target string, seconds int) {
	t.Helper()
	d := &federation.FailoverDrill{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: federation.FailoverDrillSpec{
		Mode: mode, Targets: []federation.DrillTarget{{Cluster: target}}, Duration: &metav1.Duration{Duration: time.Duration(seconds) * time.Second},
	}}
	if err := api.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, api client.Client, name string) *federation.FailoverDrill {
	t.Helper()
	d := &federation.FailoverDrill{}
	if err := api.Get(t.Context(), client.ObjectKey{Name: name}, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// until waits for a phase.
func until(t *testing.T, api client.Client, name, phase string) *federation.FailoverDrill {
	t.Helper()
	var d *federation.FailoverDrill
	eventually(t, 60*time.Second, func() error {
		if d = read(t, api, name); d.Status.Phase == phase {
			return nil
		}
		return fmt.Errorf("drill %s is %s: %+v", name, d.Status.Phase, d.Status.Conditions)
	})
	return d
}

// marks are what a Cluster carries: its annotation, and the values of its drain taints.
func marks(t *testing.T, api client.Client, name string) string {
	t.Helper()
	c := &federation.Cluster{}
	if err := api.Get(t.Context(), client.ObjectKey{Name: name}, c); err != nil {
		t.Fatal(err)
	}
	words := []string{c.Annotations[federation.AnnotationDrill]}
	for _, taint := range c.Spec.Taints {
		words = append(words, strings.TrimPrefix(taint.Key, federation.GroupName)+"="+taint.Value)
	}
	return strings.Join(words, " ")
}

func reason(d *federation.FailoverDrill) string {
	if c := meta.FindStatusCondition(d.Status.Conditions, federation.DrillPassed); c != nil {
		return c.Reason
	}
	return ""
}

// TestController tells the life of drills on a real API server; what other rooms do about marks is not there.
func TestController(t *testing.T) {
	api, config := serve(t)
	member(t, api, "gondor", corev1.Taint{Key: "mine", Effect: corev1.TaintEffectNoSchedule})
	stop := control(t, config)

	rehearse(t, api, "alone", federation.DrillDNS, "gondor", 1)
	if d := until(t, api, "alone", federation.DrillRefused); reason(d) != federation.ReasonDrillNothingLeft {
		t.Errorf("on the only cluster: %+v", d.Status.Conditions)
	}
	member(t, api, "rohan")
	member(t, api, "shire")
	rehearse(t, api, "unknown", federation.DrillDNS, "mordor", 1)
	if d := until(t, api, "unknown", federation.DrillRefused); reason(d) != federation.ReasonDrillUnknownTarget {
		t.Errorf("on an unknown cluster: %+v", d.Status.Conditions)
	}

	// A drain, begun by one process and ended by the next; a second drill meanwhile.
	rehearse(t, api, "drain", federation.DrillDrain, "gondor", 3)
	until(t, api, "drain", federation.DrillRunning)
	if got, want := marks(t, api, "gondor"), "drain/Drain mine= /drain=drill"; got != want {
		t.Errorf("while it is drained: %q, want %q", got, want)
	}
	rehearse(t, api, "second", federation.DrillDNS, "rohan", 1)
	if d := until(t, api, "second", federation.DrillRefused); reason(d) != federation.ReasonDrillOtherUnderWay {
		t.Errorf("two at once: %+v", d.Status.Conditions)
	}
	stop()
	stop = control(t, config)
	if d := until(t, api, "drain", federation.DrillCompleted); reason(d) != federation.ReasonDrillPassed {
		t.Errorf("after a restart: %+v", d.Status.Conditions)
	}
	if got, want := marks(t, api, "gondor"), " mine="; got != want {
		t.Errorf("afterwards: %q, want %q", got, want)
	}

	// A guardrail, an abort, a deletion.
	rehearse(t, api, "guarded", federation.DrillDNS, "gondor", 300)
	until(t, api, "guarded", federation.DrillRunning)
	health(t, api, "shire", false)
	if d := until(t, api, "guarded", federation.DrillAborted); reason(d) != federation.ReasonDrillGuardrail {
		t.Errorf("another cluster fell ill: %+v", d.Status.Conditions)
	}
	health(t, api, "shire", true)
	rehearse(t, api, "aborted", federation.DrillDNS, "gondor", 300)
	until(t, api, "aborted", federation.DrillRunning)
	d := &federation.FailoverDrill{ObjectMeta: metav1.ObjectMeta{Name: "aborted"}}
	if err := api.Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"abort":true}}`))); err != nil {
		t.Fatal(err)
	}
	if d := until(t, api, "aborted", federation.DrillAborted); reason(d) != federation.ReasonDrillAborted || marks(t, api, "gondor") != " mine=" {
		t.Errorf("aborted: %+v, %s", d.Status.Conditions, marks(t, api, "gondor"))
	}
	rehearse(t, api, "deleted", federation.DrillVerdict, "gondor", 300)
	until(t, api, "deleted", federation.DrillRunning)
	if err := api.Delete(t.Context(), read(t, api, "deleted")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		err := api.Get(t.Context(), client.ObjectKey{Name: "deleted"}, &federation.FailoverDrill{})
		if apierrors.IsNotFound(err) && marks(t, api, "gondor") == " mine=" {
			return nil
		}
		return fmt.Errorf("the drill: %v; gondor carries %q", err, marks(t, api, "gondor"))
	})

	// A drill of which the object was lost while nobody was there.
	stop()
	c := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "gondor"}}
	if err := api.Patch(t.Context(), c, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+federation.AnnotationDrill+`":"lost/DNS"}}}`))); err != nil {
		t.Fatal(err)
	}
	control(t, config)
	eventually(t, 30*time.Second, func() error {
		if got := marks(t, api, "gondor"); got != " mine=" {
			return fmt.Errorf("gondor carries %q", got)
		}
		return nil
	})
}
