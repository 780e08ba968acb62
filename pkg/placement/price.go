package placement

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Hourly is what one replica costs in an hour in a cluster, in the currency of its price, and whether that is known: not where
// nothing is known of what a replica requests, and not where it sends something and the price of that is unknown.
func Hourly(o *Object, c *Cluster) (float64, bool) {
	if c.Price == nil || len(o.Request) == 0 {
		return 0, false
	}
	r := rateOf(c)
	return r.of(o.Request[corev1.ResourceCPU], o.Request[corev1.ResourceMemory], o.Traffic.EgressHour)
}

// rate is what a cluster costs, as numbers; egress, of a GiB, is -1 where it is unknown.
type rate struct{ cpuHour, gibHour, egress float64 }

func rateOf(c *Cluster) rate {
	if c.Price == nil {
		return rate{egress: -1}
	}
	r := rate{c.Price.CPUHour.AsApproximateFloat64(), c.Price.GiBHour.AsApproximateFloat64(), -1}
	if c.EgressGiB != nil {
		r.egress = c.EgressGiB.AsApproximateFloat64()
	}
	return r
}

// of is what so much costs in an hour, rounded, so that floating point decides nothing.
func (r rate) of(cpu, memory resource.Quantity, egress float64) (float64, bool) {
	const gib = 1 << 30
	cost := float64(cpu.MilliValue())/1000*r.cpuHour + float64(memory.Value())/gib*r.gibHour
	if egress > 0 {
		if r.egress < 0 {
			return 0, false
		}
		cost += egress * r.egress
	}
	return rounded(cost), true
}

func rounded(cost float64) float64 { return math.Round(cost*1e9) / 1e9 }

// trafficOf reads the annotations that say what one replica sends and fetches.
func trafficOf(egress, fetch string) (t Traffic) {
	read := func(key, text string) float64 {
		if text == "" {
			return 0
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= 0 && n <= 1e9) {
			t.Invalid = errors.Join(t.Invalid, fmt.Errorf("the annotation %s is %q, which is no decimal such as \"0.5\": it counts as 0", key, text))
			return 0
		}
		return n
	}
	t.EgressHour, t.Fetch = read(federation.AnnotationEgress, egress), read(federation.AnnotationFetch, fetch)
	return t
}

