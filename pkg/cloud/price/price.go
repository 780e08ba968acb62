// Package price works out what running pods costs in a cluster, from what its machines cost. It is pure: machines and the
// prices that a cloud names for them come in, the price of a CPU-hour and of a GiB-hour goes out. It asks nobody.
//
// A machine has one price, and pods request CPUs and memory. The price is split as if a CPU cost always so many times what a
// GiB does:
//
//	machine m7i.large, 2 CPUs and 8 GiB, 0.1008 USD an hour
//	    2 CPUs count as 2 * 7.461 = 14.92 GiB, with the memory 22.92 GiB
//	    0.1008 / 22.92 = 0.0044 USD for a GiB-hour, 7.461 times as much, 0.0328 USD, for a CPU-hour
//
// The ratio is that of Google Cloud's own prices for the two (N2, us-central1: 0.031611 USD for a CPU-hour, 0.004237 USD for a
// GiB-hour); OpenCost splits by the same one. By this rule the parts of a machine always add up to its price, and so do those
// of a cluster: no fit over several machines does that, and a fit may come out negative.
package price

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
)

// gibPerCPU is how many GiB cost as much as one CPU.
const gibPerCPU = 0.031611 / 0.004237

const gib = 1 << 30

// Sources of a PriceStatus; a snapshot has its date behind it.
const (
	SourceSpec     = "spec"
	SourceAPI      = "api"
	SourceFile     = "file"
	SourceSnapshot = "snapshot"
)

// Egress is the price of a GiB that leaves a cluster's region.
type Egress struct {
	Currency string
	GiB      float64
}

// Of is what running pods costs in a cluster: by its spec, else averaged over its machines by the prices of those that are
// known. Prices may hold machines that the cluster has not (the same types on spot): they show among the offers. nil says that
// nothing is known.
//
// was is the status so far, nil for none. Where no price is known any more it stays as it is, and so grows old: unknown is not
// free. What differs from it by less than Noise does not count as a change.
func Of(spec *federation.Price, machines []federation.MachineCount, prices map[cloud.Machine]cloud.Price, egress *Egress, was *federation.PriceStatus, now time.Time) *federation.PriceStatus {
	currency := currencyOf(spec, machines, prices)
	status := &federation.PriceStatus{Spot: spotOf(machines), EgressGiB: egressIn(currency, egress)}
	if spec != nil {
		status.Price, status.Source, status.At = *spec, SourceSpec, metav1.Time{Time: now.Truncate(time.Second)}
		if was != nil && was.Source == SourceSpec && samePrice(was.Price, *spec) {
			status.At = was.At // since when the spec says so
		}
		return status
	}
	all := bill{}
	for i := range machines {
		m := &machines[i]
		p, known := prices[cloud.Machine{Type: m.Type, Zone: m.Zone, Spot: m.Spot}]
		cpus, memory := sizeOf(m, p)
		if !known || p.Currency != currency || !all.add(p, cpus, memory, int64(m.Nodes)) {
			status.Unpriced += m.Nodes
		}
	}
	if all.cpus == 0 { // of no machine that there is
		if was == nil || was.Source == SourceSpec {
			return nil
		}
		kept := was.DeepCopy()
		kept.Spot = status.Spot
		return kept
	}
	cpu, memory := all.rates()
	status.Price = federation.Price{Currency: currency, CPUHour: quantity(cpu), GiBHour: quantity(memory)}
	status.Offers = offers(currency, machines, prices)
	status.Source, status.At = all.source, metav1.Time{Time: all.oldest.Truncate(time.Second)}
	steady(status, was)
	return status
}

// currencyOf is the spec's, else the one in which most CPUs have a price; machines with a price in another count as unpriced.
func currencyOf(spec *federation.Price, machines []federation.MachineCount, prices map[cloud.Machine]cloud.Price) (best string) {
	if spec != nil {
		return spec.Currency
	}
	cpus := map[string]float64{}
	for i := range machines {
		m := &machines[i]
		if p, known := prices[cloud.Machine{Type: m.Type, Zone: m.Zone, Spot: m.Spot}]; known {
			each, _ := sizeOf(m, p)
			cpus[p.Currency] += each * float64(m.Nodes)
		}
	}
	for _, currency := range slices.Sorted(maps.Keys(cpus)) {
		if best == "" || cpus[currency] > cpus[best] {
			best = currency
		}
	}
	return best
}

// sizeOf is what one of these machines has: by its nodes, since that is what pods request of, else by its cloud.
func sizeOf(m *federation.MachineCount, p cloud.Price) (cpus, memory float64) {
	cpus, memory = p.CPUs, p.GiB
	if q, has := m.Capacity[corev1.ResourceCPU]; has && m.Nodes > 0 && !q.IsZero() {
		cpus = q.AsApproximateFloat64() / float64(m.Nodes)
	}
	if q, has := m.Capacity[corev1.ResourceMemory]; has && m.Nodes > 0 && !q.IsZero() {
		memory = q.AsApproximateFloat64() / gib / float64(m.Nodes)
	}
	return cpus, memory
}

