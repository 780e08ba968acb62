package placement

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// cheapest divides by price, bounded by lines as rules takes them.
func cheapest(bounds federation.PriceDivision, lines ...string) federation.Propagation {
	d := divided(federation.StrategyPrice, lines...)
	d.Rebalance, d.Price = true, &bounds
	return federation.Propagation{ReplicaDivision: d}
}

func onSpot(clusters []Cluster, percent ...int32) []Cluster {
	for i, p := range percent {
		clusters[i].Spot = p
	}
	return clusters
}

func egress(clusters []Cluster, perGiB ...string) []Cluster {
	for i, p := range perGiB {
		if p != "" {
			clusters[i].EgressGiB = ptr.To(resource.MustParse(p))
		}
	}
	return clusters
}

func minutes(n int) *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(n) * time.Minute}
}

func TestSpotBound(t *testing.T) {
	half := federation.PriceDivision{MaxSpot: "50%"}
	abc := func() []Cluster { return ready("a", "b", "c") }
	for name, test := range map[string]struct {
		replicas int32
		rule     federation.Propagation
		clusters []Cluster
		current  []string
		want     []string
		missing  string
		unplaced int32
	}{
		"no bound":                     {10, cheapest(federation.PriceDivision{}), onSpot(priced(abc(), "EUR 1", "EUR 2", "EUR 10"), 100, 20, 0), nil, []string{"a:10", "NotNeeded=[b c]"}, "", 0},
		"the next cheapest takes over": {10, cheapest(half), onSpot(priced(abc(), "EUR 1", "EUR 2", "EUR 10"), 100, 20, 0), nil, []string{"a:3", "b:7", "NotNeeded=[c]"}, "", 0},
		"a maximum beside it":          {10, cheapest(half, "a 1", "b 1 0 2", "c 1"), onSpot(priced(abc(), "EUR 1", "EUR 2", "EUR 10"), 100, 20, 0), nil, []string{"a:4", "b:2", "c:4"}, "", 0},
		"a minimum gives way":          {4, cheapest(half, "a 1 3", "b 1"), onSpot(priced(ready("a", "b"), "EUR 1", "EUR 2"), 100, 0), nil, []string{"a:2", "b:2"}, "", 0},
		"equals give alike":            {8, cheapest(half), onSpot(priced(abc(), "EUR 1", "EUR 1", "EUR 2"), 100, 100, 0), nil, []string{"a:2", "b:2", "c:4"}, "", 0},
		"nothing on demand":            {10, cheapest(half), onSpot(priced(ready("a", "b"), "EUR 1", "EUR 2"), 100, 100), nil, []string{"a:5", "NotNeeded=[b]"}, fmt.Sprintf(missingSpot, 5), 5},
		"rounded down":                 {1, cheapest(half), onSpot(priced(ready("a"), "EUR 1"), 100), nil, []string{"NotNeeded=[a]"}, fmt.Sprintf(missingSpot, 1), 1},
		"prices not known":             {4, cheapest(half), onSpot(ready("a", "b"), 100, 0), nil, []string{"a:2", "b:2"}, "", 0},
		"what runs stays":              {4, cheapest(half), onSpot(priced(ready("a"), "EUR 1"), 100), []string{"a:4"}, []string{"a:4"}, missingOnDemand, 0},
		"what runs moves":              {4, cheapest(half), onSpot(priced(ready("a", "b"), "EUR 1", "EUR 2"), 100, 0), []string{"a:4"}, []string{"a:2", "b:2"}, "", 0},
		"shrinking keeps it":           {4, cheapest(half), onSpot(priced(ready("a", "b"), "EUR 1", "EUR 2"), 100, 0), []string{"a:4", "b:4"}, []string{"a:2", "b:2"}, "", 0},
		"a better group before money": {4, func() federation.Propagation {
			rule := cheapest(half)
			rule.ClusterGroups = groups("a,c", "b")
			return rule
		}(), onSpot(priced(abc(), "EUR 1", "EUR 2", "EUR 9"), 100, 0, 0), nil, []string{"a:2", "c:2", "NotNeeded=[b]"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			in := Input{Object: oneCPU(web(test.replicas)), Policy: by(test.rule), Clusters: test.clusters, Now: noon}
			if test.current != nil {
				in.Current = decided(in.Object, test.current...)
			}
			d, _ := settled(t, in)
			if diff := cmp.Diff(test.want, show(d)); diff != "" {
				t.Errorf("Place (-want +got):\n%s", diff)
			}
			if d.Missing != test.missing || d.Unplaced != test.unplaced {
				t.Errorf("missing %q, want %q; unplaced %d, want %d", d.Missing, test.missing, d.Unplaced, test.unplaced)
			}
		})
	}
}

