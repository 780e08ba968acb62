package placement

import (
	"math"
	"slices"
	"strings"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// The pods of a StatefulSet have ordinals. Each cluster has a block of its own, so that no two clusters run the same one:
//
//	a  0 ...      b  1000 ...      c  2000 ...
//
// A cluster keeps its block as long as it has a copy, however its share changes.

// leastBlock is the smallest distance between two clusters' first ordinals.
const leastBlock = 1000

// blockFor is the distance that new clusters keep: a power of ten above twice the replicas.
func blockFor(replicas int64) int64 {
	block := int64(leastBlock)
	for block <= 2*replicas {
		block *= 10
	}
	return block
}

// blockOf is how many ordinals a cluster has.
func blockOf(q *question, cluster string) int64 {
	if q.Current == nil {
		return noLimit
	}
	own := int64(-1)
	for _, o := range q.Current.Ordinals {
		if o.Name == cluster {
			own = int64(o.Start)
		}
	}
	if own < 0 {
		return noLimit
	}
	block := int64(math.MaxInt32) - own
	for _, o := range q.Current.Ordinals {
		if above := int64(o.Start) - own; above > 0 {
			block = min(block, above)
		}
	}
	return block
}

// ordinals gives every cluster of a decision its first ordinal. A cluster that leaves keeps its own until its copy is
// known to be gone.
func ordinals(q *question, clusters []federation.ClusterPlacement) []federation.OrdinalStart {
	if !q.Object.Ordered {
		return nil
	}
	chosen := make(map[string]bool, len(clusters))
	for _, p := range clusters {
		chosen[p.Name] = true
	}
	var starts []federation.OrdinalStart
	if q.Current != nil {
		starts = slices.DeleteFunc(slices.Clone(q.Current.Ordinals), func(o federation.OrdinalStart) bool {
			return !chosen[o.Name] && !q.mayHold(o.Name)
		})
	}
	kept, block, next := len(starts), blockFor(q.total), int64(q.Object.FirstOrdinal)
	for _, o := range starts {
		delete(chosen, o.Name)
	}
	for _, p := range clusters {
		if !chosen[p.Name] {
			continue
		}
		for slices.ContainsFunc(starts[:kept], func(o federation.OrdinalStart) bool {
			return int64(o.Start) < next+block && next < int64(o.Start)+block
		}) {
			next += block
		}
		starts = append(starts, federation.OrdinalStart{Name: p.Name, Start: int32(min(next, math.MaxInt32))})
		next += block
	}
	slices.SortFunc(starts, func(a, b federation.OrdinalStart) int { return strings.Compare(a.Name, b.Name) })
	return starts
}

// mayHold says whether a cluster that is in the decision no more may still have a copy.
func (q *question) mayHold(cluster string) bool {
	return slices.ContainsFunc(q.Current.Clusters, func(p federation.ClusterPlacement) bool { return p.Name == cluster }) ||
		slices.ContainsFunc(q.Copies, func(c Copy) bool { return c.Cluster == cluster })
}
