package placement

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// world is a federation in which pods need some time to become ready, and some find no node. It carries decisions out
// as members do.
type world struct {
	in      Input
	pods    map[string][]int // by cluster: the minute in which each pod was made
	holds   map[string]int32 // pods that a cluster has room for
	blocks  map[string]int32 // ordinals' starts, of clusters that have a copy
	minute  int
	started time.Time
}

// readyAfter and stuckAfter are minutes.
const (
	readyAfter = 2
	stuckAfter = 1
)

func (w *world) now() time.Time { return w.started.Add(time.Duration(w.minute) * time.Minute) }

// ready and stuck count a cluster's pods: the oldest find room.
func (w *world) ready(cluster string) (ready, stuck int32) {
	for i, made := range w.pods[cluster] {
		switch age := w.minute - made; {
		case int32(i) >= w.holds[cluster] && age >= stuckAfter:
			stuck++
		case int32(i) < w.holds[cluster] && age >= readyAfter:
			ready++
		}
	}
	return ready, stuck
}

func (w *world) allReady() (sum int32) {
	for cluster := range w.pods {
		ready, _ := w.ready(cluster)
		sum += ready
	}
	return sum
}

func (w *world) count() (sum int) {
	for _, pods := range w.pods {
		sum += len(pods)
	}
	return sum
}

// report tells what members report.
func (w *world) report() (copies []Copy) {
	for cluster, pods := range w.pods {
		ready, stuck := w.ready(cluster)
		share := int32(len(pods))
		copies = append(copies, Copy{Cluster: cluster, Synced: true, Ready: ptr.To(min(ready, share)), Unschedulable: stuck})
	}
	return copies
}

// step lets a minute pass, asks, and carries the answer out.
func (w *world) step() Decision {
	w.minute++
	w.in.Now, w.in.Copies = w.now(), w.report()
	d := Place(w.in).Decision
	w.in.Current = &d
	shares := map[string]int{}
	for _, p := range d.Clusters {
		shares[p.Name] = int(*p.Replicas)
	}
	for cluster := range w.pods {
		if _, has := shares[cluster]; !has {
			delete(w.pods, cluster)
		}
	}
	for cluster, share := range shares {
		pods := w.pods[cluster]
		for len(pods) < share {
			pods = append(pods, w.minute)
		}
		w.pods[cluster] = pods[:share] // the youngest go first
	}
	return d
}

func (w *world) String() string {
	var parts []string
	for _, c := range w.in.Clusters {
		ready, stuck := w.ready(c.Name)
		parts = append(parts, fmt.Sprintf("%s %d/%d ready, %d stuck", c.Name, ready, len(w.pods[c.Name]), stuck))
	}
	for i := range w.in.Clusters {
		if c := &w.in.Clusters[i]; !c.Ready || len(c.Taints) > 0 {
			parts = append(parts, fmt.Sprintf("%s ready %v %v", c.Name, c.Ready, c.Taints))
		}
	}
	return fmt.Sprintf("minute %d, %d replicas: %s; %v %+v", w.minute, *w.in.Object.Replicas, strings.Join(parts, "; "), show(*w.in.Current), *w.in.Current)
}