// TestFollowPrices follows decisions through time; after each step all replicas are ready.
func TestFollowPrices(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	prices := func(of ...string) func(in *Input) {
		return func(in *Input) { in.Clusters = priced(slices.Clone(in.Clusters), of...) }
	}
	type step struct {
		minute int
		change func(in *Input)
		want   string
		wake   time.Time
	}
	here := func(bounds federation.PriceDivision) Input {
		o := oneCPU(web(4))
		return Input{Object: o, Policy: by(cheapest(bounds)), Clusters: priced(ready("a", "b"), "EUR 1", "EUR 1"), Current: decided(o, "a:4")}
	}
	with := func(in Input, change func(in *Input)) Input { change(&in); return in }
	for name, test := range map[string]struct {
		in    Input
		steps []step
	}{
		"after stableFor, step by step, and back": {here(federation.PriceDivision{}), []step{
			{0, prices("EUR 1", "EUR 0.8"), "[a:4 NotNeeded=[b]] cheaper [b@0]", at(30)},
			{29, nil, "[a:4 NotNeeded=[b]] cheaper [b@0]", at(30)},
			{30, nil, "[a:4 b:1] cheaper [b@0]", time.Time{}},
			{31, nil, "[a:3 b:2] cheaper [b@0]", time.Time{}},
			{32, nil, "[a:2 b:3] cheaper [b@0]", time.Time{}},
			{33, nil, "[a:1 b:4] cheaper [b@0]", time.Time{}},
			{34, nil, "[b:4 NotNeeded=[a]] cheaper []", time.Time{}},
			{40, prices("EUR 1", "EUR 2"), "[b:4 NotNeeded=[a]] cheaper [a@40]", at(70)},
			{70, nil, "[a:1 b:4] cheaper [a@40]", time.Time{}},
		}},
		"not for pennies": {here(federation.PriceDivision{}), []step{{0, prices("EUR 1", "EUR 0.91"), "[a:4 NotNeeded=[b]] cheaper []", time.Time{}}}},
		"the move counts": {here(federation.PriceDivision{Overlap: minutes(30)}), []step{{0, prices("EUR 1", "EUR 0.7"), "[a:4 NotNeeded=[b]] cheaper []", time.Time{}}}},
		"a break begins anew": {here(federation.PriceDivision{StableFor: minutes(10)}), []step{
			{0, prices("EUR 1", "EUR 0.5"), "[a:4 NotNeeded=[b]] cheaper [b@0]", at(10)},
			{5, prices("EUR 1", "EUR 1"), "[a:4 NotNeeded=[b]] cheaper []", time.Time{}},
			{6, prices("EUR 1", "EUR 0.5"), "[a:4 NotNeeded=[b]] cheaper [b@6]", at(16)},
		}},
		"at once where asked for": {here(federation.PriceDivision{StableFor: minutes(0), MinSavings: "0%", Overlap: minutes(0)}), []step{{0, prices("EUR 1", "EUR 0.99"), "[a:4 b:1] cheaper [b@0]", time.Time{}}}},
		"other currencies":        {here(federation.PriceDivision{StableFor: minutes(0)}), []step{{0, prices("EUR 1", "USD 0.1"), "[a:4 NotNeeded=[b]] cheaper []", time.Time{}}}},
		"fetching costs": {with(here(federation.PriceDivision{StableFor: minutes(0)}), func(in *Input) { in.Object.Traffic.Fetch = 5; egress(in.Clusters, "0.1", "") }), []step{
			{0, prices("EUR 1", "EUR 0.5"), "[a:4 NotNeeded=[b]] cheaper []", time.Time{}}, // 5 GiB for 0.5 EUR
			{1, prices("EUR 1", "EUR 0.3"), "[a:4 b:1] cheaper [b@1]", time.Time{}},
		}},
		"fetching at an unknown price": {with(here(federation.PriceDivision{StableFor: minutes(0)}), func(in *Input) { in.Object.Traffic.Fetch = 5 }), []step{
			{0, prices("EUR 1", "EUR 0.1"), "[a:4 NotNeeded=[b]] cheaper []", time.Time{}}}},
		"sending costs": {with(here(federation.PriceDivision{StableFor: minutes(0)}), func(in *Input) { in.Object.Traffic.EgressHour = 10; egress(in.Clusters, "0.01", "0.1") }), []step{
			{0, prices("EUR 1", "EUR 0.5"), "[a:4 NotNeeded=[b]] cheaper []", time.Time{}}}},
		"bounded by spot": {with(here(federation.PriceDivision{StableFor: minutes(0), MaxSpot: "50%"}), func(in *Input) { onSpot(in.Clusters, 0, 100) }), []step{
			{0, prices("EUR 1", "EUR 0.5"), "[a:4 b:1] cheaper [b@0]", time.Time{}},
			{1, nil, "[a:3 b:2] cheaper [b@0]", time.Time{}},
			{2, nil, "[a:2 b:2] cheaper [b@0]", time.Time{}},
			{3, nil, "[a:2 b:2] cheaper [b@0]", time.Time{}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			in := test.in
			for _, s := range test.steps {
				in.Now, in.Copies = at(s.minute), allReady(in.Current)
				if s.change != nil {
					s.change(&in)
				}
				a := Place(in)
				cheaper := []string{}
				for _, c := range a.Decision.Cheaper {
					cheaper = append(cheaper, fmt.Sprintf("%s@%.0f", c.Name, c.Since.Sub(noon).Minutes()))
				}
				if got := fmt.Sprintf("%v cheaper %v", show(a.Decision), cheaper); got != s.want {
					t.Errorf("minute %d: %s\nwant %s", s.minute, got, s.want)
				}
				if !a.Wake.Equal(s.wake) {
					t.Errorf("minute %d: wakes at %s, want %s", s.minute, a.Wake, s.wake)
				}
				in.Current = &a.Decision
			}
		})
	}
}

// TestSpotBoundHolds: what is placed anew keeps the bound, costs hardly more than the best division by whole replicas that
// does, and leaves nothing out that the bound would allow.
func TestSpotBoundHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c"}
		clusters, spot, prices, most := ready(names...), [3]int32{}, [3]float64{}, [3]int32{}
		var lines []string
		for i, name := range names {
			spot[i] = rapid.SampledFrom([]int32{0, 20, 50, 100}).Draw(t, "spot")
			cents := rapid.IntRange(1, 9).Draw(t, "price")
			prices[i], most[i] = float64(cents), rapid.Int32Range(0, 10).Draw(t, "max")
			clusters = onSpot(priced(clusters, make([]string, 0)...), spot[:i+1]...)
			clusters[i].Price = &federation.Price{Currency: "EUR", CPUHour: *resource.NewQuantity(int64(cents), resource.DecimalSI)}
			lines = append(lines, fmt.Sprintf("%s 1 0 %d", name, most[i]))
		}
		bound := rapid.SampledFrom([]int32{0, 30, 50, 80}).Draw(t, "maxSpot")
		n := rapid.Int32Range(1, 12).Draw(t, "replicas")
		d := decide(Input{Object: oneCPU(web(n)), Policy: by(cheapest(federation.PriceDivision{MaxSpot: fmt.Sprintf("%d%%", bound)}, lines...)), Clusters: clusters, Now: noon})
		used, cost, placed, dearest := int32(0), 0.0, int32(0), 0.0
		for i, name := range names {
			share := shareOf(d, name)
			used, cost, placed, dearest = used+share*spot[i], cost+float64(share)*prices[i], placed+share, max(dearest, prices[i])
		}
		if used > bound*n || placed+d.Unplaced != n {
			t.Fatalf("%d of %d replicas on spot: %v, %d unplaced", used, bound*n, show(d), d.Unplaced)
		}
		best, fits := math.Inf(1), int32(0)
		var to [3]int32
		for to[0] = 0; to[0] <= most[0]; to[0]++ {
			for to[1] = 0; to[1] <= most[1]; to[1]++ {
				for to[2] = 0; to[2] <= most[2]; to[2]++ {
					sum, on, price := int32(0), int32(0), 0.0
					for i := range to {
						sum, on, price = sum+to[i], on+to[i]*spot[i], price+float64(to[i])*prices[i]
					}
					if sum > n || on > bound*n {
						continue
					}
					if fits = max(fits, sum); sum == n {
						best = min(best, price)
					}
				}
			}
		}
		if placed < fits {
			t.Fatalf("%d placed, %d could be: %v", placed, fits, show(d))
		}
		if placed == n && cost > best+dearest {
			t.Fatalf("costs %v, the best division %v: %v", cost, best, show(d))
		}
	})
}

