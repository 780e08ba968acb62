package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

var held = []string{federation.FinalizerMembers}

// TestMembersFinalizer follows one object through everything that must not lose the finalizer, and what must.
func TestMembersFinalizer(t *testing.T) {
	s := sharedFor(t)
	namespace := newNamespace(t, s)
	kubectl := func(t *testing.T, stdin string, args ...string) string {
		t.Helper()
		return s.mustKubectl(t, stdin, append([]string{"-n", namespace}, args...)...)
	}
	finalizers := func(t *testing.T, object string) []string {
		t.Helper()
		return strings.Fields(kubectl(t, "", "get", object, "-o", "jsonpath={.metadata.finalizers[*]}"))
	}
	manifest := func(name, extra string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s%s}\ndata: {a: b}\n", name, extra)
	}
	local := `, annotations: {federation.kubefed.dev/propagate: "false"}`
	for name, c := range map[string]struct {
		do   func(t *testing.T)
		want []string
	}{
		"create": {func(t *testing.T) { kubectl(t, manifest("x", ""), "create", "-f", "-") }, held},
		"apply": {func(t *testing.T) {
			kubectl(t, manifest("x", ""), "apply", "-f", "-")
			kubectl(t, strings.Replace(manifest("x", ""), "a: b", "a: c", 1), "apply", "-f", "-")
		}, held},
		"replace": {func(t *testing.T) {
			kubectl(t, manifest("x", ""), "create", "-f", "-")
			kubectl(t, manifest("x", ""), "replace", "-f", "-")
		}, held},
		"server side": {func(t *testing.T) {
			kubectl(t, manifest("x", ""), "apply", "--server-side", "-f", "-")
			kubectl(t, manifest("x", ", labels: {l: v}"), "apply", "--server-side", "-f", "-")
		}, held},
		"beside another": {func(t *testing.T) {
			kubectl(t, manifest("x", `, finalizers: [example.com/other]`), "create", "-f", "-")
		}, append([]string{"example.com/other"}, held...)},
		"taken off": {func(t *testing.T) {
			kubectl(t, manifest("x", ""), "create", "-f", "-")
			kubectl(t, "", "patch", "cm", "x", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		}, held},
		"kept here": {func(t *testing.T) { kubectl(t, manifest("x", local), "create", "-f", "-") }, nil},
		"no longer federated in one replace": {func(t *testing.T) {
			kubectl(t, manifest("x", ""), "create", "-f", "-")
			kubectl(t, manifest("x", local), "replace", "-f", "-")
		}, held},
		"taken off when no longer federated": {func(t *testing.T) {
			kubectl(t, manifest("x", ""), "create", "-f", "-")
			kubectl(t, "", "annotate", "cm", "x", federation.AnnotationPropagate+"=false")
			kubectl(t, "", "patch", "cm", "x", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		}, nil},
		"federated later": {func(t *testing.T) {
			kubectl(t, manifest("x", local), "create", "-f", "-")
			kubectl(t, "", "annotate", "cm", "x", federation.AnnotationPropagate+"-")
		}, held},
	} {
		t.Run(name, func(t *testing.T) {
			c.do(t)
			if diff := cmp.Diff(c.want, finalizers(t, "cm/x"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("finalizers (-want +got):\n%s", diff)
			}
			letGo(t, s, namespace, "x")
		})
	}
}

// letGo deletes an object and takes its finalizers off, as pkg/sync does, and checks that it is gone.
func letGo(t *testing.T, s *server, namespace, name string) {
	t.Helper()
	configMaps := s.client.CoreV1().ConfigMaps(namespace)
	if err := configMaps.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := configMaps.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	if _, err := configMaps.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the object is there after its finalizers went: %v", err)
	}
}

// TestMembersFinalizerKinds looks at what is and is not federated.
func TestMembersFinalizerKinds(t *testing.T) {
	s := sharedFor(t)
	newNamespaceName := newNamespace(t, s)
	for name, c := range map[string]struct {
		manifest, object string
		want             []string
	}{
		"deployment":          {strings.Replace(web, "  annotations: {federation.kubefed.dev/propagate: \"false\"}\n", "", 1), "deployment/web", held},
		"custom kind":         {ringOf("two"), "rings/two", held},
		"definition":          {definition, "crd/rings.test.example.com", held},
		"own definition":      {"", "crd/clusters.federation.kubefed.dev", nil},
		"secret":              {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", "secret/s", held},
		"helm release":        {"apiVersion: v1\nkind: Secret\nmetadata: {name: h}\ntype: helm.sh/release.v1\n", "secret/h", nil},
		"role":                {"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: []\n", "role/r", nil},
		"system priority":     {"", "priorityclass/system-node-critical", nil},
		"namespace default":   {"", "namespace/default", nil},
		"namespace":           {"apiVersion: v1\nkind: Namespace\nmetadata: {name: federated}\n", "namespace/federated", held},
		"service account":     {"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n", "sa/robot", held},
		"in system namespace": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: kube-public}\n", "cm/c -n kube-public", nil},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(strings.Fields(c.object), "-o", "jsonpath={.metadata.finalizers[*]}")
			if !strings.Contains(c.object, " -n ") {
				args = append(args, "-n", newNamespaceName)
			}
			if c.manifest != "" {
				s.mustKubectl(t, definition, "apply", "-f", "-")
				s.mustKubectl(t, "", "wait", "--for=condition=Established", "crd/rings.test.example.com", "--timeout=20s")
				apply := []string{"apply", "-f", "-"}
				if !strings.Contains(c.manifest, "namespace:") {
					apply = append(apply, "-n", newNamespaceName)
				}
				s.mustKubectl(t, c.manifest, apply...)
			}
			got := strings.Fields(s.mustKubectl(t, "", append([]string{"get"}, args...)...))
			got = cmpFilter(got, "customresourcecleanup.apiextensions.k8s.io")
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("finalizers of %s (-want +got):\n%s", c.object, diff)
			}
		})
	}
}

