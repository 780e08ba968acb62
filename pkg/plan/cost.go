package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
)

// What a CostReport is divided by.
const (
	ByCluster   = "cluster"
	ByNamespace = "namespace"
	ByWorkload  = "workload"
)

// CostReport is what a federation costs while it runs: by the decisions in force, what their pods request, and the prices of
// clusters. It says what workloads have a right to use, not what they use.
type CostReport struct {
	At       time.Time      `json:"at"`
	By       string         `json:"by"`
	Items    []CostItem     `json:"items"`
	Clusters []ClusterPrice `json:"clusters"`
	// Total is the sum of Items.
	Total Cost `json:"total"`
}

// CostItem is one line of a CostReport.
type CostItem struct {
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// Kind and Name of a workload.
	Kind string `json:"kind,omitempty"`
	Name string `json:"name,omitempty"`
	// Idle says that it is what the cluster's nodes cost beyond what federated workloads request: what is free, and what is taken
	// by Kubernetes itself and by what is not federated.
	Idle bool `json:"idle,omitempty"`
	// Pods of it that are to run.
	Pods int32 `json:"pods"`
	Cost
	// Spot is the percentage of pods on spot machines, by how much of their clusters is.
	Spot int32 `json:"spot"`
	spot int64
}

// ClusterPrice is what running pods costs in a cluster, and since when that is known.
type ClusterPrice struct {
	Cluster string `json:"cluster"`
	// Currency is empty where no price is known. Prices are for one hour, EgressGiB is for one GiB.
	Currency  string   `json:"currency,omitempty"`
	CPUHour   float64  `json:"cpuHour,omitempty"`
	GiBHour   float64  `json:"gibHour,omitempty"`
	EgressGiB *float64 `json:"egressGiB,omitempty"`
	// Spot is the percentage of CPUs on spot machines, Unpriced how many nodes have no price of their own.
	Spot     int32 `json:"spot"`
	Unpriced int32 `json:"unpriced,omitempty"`
	// Source and At are as in the Cluster's status; empty for a price of the spec that the control plane has not seen yet.
	Source string     `json:"source,omitempty"`
	At     *time.Time `json:"at,omitempty"`
}

// Cost works out what the federation costs, of one namespace or, where that is empty, of all. Lines of idle capacity are there
// by cluster and for all namespaces only: they are nobody's.
func (w *World) Cost(by, namespace string) CostReport {
	r := CostReport{At: w.Now, By: by, Items: []CostItem{}}
	lines := map[subject]*CostItem{}
	requested := map[string]float64{} // by cluster, without egress
	for key, o := range w.Objects {
		if o.Decision == nil || namespace != "" && key.Namespace != namespace {
			continue
		}
		facts := placement.ObjectFacts(o.Kind, o.Unstructured)
		if facts.Request == nil {
			continue
		}
		for _, s := range sharesIn(&o.Decision.Spec) {
			c, pods, counted := w.costIn(&o, &facts, s)
			if counted && pods == 0 {
				continue
			}
			line := lineFor(lines, by, key, s.Cluster)
			line.Cost, line.Pods = line.plus(c), line.Pods+pods
			if i := w.indexOf(s.Cluster); i >= 0 {
				line.spot += int64(pods) * int64(w.Clusters[i].Spot)
				still := facts // what it sends takes nothing of the nodes
				still.Traffic = placement.Traffic{}
				taken, _, _ := w.costIn(&o, &still, s)
				for _, amount := range taken.Hour {
					requested[s.Cluster] += amount
				}
			}
		}
	}
	for _, line := range lines {
		if line.Pods > 0 {
			line.Spot = int32((line.spot + int64(line.Pods)/2) / int64(line.Pods))
		}
		r.Items = append(r.Items, *line)
	}
	for i := range w.Clusters {
		c := &w.Clusters[i]
		r.Clusters = append(r.Clusters, priceIn(c, w.Members[c.Name]))
		if by == ByCluster && namespace == "" {
			r.Items = append(r.Items, w.idleIn(c, requested[c.Name]))
		}
	}
	slices.SortFunc(r.Items, compareItems)
	slices.SortFunc(r.Clusters, func(a, b ClusterPrice) int { return strings.Compare(a.Cluster, b.Cluster) })
	for i := range r.Items {
		r.Total = r.Total.plus(r.Items[i].Cost)
	}
	return r
}

func (w *World) indexOf(cluster string) int {
	return slices.IndexFunc(w.Clusters, func(c placement.Cluster) bool { return c.Name == cluster })
}

// lineFor finds or makes the line that a share belongs to.
func lineFor(lines map[subject]*CostItem, by string, key Key, cluster string) *CostItem {
	var s subject
	switch by {
	case ByCluster:
		s.cluster = cluster
	case ByNamespace:
		s.namespace = key.Namespace
	default:
		s = subject{"", key.Namespace, key.Kind, key.Name}
	}
	if lines[s] == nil {
		lines[s] = &CostItem{Cluster: s.cluster, Namespace: s.namespace, Kind: s.kind, Name: s.name}
	}
	return lines[s]
}

// subject is what a line is about.
type subject struct{ cluster, namespace, kind, name string }

// idleIn is what a cluster's nodes cost beyond what is requested.
func (w *World) idleIn(c *placement.Cluster, requested float64) CostItem {
	item := CostItem{Cluster: c.Name, Idle: true, Spot: c.Spot}
	if m := w.Members[c.Name]; m != nil {
		if hour, known := bill(m, c); known {
			item.Hour = Money{c.Price.Currency: max(hour-requested, 0)}
		}
	}
	return item
}

func compareItems(a, b CostItem) int {
	last := func(i CostItem) int {
		if i.Idle {
			return 1
		}
		return 0
	}
	return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Kind, b.Kind),
		strings.Compare(a.Name, b.Name), cmp.Compare(last(a), last(b)))
}

func priceIn(c *placement.Cluster, m *federation.Cluster) ClusterPrice {
	p := ClusterPrice{Cluster: c.Name, Spot: c.Spot}
	if c.Price == nil {
		return p
	}
	p.Currency, p.CPUHour, p.GiBHour = c.Price.Currency, c.Price.CPUHour.AsApproximateFloat64(), c.Price.GiBHour.AsApproximateFloat64()
	if c.EgressGiB != nil {
		egress := c.EgressGiB.AsApproximateFloat64()
		p.EgressGiB = &egress
	}
	if m == nil {
		return p
	}
	switch s := m.Status.Price; {
	case m.Spec.Price != nil:
		p.Source = "spec"
		if s != nil && s.Source == "spec" {
			p.At = &s.At.Time
		}
	case s != nil:
		p.Source, p.At, p.Unpriced = s.Source, &s.At.Time, s.Unpriced
	}
	return p
}
