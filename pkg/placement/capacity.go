package placement

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// amounts are a list of resources as whole numbers: milli-CPUs, octets, pods.
type amounts struct {
	cpu, memory, pods int64
	others            corev1.ResourceList // nil for none
}

func amountsOf(list corev1.ResourceList) (a amounts) {
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			a.cpu = q.MilliValue()
		case corev1.ResourceMemory:
			a.memory = q.Value()
		case corev1.ResourcePods:
			a.pods = q.Value()
		default:
			if a.others == nil {
				a.others = corev1.ResourceList{}
			}
			a.others[name] = q
		}
	}
	return a
}

// per is how often a request is in the amounts: by the scarcest resource.
func (a *amounts) per(request *amounts) int64 {
	times := noLimit
	if request.cpu > 0 {
		times = min(times, a.cpu/request.cpu)
	}
	if request.memory > 0 {
		times = min(times, a.memory/request.memory)
	}
	if request.pods > 0 {
		times = min(times, a.pods/request.pods)
	}
	for name, q := range request.others {
		if need := q.Value(); need > 0 {
			has := a.others[name]
			times = min(times, has.Value()/need)
		}
	}
	return max(times, 0)
}

func (a *amounts) of(name corev1.ResourceName) int64 {
	switch name {
	case corev1.ResourceCPU:
		return a.cpu
	case corev1.ResourceMemory:
		return a.memory
	case corev1.ResourcePods:
		return a.pods
	}
	has := a.others[name]
	return has.Value()
}

// nodes are so many nodes on each of which so much is free.
type nodes struct {
	count int64
	amounts
}

// nodesOf reads what is free in a cluster, nil where that is unknown.
func nodesOf(c *Cluster) []nodes {
	if c.Free == nil {
		return nil
	}
	list := make([]nodes, len(c.Free))
	for i := range c.Free {
		list[i] = nodes{int64(c.Free[i].Nodes), amountsOf(c.Free[i].Free)}
	}
	return list
}

// fits is how many more replicas of the object fit into what is free in a cluster, less what was placed a moment ago. It
// is -1 where that is unknown.
func (q *question) fits(c *candidate) int64 {
	if c.Free == nil || len(q.Object.Request) == 0 {
		return -1
	}
	free := []nodes(nil)
	if q.scope != nil {
		free = q.scope.free[c.at]
	} else {
		free = nodesOf(c.Cluster)
	}
	if q.request == nil {
		request := amountsOf(q.Object.Request)
		q.request = &request
	}
	count := int64(0)
	for i := range free {
		count += free[i].per(q.request) * free[i].count
	}
	if len(c.Reserved) > 0 {
		count = min(count, q.unreserved(c, free))
	}
	return min(max(count, 0), noLimit)
}

// unreserved is how many replicas what was placed a moment ago leaves room for. On which nodes it is going to be is not
// known, so each resource counts by itself: what one takes of the CPUs is no loss where pods are scarcer.
func (q *question) unreserved(c *candidate, free []nodes) int64 {
	left := noLimit
	for name, request := range q.Object.Request {
		taken, some := c.Reserved[name]
		need := amount(name, request)
		if !some || need <= 0 {
			continue
		}
		times := -(amount(name, taken) + need - 1) / need
		for i := range free {
			times += free[i].of(name) / need * free[i].count
		}
		left = min(left, times)
	}
	return left
}

// amount is a quantity as a whole number: milli-CPUs, octets, and the like.
func amount(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}
