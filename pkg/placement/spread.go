package placement

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// spread keeps the spread constraints of a policy while replicas are dealt. nil has none.
type spread struct{ constraints []constraint }

// constraint is one of them, with what its domains have.
type constraint struct {
	key      string
	skew     int64 // 0 for any
	min, max int   // domains; 0 for any
	hard     bool  // DoNotSchedule
	of       []int32
	names    []string
	// count are the replicas of each domain, open how many of its candidates could take one more.
	count []int64
	open  []int32
	// floor is what the emptiest domain has that could take one more, atFloor how many domains have so few.
	floor   int64
	atFloor int
	// fullest is what the fullest domain has, used how many have any.
	fullest int64
	used    int
}

func spreadOf(q *question) *spread {
	if q.scope == nil || len(q.rule.TopologySpreadConstraints) == 0 {
		return nil
	}
	s := &spread{}
	for k := range q.rule.TopologySpreadConstraints {
		from := &q.rule.TopologySpreadConstraints[k]
		s.constraints = append(s.constraints, constraint{
			key: from.TopologyKey, skew: int64(ptr.Deref(from.MaxSkew, 0)), min: int(ptr.Deref(from.MinDomains, 0)),
			max: int(ptr.Deref(from.MaxDomains, 0)), hard: from.WhenUnsatisfiable != corev1.ScheduleAnyway,
			of: q.scope.domains[k], names: q.scope.names[k],
		})
	}
	return s
}

// domain is a candidate's domain, -1 where it has none.
func (k *constraint) domain(c *candidate) int32 { return k.of[c.at] }

// narrow keeps candidates out that have no domain, and, where a constraint bounds the number of domains, those outside
// the domains that are chosen. What is there already is chosen first.
func narrow(q *question, candidates []candidate) {
	if q.spread == nil {
		return
	}
	for i := range q.spread.constraints {
		k := &q.spread.constraints[i]
		for j := range candidates {
			if c := &candidates[j]; k.domain(c) < 0 && k.hard && c.why == "" {
				c.why = federation.ReasonSpread
			}
		}
	}
	for i := range q.spread.constraints {
		if k := &q.spread.constraints[i]; k.max > 0 {
			keep := k.choose(q, candidates)
			for j := range candidates {
				c := &candidates[j]
				if d := k.domain(c); d < 0 || keep[d] {
					continue
				}
				if !k.hard {
					c.base += tiersPerGroup * maxGroups
				} else if c.why == "" || c.has {
					c.why, c.leaves = federation.ReasonSpread, c.has
				}
			}
		}
	}
}

// maxGroups is more than a policy can have.
const maxGroups = 1 << 8

// offer is what one domain offers.
type offer struct {
	domain       int32
	share        int64 // replicas that are there
	group        int64 // the best
	free         int64 // replicas that fit, noLimit for unknown
	weight       int64
	usable       int
	best         *candidate
	covers, seen bool
}

// choose picks the domains to be used: those with most replicas, then those that another constraint's minDomains needs,
// of the best group, with most room, with most usable clusters.
func (k *constraint) choose(q *question, candidates []candidate) []bool {
	offers := make([]offer, len(k.names))
	for i := range candidates {
		c := &candidates[i]
		d := k.domain(c)
		if d < 0 || c.leaves || c.why != "" && !c.has {
			continue
		}
		o := &offers[d]
		if !o.seen {
			*o = offer{domain: d, group: math.MaxInt64, seen: true}
		}
		o.share += c.share
		o.group = min(o.group, c.group)
		if c.why == "" {
			o.usable++
			free := noLimit
			if q.capacityCounts() {
				if n := q.fits(c); n >= 0 {
					free = n
				}
			}
			o.free = min(o.free+free, noLimit)
			if rule := q.ruleOf(c); rule != nil {
				o.weight += int64(ptr.Deref(rule.Weight, 1))
			}
		}
		if o.best == nil || inRank(c, o.best) < 0 {
			o.best = c
		}
	}
	keep, left := make([]bool, len(k.names)), k.max
	needed := q.spread.needs(k, candidates)
	for left > 0 {
		var best *offer
		for d := range offers {
			o := &offers[d]
			if !o.seen || keep[d] {
				continue
			}
			o.covers = needed != nil && needed(k, o.domain, keep)
			if best == nil || betterOffer(o, best) {
				best = o
			}
		}
		if best == nil {
			break
		}
		keep[best.domain] = true
		left--
	}
	return keep
}