// TestJitterMovesNothing: as long as nothing saves as much as is asked for, no decision is written, however prices move.
func TestJitterMovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := Input{Object: oneCPU(web(rapid.Int32Range(1, 20).Draw(t, "replicas"))), Clusters: ready("a", "b", "c", "d"), Now: noon,
			Policy: by(cheapest(federation.PriceDivision{StableFor: minutes(rapid.IntRange(0, 40).Draw(t, "stableFor")), MaxSpot: "60%"}))}
		onSpot(in.Clusters, 0, 100, 50, 0)
		jitter := func() {
			in.Clusters = slices.Clone(in.Clusters)
			for i := range in.Clusters {
				milli := rapid.Int64Range(960, 1040).Draw(t, "price") // 960 to 1040 saves 7.7%
				in.Clusters[i].Price = &federation.Price{Currency: "EUR", CPUHour: *resource.NewMilliQuantity(milli, resource.DecimalSI)}
			}
		}
		jitter()
		first, _ := settled(t, in)
		in.Current = &first
		for range 20 {
			jitter()
			in.Now, in.Copies = in.Now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "minutes"))*time.Minute), allReady(in.Current)
			if d := decide(in); !Same(in.Current, &d) {
				t.Fatalf("jitter moves replicas: %v -> %v", show(*in.Current), show(d))
			}
		}
	})
}

