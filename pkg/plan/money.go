package plan

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
)

// HoursPerMonth are 365 days of 24 hours in 12 parts.
const HoursPerMonth = 730

// Money is amounts by currency (ISO 4217). Those of different currencies are never added up.
type Money map[string]float64

// Plus is the sum of two.
func (m Money) Plus(other Money) Money {
	sum := Money{}
	for _, one := range []Money{m, other} {
		for currency, amount := range one {
			sum[currency] += amount
		}
	}
	return sum
}

// Times is a multiple.
func (m Money) Times(n float64) Money {
	product := Money{}
	for currency, amount := range m {
		product[currency] = amount * n
	}
	return product
}

// Currencies lists those that there are.
func (m Money) Currencies() []string { return slices.Sorted(maps.Keys(m)) }

// Cost is what something costs while it runs.
type Cost struct {
	// Hour is for one hour, as far as it is known.
	Hour Money `json:"hour"`
	// Unknown counts pods whose cost is not known: they are not in Hour. Where their number is not known either, as of a
	// CronJob, each copy counts as one.
	Unknown int32 `json:"unknown,omitempty"`
}

// plus is the sum of two costs.
func (c Cost) plus(other Cost) Cost {
	return Cost{c.Hour.Plus(other.Hour), c.Unknown + other.Unknown}
}

// minus is how much more one costs than the other, as far as that is known.
func (c Cost) minus(other Cost) Cost {
	return Cost{c.Hour.Plus(other.Hour.Times(-1)), max(c.Unknown, other.Unknown)}
}

var (
	daemonSetKind = schema.GroupKind{Group: "apps", Kind: "DaemonSet"}
	cronJobKind   = schema.GroupKind{Group: "batch", Kind: "CronJob"}
)

// costIn is what an object's share costs in a cluster, how many pods that are, and whether the number is known. An object
// without pods costs nothing.
func (w *World) costIn(o *Object, facts *placement.Object, s Share) (c Cost, pods int32, counted bool) {
	if facts.Request == nil || o.finishedIn(s.Cluster) {
		return Cost{}, 0, true
	}
	pods, counted = w.podsOf(o, facts, s)
	i := slices.IndexFunc(w.Clusters, func(c placement.Cluster) bool { return c.Name == s.Cluster })
	if i < 0 || !counted || requestsNothing(facts.Request) {
		return Cost{Unknown: pods}, pods, counted
	}
	price, known := placement.Hourly(facts, &w.Clusters[i])
	if !known {
		return Cost{Unknown: pods}, pods, counted
	}
	if pods == 0 {
		return Cost{}, 0, true
	}
	return Cost{Hour: Money{w.Clusters[i].Price.Currency: price * float64(pods)}}, pods, true
}

// podsOf counts the pods of a share: a whole copy of something with replicas has them all, a DaemonSet one on each node.
func (w *World) podsOf(o *Object, facts *placement.Object, s Share) (pods int32, known bool) {
	switch {
	case s.Replicas != nil:
		return *s.Replicas, true
	case facts.Divided:
		return ptr.Deref(facts.Replicas, 1), true
	case o.GroupKind() == daemonSetKind:
		if m := w.Members[s.Cluster]; m != nil && m.Status.Nodes.Total > 0 {
			return m.Status.Nodes.Ready, true
		}
	}
	return 1, o.GroupKind() != daemonSetKind && o.GroupKind() != cronJobKind
}

// requestsNothing says whether a pod requests neither CPU nor memory: what it takes is not known.
func requestsNothing(request corev1.ResourceList) bool {
	cpu, memory := request[corev1.ResourceCPU], request[corev1.ResourceMemory]
	return cpu.IsZero() && memory.IsZero()
}

func (o *Object) finishedIn(cluster string) bool {
	if o.Decision == nil {
		return false
	}
	s := stateIn(o.Decision, cluster)
	return s != nil && s.Finished
}

// costOf is what all shares of an object cost together.
func (w *World) costOf(o *Object, facts *placement.Object, shares []Share) Cost {
	sum := Cost{Hour: Money{}}
	for _, s := range shares {
		one, _, _ := w.costIn(o, facts, s)
		sum = sum.plus(one)
	}
	return sum
}

// Difference is how much more changes cost in an hour, all together.
func Difference(changes []Change) Cost {
	sum := Cost{Hour: Money{}}
	for i := range changes {
		sum = sum.plus(changes[i].Difference())
	}
	return sum
}

// Difference is how much more an object costs then than it does now.
func (c *Change) Difference() Cost {
	d := c.CostThen.minus(c.CostNow)
	maps.DeleteFunc(d.Hour, func(_ string, amount float64) bool { return amount > -1e-9 && amount < 1e-9 })
	return d
}

// bill is what the nodes of a cluster cost in an hour, and whether that is known.
func bill(m *federation.Cluster, c *placement.Cluster) (hour float64, known bool) {
	if c.Price == nil {
		return 0, false
	}
	var cpus, gib float64
	add := func(capacity corev1.ResourceList) {
		cpu, memory := capacity[corev1.ResourceCPU], capacity[corev1.ResourceMemory]
		cpus, gib = cpus+cpu.AsApproximateFloat64(), gib+memory.AsApproximateFloat64()/(1<<30)
	}
	for i := range m.Status.Machines {
		add(m.Status.Machines[i].Capacity)
	}
	if len(m.Status.Machines) == 0 {
		add(m.Status.Capacity)
	}
	return cpus*c.Price.CPUHour.AsApproximateFloat64() + gib*c.Price.GiBHour.AsApproximateFloat64(), cpus > 0
}