func betterOffer(a, b *offer) bool {
	covers := func(o *offer) int {
		if o.covers {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(b.share, a.share), cmp.Compare(covers(b), covers(a)), cmp.Compare(a.group, b.group),
		cmp.Compare(b.free, a.free), cmp.Compare(b.weight, a.weight), cmp.Compare(b.usable, a.usable), inRank(a.best, b.best)) < 0
}

// needs returns a test of whether a domain of k lies in a domain of another constraint that is to be used and is not
// yet; nil where no other constraint has a minimum.
func (s *spread) needs(k *constraint, candidates []candidate) func(k *constraint, domain int32, keep []bool) bool {
	if !slices.ContainsFunc(s.constraints, func(other constraint) bool { return other.min > 1 && other.key != k.key }) {
		return nil
	}
	return func(k *constraint, domain int32, keep []bool) bool {
		for i := range s.constraints {
			other := &s.constraints[i]
			if other.min <= 1 || other.key == k.key {
				continue
			}
			covered, mine := map[int32]bool{}, map[int32]bool{}
			for j := range candidates {
				c := &candidates[j]
				d, o := k.domain(c), other.domain(c)
				if d < 0 || o < 0 || c.leaves || c.why != "" && !c.has {
					continue
				}
				if keep[d] {
					covered[o] = true
				} else if d == domain {
					mine[o] = true
				}
			}
			if len(covered) >= other.min {
				continue
			}
			for o := range mine {
				if !covered[o] {
					return true
				}
			}
		}
		return false
	}
}

// start counts what candidates have, and which could take more.
func (s *spread) start(candidates []candidate) {
	for i := range s.constraints {
		k := &s.constraints[i]
		k.count, k.open = make([]int64, len(k.names)), make([]int32, len(k.names))
		for j := range candidates {
			c := &candidates[j]
			if d := k.domain(c); d >= 0 {
				k.count[d] += c.replicas
				if s.isOpen(c) {
					k.open[d]++
				}
			}
		}
		k.refloor()
	}
}

func (s *spread) isOpen(c *candidate) bool { return c.usable() && c.pull > 0 && c.replicas < c.most }

// refloor finds the emptiest domain that could take one more. As for pods it counts as empty while there are fewer
// domains than minDomains.
func (k *constraint) refloor() {
	k.floor, k.atFloor = math.MaxInt64/2, 0
	domains := 0
	for d, n := range k.count {
		if k.open[d] == 0 {
			if n > 0 {
				domains++
			}
			continue
		}
		domains++
		if n < k.floor {
			k.floor, k.atFloor = n, 0
		}
		if n == k.floor {
			k.atFloor++
		}
	}
	if domains < k.min {
		k.floor, k.atFloor = 0, math.MaxInt
	}
}

// hasRoom says whether a candidate may have one more copy, by the number of domains as well.
func (s *spread) hasRoom(c *candidate) bool {
	for i := range s.constraints {
		k := &s.constraints[i]
		d := k.domain(c)
		if k.max == 0 || !k.hard || d < 0 || k.count[d] > 0 {
			continue
		}
		used := int32(0)
		for _, n := range k.count {
			if n > 0 {
				used++
			}
		}
		if int64(used) >= int64(k.max) {
			return false
		}
	}
	return s.allows(c, true)
}

// allows says whether a candidate may take one more replica. soft constraints are asked where softly says so.
func (s *spread) allows(c *candidate, softly bool) bool {
	for i := range s.constraints {
		k := &s.constraints[i]
		if k.skew == 0 || !k.hard && !softly {
			continue
		}
		if d := k.domain(c); d >= 0 && k.count[d]+1-k.floor > k.skew {
			return false
		}
	}
	return true
}

// add counts n replicas more of a candidate, which has them already; raised says that the floor of a constraint rose.
func (s *spread) add(c *candidate, n int64) (raised bool) {
	shut := n > 0 && c.usable() && c.pull > 0 && c.replicas >= c.most && c.replicas-n < c.most
	for i := range s.constraints {
		k := &s.constraints[i]
		d := k.domain(c)
		if d < 0 {
			continue
		}
		was, floor := k.count[d], k.floor
		k.count[d] += n
		if shut {
			k.open[d]--
		} else if n < 0 && s.isOpen(c) && c.replicas-n >= c.most {
			k.open[d]++
		}
		if was == k.floor && k.atFloor > 1 && n > 0 && k.count[d] > k.floor {
			k.atFloor--
		} else if was <= k.floor || n < 0 || shut {
			k.refloor()
		}
		raised = raised || k.floor > floor
	}
	return raised
}

// cell is the takers of one tier that lie in the same domain of every constraint: what one may take, all may.
type cell struct {
	heapOf[*candidate]
}

// deal gives n replicas to takers as deal does, none where a constraint keeps it out, and returns what is left.
func (s *spread) deal(list []*candidate, n int64, softly bool) int64 {
	open := heapOf[*cell]{items: s.cells(list), before: func(a, b *cell) bool {
		x, y := a.items[0], b.items[0]
		return x.tier < y.tier || x.tier == y.tier && isNext(x, y)
	}}
	open.init()
	var parked []*cell
	for n > 0 && len(open.items) > 0 {
		at := open.pop()
		c := at.items[0]
		if !s.allows(c, softly) {
			parked = append(parked, at)
			continue
		}
		c.replicas++
		n--
		if c.replicas >= c.limit {
			at.pop()
		} else {
			at.sink(0)
		}
		if len(at.items) > 0 {
			open.push(at)
		}
		if s.add(c, 1) {
			for _, p := range parked {
				open.push(p)
			}
			parked = parked[:0]
		}
	}
	return n
}

func (s *spread) cells(list []*candidate) []*cell {
	// A path of numbers: the tier, then the domain of each constraint; each pair of what was so far and the next has one.
	type fork struct{ from, next int64 }
	paths := map[fork]int64{}
	var order []*cell
	of := map[int64]*cell{}
	for _, c := range list {
		at := c.tier
		for i := range s.constraints {
			f := fork{at, int64(s.constraints[i].domain(c))<<8 | int64(i)}
			to, known := paths[f]
			if !known {
				to = int64(len(paths)) << 32
				paths[f] = to
			}
			at = to
		}
		x := of[at]
		if x == nil {
			x = &cell{heapOf[*candidate]{before: isNext}}
			of[at] = x
			order = append(order, x)
		}
		x.items = append(x.items, c)
	}
	for _, x := range order {
		x.init()
	}
	return order
}

// widen gives one replica to each of as many empty domains as minDomains asks for, of at most total replicas, and
// returns how many replicas have to stay unplaced because domains are missing.
func (s *spread) widen(q *question, list []*candidate, total int64) (reserve int64) {
	for i := range s.constraints {
		k := &s.constraints[i]
		want := min(int64(k.min), total)
		used := int64(0)
		for _, n := range k.count {
			if n > 0 {
				used++
			}
		}
		for ; used < want; used++ {
			var best *candidate
			for _, c := range list {
				if d := k.domain(c); d < 0 || k.count[d] > 0 || c.replicas >= c.limit || !s.allows(c, false) {
					continue
				}
				if best == nil || c.tier < best.tier || c.tier == best.tier && isNext(c, best) {
					best = c
				}
			}
			if best == nil {
				break
			}
			best.replicas++
			s.add(best, 1)
		}
		if used < want {
			q.lacks(fmt.Sprintf("the policy spreads over at least %d of %q, and only %d can take replicas; add clusters elsewhere or lower minDomains", k.min, k.key, used))
			if k.hard {
				reserve = max(reserve, want-used)
			}
		}
	}
	return reserve
}

// drain takes n replicas as drain does. It goes by what the constraints can spare: first from domains that have more
// than maxSkew allows, last from one that minDomains needs.
func (s *spread) drain(list []*candidate, n int64) int64 {
	for ; n > 0; n-- {
		s.survey()
		var best *candidate
		worst := 0
		for _, c := range list {
			if c.replicas <= c.limit {
				continue
			}
			spare := s.spares(c)
			if best == nil || spare > worst || spare == worst && (c.tier > best.tier || c.tier == best.tier && givesNext(c, best)) {
				best, worst = c, spare
			}
		}
		if best == nil {
			return n
		}
		best.replicas--
		s.add(best, -1)
	}
	return n
}

// survey looks at the fullest domain and at how many are in use.
func (s *spread) survey() {
	for i := range s.constraints {
		k := &s.constraints[i]
		k.fullest, k.used = 0, 0
		for _, n := range k.count {
			k.fullest = max(k.fullest, n)
			if n > 0 {
				k.used++
			}
		}
	}
}

// spares says how well a domain can spare one replica of a candidate: the sum over constraints of 1 where the domain is
// among those that have too many, -1 where it would fall too far behind, -8 where too few domains would be left.
func (s *spread) spares(c *candidate) (spare int) {
	for i := range s.constraints {
		k := &s.constraints[i]
		d := k.domain(c)
		if d < 0 {
			continue
		}
		if k.count[d] == 1 && k.used <= k.min {
			spare -= 8
		}
		if k.skew > 0 {
			if c.usable() && c.pull > 0 && k.fullest-(k.count[d]-1) > k.skew {
				spare--
			} else if k.fullest-k.floor > k.skew && k.count[d] == k.fullest {
				spare++
			}
		}
	}
	return spare
}

// ready says whether the constraints count: they were started.
func (s *spread) ready() bool { return len(s.constraints) > 0 && s.constraints[0].count != nil }
