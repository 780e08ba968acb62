package placement

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/policy"
)

var deploymentKind = kind.Kind{
	GroupVersionKind: schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, Resource: "deployments", Namespaced: true,
	Rule: kind.RuleOf(schema.GroupKind{Group: "apps", Kind: "Deployment"}),
}

func objectNamed(namespace, name string, labels map[string]string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	obj.SetNamespace(namespace)
	obj.SetName(name)
	obj.SetLabels(labels)
	return obj
}

func namespaced(t testing.TB, namespace, name string, selectors ...federation.ResourceSelector) *policy.Propagation {
	t.Helper()
	p := &federation.PropagationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	p.Spec.ResourceSelectors = selectors
	compiled, err := policy.OfNamespace(p)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func anywhere(t testing.TB, name string, created int64, selectors ...federation.ResourceSelector) *policy.Propagation {
	t.Helper()
	p := &federation.ClusterPropagationPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Unix(created, 0)}}
	for _, s := range selectors {
		p.Spec.ResourceSelectors = append(p.Spec.ResourceSelectors, federation.ScopedResourceSelector{ResourceSelector: s})
	}
	compiled, err := policy.OfCluster(p)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestPolicyInForce(t *testing.T) {
	any := federation.ResourceSelector{}
	byKind := federation.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}
	byLabel, byName := byKind, byKind
	byLabel.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "front"}}
	byName.Name = "web"
	configMaps := federation.ResourceSelector{APIVersion: "v1", Kind: "ConfigMap"}
	object := objectNamed("shop", "web", map[string]string{"tier": "front"})

	for _, test := range []struct {
		name     string
		policies []*policy.Propagation
		want     string
	}{
		{"none", nil, ""},
		{"other namespaces and kinds do not matter", []*policy.Propagation{namespaced(t, "bank", "a", byKind), namespaced(t, "shop", "b", configMaps)}, ""},
		{"any kind", []*policy.Propagation{namespaced(t, "shop", "a", any)}, "a"},
		{"a namespace's before a more specific one of the cluster", []*policy.Propagation{anywhere(t, "a", 0, byName), namespaced(t, "shop", "b", any)}, "b"},
		{"the cluster's where the namespace's does not select", []*policy.Propagation{anywhere(t, "a", 0, any), namespaced(t, "shop", "b", configMaps)}, "a"},
		{"name, labels, kind", []*policy.Propagation{anywhere(t, "a", 0, byKind), anywhere(t, "b", 0, byLabel), anywhere(t, "c", 0, byName), anywhere(t, "d", 0, any)}, "c"},
		{"any kind beside one that is named", []*policy.Propagation{anywhere(t, "a", 0, any, byKind), anywhere(t, "b", 0, byLabel)}, "b"},
		{"the older one", []*policy.Propagation{anywhere(t, "a", 2, byKind), anywhere(t, "b", 1, byKind)}, "b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := newIndex()
			for _, p := range test.policies {
				x.add(p)
			}
			got := ""
			if p := x.inForce(deploymentKind, object); p != nil {
				got = p.Reference.Name
			}
			if got != test.want {
				t.Errorf("policy %q is in force, want %q", got, test.want)
			}
		})
	}
}

// BenchmarkPolicyInForce finds an object's policy among 1,000: each for one namespace, and all for the whole federation.
func BenchmarkPolicyInForce(b *testing.B) {
	byKind := federation.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}
	object := objectNamed("shop-7", "web", map[string]string{"tier": "front"})
	for _, where := range []string{"namespaces", "anywhere"} {
		b.Run(where, func(b *testing.B) {
			x := newIndex()
			for i := range 1000 {
				if where == "namespaces" {
					x.add(namespaced(b, fmt.Sprintf("shop-%d", i), "a", byKind))
				} else {
					named := byKind
					named.Name = fmt.Sprintf("web-%d", i)
					x.add(anywhere(b, named.Name, time.Now().Unix(), named))
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				x.inForce(deploymentKind, object)
			}
		})
	}
}