// market is a world in which prices move, and what it has cost.
type market struct {
	*world
	prices []float64 // by cluster
	spent  float64
}

func (m *market) set(i int, price float64) {
	m.prices[i] = price
	m.in.Clusters = slices.Clone(m.in.Clusters)
	m.in.Clusters[i].Price = &federation.Price{Currency: "EUR", CPUHour: *resource.NewMilliQuantity(int64(price*1000), resource.DecimalSI)}
}

// pass lets a minute pass, and pays for it.
func (m *market) pass() Decision {
	before := map[string]int{}
	for name, pods := range m.pods {
		before[name] = len(pods)
	}
	d := m.step()
	for i, c := range m.in.Clusters {
		m.spent += float64(len(m.pods[c.Name])) * m.prices[i] / 60
	}
	return d
}

func (m *market) hourly() (sum float64) {
	for i, c := range m.in.Clusters {
		sum += float64(len(m.pods[c.Name])) * m.prices[i]
	}
	return sum
}

func genMarket(t *rapid.T, bounds federation.PriceDivision) *market {
	w := &world{pods: map[string][]int{}, holds: map[string]int32{}, started: noon}
	w.in.Object = oneCPU(web(rapid.Int32Range(4, 12).Draw(t, "replicas")))
	var lines []string
	for _, name := range []string{"a", "b", "c", "d"} {
		least := int32(0) // minimums that can't all be met together go where they cost least, whatever that saves
		if name == "a" || name == "d" {
			least = rapid.Int32Range(0, 2).Draw(t, "min")
		}
		lines = append(lines, fmt.Sprintf("%s 1 %d %d", name, least, least+rapid.Int32Range(0, 12).Draw(t, "max")))
		w.holds[name] = 100
	}
	w.in.Clusters = onSpot(ready("a", "b", "c", "d"), 0, 100, 50, 0)
	w.in.Policy = by(cheapest(bounds, lines...))
	m := &market{world: w, prices: make([]float64, 4)}
	for i := range m.prices {
		m.set(i, float64(rapid.IntRange(10, 100).Draw(t, "price"))/10)
	}
	return m
}

