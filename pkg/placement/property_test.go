package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

func genCluster(name string) *rapid.Generator[Cluster] {
	return rapid.Custom(func(t *rapid.T) Cluster {
		c := Cluster{Cluster: policy.Cluster{Name: name}, Ready: rapid.IntRange(0, 4).Draw(t, "up") > 0, Deleted: rapid.IntRange(0, 9).Draw(t, "deleted") == 0}
		if rapid.IntRange(0, 4).Draw(t, "taint") == 0 {
			c.Taints = []corev1.Taint{{Key: "k", Effect: rapid.SampledFrom([]corev1.TaintEffect{
				corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule}).Draw(t, "effect")}}
		}
		if rapid.Bool().Draw(t, "known") {
			c.APIs = map[string]bool{"v1": true, "apps/v1": rapid.IntRange(0, 4).Draw(t, "apps") > 0, "batch/v1": true}
		}
		return c
	})
}

func genClusters(t *rapid.T, label string) []Cluster {
	var clusters []Cluster
	for i := range rapid.IntRange(0, 8).Draw(t, label) {
		clusters = append(clusters, genCluster(fmt.Sprintf("c%d", i)).Draw(t, label))
	}
	return clusters
}

func genObject(t *rapid.T, label string) Object {
	replicas := rapid.Int32Range(0, 40).Draw(t, label+" replicas")
	switch rapid.IntRange(0, 3).Draw(t, label) {
	case 0:
		return config()
	case 1:
		return job(replicas, rapid.Int32Range(0, 40).Draw(t, "completions"))
	case 2:
		all := []string{"c0", "c1", "c2", "c3", "c4", "c5"}
		of := rapid.SampledFrom([]func(Use) Object{secret, used}).Draw(t, "sort")
		return of(Use{Users: rapid.IntRange(0, 2).Draw(t, "users"), Undecided: rapid.Bool().Draw(t, "undecided"),
			Wanted: rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(t, "wanted"), Leaving: rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(t, "leaving")})
	}
	return web(replicas)
}

// genInput draws a question whose current decision was once an answer.
func genInput(t *rapid.T) Input {
	object := genObject(t, "object")
	in := Input{Object: object, Clusters: genClusters(t, "clusters")}
	if rapid.Bool().Draw(t, "decided before") {
		before := object
		if before.Divided {
			before.Replicas = ptr.To(rapid.Int32Range(0, 40).Draw(t, "replicas before"))
		}
		d := decide(Input{Object: before, Clusters: genClusters(t, "clusters before")})
		in.Current = &d
	}
	return in
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := genInput(t)
		d := decide(in)
		checkNames(t, in, d)
		if in.Object.Divided {
			checkSums(t, in.Object, d)
		}
		if diff := cmp.Diff(d, decide(in)); diff != "" {
			t.Fatalf("not deterministic:\n%s", diff)
		}
		shuffled := in
		shuffled.Clusters = slices.Clone(in.Clusters)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		r.Shuffle(len(shuffled.Clusters), func(i, j int) {
			shuffled.Clusters[i], shuffled.Clusters[j] = shuffled.Clusters[j], shuffled.Clusters[i]
		})
		if diff := cmp.Diff(d, decide(shuffled)); diff != "" {
			t.Fatalf("the order of clusters matters:\n%s", diff)
		}
		again := in
		again.Current = &d
		if next := decide(again); !Same(&d, &next) {
			t.Fatalf("not stable:\n%s", cmp.Diff(d, next))
		}
	})
}

// checkNames checks who may be in a decision at all.
func checkNames(t *rapid.T, in Input, d Decision) {
	if !slices.IsSortedFunc(d.Clusters, byPlacementName) {
		t.Fatalf("clusters not sorted: %v", show(d))
	}
	excluded := map[string]bool{}
	for _, e := range d.Excluded {
		for _, name := range e.Clusters {
			excluded[name] = true
		}
	}
	for _, p := range d.Clusters {
		i := slices.IndexFunc(in.Clusters, func(c Cluster) bool { return c.Name == p.Name })
		if i < 0 || in.Clusters[i].Deleted || excluded[p.Name] {
			t.Fatalf("%s is gone, leaving or excluded: %v", p.Name, show(d))
		}
		used := in.Object.Use != nil && slices.Contains(in.Object.Use.Wanted, p.Name)
		if why := keptOut(&in.Clusters[i], in.Object, used); !holds(in.Current, p.Name) && why != "" {
			t.Fatalf("%s was chosen anew though %s", p.Name, why)
		}
		if !holds(in.Current, p.Name) && p.Replicas != nil && *p.Replicas == 0 {
			t.Fatalf("%s was chosen anew for 0 replicas", p.Name)
		}
	}
	if in.Object.Use != nil {
		checkUse(t, in, d)
	}
	if !in.Object.OnlyUse {
		for _, c := range in.Clusters {
			// A Job is begun anew elsewhere, and what a user scales down goes first where it does not stay.
			moved := len(c.Taints) > 0 && len(d.Clusters) > 0 && (in.Object.Completions != nil || in.Object.Divided && *in.Object.Replicas < sumIn(in.Current))
			if holds(in.Current, c.Name) && !c.Deleted && !holds(&d, c.Name) && !moved {
				t.Fatalf("%s lost the object: %v", c.Name, show(d))
			}
		}
	}
}