// appraise finds out what a replica costs in each candidate, in the currency in which most candidates have a price: prices in
// others are not compared with it.
func appraise(q *question, candidates []candidate) {
	if q.strategy() != federation.StrategyPrice || q.scope == nil || len(q.Object.Request) == 0 {
		return
	}
	if err := q.Object.Traffic.Invalid; err != nil {
		q.lacks(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	currency, cpu, memory := currencyOf(candidates), q.Object.Request[corev1.ResourceCPU], q.Object.Request[corev1.ResourceMemory]
	for i := range candidates {
		c := &candidates[i]
		if c.Price == nil || c.Price.Currency != currency {
			continue
		}
		r := q.scope.rates[c.at]
		if cost, known := r.of(cpu, memory, q.Object.Traffic.EgressHour); known {
			c.cost = cost
		}
		switch {
		case q.Object.Traffic.Fetch == 0:
			c.fetch = 0
		case r.egress >= 0:
			c.fetch = q.Object.Traffic.Fetch * r.egress
		}
	}
}

// currencyOf is the currency in which most candidates have a price.
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

// Running replicas follow prices where that pays: from a cluster to another one of its group in which they would cost less, by
// so much (minSavings, the move itself counted) and for so long (stableFor). The decision remembers since when which clusters
// were cheaper, so that what goes up and down moves nothing, and nothing is lost when the control plane starts anew.

// Defaults of PriceDivision.
const (
	defaultMinSavings     = 10 // percent
	defaultPriceStableFor = 30 * time.Minute
	defaultOverlap        = 2 * time.Minute
	// leastHorizon is for how long a saving is taken to last at least. One that has lasted longer is taken to last as long again.
	leastHorizon = time.Hour
	// maxCheaper bounds how many clusters a decision remembers.
	maxCheaper = 8
)

// bargain is what makes a move pay.
type bargain struct {
	savings   float64 // part of what a replica costs
	stableFor time.Duration
	// hours for which a saving is taken to last, and for which a replica runs twice.
	horizon, overlap float64
}

func (q *question) bargain() bargain {
	b := bargain{savings: defaultMinSavings / 100.0, stableFor: defaultPriceStableFor}
	overlap := defaultOverlap
	if p := q.rule.ReplicaDivision.Price; p != nil {
		if percent, given := percentOf(p.MinSavings); given {
			b.savings = float64(percent) / 100
		}
		if p.StableFor != nil {
			b.stableFor = p.StableFor.Duration
		}
		if p.Overlap != nil {
			overlap = p.Overlap.Duration
		}
	}
	b.horizon, b.overlap = max(b.stableFor, leastHorizon).Hours(), overlap.Hours()
	return b
}

// percentOf reads "10%".
func percentOf(text string) (percent int64, given bool) {
	percent, err := strconv.ParseInt(strings.TrimSuffix(text, "%"), 10, 64)
	return percent, err == nil
}

// worth is what a replica may cost elsewhere at most, during the horizon and with the move, in order to move from a cluster.
func (b *bargain) worth(c *candidate) float64 {
	return c.cost*(1-b.savings)*b.horizon - c.fetch
}

// price is what a replica that moves to a cluster costs there during the horizon, the overlap included.
func (b *bargain) price(c *candidate) float64 { return c.cost * (b.horizon + b.overlap) }

// pays says whether a replica is to move from one cluster to another one.
func (b *bargain) pays(from, to *candidate) bool {
	return to.cost < from.cost && b.price(to) <= b.worth(from)
}

// gives says whether a candidate's replicas are weighed against prices elsewhere: they are known, and the cluster is too.
func (c *candidate) gives() bool {
	return c.cost >= 0 && c.fetch >= 0 && c.replicas > c.least && c.why != federation.ReasonNotReady && !c.unproven
}

// followPrices moves replicas to clusters that have been cheaper for long enough. Nothing moves for money while replicas have
// no place at all.
func followPrices(q *question, candidates []candidate) {
	if q.Object.Completions != nil || q.total == 0 || q.unplaced > 0 {
		return
	}
	b := q.bargain()
	q.cheaper = cheaper(q, candidates, &b)
	var to []*candidate
	for _, one := range q.cheaper {
		c := &candidates[slices.IndexFunc(candidates, func(c candidate) bool { return c.Name == one.Name })]
		if until := one.Since.Add(b.stableFor); until.After(q.Now) {
			q.waitsFor(until, c.Name, "replicas move there if it stays cheaper so long (price.stableFor)")
			continue
		}
		to = append(to, c)
	}
	if len(to) == 0 {
		return
	}
	slices.SortFunc(to, func(x, y *candidate) int { return cmp.Or(cmp.Compare(x.cost, y.cost), inRank(x, y)) })
	from := sellers(candidates, &b)
	q.count(candidates)
	spot := spotLeft(q, candidates)
	for _, t := range to {
		for _, f := range from {
			if f.group != t.group || !f.gives() || !b.pays(f, t) || t.replicas >= t.room {
				continue
			}
			if !q.stayed(f) {
				q.waitsFor(f.had.Since.Add(q.minimumStay()), f.Name, "replicas may move on (minimumStay)")
				continue
			}
			n := min(f.replicas-f.least, t.room-t.replicas)
			if more := int64(t.Spot - f.Spot); more > 0 && spot < noLimit {
				n = min(n, max(spot, 0)/more)
			}
			n = transfer(q, f, t, n)
			if spot < noLimit {
				spot -= n * int64(t.Spot-f.Spot)
			}
		}
	}
}

// sellers are the candidates that replicas may move away from, those first where they are worth most.
func sellers(candidates []candidate, b *bargain) []*candidate {
	var list []*candidate
	for i := range candidates {
		if candidates[i].gives() {
			list = append(list, &candidates[i])
		}
	}
	slices.SortFunc(list, func(x, y *candidate) int { return cmp.Or(cmp.Compare(b.worth(y), b.worth(x)), inRank(x, y)) })
	return list
}

// cheaper lists the clusters that it pays to move to, those of the current decision first, with since when.
func cheaper(q *question, candidates []candidate, b *bargain) []federation.CheaperCluster {
	from := sellers(candidates, b)
	if len(from) == 0 {
		return nil
	}
	since := map[string]metav1.Time{}
	if q.Current != nil {
		for _, c := range q.Current.Cheaper {
			since[c.Name] = c.Since
		}
	}
	var list []*candidate
	for i := range candidates {
		c := &candidates[i]
		if c.cost < 0 || !c.usable() || c.pull == 0 || c.replicas >= c.most {
			continue
		}
		if slices.ContainsFunc(from, func(f *candidate) bool { return f.group == c.group && b.pays(f, c) }) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(x, y *candidate) int {
		_, before := since[x.Name]
		if _, other := since[y.Name]; before != other {
			if before {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(x.cost, y.cost), inRank(x, y))
	})
	var found []federation.CheaperCluster
	for _, c := range list[:min(len(list), maxCheaper)] {
		at, before := since[c.Name]
		if !before || at.After(q.Now) {
			at = metav1.Time{Time: q.Now.Truncate(time.Second)}
		}
		found = append(found, federation.CheaperCluster{Name: c.Name, Since: at})
	}
	slices.SortFunc(found, func(a, b federation.CheaperCluster) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// transfer moves up to n replicas while they are worked out, as far as constraints allow, and returns how many.
func transfer(q *question, from, to *candidate, n int64) (moved int64) {
	if n <= 0 {
		return 0
	}
	if q.spread == nil {
		from.replicas, to.replicas = from.replicas-n, to.replicas+n
		return n
	}
	for ; moved < n; moved++ {
		from.replicas--
		q.spread.add(from, -1)
		if !q.spread.hasRoom(to) {
			from.replicas++
			q.spread.add(from, 1)
			break
		}
		to.replicas++
		q.spread.add(to, 1)
	}
	return moved
}