// TestMovesPay: after prices changed once and for all, replicas come to rest where none would save enough elsewhere, within
// bounds, every step on the way costs no more than the one before, and an hour after the last move all of it has paid off.
func TestMovesPay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bounds := federation.PriceDivision{MinSavings: "10%", StableFor: minutes(20), Overlap: minutes(readyAfter + 2)}
		if rapid.Bool().Draw(t, "bounded") {
			bounds.MaxSpot = "50%"
		}
		m := genMarket(t, bounds)
		for range 60 {
			m.pass()
		}
		for i := range m.prices {
			m.set(i, float64(rapid.IntRange(10, 100).Draw(t, "price then"))/10)
		}
		stay, last, began := m.hourly(), m.minute, m.minute
		m.spent = 0
		var d Decision
		for m.minute < last+100 {
			before := m.in.Current
			if d = m.pass(); !sameClusters(before.Clusters, d.Clusters) {
				last = m.minute
			}
			if m.minute > began+1000 {
				t.Fatalf("comes to no rest: %s", m)
			}
		}
		if now := m.hourly(); now > stay+1e-9 {
			t.Fatalf("costs %v an hour, before the moves %v: %s", now, stay, m)
		}
		if all := stay * float64(m.minute-began) / 60; m.spent > all+1e-6 {
			t.Fatalf("cost %v, without moves %v: %s", m.spent, all, m)
		}
		m.checkBargains(t, d)
	})
}

// checkBargains checks that no replica would save enough elsewhere, and that bounds hold.
func (m *market) checkBargains(t *rapid.T, d Decision) {
	q := ask(m.in)
	left, bounded := q.maxSpot()
	for i, c := range m.in.Clusters {
		left -= int64(c.Spot) * int64(shareOf(d, c.Name))
		rule := m.in.Policy.Rule.ReplicaDivision.Clusters[i]
		if n := shareOf(d, c.Name); n > *rule.MaxReplicas {
			t.Fatalf("%s has more than its maximum: %s", c.Name, m)
		}
	}
	if bounded && left < 0 && d.Missing == "" {
		t.Fatalf("too many on spot: %s", m)
	}
	if d.Unplaced > 0 {
		return // nothing moves for money before all have a place
	}
	for i, from := range m.in.Clusters {
		for j, to := range m.in.Clusters {
			rules := m.in.Policy.Rule.ReplicaDivision.Clusters
			fits := !bounded || left >= int64(to.Spot-from.Spot)
			saves := m.prices[j]*(1+4.0/60) <= 0.9*m.prices[i]-1e-9
			if saves && fits && shareOf(d, from.Name) > *rules[i].MinReplicas && shareOf(d, to.Name) < *rules[j].MaxReplicas {
				t.Fatalf("a replica of %s would save enough in %s: %s", from.Name, to.Name, m)
			}
		}
	}
}

// TestMovesAreEarned lets prices wander: replicas begin to go to a cluster only where that would have saved enough, from some
// cluster that has any, at every minute of stableFor.
func TestMovesAreEarned(t *testing.T) {
	const stable = 15
	rapid.Check(t, func(t *rapid.T) {
		m := genMarket(t, federation.PriceDivision{StableFor: minutes(stable), Overlap: minutes(2)})
		for range 30 {
			m.pass()
		}
		var history []map[string]bool
		for range 120 {
			if rapid.IntRange(0, 3).Draw(t, "moves") == 0 {
				i := rapid.IntRange(0, 3).Draw(t, "cluster")
				m.set(i, min(max(m.prices[i]*rapid.Float64Range(0.6, 1.6).Draw(t, "by"), 0.5), 50))
			}
			saves := map[string]bool{}
			for i, from := range m.in.Clusters {
				for j, to := range m.in.Clusters {
					if len(m.pods[from.Name]) > 0 && m.prices[j]*(1+2.0/60) <= 0.9*m.prices[i]+2e-3 {
						saves[to.Name] = true
					}
				}
			}
			history = append(history, saves)
			before := m.in.Current
			d := m.pass()
			if before.Moving {
				continue // what has begun goes on, or back
			}
			for _, c := range m.in.Clusters {
				if shareOf(d, c.Name) <= shareOf(*before, c.Name) {
					continue
				}
				window := history[max(len(history)-stable-1, 0):]
				if len(history) <= stable || slices.ContainsFunc(window, func(saves map[string]bool) bool { return !saves[c.Name] }) {
					t.Fatalf("%s was not cheaper for %d minutes: %v -> %v", c.Name, stable, show(*before), show(d))
				}
			}
		}
	})
}
