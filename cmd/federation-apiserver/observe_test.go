package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kubefed.dev/kubefed/internal/playground"
	"kubefed.dev/kubefed/internal/testprogram"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/apiserver"
	"kubefed.dev/kubefed/pkg/cluster"
)

// canary is the content of a Secret. It must be seen nowhere.
const canary = "the-canary-of-moria"

// observed is a Deployment whose way into a member is watched, and the Secret that goes with it.
const observed = `apiVersion: v1
kind: Secret
metadata: {name: ring}
stringData: {inscription: ` + canary + `}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: watched}
spec:
  replicas: 2
  selector: {matchLabels: {app: watched}}
  template:
    metadata: {labels: {app: watched}}
    spec: {containers: [{name: c, image: nginx, envFrom: [{secretRef: {name: ring}}]}]}
`

// TestObserved follows one Deployment through the traces of both ways to run the controllers, and through the metrics
// that the controllers serve themselves.
func TestObserved(t *testing.T) {
	t.Run("in the server", func(t *testing.T) {
		spans := collect(t)
		s := startFor(t, t.TempDir(), "--controllers=*", "--v=1", "--cluster-probe-period=300ms")
		follow(t, s, spans)
		// In one process, what is done about a write belongs to the trace of the request that wrote.
		posted := spans.one(t, map[string]string{"span": "POST /apis/apps/v1/namespaces/{:namespace}/deployments"})
		for _, name := range []string{"placement reconcile", "sync apply"} {
			got := spans.one(t, map[string]string{"span": name, "kubefed.name": "watched", "kubefed.kind": "Deployment.apps"})
			if got["trace"] != posted["trace"] {
				t.Errorf("span %q has trace %s, the user's write has %s", name, got["trace"], posted["trace"])
			}
		}
		log, err := os.ReadFile(filepath.Join(s.dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("traceID=%q", posted["trace"]); !strings.Contains(string(log), want) {
			t.Errorf("the log does not name the trace of the write: %s", want)
		}
	})
	t.Run("apart", func(t *testing.T) {
		spans := collect(t)
		s := startFor(t, t.TempDir(), "--controllers=")
		port := freePort(t)
		startControllers(t, filepath.Join(s.dir, apiserver.AdminKubeconfig), "--bind-address=127.0.0.1", "--secure-port="+port, "--cluster-probe-period=300ms")
		own := &controllersServer{base: "https://127.0.0.1:" + port}
		mustAwait(t, time.Minute, func() string {
			if code, body := own.get(t, "/readyz", ""); code != http.StatusOK {
				return fmt.Sprintf("/readyz: %d %s", code, body)
			}
			return ""
		})
		follow(t, s, spans)
		got := spans.one(t, map[string]string{"span": "placement reconcile", "kubefed.name": "watched"})
		if got["service.name"] != "federation-controllers" {
			t.Errorf("the controllers' spans come from service %q", got["service.name"])
		}
		own.check(t, s)
	})
}

// follow writes a Deployment, and looks for the spans of its way into a member and out of it again.
func follow(t *testing.T, s *server, spans *collector) {
	t.Helper()
	joinMember(t, s, "gondor")
	s.mustKubectl(t, "", "wait", "cluster/gondor", "--for=jsonpath={.status.verdict.state}=Ready", "--timeout=30s")
	s.mustKubectl(t, observed, "create", "-f", "-")
	about := func(span string, more ...string) map[string]string {
		want := map[string]string{"span": span, "kubefed.kind": "Deployment.apps", "kubefed.namespace": "default", "kubefed.name": "watched"}
		for i := 0; i < len(more); i += 2 {
			want[more[i]] = more[i+1]
		}
		return want
	}
	uid := s.mustKubectl(t, "", "get", "deployment/watched", "-o", "jsonpath={.metadata.uid}")
	spans.await(t, map[string]string{"span": "POST /apis/apps/v1/namespaces/{:namespace}/deployments", "service.name": "apiserver"})
	spans.await(t, about("placement reconcile", "kubefed.generation", "1", "kubefed.result", "created", "kubefed.uid", uid))
	spans.await(t, about("sync apply", "kubefed.generation", "1", "kubefed.result", federation.StateSynced, "kubefed.cluster", "gondor", "kubefed.uid", uid))
	spans.await(t, map[string]string{"span": "sync apply", "kubefed.kind": "Secret", "kubefed.name": "ring", "kubefed.cluster": "gondor", "kubefed.result": federation.StateSynced})
	s.mustKubectl(t, "", "delete", "deployment/watched", "secret/ring", "--timeout=30s")
	spans.await(t, about("sync delete", "kubefed.result", federation.StateDeleting, "kubefed.cluster", "gondor", "kubefed.uid", uid))
	spans.without(t, canary, "dGhlLWNhbmFyeS1vZi1tb3JpYQ")
}

// joinMember starts a cluster and joins it.
func joinMember(t *testing.T, s *server, name string) {
	t.Helper()
	dir := t.TempDir()
	addresses, err := playground.Reserve(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = playground.Release(addresses, dir) })
	testprogram.Start(t, filepath.Join(dir, "log"), "local-cluster", "--name", name, "--dir", filepath.Join(dir, name), "--ip-range", addresses.String())
	mustAwait(t, 90*time.Second, func() string {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, name, "kubeconfig"))
		if err != nil {
			return err.Error()
		}
		if _, err := cluster.Join(t.Context(), cluster.JoinOptions{Name: name, Federation: s.config, Member: config, CustomResources: true, Timeout: 30 * time.Second}); err != nil {
			return err.Error()
		}
		return ""
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // the program opens it itself
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// controllersServer is what controllers in a process of their own serve.
type controllersServer struct{ base string }

func (c *controllersServer) get(t *testing.T, path, token string) (int, string) {
	t.Helper()
	return fetch(t, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}, c.base+path, token)
}

func fetch(t *testing.T, client *http.Client, url, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// check asks as everyone who may come by.
func (c *controllersServer) check(t *testing.T, s *server) {
	t.Helper()
	stranger, scraper := serviceAccount(t, s, "stranger"), serviceAccount(t, s, "scraper")
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:monitoring"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: "scraper"}}}
	if _, err := s.client.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]struct {
		path, token string
		want        int
	}{
		"healthz":        {"/healthz", "", http.StatusOK},
		"livez":          {"/livez", "", http.StatusOK},
		"readyz":         {"/readyz", "", http.StatusOK},
		"part of health": {"/readyz/controllers", "", http.StatusUnauthorized},
		"anonymous":      {"/metrics", "", http.StatusUnauthorized},
		"unknown token":  {"/metrics", "not-a-token", http.StatusUnauthorized},
		"without rights": {"/metrics", stranger, http.StatusForbidden},
		"other paths":    {"/configz", scraper, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if code, body := c.get(t, k.path, k.token); code != k.want {
				t.Errorf("GET %s: %d, want %d: %s", k.path, code, k.want, body)
			}
		})
	}
	transport, err := rest.TransportFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{
		Insecure: true, CertData: s.config.CertData, KeyData: s.config.KeyData, CertFile: s.config.CertFile, KeyFile: s.config.KeyFile}})
	if err != nil {
		t.Fatal(err)
	}
	if code, body := fetch(t, &http.Client{Transport: transport}, c.base+"/metrics", ""); code != http.StatusOK {
		t.Errorf("GET /metrics with the administrator's certificate: %d: %s", code, body)
	}
	code, body := c.get(t, "/metrics", scraper)
	if code != http.StatusOK {
		t.Fatalf("GET /metrics with rights: %d: %s", code, body)
	}
	for _, metric := range []string{
		`kubefed_sync_propagation_seconds_bucket{cluster="gondor",le="`, `kubefed_sync_member_writes_total{cluster="gondor",state="Synced",verb="apply"}`,
		`kubefed_placement_decisions_total{result="created"}`, `kubefed_cluster_ready{cluster="gondor"} 1`,
		"controller_runtime_reconcile_total{", "workqueue_depth{", "process_resident_memory_bytes",
	} {
		if !strings.Contains(body, "\n"+metric) {
			t.Errorf("the controllers' /metrics has no %s", metric)
		}
	}
}

// serviceAccount makes one that is not federated, and a token for it.
func serviceAccount(t *testing.T, s *server, name string) (token string) {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: local(name)}
	if _, err := s.client.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	request, err := s.client.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}
