package placement

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// fits is how many more replicas of an object fit into what is free in a cluster: on every node as many as its scarcest
// resource allows, less what was placed a moment ago. It is -1 where that is unknown.
func fits(o *Object, c *Cluster) int64 {
	if c.Free == nil || len(o.Request) == 0 {
		return -1
	}
	count := int64(0)
	for i := range c.Free {
		group := &c.Free[i]
		perNode := noLimit
		for name, request := range o.Request {
			if need := amount(name, request); need > 0 {
				perNode = min(perNode, amount(name, group.Free[name])/need)
			}
		}
		count += max(perNode, 0) * int64(group.Nodes)
	}
	// What is reserved is not known by node: it costs as many replicas as its scarcest resource is worth.
	reserved := int64(0)
	for name, request := range o.Request {
		if need := amount(name, request); need > 0 {
			if taken, some := c.Reserved[name]; some {
				reserved = max(reserved, (amount(name, taken)+need-1)/need)
			}
		}
	}
	return min(max(count-reserved, 0), noLimit)
}

// amount is a quantity as a whole number: milli-CPUs, octets, and the like.
func amount(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

// priceOf is what one replica costs in an hour, and whether that is known.
func priceOf(o *Object, p *federation.Price) (float64, bool) {
	if p == nil || len(o.Request) == 0 {
		return 0, false
	}
	const gib = 1 << 30
	cpu, memory := o.Request[corev1.ResourceCPU], o.Request[corev1.ResourceMemory]
	price := float64(cpu.MilliValue())/1000*p.CPUHour.AsApproximateFloat64() + float64(memory.Value())/gib*p.GiBHour.AsApproximateFloat64()
	// Rounded, so that the order of additions decides nothing.
	return math.Round(price*1e9) / 1e9, true
}

// currencyOf is the currency in which most candidates have a price; prices in others are not compared with it.
func currencyOf(candidates []candidate) string {
	count, best := map[string]int{}, ""
	for i := range candidates {
		if p := candidates[i].Price; p != nil {
			count[p.Currency]++
		}
	}
	for currency, n := range count {
		if best == "" || n > count[best] || n == count[best] && currency < best {
			best = currency
		}
	}
	return best
}
