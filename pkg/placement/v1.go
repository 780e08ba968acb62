package placement

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"kubefed.dev/kubefed/pkg/policy"
)

// V1Input is everything that a plan by Federation v1's preferences depends on.
type V1Input struct {
	// Key is the object's namespace and name, "namespace/name". It makes the order of equal clusters differ from object
	// to object.
	Key string
	// Replicas to divide.
	Replicas    int64
	Preferences policy.Preferences
	// Clusters that may have replicas, in any order, each name once.
	Clusters []V1Cluster
}

// V1Cluster is what is to be known of a cluster.
type V1Cluster struct {
	Name string
	// Current counts the pods that run there and are ready. Federation v1 never told it of a Job.
	Current int64
	// Placed is the share that the cluster has by the decision in force, nil where none is in force: what runs beyond it
	// is the surge of a rollout, or about to end, and is not kept.
	Placed *int64
	// Capacity is how many replicas fit at most, nil for unknown. Federation v1's estimate was the replicas asked for
	// less the pods that were unschedulable for 60 s, where there were any.
	Capacity *int64
}

// V1Plan has one share for each cluster, by name.
type V1Plan []V1Share

// V1Share is the plan for one cluster. The object there is to have Replicas + Overflow replicas.
type V1Share struct {
	Name     string
	Replicas int64
	// Overflow is what the cluster should have but has no room for. With rebalance, replicas that are planned elsewhere
	// instead are in it too, so that they run here as soon as they can; without, only those that have no other place.
	Overflow int64
}

// PlanV1 divides replicas as Federation v1's planner did: every cluster gets its minimum; without rebalance it keeps
// what runs there; the rest goes out by weight in rounds, fractions rounded up, the heaviest cluster first and equal ones
// by a hash of their name and Key. The sum is exact wherever maxima and capacities of clusters with weight allow.
//
// Two faults of the planner are not repeated; in everything else the numbers are its own. Both are in the step that keeps
// what runs, so with rebalance nothing differs.
//
//   - kubernetes-retired/federation#70: where more ran than was asked for, the first cluster in order kept all it had, the
//     second what was left. Here a scale-down removes by weight, and starts nothing. 10 and 70 replicas, weights equal,
//     scaled to 50: v1 left 0 and 50, here 10 and 40 stay.
//   - kubernetes-retired/federation#139: ready pods of a rollout's surge were kept as if they had been placed. The first
//     cluster to surge grew at the others' cost with each rollout, in the end to all replicas. Here a cluster keeps at
//     most what was Placed there.
func PlanV1(in V1Input) V1Plan {
	shares := in.shares()
	left := min(max(in.Replicas, 0), math.MaxInt32) // times a weight this fits an int64
	order := slices.Clone(shares)
	slices.SortFunc(order, inOrderV1)
	for _, s := range order {
		s.replicas = min(s.least, s.most, s.capacity, left)
		left -= s.replicas
	}
	if !in.Preferences.Rebalance {
		left = keepV1(order, left)
	}
	left = spreadV1(order, left)
	plan := make(V1Plan, len(shares))
	for i, s := range shares {
		if !in.Preferences.Rebalance {
			s.overflow = min(s.overflow, left)
		}
		plan[i] = V1Share{Name: s.name, Replicas: s.replicas, Overflow: s.overflow}
	}
	byName := func(a, b V1Share) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(plan, byName) {
		slices.SortFunc(plan, byName)
	}
	return plan
}

// v1Share is the share of a cluster while it is worked out.
type v1Share struct {
	name               string
	hash               uint32
	weight             int64
	least, most        int64 // by the preferences
	capacity           int64
	running            int64 // that may be kept
	replicas, overflow int64
	// kept is the part of replicas that the cluster has because it runs there, as far as no round has counted it yet
	// against what is due by weight.
	kept int64
}