// checkUse checks that an object is where its users are, and leaves no cluster before them.
func checkUse(t *rapid.T, in Input, d Decision) {
	for _, c := range in.Clusters {
		wanted := slices.Contains(in.Object.Use.Wanted, c.Name)
		leaving := in.Object.Use.Undecided || slices.Contains(in.Object.Use.Leaving, c.Name)
		had := holds(in.Current, c.Name)
		switch got := holds(&d, c.Name); {
		case c.Deleted:
		case !got && (wanted && (c.Ready || had) || leaving && had):
			t.Fatalf("%s is used and lacks the object: %v", c.Name, show(d))
		case got && in.Object.OnlyUse && !wanted && !(leaving && had):
			t.Fatalf("%s has the object, and nothing there needs it: %v", c.Name, show(d))
		}
	}
}

func sumIn(d *Decision) (sum int32) {
	if d == nil {
		return 0
	}
	for _, p := range d.Clusters {
		sum += ptr.Deref(p.Replicas, 0)
	}
	return sum
}

func holds(d *Decision, cluster string) bool {
	return d != nil && slices.ContainsFunc(d.Clusters, func(p federation.ClusterPlacement) bool { return p.Name == cluster })
}

func checkSums(t *rapid.T, o Object, d Decision) {
	if len(d.Clusters) == 0 {
		return
	}
	var replicas, completions int32
	for _, p := range d.Clusters {
		replicas += *p.Replicas
		completions += ptr.Deref(p.Completions, 0)
		if (p.Completions == nil) != (o.Completions == nil) || *p.Replicas < 0 || ptr.Deref(p.Completions, 0) < 0 {
			t.Fatalf("wrong share in %v", show(d))
		}
	}
	if d.Moving && replicas > *o.Replicas && o.Completions == nil {
		return // replacements come first
	}
	if replicas != *o.Replicas || completions != ptr.Deref(o.Completions, 0) {
		t.Fatalf("shares of %d (%d) are %v", *o.Replicas, ptr.Deref(o.Completions, 0), show(d))
	}
}

// TestMinimalMovement: no share shrinks when an object grows or a cluster joins, none grows when it shrinks; what a
// leaving cluster had is all that the others get; a new object is divided within one replica.
func TestMinimalMovement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters := ready("a", "b", "c", "d", "e", "f")[:rapid.IntRange(1, 6).Draw(t, "clusters")]
		before := decide(Input{Object: web(rapid.Int32Range(0, 60).Draw(t, "first")), Clusters: clusters[:rapid.IntRange(1, len(clusters)).Draw(t, "known")]})
		checkEven(t, before)
		n := rapid.Int32Range(0, 60).Draw(t, "then")
		after := decide(Input{Object: web(n), Clusters: clusters, Current: &before})
		grown, shrunk := int32(0), int32(0)
		for _, c := range clusters {
			delta := shareOf(after, c.Name) - shareOf(before, c.Name)
			grown, shrunk = grown+max(delta, 0), shrunk+max(-delta, 0)
		}
		if grown > 0 && shrunk > 0 {
			t.Fatalf("%v -> %v moves replicas", show(before), show(after))
		}
		left := decide(Input{Object: web(n), Clusters: clusters[1:], Current: &after})
		for _, c := range clusters[1:] {
			if shareOf(left, c.Name) < shareOf(after, c.Name) {
				t.Fatalf("%v -> %v: %s lost replicas because another cluster left", show(after), show(left), c.Name)
			}
		}
	})
}

// TestDealIsOneByOne compares dealing and draining many replicas at once with their definition.
func TestDealIsOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 200).Draw(t, "n")
		var fast, slow []*candidate
		for i := range rapid.IntRange(1, 8).Draw(t, "candidates") {
			c := candidate{Cluster: &Cluster{}, rank: uint64(i), replicas: rapid.Int64Range(0, 40).Draw(t, "start"), pull: rapid.Int64Range(1, 9).Draw(t, "pull")}
			other := c
			fast, slow = append(fast, &c), append(slow, &other)
		}
		byRank := slices.Clone(fast)
		more := rapid.Bool().Draw(t, "more")
		for i := range fast {
			if slow[i].limit = slow[i].replicas + rapid.Int64Range(0, 40).Draw(t, "limit"); !more {
				slow[i].limit = rapid.Int64Range(0, slow[i].replicas).Draw(t, "limit")
			}
			fast[i].limit = slow[i].limit
		}
		left := int64(0)
		if more {
			left = raise(fast, n)
		} else {
			left = lower(fast, n)
		}
		for ; n > left; n-- {
			open := slices.DeleteFunc(slices.Clone(slow), func(c *candidate) bool { return c.replicas == c.limit })
			if more {
				slices.MinFunc(open, func(a, b *candidate) int { return first(isNext(a, b)) }).replicas++
			} else {
				slices.MinFunc(open, func(a, b *candidate) int { return first(givesNext(a, b)) }).replicas--
			}
		}
		for i := range slow {
			if byRank[i].replicas != slow[i].replicas {
				t.Fatalf("candidate %d has %d, one by one %d", i, byRank[i].replicas, slow[i].replicas)
			}
			if left > 0 && slow[i].replicas != slow[i].limit {
				t.Fatalf("%d left though candidate %d is not at its limit", left, i)
			}
		}
	})
}

