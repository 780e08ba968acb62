package placement

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Sentences for spec.reason. None of them depends on what comes and goes by itself (readiness), so that a flapping
// cluster rewrites no decision.
const (
	reasonCopied   = "no policy: copied to every ready cluster"
	reasonDivided  = "no policy: replicas divided evenly over the ready clusters, moving as few as possible"
	reasonFollows  = "goes only where something that uses it is placed"
	reasonAlso     = ", and where something that uses it is placed" // after another reason
	reasonUnused   = "nothing that is federated uses it, so it goes to no cluster"
	reasonZero     = "0 replicas: goes to no cluster until it is scaled up"
	reasonNoChoice = "no cluster can take it now; placed as soon as one is ready"
)

// Place decides where an object is to be, and with how many replicas in each cluster. It is pure: equal input gives
// equal output, whatever the order of clusters, and the answer to an unchanged question is the current decision.
//
// What is placed stays: a cluster that is not ready, tainted or without the API takes nothing new, but keeps its share,
// because that it can't be reached does not say that nothing runs there. Only a cluster that leaves the federation gives
// its share back.
func Place(in Input) Answer {
	if in.Object.Unfederated {
		return Answer{Decision: Decision{Object: in.Object.Reference, Reason: federation.ReasonNotFederated}}
	}
	if in.Current != nil && in.Current.Object.UID != in.Object.Reference.UID {
		in.Current = nil
	}
	follows := in.Object.OnlyUse && in.Object.Use != nil && in.Policy == nil
	candidates, excluded := sift(in, follows)
	d := Decision{Object: in.Object.Reference}
	switch {
	case follows:
		d.Clusters, d.Reason = follow(in.Object.Use, candidates)
		excluded = slices.DeleteFunc(excluded, func(e exclusion) bool { return !slices.Contains(in.Object.Use.Wanted, e.cluster) })
	case in.Object.Divided:
		d.Clusters, d.Reason = divide(in.Object, candidates)
	default:
		d.Clusters, d.Reason = copied(candidates)
	}
	if !follows && in.Object.Use != nil {
		d.Clusters, d.Reason = alongside(in, d.Clusters, d.Reason)
		excluded = slices.DeleteFunc(excluded, func(e exclusion) bool { return includes(d.Clusters, e.cluster) })
	}
	d.Excluded = listed(excluded, in.Current, d.Clusters)
	return Answer{Decision: d}
}

// candidate is a cluster that has the object or may get it.
type candidate struct {
	name string
	// has says that the cluster is in the current decision; had is its share there.
	has bool
	had federation.ClusterPlacement
	// why the cluster gets nothing new; empty where it may.
	why string
	// rank breaks ties. It differs from object to object, so that remainders spread over the clusters.
	rank uint64
	// replicas is the share that is being worked out.
	replicas int64
}

// sift sorts clusters into candidates, by name, and those that the object is kept from. What follows its users is let in
// where they were.
func sift(in Input, follows bool) (candidates []candidate, excluded []exclusion) {
	clusters := in.Clusters
	if !slices.IsSortedFunc(clusters, byName) {
		clusters = slices.SortedFunc(slices.Values(clusters), byName)
	}
	var current []federation.ClusterPlacement
	if in.Current != nil {
		current = in.Current.Clusters
	}
	if !slices.IsSortedFunc(current, byPlacementName) {
		current = slices.SortedFunc(slices.Values(current), byPlacementName)
	}
	seed := seedOf(in.Object.Reference)
	candidates = make([]candidate, 0, len(clusters))
	for i := range clusters {
		c := &clusters[i]
		if c.Deleted {
			continue
		}
		for len(current) > 0 && current[0].Name < c.Name {
			current = current[1:]
		}
		next := candidate{name: c.Name, why: keptOut(c, in.Object, follows), rank: rank(seed, c.Name)}
		if len(current) > 0 && current[0].Name == c.Name {
			next.has, next.had = true, current[0]
		}
		if !next.has && next.why != "" {
			excluded = append(excluded, exclusion{next.why, c.Name})
			continue
		}
		candidates = append(candidates, next)
	}
	return candidates, excluded
}

// keptOut says why a cluster takes nothing new of an object.
func keptOut(c *Cluster, o Object, follows bool) string {
	switch {
	case !c.Ready:
		return federation.ReasonNotReady
	case follows:
		return ""
	case c.APIs != nil && !o.Custom && !c.APIs[o.Reference.APIVersion]:
		return federation.ReasonAPIMissing
	case slices.ContainsFunc(c.Taints, repels):
		return federation.ReasonTainted
	}
	return ""
}

