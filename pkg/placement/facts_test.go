package placement_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/policy"
)

// A custom resource's replicas are divided where a policy says how, and only there.
func TestCustomReplicas(t *testing.T) {
	database := kind.Kind{GroupVersionKind: schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Database"},
		Resource: "databases", Namespaced: true, Custom: true, Rule: kind.Rule{Replicas: []string{"spec", "size"}}}
	obj := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"namespace": "shop", "name": "db"}, "spec": map[string]any{"size": int64(7)}}}
	clusters := []placement.Cluster{{Cluster: policy.Cluster{Name: "a"}, Ready: true}, {Cluster: policy.Cluster{Name: "b"}, Ready: true}}
	for name, test := range map[string]struct {
		division *federation.ReplicaDivision
		want     int32
	}{
		"no division": {nil, 0},
		"divided":     {&federation.ReplicaDivision{Mode: federation.DivisionDivided}, 7},
		"duplicated":  {&federation.ReplicaDivision{Mode: federation.DivisionDuplicated}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := &federation.PropagationPolicy{}
			p.Namespace, p.Name = "shop", "db"
			p.Spec.ResourceSelectors = []federation.ResourceSelector{{}}
			p.Spec.ReplicaDivision = test.division
			compiled, err := policy.OfNamespace(p)
			if err != nil {
				t.Fatal(err)
			}
			d := placement.Place(placement.Input{Object: placement.ObjectFacts(database, obj), Policy: compiled, Clusters: clusters}).Decision
			sum := int32(0)
			for _, c := range d.Clusters {
				sum += ptr.Deref(c.Replicas, 0)
			}
			if diff := cmp.Diff([]int32{2, test.want}, []int32{int32(len(d.Clusters)), sum}); diff != "" {
				t.Errorf("clusters and replicas (-want +got):\n%s", diff)
			}
		})
	}
}
