package placement_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
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

// The spec's price goes before the cloud's; what egress costs in another currency is not known.
func TestPriceInForce(t *testing.T) {
	euro := federation.Price{Currency: "EUR", CPUHour: resource.MustParse("0.01")}
	dollar := federation.PriceStatus{Price: federation.Price{Currency: "USD", CPUHour: resource.MustParse("0.03")}, Spot: 40, EgressGiB: ptr.To(resource.MustParse("0.09"))}
	for name, test := range map[string]struct {
		spec             *federation.Price
		status           *federation.PriceStatus
		currency, egress string
		spot             int32
	}{
		"unknown":     {nil, nil, "", "", 0},
		"cloud":       {nil, &dollar, "USD", "90m", 40},
		"spec":        {&euro, nil, "EUR", "", 0},
		"spec before": {&euro, &dollar, "EUR", "", 40},
	} {
		t.Run(name, func(t *testing.T) {
			facts := placement.ClusterFacts(&federation.Cluster{Spec: federation.ClusterSpec{Price: test.spec}, Status: federation.ClusterStatus{Price: test.status}})
			currency, egress := "", ""
			if facts.Price != nil {
				currency = facts.Price.Currency
			}
			if facts.EgressGiB != nil {
				egress = facts.EgressGiB.String()
			}
			if currency != test.currency || egress != test.egress || facts.Spot != test.spot {
				t.Errorf("got %q, egress %q, %d%% spot; want %q, %q, %d%%", currency, egress, facts.Spot, test.currency, test.egress, test.spot)
			}
		})
	}
}
