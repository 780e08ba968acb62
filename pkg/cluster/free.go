package cluster

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const (
	// maxFreeGroups bounds Cluster.status.free: nodes that are less and less alike are put together until it holds.
	maxFreeGroups = 32
	// What is free is written at most every freeEvery where it changed much (by a hundredth of all that the nodes have),
	// and where it changed little after freeSettles: a busy member is no reason for a write every few seconds.
	freeEvery   = 10 * time.Second
	freeSettles = time.Minute
)

// freeStep is how finely free room is told apart; it is doubled until there are few enough groups.
var freeStep = amount{cpu: 50, memory: 64 << 20, pods: 1}

// FreeOf groups the nodes that are ready and schedulable by what is free on them, by requests per node: alike nodes
// share an entry, with the least that is free on one of them, rounded down. The one entry of a cluster without such a
// node has 0 nodes.
func FreeOf(nodes []*corev1.Node, used map[string]amount) []federation.FreeNodes {
	var rooms []amount
	for _, node := range nodes {
		if ready(node) && schedulable(node) {
			rooms = append(rooms, amountOf(node.Status.Allocatable).plus(used[node.Name], -1))
		}
	}
	if len(rooms) == 0 {
		return []federation.FreeNodes{{}}
	}
	const manySteps = 12 // 200 CPUs, 256 GiB, 4096 pods
	step, extendedStep := freeStep, int64(1)
	for doubled := 0; ; doubled++ {
		if groups := group(rooms, step, extendedStep); len(groups) <= maxFreeGroups {
			return groups
		}
		step = step.plus(step, 1)
		if doubled >= manySteps {
			extendedStep *= 2
		}
	}
}

// schedulable says whether a pod without tolerations may go to a node.
func schedulable(node *corev1.Node) bool {
	return !node.Spec.Unschedulable && !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	})
}

// group puts nodes together whose rooms are equal when rounded down to the step; sorted by the rounded rooms.
func group(rooms []amount, step amount, extendedStep int64) []federation.FreeNodes {
	type alike struct {
		nodes int32
		least amount
	}
	groups := map[string]*alike{}
	for _, room := range rooms {
		rounded := room.down(freeStep, 1)
		key := room.down(step, extendedStep).key()
		if g := groups[key]; g == nil {
			groups[key] = &alike{1, rounded}
		} else {
			g.nodes, g.least = g.nodes+1, g.least.least(rounded)
		}
	}
	sorted := slices.SortedFunc(maps.Values(groups), func(a, b *alike) int { return strings.Compare(a.least.key(), b.least.key()) })
	list := make([]federation.FreeNodes, 0, len(sorted))
	for _, g := range sorted {
		list = append(list, federation.FreeNodes{Nodes: g.nodes, Free: g.least.list()})
	}
	return list
}

// freeToWrite says what Cluster.status.free becomes: what is free now, or still the old, so that small changes cost few
// writes. since is how long ago it was written last.
func freeToWrite(old, now []federation.FreeNodes, allocatable corev1.ResourceList, since time.Duration) []federation.FreeNodes {
	switch {
	case len(now) == 0 || len(old) == 0 || since >= freeSettles:
		return now
	case since >= freeEvery && differMuch(old, now, amountOf(allocatable)):
		return now
	}
	return old
}

// differMuch says whether nodes came or went, or more than a hundredth of what all nodes have was taken or given back.
func differMuch(a, b []federation.FreeNodes, of amount) bool {
	nodesA, roomA := total(a)
	nodesB, roomB := total(b)
	if nodesA != nodesB {
		return true
	}
	change := roomB.plus(roomA, -1)
	much := func(n, of int64) bool { return n != 0 && max(n, -n)*100 >= of }
	for name, n := range change.extended {
		if much(n, of.extended[name]) {
			return true
		}
	}
	return much(change.cpu, of.cpu) || much(change.memory, of.memory) || much(change.pods, of.pods)
}

func total(list []federation.FreeNodes) (nodes int32, room amount) {
	for _, f := range list {
		nodes += f.Nodes
		room = room.plus(amountOf(f.Free), int64(f.Nodes))
	}
	return nodes, room
}