func genRule(t *rapid.T) federation.Propagation {
	var rule federation.Propagation
	all := []string{"a", "b", "c", "d", "e"}
	if rapid.Bool().Draw(t, "grouped") {
		cut := rapid.IntRange(1, 4).Draw(t, "first group")
		rule.ClusterGroups = groups(strings.Join(all[:cut], ","), strings.Join(all[cut:], ","))
	}
	if rapid.Bool().Draw(t, "divided") {
		division := &federation.ReplicaDivision{Rebalance: rapid.IntRange(0, 3).Draw(t, "rebalance") == 0, Strategy: rapid.SampledFrom([]string{
			federation.StrategyWeighted, federation.StrategyFreeCapacity, federation.StrategyPacked, federation.StrategyPrice}).Draw(t, "strategy")}
		for _, name := range all[rapid.IntRange(0, 1).Draw(t, "unselected"):] {
			least := rapid.Int32Range(0, 2).Draw(t, "min")
			r := federation.ReplicaRule{ClusterSelector: names(name), Weight: ptr.To(rapid.Int32Range(0, 3).Draw(t, "weight")), MinReplicas: &least}
			if rapid.Bool().Draw(t, "bounded") {
				r.MaxReplicas = ptr.To(least + rapid.Int32Range(0, 6).Draw(t, "max"))
			}
			division.Clusters = append(division.Clusters, r)
		}
		if division.Strategy == federation.StrategyPrice && rapid.Bool().Draw(t, "price") {
			division.Price = &federation.PriceDivision{MaxSpot: rapid.SampledFrom([]string{"", "0%", "40%", "100%"}).Draw(t, "maxSpot"),
				StableFor: minutes(rapid.IntRange(0, 9).Draw(t, "stableFor")), MinSavings: "5%"}
		}
		rule.ReplicaDivision = division
	}
	if rapid.IntRange(0, 2).Draw(t, "spread") == 0 {
		c := spreadOver(rapid.SampledFrom([]string{"cluster", "region"}).Draw(t, "key"), rapid.Int32Range(0, 3).Draw(t, "skew"),
			rapid.Int32Range(0, 2).Draw(t, "least"), rapid.SampledFrom([]int32{0, 0, 2, 3}).Draw(t, "most"))
		if rapid.Bool().Draw(t, "soft") {
			c.WhenUnsatisfiable = corev1.ScheduleAnyway
		}
		rule.TopologySpreadConstraints = append(rule.TopologySpreadConstraints, c)
	}
	if rapid.Bool().Draw(t, "moves") {
		rule.Moves = &federation.Moves{MaxMoving: ptr.To(intstr.FromInt32(rapid.Int32Range(1, 5).Draw(t, "maxMoving"))),
			MaxUnavailable: ptr.To(intstr.FromInt32(rapid.Int32Range(0, 1).Draw(t, "maxUnavailable")))}
	}
	return rule
}

func genWorld(t *rapid.T) *world {
	w := &world{pods: map[string][]int{}, holds: map[string]int32{}, started: noon}
	w.in.Object = web(rapid.Int32Range(0, 20).Draw(t, "replicas"))
	w.in.Object.Ordered = rapid.Bool().Draw(t, "ordered")
	w.in.Clusters = priced(in(ready("a", "b", "c", "d", "e"), "x", "x", "y", "y", "z"), "EUR 1", "EUR 2", "", "USD 1", "EUR 1")
	w.in.Object, w.in.Clusters = oneCPU(w.in.Object), onSpot(w.in.Clusters, 100, 0, 50, 0, 20)
	for _, c := range w.in.Clusters {
		w.holds[c.Name] = 100
	}
	if rapid.IntRange(0, 5).Draw(t, "policy") > 0 {
		w.in.Policy = by(genRule(t))
	}
	return w
}

// happen lets something happen; it says whether a user asked for fewer replicas.
func (w *world) happen(t *rapid.T) (shrunk bool) {
	w.in.Clusters = slices.Clone(w.in.Clusters)
	c := &w.in.Clusters[rapid.IntRange(0, 4).Draw(t, "cluster")]
	switch rapid.IntRange(0, 11).Draw(t, "event") {
	case 0:
		c.Ready, c.Since = !c.Ready, w.now()
	case 1:
		c.Taints = []corev1.Taint{{Key: "down", Effect: corev1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: w.now()}}}
	case 2:
		c.Taints = nil
	case 3:
		before := *w.in.Object.Replicas
		w.in.Object.Replicas = ptr.To(rapid.Int32Range(0, 20).Draw(t, "replicas"))
		return *w.in.Object.Replicas < before
	case 4:
		w.holds[c.Name] = rapid.Int32Range(int32(len(w.pods[c.Name])), 24).Draw(t, "room")
	case 5:
		w.in.Policy = by(genRule(t))
	case 6:
		w.in.Object.Rebalance = fmt.Sprint(w.minute)
	case 7:
		w.in.Policy = nil
	case 8: // it dies: its pods are gone, what it reported last is all that is known
		c.Ready, c.Since, c.Down = false, w.now(), true
		c.Taints = []corev1.Taint{{Key: federation.TaintDown, Effect: corev1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: w.now()}}}
	case 9: // it comes back
		c.Ready, c.Since, c.Down, c.Taints = true, w.now(), false, nil
	case 10:
		c.Taints = []corev1.Taint{{Key: federation.TaintDrain, Effect: corev1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: w.now()}}}
	case 11:
		c.Price = &federation.Price{Currency: "EUR", CPUHour: *resource.NewQuantity(rapid.Int64Range(1, 9).Draw(t, "price"), resource.DecimalSI)}
	}
	return false
}