func ringOf(name string) string { return strings.Replace(ring, "name: one", "name: "+name, 1) }

func cmpFilter(list []string, without string) []string {
	var kept []string
	for _, item := range list {
		if item != without {
			kept = append(kept, item)
		}
	}
	return kept
}

func TestServices(t *testing.T) {
	s := sharedFor(t)
	namespace := newNamespace(t, s)
	service := func(spec string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80}], selector: {a: b}" + spec + "}\n"
	}
	for name, c := range map[string]struct {
		spec    string
		want    corev1.ServiceSpec
		warning string
	}{
		"cluster IP":    {"", corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}, ""},
		"asked for one": {", clusterIP: 10.1.2.3", corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}, "each member cluster allocates"},
		"headless":      {", clusterIP: None", corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "None", ClusterIPs: []string{"None"}}, ""},
		"load balancer": {", type: LoadBalancer", corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}, ""},
		"node port":     {", type: NodePort", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out := s.mustKubectl(t, service(c.spec), "-n", namespace, "create", "-f", "-")
			if !strings.Contains(out, c.warning) {
				t.Errorf("no warning %q in: %s", c.warning, out)
			}
			got, err := s.client.CoreV1().Services(namespace).Get(t.Context(), "x", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			addresses := corev1.ServiceSpec{Type: got.Spec.Type, ClusterIP: got.Spec.ClusterIP, ClusterIPs: got.Spec.ClusterIPs}
			if diff := cmp.Diff(c.want, addresses); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if got.Spec.Ports[0].NodePort != 0 {
				t.Errorf("node port %d was allocated", got.Spec.Ports[0].NodePort)
			}
			s.mustKubectl(t, "", "-n", namespace, "delete", "service", "x", "--wait=false")
			s.mustKubectl(t, "", "-n", namespace, "patch", "service", "x", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		})
	}
}
