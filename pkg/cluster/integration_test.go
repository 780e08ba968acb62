package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubefed.dev/kubefed/internal/playground"
	"kubefed.dev/kubefed/internal/testprogram"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// await waits until the server that writes kubeconfig is ready.
func connected(t *testing.T, p *testprogram.Process, kubeconfig string) *rest.Config {
	t.Helper()
	var config *rest.Config
	eventually(t, 90*time.Second, func() string {
		select {
		case err := <-p.Done():
			t.Fatalf("the server of %s ended: %v", kubeconfig, err)
		default:
		}
		var err error
		if config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
			return err.Error()
		}
		s, err := openSite("server", config)
		if err != nil {
			return err.Error()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := s.core.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
			return err.Error()
		}
		if _, err := s.identity(ctx); err != nil {
			return err.Error()
		}
		return ""
	})
	return config
}

// localCluster is one real cluster.
type localCluster struct {
	*testprogram.Process
	*site
	args []string
	dir  string
}

func (l *localCluster) start(t *testing.T) {
	l.Process = testprogram.Start(t, l.dir+".log", "local-cluster", l.args...)
}

func (l *localCluster) ready(t *testing.T) *rest.Config {
	t.Helper()
	config := connected(t, l.Process, filepath.Join(l.dir, "kubeconfig"))
	s, err := openSite("cluster", config)
	if err != nil {
		t.Fatal(err)
	}
	l.site = s
	return config
}

func newLocalCluster(t *testing.T, name string, args ...string) *localCluster {
	dir := t.TempDir()
	addresses, err := playground.Reserve(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = playground.Release(addresses, dir) })
	l := &localCluster{dir: filepath.Join(dir, name)}
	l.args = append([]string{"--name", name, "--dir", l.dir, "--ip-range", addresses.String()}, args...)
	l.start(t)
	return l
}

// world is a federation and two clusters.
type world struct {
	fed           *site
	fedConfig     *rest.Config
	gondor, rohan *localCluster
}

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	data := filepath.Join(dir, "f")
	fed := testprogram.Start(t, filepath.Join(dir, "federation.log"), "federation-apiserver", "--data-dir", data, "--cluster-probe-period=300ms")
	w := &world{
		gondor: newLocalCluster(t, "gondor", "--provider", "aws", "--region", "us-east-1", "--zones", "us-east-1a,us-east-1b,us-east-1c"),
		rohan:  newLocalCluster(t, "rohan", "--provider", "gcp", "--region", "europe-west1"),
	}
	w.fedConfig = connected(t, fed, filepath.Join(data, "admin.kubeconfig"))
	w.gondor.ready(t)
	w.rohan.ready(t)
	var err error
	if w.fed, err = openSite("federation", w.fedConfig); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) options(name string, l *localCluster) JoinOptions {
	return JoinOptions{Name: name, Federation: w.fedConfig, Member: l.config, CustomResources: true, Timeout: 30 * time.Second}
}