// spotOf is the percentage of CPUs that are on spot machines.
func spotOf(machines []federation.MachineCount) int32 {
	all, spot := 0.0, 0.0
	for i := range machines {
		q := machines[i].Capacity[corev1.ResourceCPU]
		cpus := q.AsApproximateFloat64()
		if all += cpus; machines[i].Spot {
			spot += cpus
		}
	}
	if all == 0 {
		return 0
	}
	return int32(math.Round(100 * spot / all))
}

func egressIn(currency string, e *Egress) *resource.Quantity {
	if e == nil || e.Currency != currency || e.GiB < 0 {
		return nil
	}
	q := quantity(e.GiB)
	return &q
}

// bill adds machines up.
type bill struct {
	cpus, memory       float64 // that there are
	forCPUs, forMemory float64 // what they cost in an hour
	source             string
	oldest             time.Time
}

// add takes n machines of one kind into account, and says whether their price is one.
func (b *bill) add(p cloud.Price, cpus, memory float64, n int64) bool {
	cpuHour, gibHour, ok := Split(p.Hour, cpus, memory)
	if !ok || n <= 0 {
		return false
	}
	cpus, memory = cpus*float64(n), memory*float64(n)
	b.cpus, b.memory = b.cpus+cpus, b.memory+memory
	b.forCPUs, b.forMemory = b.forCPUs+cpus*cpuHour, b.forMemory+memory*gibHour
	b.source = lessCertain(b.source, p.Source)
	if b.oldest.IsZero() || p.At.Before(b.oldest) {
		b.oldest = p.At
	}
	return true
}

// rates are the prices of a CPU-hour and a GiB-hour, by which all machines together cost what they do.
func (b *bill) rates() (cpuHour, gibHour float64) {
	if b.memory > 0 {
		gibHour = b.forMemory / b.memory
	}
	return b.forCPUs / b.cpus, gibHour
}

// Split divides the price of a machine for one hour over its CPUs and its memory in GiB. It is no price where the machine has
// no CPUs, or the number is none.
func Split(hour, cpus, memory float64) (cpuHour, gibHour float64, ok bool) {
	if !(hour >= 0) || math.IsInf(hour, 1) || !(cpus > 0) || !(memory >= 0) {
		return 0, 0, false
	}
	gibHour = hour / (cpus*gibPerCPU + memory)
	return gibHour * gibPerCPU, gibHour, true
}

// offers are the prices in each zone, on demand and spot. Types count by how many CPUs the cluster has of each, wherever and
// however it has them: what moved into a zone would be of these types.
func offers(currency string, machines []federation.MachineCount, prices map[cloud.Machine]cloud.Price) []federation.PriceOffer {
	nodes := map[string]int64{}
	for i := range machines {
		nodes[machines[i].Type] += int64(machines[i].Nodes)
	}
	type place struct {
		zone string
		spot bool
	}
	bills := map[place]*bill{}
	for m, p := range prices {
		if n := nodes[m.Type]; n > 0 && p.Currency == currency {
			at := place{m.Zone, m.Spot}
			if bills[at] == nil {
				bills[at] = &bill{}
			}
			bills[at].add(p, p.CPUs, p.GiB, n)
		}
	}
	var list []federation.PriceOffer
	for at, b := range bills {
		if b.cpus > 0 {
			cpu, memory := b.rates()
			list = append(list, federation.PriceOffer{Zone: at.zone, Spot: at.spot, CPUHour: quantity(cpu), GiBHour: quantity(memory)})
		}
	}
	slices.SortFunc(list, func(a, b federation.PriceOffer) int {
		if c := strings.Compare(a.Zone, b.Zone); c != 0 || a.Spot == b.Spot {
			return c
		}
		if a.Spot {
			return 1
		}
		return -1
	})
	return list
}

// lessCertain is the less certain of two sources: an API, a file, a snapshot, an older snapshot.
func lessCertain(a, b string) string {
	rank := func(s string) int {
		switch {
		case s == "":
			return 0
		case s == SourceAPI:
			return 1
		case s == SourceFile:
			return 2
		}
		return 3
	}
	switch {
	case rank(a) != rank(b):
		if rank(a) > rank(b) {
			return a
		}
		return b
	case a < b: // dates sort as text
		return a
	}
	return b
}

// quantity writes a price down to a nano of its currency.
func quantity(v float64) resource.Quantity {
	return *resource.NewScaledQuantity(int64(math.Round(v*1e9)), resource.Nano)
}
