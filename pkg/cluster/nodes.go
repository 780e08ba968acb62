package cluster

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Labels that nodes carried before Kubernetes 1.17.
const (
	betaZoneLabel   = "failure-domain.beta.kubernetes.io/zone"
	betaRegionLabel = "failure-domain.beta.kubernetes.io/region"
)

// NodeFacts is what a member's nodes say together.
type NodeFacts struct {
	Count                 federation.NodeCount
	Capacity, Allocatable corev1.ResourceList // sums over ready nodes
	Zones                 []string            // of all nodes, sorted
	Region                string              // the one most nodes are in; of equals the first by name
	Provider              string              // the one most nodes' provider IDs name
	Machines              []federation.MachineCount
}

// FactsOfNodes sums up nodes. A node without a label, an ID or readiness takes nothing from what the others say: a
// cluster's zones do not shrink because a node restarts.
func FactsOfNodes(nodes []*corev1.Node) NodeFacts {
	facts := NodeFacts{Capacity: corev1.ResourceList{}, Allocatable: corev1.ResourceList{}}
	zones := sets.New[string]()
	regions, providers := map[string]int{}, map[string]int{}
	for _, node := range nodes {
		facts.Count.Total++
		if ready(node) {
			facts.Count.Ready++
			add(facts.Capacity, node.Status.Capacity)
			add(facts.Allocatable, node.Status.Allocatable)
		}
		if zone := label(node, corev1.LabelTopologyZone, betaZoneLabel); zone != "" {
			zones.Insert(zone)
		}
		regions[label(node, corev1.LabelTopologyRegion, betaRegionLabel)]++
		providers[providerOf(node.Spec.ProviderID)]++
	}
	facts.Machines = machinesOf(nodes)
	facts.Zones = sets.List(zones)
	facts.Region, facts.Provider = most(regions), most(providers)
	return facts
}

func ready(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func add(sum, more corev1.ResourceList) {
	for name, quantity := range more {
		total := sum[name]
		total.Add(quantity)
		sum[name] = total
	}
}

func label(node *corev1.Node, names ...string) string {
	for _, name := range names {
		if v := node.Labels[name]; v != "" {
			return v
		}
	}
	return ""
}

// providerOf reads the scheme of a node's provider ID, such as "gce://project/zone/name", under the name that people
// use for the provider.
func providerOf(id string) string {
	scheme, _, found := strings.Cut(id, "://")
	switch {
	case !found:
		return ""
	case scheme == "gce":
		return "gcp"
	}
	return scheme
}

// most returns the key that was counted most often, "" aside; of equals the first by name.
func most(counts map[string]int) string {
	best := ""
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		if key != "" && (best == "" || counts[key] > counts[best]) {
			best = key
		}
	}
	return best
}

// trimNode keeps of a node what FactsOfNodes and FreeOf read: a member of a thousand nodes then costs under a megabyte.
func trimNode(obj any) (any, error) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	trimmed := &corev1.Node{}
	trimmed.Name, trimmed.ResourceVersion = node.Name, node.ResourceVersion
	trimmed.Spec.ProviderID, trimmed.Spec.Unschedulable = node.Spec.ProviderID, node.Spec.Unschedulable
	trimmed.Spec.Taints = node.Spec.Taints
	trimmed.Status.Capacity, trimmed.Status.Allocatable = node.Status.Capacity, node.Status.Allocatable
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			trimmed.Status.Conditions = []corev1.NodeCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	trimmed.Labels = map[string]string{}
	for _, name := range nodeLabels {
		if v := node.Labels[name]; v != "" {
			trimmed.Labels[name] = v
		}
	}
	return trimmed, nil
}