func (w *world) join(t *testing.T, name string, l *localCluster) JoinResult {
	t.Helper()
	result, err := Join(t.Context(), w.options(name, l))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (w *world) cluster(t *testing.T, name string) *federation.Cluster {
	t.Helper()
	c := &federation.Cluster{}
	if err := w.fed.client.Get(t.Context(), types.NamespacedName{Name: name}, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// becomes waits until a condition of a cluster has a status and a reason.
func (w *world) becomes(t *testing.T, name, want string) {
	t.Helper()
	eventually(t, 30*time.Second, func() string {
		got := reasons(w.cluster(t, name).Status)
		if got["Ready"] == want {
			return ""
		}
		return fmt.Sprintf("Ready is %q, not %q", got["Ready"], want)
	})
}

func (w *world) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	if err := w.fed.client.Get(t.Context(), types.NamespacedName{Namespace: federation.SystemNamespace, Name: secretName(name)}, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// asFederation connects to a member as the federation does.
func (w *world) asFederation(t *testing.T, name string) *connection {
	t.Helper()
	e, token, err := credentials(w.cluster(t, name), w.secret(t, name))
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(t.Context(), name, e, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func TestMembers(t *testing.T) {
	w := newWorld(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"join", testJoin},
		{"rights", testRights},
		{"join again", testJoinAgain},
		{"refusals", testRefusals},
		{"witness", testWitness},
		{"idle", testIdle},
		{"renewal", testRenewal},
		{"revoked token", testRevoked},
		{"broken secret", testBrokenSecret},
		{"custom resources", testCustomResources},
		{"unjoin keep", testUnjoinKeep},
		{"unjoin remove", testUnjoinRemove},
		{"dead member", testDeadMember},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, w) }) {
			return // each step builds on the ones before
		}
	}
}

func testJoin(t *testing.T, w *world) {
	o := w.options("gondor", w.gondor)
	o.Labels = map[string]string{"tier": "prod"}
	result, err := Join(t.Context(), o)
	if err != nil || result.AlreadyJoined || result.Cleared != nil {
		t.Fatalf("got %+v, %v", result, err)
	}
	s := result.Cluster.Status
	if s.Provider != "aws" || s.Region != "us-east-1" || !slices.Equal(s.Zones, []string{"us-east-1a", "us-east-1b", "us-east-1c"}) {
		t.Errorf("it is at %s, %s, %v", s.Provider, s.Region, s.Zones)
	}
	if s.Nodes.Total != 3 || s.Allocatable.Cpu().IsZero() || s.Version != "v1.36.3" || !slices.Contains(s.APIGroups, "apps/v1") || s.TokenExpires == nil {
		t.Errorf("facts are missing: %+v", s)
	}
	if result.Cluster.Labels["tier"] != "prod" || !slices.Contains(w.cluster(t, "gondor").Finalizers, federation.FinalizerCluster) {
		t.Errorf("labels or finalizers are missing: %+v", result.Cluster.ObjectMeta)
	}
	for key := range w.secret(t, "gondor").Data {
		if key != secretToken && key != secretCA {
			t.Errorf("the Secret has a key %q", key)
		}
	}
}

func testRights(t *testing.T, w *world) {
	conn := w.asFederation(t, "gondor")
	as, err := openSite("as the federation", conn.member.Config)
	if err != nil {
		t.Fatal(err)
	}
	for r, want := range map[right]bool{
		{verb: "create", group: "apps", resource: "deployments", namespace: "default"}:                true,
		{verb: "get", resource: "pods", subresource: "log", namespace: "default"}:                     true,
		{verb: "create", resource: "pods", namespace: "default"}:                                      false,
		{verb: "create", resource: "pods", subresource: "exec", namespace: "default"}:                 false,
		{verb: "create", group: "rbac.authorization.k8s.io", resource: "clusterroles"}:                false,
		{verb: "create", group: "rbac.authorization.k8s.io", resource: "clusterrolebindings"}:         false,
		{verb: "create", resource: "serviceaccounts", subresource: "token", namespace: "kube-system"}: false,
		{verb: "delete", resource: "nodes"}:                                                           false,
	} {
		if err := as.check(t.Context(), []right{r}); (err == nil) != want {
			t.Errorf("may it %s? want %t, got %v", r, want, err)
		}
	}
}

func testJoinAgain(t *testing.T, w *world) {
	before, secret := w.cluster(t, "gondor"), w.secret(t, "gondor")
	result := w.join(t, "gondor", w.gondor)
	if !result.AlreadyJoined || len(result.Repaired) > 0 || result.Cluster.Labels["tier"] != "prod" {
		t.Errorf("nothing was broken, but got %+v", result)
	}
	if w.cluster(t, "gondor").ResourceVersion != before.ResourceVersion || w.secret(t, "gondor").ResourceVersion != secret.ResourceVersion {
		t.Error("joining again wrote to the federation")
	}
	binding := memberObjects(owner{}, true)[3]
	if err := w.gondor.client.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	w.becomes(t, "gondor", "False Forbidden")
	result = w.join(t, "gondor", w.gondor)
	if !slices.ContainsFunc(result.Repaired, func(s string) bool { return strings.Contains(s, "ClusterRoleBinding") }) {
		t.Errorf("repaired %v", result.Repaired)
	}
}

func testRefusals(t *testing.T, w *world) {
	_, err := Join(t.Context(), w.options("ithilien", w.gondor))
	expectError(t, err, `as "gondor"`)
	_, err = Join(t.Context(), w.options("gondor", w.rohan))
	expectError(t, err, "it is another one")
	if namespace, err := w.rohan.systemNamespace(t.Context()); err != nil || namespace != nil {
		t.Errorf("a refused join wrote to the cluster: %v, %v", namespace, err)
	}
	gone := w.options("mordor", w.rohan)
	gone.Member = rest.CopyConfig(gone.Member)
	gone.Member.Host = "https://127.0.0.1:1"
	_, err = Join(t.Context(), gone)
	expectError(t, err, "check that it runs")
	anonymous := w.options("mordor", w.rohan)
	anonymous.Member = rest.AnonymousClientConfig(anonymous.Member)
	anonymous.Member.BearerToken = "no-such-token"
	_, err = Join(t.Context(), anonymous)
	expectError(t, err, "refuses your credentials")
	weak := w.options("mordor", w.rohan)
	weak.Member = rest.CopyConfig(weak.Member)
	weak.Member.Impersonate.UserName = "grima"
	_, err = Join(t.Context(), weak)
	expectError(t, err, "use a kubeconfig entry with more rights")
	_, err = Unjoin(t.Context(), UnjoinOptions{Name: "mordor", Federation: w.fedConfig, Member: w.rohan.config, Workloads: WorkloadsKeep, Timeout: time.Second})
	expectError(t, err, `has no cluster "mordor"`)
	_, err = Unjoin(t.Context(), UnjoinOptions{Name: "gondor", Federation: w.fedConfig, Member: w.rohan.config, Workloads: WorkloadsKeep, Timeout: time.Second})
	expectError(t, err, "is not the one that joined")
	_, err = Unjoin(t.Context(), UnjoinOptions{Name: "gondor", Federation: w.fedConfig, Workloads: WorkloadsKeep, Timeout: time.Second})
	expectError(t, err, "is Ready, but you can't reach it")
	_, err = ReadInfo(t.Context(), w.rohan.config)
	expectError(t, err, ErrNotFederation.Error())
}

// testWitness: join installs the witness, leaves it alone the next time, and takes it away when asked.
func testWitness(t *testing.T, w *world) {
	o := w.options("gondor", w.gondor)
	there := func() bool {
		var d appsv1.Deployment
		err := w.gondor.client.Get(t.Context(), types.NamespacedName{Namespace: federation.SystemNamespace, Name: WitnessName}, &d)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return err == nil
	}
	join := func(image string) []string {
		o.Witness = image
		result, err := Join(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return result.Repaired
	}
	if repaired := join("kubefed.dev/witness:v0"); !there() || !slices.Contains(repaired, "Deployment federation-system/witness in the cluster") {
		t.Errorf("no witness was installed: %v", repaired)
	}
	as, err := openSite("as the federation", w.asFederation(t, "gondor").member.Config)
	if err != nil {
		t.Fatal(err)
	}
	err = as.check(t.Context(), []right{{verb: "create", resource: "services", subresource: "proxy", namespace: federation.SystemNamespace}})
	expectError(t, err, "services/proxy") // of the witness only
	if repaired := join("kubefed.dev/witness:v0"); len(repaired) > 0 {
		t.Errorf("nothing was wrong, but it put right %v", repaired)
	}
	if repaired := join(""); there() || len(repaired) != 1 {
		t.Errorf("the witness is still there, or %v was put right, too", repaired)
	}
	if repaired := join(""); len(repaired) > 0 {
		t.Errorf("nothing was wrong, but it put right %v", repaired)
	}
}

// testIdle: probes that find nothing new write nothing.
func testIdle(t *testing.T, w *world) {
	before := w.cluster(t, "gondor").ResourceVersion
	for range 20 { // about six probes
		time.Sleep(100 * time.Millisecond)
		if after := w.cluster(t, "gondor").ResourceVersion; after != before {
			t.Fatalf("an idle cluster's status was written: %+v", w.cluster(t, "gondor"))
		}
	}
}

func testRenewal(t *testing.T, w *world) {
	conn, before := w.asFederation(t, "gondor"), w.cluster(t, "gondor").Status.TokenExpires
	p := &prober{name: "gondor", c: &Controller{federation: w.fed.client, options: Options{TokenLifetime: time.Hour}}}
	if err := p.renewToken(t.Context(), conn, secretName("gondor")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() string {
		if after := w.cluster(t, "gondor").Status.TokenExpires; after.Before(before) {
			return ""
		}
		return "status.tokenExpires is still that of the longer token"
	})
	w.becomes(t, "gondor", "True ClusterReady")
}

func testRevoked(t *testing.T, w *world) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: federation.SystemNamespace, Name: ServiceAccount}}
	if err := w.gondor.client.Delete(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	w.becomes(t, "gondor", "False Unauthorized")
	if _, why := condition(w.cluster(t, "gondor").Status, federation.ClusterReady); !strings.Contains(why, "run `kubefed join gondor` again") {
		t.Errorf("no advice: %s", why)
	}
	w.join(t, "gondor", w.gondor)
}

func testBrokenSecret(t *testing.T, w *world) {
	secret := w.secret(t, "gondor")
	delete(secret.Data, secretToken)
	if err := w.fed.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.becomes(t, "gondor", "False SecretInvalid")
	if s := w.cluster(t, "gondor").Status; s.Nodes.Total != 3 || s.Version == "" || len(s.Zones) != 3 {
		t.Errorf("facts were emptied: %+v", s)
	}
	w.join(t, "gondor", w.gondor)
	w.becomes(t, "gondor", "True ClusterReady")
}

func testCustomResources(t *testing.T, w *world) {
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "rings.ring.io"},
		"spec": map[string]any{
			"group": "ring.io", "scope": "Namespaced", "names": map[string]any{"plural": "rings", "singular": "ring", "kind": "Ring"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
		},
	}}
	m := w.asFederation(t, "gondor").member
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	if _, err := m.Dynamic.Resource(crds).Create(t.Context(), crd, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var gvr schema.GroupVersionResource
	eventually(t, 30*time.Second, func() string {
		var err error
		if gvr, _, err = m.Resources.Resource(t.Context(), schema.GroupVersionKind{Group: "ring.io", Version: "v1", Kind: "Ring"}); err != nil {
			return err.Error()
		}
		return ""
	})
	if _, err := m.Dynamic.Resource(gvr).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("before the grant: %v", err)
	}
	if err := GrantCustomResource(t.Context(), m, "ring.io", "rings"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Dynamic.Resource(gvr).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("after the grant: %v", err)
	}
	role := func() string {
		r := memberObjects(owner{}, true)[6]
		if err := w.gondor.client.Get(t.Context(), client.ObjectKeyFromObject(r), r); err != nil {
			t.Fatal(err)
		}
		return r.GetResourceVersion()
	}
	before := role()
	if err := GrantCustomResource(t.Context(), m, "ring.io", "rings"); err != nil || role() != before {
		t.Errorf("granting again wrote (%v)", err)
	}
	w.join(t, "gondor", w.gondor)
	if role() != before {
		t.Error("joining again took rights to custom resources away")
	}
	if err := GrantCustomResource(t.Context(), &Member{Name: "gondor", Config: m.Config, Dynamic: m.Dynamic}, "eye.io", "eyes"); err != nil {
		t.Error(err)
	}
}