// shares lists the clusters as they came, with what bounds their shares.
func (in V1Input) shares() []*v1Share {
	others, rest := in.Preferences.Clusters["*"]
	all, shares := make([]v1Share, len(in.Clusters)), make([]*v1Share, len(in.Clusters))
	for i := range in.Clusters {
		c, s := &in.Clusters[i], &all[i]
		shares[i] = s
		s.name, s.hash, s.capacity = c.Name, hashV1(c.Name, in.Key), math.MaxInt64
		p, listed := in.Preferences.Clusters[c.Name]
		if !listed && !rest {
			continue // at most 0
		} else if !listed {
			p = others
		}
		s.weight, s.least, s.most = min(max(p.Weight, 0), math.MaxInt32), max(p.MinReplicas, 0), math.MaxInt64
		if p.MaxReplicas != nil {
			s.most = max(*p.MaxReplicas, 0)
		}
		if c.Capacity != nil {
			s.capacity = max(*c.Capacity, 0)
		}
		s.running = min(c.Current, s.most, s.capacity)
		if c.Placed != nil {
			s.running = min(s.running, *c.Placed)
		}
	}
	return shares
}

// inOrderV1 puts the heaviest first, and of equals the one with the lower hash.
func inOrderV1(a, b *v1Share) int {
	if a.weight != b.weight {
		return cmp.Compare(b.weight, a.weight)
	}
	if a.hash != b.hash {
		return cmp.Compare(a.hash, b.hash)
	}
	return strings.Compare(a.name, b.name)
}

// keepV1 gives clusters what runs there beyond their minimum, and returns what is left. Where that is more than there is
// to give, the clusters keep parts by weight; those without weight keep what the others leave.
func keepV1(order []*v1Share, left int64) int64 {
	total := int64(0)
	open := make([]*v1Share, 0, len(order))
	for _, s := range order {
		if s.kept = max(s.running-s.replicas, 0); s.kept > 0 {
			total += s.kept
			open = append(open, s)
		}
	}
	if total <= left {
		for _, s := range open {
			s.replicas += s.kept
		}
		return left - total
	}
	for left > 0 {
		round, weights, next := left, weightsV1(open), open[:0]
		if weights == 0 { // only clusters without weight still have something to keep
			for _, s := range open {
				s.weight = 1
			}
			weights = int64(len(open))
		}
		for _, s := range open {
			due := min(dueV1(round, s.weight, weights), left, s.kept)
			s.replicas, s.kept, left = s.replicas+due, s.kept-due, left-due
			if s.kept > 0 {
				next = append(next, s)
			}
		}
		open = next
	}
	return 0
}

// spreadV1 gives out what is left by weight, and returns what no cluster may take. Each round offers every cluster its
// part; a part is first set off against what the cluster kept. Who is full leaves the next rounds. Every round but the
// last gives something or fills a cluster, so c clusters take O(c) rounds, and a few more to set off what was kept.
func spreadV1(order []*v1Share, left int64) int64 {
	open := slices.Clone(order)
	for left > 0 {
		round, weights, next := left, weightsV1(open), open[:0]
		if weights == 0 {
			break
		}
		for _, s := range open {
			due := min(dueV1(round, s.weight, weights), left)
			running := min(due, s.kept)
			s.kept -= running
			want := s.replicas + due - running
			full := want > min(s.most, s.capacity)
			want = min(want, s.most)
			if want > s.capacity {
				s.overflow, want = want-s.capacity, s.capacity
			}
			left -= want - s.replicas
			s.replicas = want
			if !full {
				next = append(next, s)
			}
		}
		open = next
	}
	return left
}

// dueV1 is a cluster's part of n by weight, rounded up.
func dueV1(n, weight, weights int64) int64 { return (n*weight + weights - 1) / weights }

func weightsV1(open []*v1Share) (sum int64) {
	for _, s := range open {
		sum += s.weight
	}
	return sum
}

// hashV1 is the 32-bit FNV-1 hash (Fowler, Noll, Vo) of a cluster's name and an object's key.
func hashV1(cluster, key string) uint32 {
	h := uint32(2166136261)
	for _, s := range [2]string{cluster, key} {
		for i := range len(s) {
			h = h*16777619 ^ uint32(s[i])
		}
	}
	return h
}
