package cluster

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func node(ready bool, providerID string, labels map[string]string) *corev1.Node {
	n := &corev1.Node{}
	n.Labels, n.Spec.ProviderID = labels, providerID
	n.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")}
	n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")}
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	return n
}

func where(region, zone string) map[string]string {
	return map[string]string{corev1.LabelTopologyRegion: region, corev1.LabelTopologyZone: zone}
}

func TestFactsOfNodes(t *testing.T) {
	tests := map[string]struct {
		nodes            []*corev1.Node
		count            federation.NodeCount
		cpu              string
		zones            []string
		region, provider string
	}{
		"no nodes": {cpu: "0"},
		"three zones": {
			nodes: []*corev1.Node{
				node(true, "aws:///us-east-1c/i-1", where("us-east-1", "us-east-1c")),
				node(true, "aws:///us-east-1a/i-2", where("us-east-1", "us-east-1a")),
				node(true, "aws:///us-east-1b/i-3", where("us-east-1", "us-east-1b")),
			},
			count: federation.NodeCount{Total: 3, Ready: 3}, cpu: "6",
			zones: []string{"us-east-1a", "us-east-1b", "us-east-1c"}, region: "us-east-1", provider: "aws",
		},
		"a node that is not ready counts for zones, not for capacity": {
			nodes: []*corev1.Node{node(true, "gce://p/z/n", where("r", "a")), node(false, "gce://p/z/m", where("r", "b"))},
			count: federation.NodeCount{Total: 2, Ready: 1}, cpu: "2", zones: []string{"a", "b"}, region: "r", provider: "gcp",
		},
		"a node without labels takes nothing away": {
			nodes: []*corev1.Node{node(true, "", nil), node(true, "azure:///s", where("r", "a"))},
			count: federation.NodeCount{Total: 2, Ready: 2}, cpu: "4", zones: []string{"a"}, region: "r", provider: "azure",
		},
		"old labels": {
			nodes: []*corev1.Node{node(true, "", map[string]string{betaZoneLabel: "a", betaRegionLabel: "r"})},
			count: federation.NodeCount{Total: 1, Ready: 1}, cpu: "2", zones: []string{"a"}, region: "r",
		},
		"the region of most nodes, not of the first": {
			nodes: []*corev1.Node{node(true, "", where("b", "b1")), node(true, "", where("a", "a1")), node(true, "", where("a", "a2"))},
			count: federation.NodeCount{Total: 3, Ready: 3}, cpu: "6", zones: []string{"a1", "a2", "b1"}, region: "a",
		},
		"a provider ID that is none": {
			nodes: []*corev1.Node{node(true, "i-0123", nil)}, count: federation.NodeCount{Total: 1, Ready: 1}, cpu: "2",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := FactsOfNodes(tt.nodes)
			capacity := got.Capacity[corev1.ResourceCPU]
			if got.Count != tt.count || got.Region != tt.region || got.Provider != tt.provider || capacity.Cmp(resource.MustParse(tt.cpu)) != 0 {
				t.Errorf("got %+v", got)
			}
			if len(tt.zones)+len(got.Zones) > 0 && !cmp.Equal(tt.zones, got.Zones) {
				t.Errorf("zones: want %v, got %v", tt.zones, got.Zones)
			}
		})
	}
}

// TestFactsOfNodesIgnoresOrder: the facts do not depend on the order in which a cache returns nodes, nor on whether
// nodes were trimmed.
func TestFactsOfNodesIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var nodes []*corev1.Node
		for i := range rapid.IntRange(0, 8).Draw(rt, "nodes") {
			s := strconv.Itoa(i)
			nodes = append(nodes, node(rapid.Bool().Draw(rt, "ready"+s), rapid.SampledFrom([]string{"", "aws:///a", "gce://b", "x"}).Draw(rt, "id"+s),
				where(rapid.SampledFrom([]string{"", "r1", "r2"}).Draw(rt, "region"+s), rapid.SampledFrom([]string{"", "z1", "z2"}).Draw(rt, "zone"+s))))
		}
		want := FactsOfNodes(nodes)
		shuffled := rapid.Permutation(nodes).Draw(rt, "shuffled")
		for i, n := range shuffled {
			trimmed, err := trimNode(n)
			if err != nil {
				rt.Fatal(err)
			}
			shuffled[i] = trimmed.(*corev1.Node)
		}
		if diff := cmp.Diff(want, FactsOfNodes(shuffled)); diff != "" {
			rt.Errorf("facts differ (-want +got):\n%s", diff)
		}
	})
}