// propagate makes what sync would: a namespace and a ConfigMap of the federation, in one of the user's own a second.
func (l *localCluster) propagate(t *testing.T) {
	t.Helper()
	own := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "own"}}
	if err := l.client.Create(t.Context(), own); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "own", Name: "web"}},
	} {
		obj.SetLabels(map[string]string{federation.LabelFederation: "federation"})
		obj.SetAnnotations(map[string]string{federation.AnnotationOriginUID: "u"})
		form, err := applyForm(obj)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(form), client.FieldOwner(federation.FieldManager)); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) unjoin(t *testing.T, name string, l *localCluster, workloads Workloads) UnjoinResult {
	t.Helper()
	result, err := Unjoin(t.Context(), UnjoinOptions{Name: name, Federation: w.fedConfig, Member: l.config, Workloads: workloads, Timeout: 60 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.fed.client.Get(t.Context(), types.NamespacedName{Name: name}, &federation.Cluster{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Cluster is still there: %v", err)
	}
	key := types.NamespacedName{Namespace: federation.SystemNamespace, Name: secretName(name)}
	if err := w.fed.client.Get(t.Context(), key, &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Secret is still there: %v", err)
	}
	return result
}

// clean checks that nothing of a membership is left.
func (l *localCluster) clean(t *testing.T) {
	t.Helper()
	for _, obj := range memberObjects(owner{}, true) {
		if err := l.client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); !apierrors.IsNotFound(err) {
			t.Errorf("%T %s is still there: %v", obj, obj.GetName(), err)
		}
	}
}

func testUnjoinKeep(t *testing.T, w *world) {
	w.join(t, "rohan", w.rohan)
	w.rohan.propagate(t)
	result := w.unjoin(t, "rohan", w.rohan, WorkloadsKeep)
	if c := result.Cleaning; c == nil || c.Objects != 3 || len(c.Remains) > 0 {
		t.Errorf("cleaning: %+v", c)
	}
	w.rohan.clean(t)
	account := &corev1.ServiceAccount{}
	if err := w.rohan.client.Get(t.Context(), types.NamespacedName{Namespace: "shop", Name: "web"}, account); err != nil {
		t.Fatal(err)
	}
	ours := slices.ContainsFunc(account.ManagedFields, func(e metav1.ManagedFieldsEntry) bool { return e.Manager == federation.FieldManager })
	if account.Labels[federation.LabelFederation] != "" || account.Annotations[federation.AnnotationOriginUID] != "" || ours {
		t.Errorf("it is still the federation's: %+v", account.ObjectMeta)
	}
}

func testUnjoinRemove(t *testing.T, w *world) {
	w.join(t, "rohan", w.rohan)
	w.rohan.propagate(t)
	result := w.unjoin(t, "rohan", w.rohan, WorkloadsRemove)
	if c := result.Cleaning; c == nil || c.Objects != 3 || len(c.Remains) > 0 {
		t.Errorf("cleaning: %+v", c)
	}
	w.rohan.clean(t)
	for name, want := range map[string]bool{"shop": false, "own": true} {
		err := w.rohan.client.Get(t.Context(), types.NamespacedName{Name: name}, &corev1.Namespace{})
		if (err == nil) != want {
			t.Errorf("namespace %s: %v", name, err)
		}
	}
	if err := w.rohan.client.Get(t.Context(), types.NamespacedName{Namespace: "own", Name: "web"}, &corev1.ServiceAccount{}); !apierrors.IsNotFound(err) {
		t.Errorf("the federation's object in the user's namespace: %v", err)
	}
}

func testDeadMember(t *testing.T, w *world) {
	w.gondor.propagate(t)
	died := time.Now()
	_ = w.gondor.Stop(syscall.SIGKILL)
	w.becomes(t, "gondor", "False ClusterNotReachable")
	t.Logf("offline %s after its death", time.Since(died).Round(10*time.Millisecond))
	if s := w.cluster(t, "gondor").Status; s.Nodes.Total != 3 || len(s.Zones) != 3 {
		t.Errorf("facts were emptied: %+v", s)
	}
	result := w.unjoin(t, "gondor", w.gondor, WorkloadsRemove)
	if result.Cleaning != nil || result.Tombstone == "" || result.Unreachable == "" {
		t.Errorf("got %+v", result)
	}
	w.gondor.start(t)
	w.gondor.ready(t)
	joined := w.join(t, "gondor", w.gondor)
	if joined.AlreadyJoined || joined.Cleared == nil || joined.Cleared.Workloads != WorkloadsRemove {
		t.Errorf("got %+v", joined)
	}
	if err := w.gondor.client.Get(t.Context(), types.NamespacedName{Name: "shop"}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		t.Errorf("the tombstone was not carried out: %v", err)
	}
	if err := w.fed.client.Get(t.Context(), types.NamespacedName{Name: result.Tombstone}, &federation.Tombstone{}); !apierrors.IsNotFound(err) {
		t.Errorf("the tombstone is still there: %v", err)
	}
}