// TestSimulation lets things happen and checks at every step what is promised: that moves cost no more ready replicas
// than the policy allows, that the last copy stays, that no two clusters have the same ordinal, and that once nothing
// happens any more all comes to rest where the policy wants it.
func TestSimulation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := genWorld(t)
		w.step()
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			shrunk := w.happen(t)
			for range rapid.IntRange(1, 4).Draw(t, "minutes") {
				w.checkedStep(t, shrunk)
				shrunk = false
			}
		}
		changes, last := 0, Decision{}
		for i := range 400 {
			d := w.checkedStep(t, false)
			if i >= 300 && !Same(&last, &d) {
				changes++
			}
			last = d
		}
		for _, c := range w.in.Clusters {
			if w.holds[c.Name] < 100 {
				return // replicas that wait are tried elsewhere again and again
			}
		}
		waits := last.Moving && w.silentShares()
		if changes > 0 || last.Moving && !waits {
			t.Fatalf("comes to no rest (%d changes): %s", changes, w)
		}
		if !waits {
			w.checkRest(t, last)
		}
	})
}

func (w *world) checkedStep(t *rapid.T, shrunk bool) Decision {
	w.minute++
	before, had, was := w.allReady(), w.count(), w.in.Current
	w.minute--
	d := w.step()
	total := *w.in.Object.Replicas
	q := ask(w.in)
	if after := w.allReady(); !shrunk && after < min(before, total-int32(q.maxUnavailable())) {
		t.Fatalf("%d of %d replicas were ready, now %d: %s\nbefore %v", before, total, after, w, show(*was))
	}
	if had > 0 && total > 0 && w.count() == 0 {
		t.Fatalf("the last copy is gone: %s", w)
	}
	starts := map[string]int32{}
	for _, o := range d.Ordinals {
		starts[o.Name] = o.Start
	}
	if w.in.Object.Ordered {
		for a, pods := range w.pods {
			for b := range w.pods {
				if a != b && starts[a] <= starts[b] && starts[a]+int32(len(pods)) > starts[b] {
					t.Fatalf("%s and %s have the same ordinals: %s", a, b, w)
				}
			}
			if before, has := w.blocks[a]; has && before != starts[a] {
				t.Fatalf("%s starts at %d, before at %d", a, starts[a], before)
			}
		}
		w.blocks = map[string]int32{}
		for a := range w.pods {
			w.blocks[a] = starts[a]
		}
	}
	return d
}

// silentShares says whether replicas are in a cluster that does not answer: as long as nothing is known of them, they are
// no proof that others may go.
func (w *world) silentShares() bool {
	return slices.ContainsFunc(w.in.Clusters, func(c Cluster) bool { return (!c.Ready || c.Down) && len(w.pods[c.Name]) > 0 })
}

// checkRest checks where replicas have come to rest: their sum, and bounds.
func (w *world) checkRest(t *rapid.T, d Decision) {
	sum := int32(0)
	for _, p := range d.Clusters {
		sum += *p.Replicas
	}
	if sum+d.Unplaced != *w.in.Object.Replicas {
		t.Fatalf("%d replicas placed, %d unplaced: %s", sum, d.Unplaced, w)
	}
	if w.in.Policy == nil || w.in.Policy.Rule.ReplicaDivision == nil || d.Missing != "" {
		return
	}
	for _, p := range d.Clusters {
		for _, r := range w.in.Policy.Rule.ReplicaDivision.Clusters {
			if r.Names[0] == p.Name && r.MaxReplicas != nil && *p.Replicas > *r.MaxReplicas {
				t.Fatalf("%s has more than its maximum %d: %s", p.Name, *r.MaxReplicas, w)
			}
		}
	}
}
