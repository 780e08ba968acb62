package cluster

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const betaTypeLabel = "beta.kubernetes.io/instance-type"

// spotLabels say which nodes their cloud may take back at any time, by the label's value.
var spotLabels = map[string]string{
	"eks.amazonaws.com/capacityType":        "spot", // managed node groups of EKS
	"karpenter.sh/capacity-type":            "spot",
	"cloud.google.com/gke-spot":             "true",
	"cloud.google.com/gke-preemptible":      "true",
	"kubernetes.azure.com/scalesetpriority": "spot",
}

// nodeLabels are all that is read of nodes.
var nodeLabels = append([]string{
	corev1.LabelTopologyZone, betaZoneLabel, corev1.LabelTopologyRegion, betaRegionLabel, corev1.LabelInstanceTypeStable, betaTypeLabel,
}, slices.Sorted(maps.Keys(spotLabels))...)

// machinesOf counts nodes by what they are. Those that are not ready count too: they are paid for.
func machinesOf(nodes []*corev1.Node) []federation.MachineCount {
	type kind struct {
		zone, name string
		spot       bool
	}
	counts := map[kind]*federation.MachineCount{}
	for _, node := range nodes {
		k := kind{label(node, corev1.LabelTopologyZone, betaZoneLabel), label(node, corev1.LabelInstanceTypeStable, betaTypeLabel), spot(node)}
		m := counts[k]
		if m == nil {
			m = &federation.MachineCount{Type: k.name, Zone: k.zone, Spot: k.spot, Capacity: corev1.ResourceList{}}
			counts[k] = m
		}
		m.Nodes++
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if quantity, has := node.Status.Capacity[name]; has {
				add(m.Capacity, corev1.ResourceList{name: quantity})
			}
		}
	}
	var list []federation.MachineCount
	for _, m := range counts {
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b federation.MachineCount) int {
		onDemand := func(m federation.MachineCount) int {
			if m.Spot {
				return 1
			}
			return 0
		}
		return cmp.Or(strings.Compare(a.Zone, b.Zone), strings.Compare(a.Type, b.Type), onDemand(a)-onDemand(b))
	})
	return list
}

func spot(node *corev1.Node) bool {
	for name, value := range spotLabels {
		if strings.EqualFold(node.Labels[name], value) {
			return true
		}
	}
	return false
}
