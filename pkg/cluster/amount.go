package cluster

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// amount is so much of what pods request: CPU in thousandths, memory in octets, pods, and extended resources in ones.
type amount struct {
	cpu, memory, pods int64
	extended          map[corev1.ResourceName]int64 // nil for none
}

// amountOf reads what a node has or pods request. Parts of one count as one.
func amountOf(list corev1.ResourceList) amount {
	a := amount{cpu: list.Cpu().MilliValue(), memory: list.Memory().Value(), pods: list.Pods().Value()}
	for name, q := range list {
		if n := q.Value(); n != 0 && extended(name) {
			if a.extended == nil {
				a.extended = map[corev1.ResourceName]int64{}
			}
			a.extended[name] = n
		}
	}
	return a
}

// extended says whether a resource has a domain, such as example.com/gpu.
func extended(name corev1.ResourceName) bool { return strings.Contains(string(name), "/") }

// plus adds n times b.
func (a amount) plus(b amount, n int64) amount {
	a.cpu, a.memory, a.pods = a.cpu+n*b.cpu, a.memory+n*b.memory, a.pods+n*b.pods
	if len(b.extended) > 0 {
		a.extended = maps.Clone(a.extended)
		if a.extended == nil {
			a.extended = map[corev1.ResourceName]int64{}
		}
		for name, m := range b.extended {
			a.extended[name] += n * m
		}
	}
	return a
}

// down rounds down to whole steps, nothing below 0. The step of extended resources is 1 until the others are beyond
// what any node has: there are few of them, and each counts.
func (a amount) down(step amount, extendedStep int64) amount {
	floor := func(n, step int64) int64 { return max(n, 0) / step * step }
	rounded := amount{cpu: floor(a.cpu, step.cpu), memory: floor(a.memory, step.memory), pods: floor(a.pods, step.pods)}
	for name, n := range a.extended {
		if n = floor(n, extendedStep); n > 0 {
			if rounded.extended == nil {
				rounded.extended = map[corev1.ResourceName]int64{}
			}
			rounded.extended[name] = n
		}
	}
	return rounded
}

// least takes the smaller of each.
func (a amount) least(b amount) amount {
	l := amount{cpu: min(a.cpu, b.cpu), memory: min(a.memory, b.memory), pods: min(a.pods, b.pods)}
	for name, n := range a.extended {
		if n = min(n, b.extended[name]); n > 0 {
			if l.extended == nil {
				l.extended = map[corev1.ResourceName]int64{}
			}
			l.extended[name] = n
		}
	}
	return l
}

// key is equal for equal amounts.
func (a amount) key() string {
	var b strings.Builder
	number := func(n int64) {
		for range 8 {
			b.WriteByte(byte(n))
			n >>= 8
		}
	}
	number(a.cpu)
	number(a.memory)
	number(a.pods)
	for _, name := range slices.Sorted(maps.Keys(a.extended)) {
		b.WriteString(string(name))
		number(a.extended[name])
	}
	return b.String()
}

func (a amount) list() corev1.ResourceList {
	list := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(a.cpu, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(a.memory, resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(a.pods, resource.DecimalSI),
	}
	for name, n := range a.extended {
		list[name] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	return list
}
