package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestServedResources(t *testing.T) {
	s := sharedFor(t)
	_, lists, err := s.client.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var served []string
	for _, list := range lists {
		for _, r := range list.APIResources {
			scope := "cluster"
			if r.Namespaced {
				scope = "namespaced"
			}
			served = append(served, fmt.Sprintf("%s %s %s %s", list.GroupVersion, r.Name, scope, strings.Join(r.Verbs, ",")))
		}
	}
	// Other tests define kinds of their own.
	served = slices.DeleteFunc(served, func(line string) bool { return strings.HasPrefix(line, "test.example.com/") })
	slices.Sort(served)
	got := strings.Join(served, "\n") + "\n"
	const golden = "testdata/resources.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("served resources differ from %s (-want +got):\n%s", golden, diff)
	}
}

func TestInfo(t *testing.T) {
	s := sharedFor(t)
	info, err := s.client.CoreV1().ConfigMaps(federation.SystemNamespace).Get(t.Context(), federation.InfoConfigMap, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	system, err := s.client.CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{federation.InfoName: "fellowship", federation.InfoDNSZone: "example.com.", federation.InfoFederation: string(system.UID)}
	if diff := cmp.Diff(want, info.Data); diff != "" {
		t.Errorf("federation info (-want +got):\n%s", diff)
	}
	version, err := s.client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(version.GitVersion, "v1.") {
		t.Errorf("the server says it is Kubernetes %s, which version checks of clients take for an old one", version.GitVersion)
	}
}

// newNamespace makes a namespace of which nothing is federated, so that it goes without the federation's controllers.
func newNamespace(t *testing.T, s *server) string {
	t.Helper()
	name := "test-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(strings.TrimPrefix(t.Name(), "Test")))
	if len(name) > 63 {
		name = name[:63]
	}
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{federation.AnnotationPropagate: "false"}}}
	if _, err := s.client.CoreV1().Namespaces().Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return name
}

func local(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Annotations: map[string]string{federation.AnnotationPropagate: "false"}}
}

func TestAnonymous(t *testing.T) {
	s := sharedFor(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for path, want := range map[string]int{
		"/livez": http.StatusOK, "/readyz": http.StatusOK, "/healthz": http.StatusOK,
		"/api": http.StatusUnauthorized, "/version": http.StatusUnauthorized, "/metrics": http.StatusUnauthorized,
		"/api/v1/secrets": http.StatusUnauthorized,
	} {
		t.Run(path, func(t *testing.T) {
			response, err := client.Get(s.config.Host + path)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("GET %s without a name: %d, want %d", path, response.StatusCode, want)
			}
		})
	}
}

func TestServiceAccountToken(t *testing.T) {
	s := sharedFor(t)
	namespace := newNamespace(t, s)
	mustAwait(t, 20*time.Second, func() string {
		if _, err := s.client.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	token, err := s.client.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(s.config)
	config.BearerToken = token.Status.Token
	client := kubernetes.NewForConfigOrDie(config)
	me, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:" + namespace + ":default"; me.Status.UserInfo.Username != want {
		t.Errorf("the token is for %q, want %q", me.Status.UserInfo.Username, want)
	}
	if _, err := client.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing secrets without rights: %v, want Forbidden", err)
	}
}

func TestNamespaceDeletion(t *testing.T) {
	s := sharedFor(t)
	namespace := newNamespace(t, s)
	configMaps := s.client.CoreV1().ConfigMaps(namespace)
	if _, err := configMaps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: local("content")}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	mustAwait(t, 30*time.Second, func() string {
		object, err := s.client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return ""
		}
		return fmt.Sprintf("the namespace is there: %v %v", object.Status, err)
	})
}

func TestOwnerGarbageCollection(t *testing.T) {
	s := sharedFor(t)
	configMaps := s.client.CoreV1().ConfigMaps(newNamespace(t, s))
	owner, err := configMaps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: local("owner")}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := &corev1.ConfigMap{ObjectMeta: local("owned")}
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
	if _, err := configMaps.Create(t.Context(), owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := configMaps.Delete(t.Context(), owner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	mustAwait(t, 30*time.Second, func() string {
		if _, err := configMaps.Get(t.Context(), owned.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("the owned object is there: %v", err)
		}
		return ""
	})
}

func TestQuota(t *testing.T) {
	s := sharedFor(t)
	namespace := newNamespace(t, s)
	s.mustKubectl(t, "", "-n", namespace, "create", "quota", "two", "--hard=configmaps=2,services=1,count/deployments.apps=1")
	mustAwait(t, 30*time.Second, func() string {
		quota, err := s.client.CoreV1().ResourceQuotas(namespace).Get(t.Context(), "two", metav1.GetOptions{})
		if err != nil || len(quota.Status.Used) != 3 {
			return fmt.Sprintf("usage is not known: %v %v", quota.Status, err)
		}
		return ""
	})
	create := func(ctx context.Context, name string) error {
		_, err := s.client.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: local(name)}, metav1.CreateOptions{})
		return err
	}
	for _, name := range []string{"one", "two"} {
		if err := create(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := create(t.Context(), "three"); !apierrors.IsForbidden(err) {
		t.Errorf("creating one more than the quota: %v, want Forbidden", err)
	}
}

func TestMetrics(t *testing.T) {
	s := sharedFor(t)
	body, err := s.client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range []string{"apiserver_request_total{", "controller_runtime_", "etcd_", "process_resident_memory_bytes", "workqueue_depth{"} {
		if !strings.Contains(string(body), "\n"+metric) {
			t.Errorf("/metrics has no %s", metric)
		}
	}
}