func repels(t corev1.Taint) bool {
	return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
}

// copied places an object that is copied whole.
func copied(candidates []candidate) ([]federation.ClusterPlacement, string) {
	if len(candidates) == 0 {
		return nil, reasonNoChoice
	}
	chosen := make([]federation.ClusterPlacement, 0, len(candidates))
	for _, c := range candidates {
		chosen = append(chosen, federation.ClusterPlacement{Name: c.name})
	}
	return chosen, reasonCopied
}

// follow places an object where its users are. It leaves a cluster only after them.
func follow(use *Use, candidates []candidate) ([]federation.ClusterPlacement, string) {
	wanted, leaving := setOf(use.Wanted), setOf(use.Leaving)
	var chosen []federation.ClusterPlacement
	for _, c := range candidates {
		if wanted[c.name] || c.has && (use.Undecided || leaving[c.name]) {
			chosen = append(chosen, federation.ClusterPlacement{Name: c.name})
		}
	}
	if use.Users == 0 && len(chosen) == 0 {
		return nil, reasonUnused
	}
	return chosen, reasonFollows
}

// alongside adds the clusters of an object's users to those that it has by its own placement.
func alongside(in Input, own []federation.ClusterPlacement, reason string) ([]federation.ClusterPlacement, string) {
	if in.Object.Use.Users == 0 && len(in.Object.Use.Wanted)+len(in.Object.Use.Leaving) == 0 {
		return own, reason
	}
	candidates, _ := sift(in, true)
	candidates = slices.DeleteFunc(candidates, func(c candidate) bool { return includes(own, c.name) })
	more, _ := follow(in.Object.Use, candidates)
	if len(more) == 0 {
		return own, reason
	}
	all := slices.Concat(own, more)
	slices.SortFunc(all, byPlacementName)
	if in.Policy == nil {
		return all, reason // without one, what is placed stays: the next look can't tell why it is there
	}
	return all, reason + reasonAlso
}

// includes says whether a list sorted by name has a cluster.
func includes(list []federation.ClusterPlacement, cluster string) bool {
	_, found := slices.BinarySearchFunc(list, cluster, func(p federation.ClusterPlacement, name string) int { return strings.Compare(p.Name, name) })
	return found
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// exclusion is one cluster that the object is kept from.
type exclusion struct{ reason, cluster string }

// listed groups exclusions by reason. They are the record of how the shares came about: one that comes up later, while
// the shares stay as they are, is not added (a cluster that goes down rewrites no decision), one that ended is dropped.
func listed(excluded []exclusion, current *Decision, clusters []federation.ClusterPlacement) []federation.Exclusion {
	if current != nil && sameClusters(current.Clusters, clusters) {
		before := map[string]bool{}
		for _, e := range current.Excluded {
			for _, name := range e.Clusters {
				before[name] = true
			}
		}
		excluded = slices.DeleteFunc(excluded, func(e exclusion) bool { return !before[e.cluster] })
	}
	slices.SortStableFunc(excluded, func(a, b exclusion) int {
		return cmp.Or(strings.Compare(a.reason, b.reason), strings.Compare(a.cluster, b.cluster))
	})
	var groups []federation.Exclusion
	for _, e := range excluded {
		if len(groups) == 0 || groups[len(groups)-1].Reason != e.reason {
			groups = append(groups, federation.Exclusion{Reason: e.reason})
		}
		last := &groups[len(groups)-1]
		last.Clusters = append(last.Clusters, e.cluster)
	}
	return groups
}

func byName(a, b Cluster) int { return strings.Compare(a.Name, b.Name) }

func byPlacementName(a, b federation.ClusterPlacement) int { return strings.Compare(a.Name, b.Name) }

func seedOf(o federation.ObjectReference) uint64 {
	h := fnv.New64a()
	for _, part := range []string{o.APIVersion, o.Kind, o.Namespace, o.Name} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// rank mixes an object's seed with a cluster's name: FNV-1a over the name, then the finalizer of SplitMix64 (Steele,
// Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
func rank(seed uint64, cluster string) uint64 {
	x := seed
	for i := range len(cluster) {
		x = (x ^ uint64(cluster[i])) * 1099511628211
	}
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
