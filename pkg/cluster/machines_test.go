package cluster

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestMachines(t *testing.T) {
	machine := func(zone, name string, more map[string]string) *corev1.Node {
		labels := where("us-east-1", zone)
		labels[corev1.LabelInstanceTypeStable] = name
		maps.Copy(labels, more)
		n := node(true, "", labels)
		trimmed, err := trimNode(n)
		if err != nil {
			t.Fatal(err)
		}
		return trimmed.(*corev1.Node)
	}
	count := func(zone, name string, spot bool, nodes int32, cpu, memory string) federation.MachineCount {
		return federation.MachineCount{Zone: zone, Type: name, Spot: spot, Nodes: nodes, Capacity: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}}
	}
	old := node(false, "", map[string]string{betaTypeLabel: "m1.small"})
	bare := node(true, "", nil)
	bare.Status.Capacity = nil
	tests := map[string]struct {
		nodes []*corev1.Node
		want  []federation.MachineCount
	}{
		"none": {},
		"sorted by zone, type and spot": {
			nodes: []*corev1.Node{
				machine("b", "m7i.large", nil), machine("a", "m7i.large", map[string]string{"eks.amazonaws.com/capacityType": "SPOT"}),
				machine("a", "m7i.large", map[string]string{"eks.amazonaws.com/capacityType": "ON_DEMAND"}), machine("a", "c7i.large", nil), machine("b", "m7i.large", nil),
			},
			want: []federation.MachineCount{
				count("a", "c7i.large", false, 1, "2", "1Gi"), count("a", "m7i.large", false, 1, "2", "1Gi"),
				count("a", "m7i.large", true, 1, "2", "1Gi"), count("b", "m7i.large", false, 2, "4", "2Gi"),
			},
		},
		"spot of every kind": {
			nodes: []*corev1.Node{
				machine("a", "x", map[string]string{"karpenter.sh/capacity-type": "spot"}), machine("a", "x", map[string]string{"cloud.google.com/gke-spot": "true"}),
				machine("a", "x", map[string]string{"cloud.google.com/gke-preemptible": "true"}), machine("a", "x", map[string]string{"kubernetes.azure.com/scalesetpriority": "spot"}),
			},
			want: []federation.MachineCount{count("a", "x", true, 4, "8", "4Gi")},
		},
		"a node that is not ready is paid for": {nodes: []*corev1.Node{old}, want: []federation.MachineCount{count("", "m1.small", false, 1, "2", "1Gi")}},
		"a node that has said nothing":         {nodes: []*corev1.Node{bare}, want: []federation.MachineCount{{Nodes: 1, Capacity: corev1.ResourceList{}}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, FactsOfNodes(tt.nodes).Machines); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