func first(yes bool) int {
	if yes {
		return -1
	}
	return 1
}

func checkEven(t *rapid.T, d Decision) {
	for _, a := range d.Clusters {
		for _, b := range d.Clusters {
			if *a.Replicas-*b.Replicas > 1 {
				t.Fatalf("uneven: %v", show(d))
			}
		}
	}
}

func shareOf(d Decision, cluster string) int32 {
	for _, p := range d.Clusters {
		if p.Name == cluster {
			return *p.Replicas
		}
	}
	return 0
}

// TestSpreadHolds: what is placed anew keeps maxSkew and maxDomains, and every replica is placed where no wall is.
func TestSpreadHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters := in(ready("a", "b", "c", "d", "e", "f"), "x", "x", "x", "y", "y", "z")[:rapid.IntRange(1, 6).Draw(t, "clusters")]
		regions, single := rapid.Int32Range(1, 3).Draw(t, "skew of regions"), rapid.Int32Range(0, 3).Draw(t, "skew of clusters")
		most := rapid.Int32Range(0, 3).Draw(t, "most regions")
		constraints := []federation.TopologySpreadConstraint{spreadOver("region", regions, 0, most)}
		if single > 0 {
			constraints = append(constraints, spreadOver("cluster", single, 0, 0))
		}
		o := web(rapid.Int32Range(0, 40).Draw(t, "replicas"))
		d := decide(Input{Object: o, Policy: by(federation.Propagation{TopologySpreadConstraints: constraints}), Clusters: clusters, Now: noon})
		count := map[string]int32{}
		for _, c := range clusters {
			count[c.Region] += 0
			if n := shareOf(d, c.Name); n > 0 {
				count[c.Region] += n
			}
		}
		used, low, high := int32(0), int32(1<<30), int32(0)
		for _, n := range count {
			if n > 0 {
				used++
			}
			if n > 0 || most == 0 {
				low, high = min(low, n), max(high, n)
			}
		}
		if most > 0 && used > most || high-low > regions {
			t.Fatalf("%d of %v, skew %d: %v %d unplaced", *o.Replicas, count, regions, show(d), d.Unplaced)
		}
		if single == 0 && d.Unplaced > 0 {
			t.Fatalf("%d unplaced: %v", d.Unplaced, show(d))
		}
	})
}

// TestFewestMoves compares what moves with the least that any division within the bounds would move.
func TestFewestMoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters := ready("a", "b", "c")
		var current []string
		var division federation.ReplicaDivision
		bounds, shares := [3][2]int32{}, [3]int32{}
		for i, c := range clusters {
			least := rapid.Int32Range(0, 2).Draw(t, "min")
			most := least + rapid.Int32Range(0, 5).Draw(t, "max")
			bounds[i], shares[i] = [2]int32{least, most}, rapid.Int32Range(0, 5).Draw(t, "share")
			division.Clusters = append(division.Clusters, federation.ReplicaRule{ClusterSelector: names(c.Name),
				Weight: ptr.To(rapid.Int32Range(1, 4).Draw(t, "weight")), MinReplicas: &least, MaxReplicas: &most})
			current = append(current, fmt.Sprintf("%s:%d", c.Name, shares[i]))
		}
		o := web(rapid.Int32Range(0, 12).Draw(t, "replicas"))
		best := int32(1 << 30)
		var to [3]int32
		for to[0] = bounds[0][0]; to[0] <= bounds[0][1]; to[0]++ {
			for to[1] = bounds[1][0]; to[1] <= bounds[1][1]; to[1]++ {
				if to[2] = *o.Replicas - to[0] - to[1]; to[2] >= bounds[2][0] && to[2] <= bounds[2][1] {
					best = min(best, movesBetween(shares, to))
				}
			}
		}
		if best == 1<<30 {
			return // no division keeps the bounds
		}
		d, _ := settled(t, Input{Object: o, Policy: by(federation.Propagation{ReplicaDivision: &division}), Clusters: clusters, Current: decided(o, current...), Now: noon})
		for i, c := range clusters {
			to[i] = shareOf(d, c.Name)
		}
		if got := movesBetween(shares, to); got != best {
			t.Fatalf("%v -> %v moves %d, %d would do; bounds %v", shares, show(d), got, best, bounds)
		}
	})
}

func movesBetween(from, to [3]int32) (moves int32) {
	for i := range from {
		moves += max(from[i]-to[i], to[i]-from[i])
	}
	return moves
}
