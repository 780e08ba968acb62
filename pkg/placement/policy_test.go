package placement

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

// noon is when questions are asked.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func by(rule federation.Propagation) *policy.Propagation {
	return &policy.Propagation{Reference: federation.PolicyReference{Kind: "PropagationPolicy", Name: "p"}, Namespace: "default", Generation: 1, Rule: &rule}
}

func names(names ...string) federation.ClusterSelector {
	return federation.ClusterSelector{Names: names}
}

// groups makes ordered groups of "a,b" "c".
func groups(lists ...string) []federation.ClusterGroup {
	var all []federation.ClusterGroup
	for i, list := range lists {
		all = append(all, federation.ClusterGroup{Name: fmt.Sprintf("g%d", i+1), ClusterSelector: names(strings.Split(list, ",")...)})
	}
	return all
}

// rules makes weights and bounds of "a 2" (weight), "b 1 3" (minimum) "c 1 0 5" (maximum).
func rules(lines ...string) []federation.ReplicaRule {
	var all []federation.ReplicaRule
	for _, line := range lines {
		var name string
		var weight, least, most int32
		r := federation.ReplicaRule{}
		n, _ := fmt.Sscan(line, &name, &weight, &least, &most)
		r.ClusterSelector, r.Weight = names(name), &weight
		if n > 2 {
			r.MinReplicas = &least
		}
		if n > 3 {
			r.MaxReplicas = &most
		}
		all = append(all, r)
	}
	return all
}

func divided(strategy string, lines ...string) *federation.ReplicaDivision {
	return &federation.ReplicaDivision{Mode: federation.DivisionDivided, Strategy: strategy, Clusters: rules(lines...)}
}

func spreadOver(key string, skew, least, most int32) federation.TopologySpreadConstraint {
	c := federation.TopologySpreadConstraint{TopologyKey: key, WhenUnsatisfiable: corev1.DoNotSchedule}
	for _, v := range []struct {
		n  int32
		to **int32
	}{{skew, &c.MaxSkew}, {least, &c.MinDomains}, {most, &c.MaxDomains}} {
		if v.n > 0 {
			*v.to = &v.n
		}
	}
	return c
}

// free makes room for so many replicas of one CPU in each cluster, -1 for unknown.
func free(clusters []Cluster, fits ...int32) []Cluster {
	for i := range clusters {
		if fits[i] >= 0 {
			clusters[i].Free = []federation.FreeNodes{{Nodes: 1, Free: corev1.ResourceList{
				corev1.ResourceCPU: *resource.NewQuantity(int64(fits[i]), resource.DecimalSI), corev1.ResourcePods: resource.MustParse("110")}}}
		}
	}
	return clusters
}

func oneCPU(o Object) Object {
	o.Request = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourcePods: resource.MustParse("1")}
	return o
}

func priced(clusters []Cluster, prices ...string) []Cluster {
	for i, p := range prices {
		if p != "" {
			currency, cpu, _ := strings.Cut(p, " ")
			clusters[i].Price = &federation.Price{Currency: currency, CPUHour: resource.MustParse(cpu)}
		}
	}
	return clusters
}

// in puts clusters into regions.
func in(clusters []Cluster, regions ...string) []Cluster {
	for i, region := range regions {
		clusters[i].Region = region
	}
	return clusters
}

// allReady reports all replicas of a decision as ready.
func allReady(d *Decision) []Copy {
	var copies []Copy
	for _, p := range d.Clusters {
		copies = append(copies, Copy{Cluster: p.Name, Synced: true, Ready: p.Replicas})
	}
	return copies
}

// settled asks until the answer stays, all replicas being ready each time.
func settled(t interface {
	Helper()
	Fatalf(string, ...any)
}, in Input) (Decision, int) {
	t.Helper()
	for step := range 200 {
		d := Place(in).Decision
		if in.Current != nil && Same(in.Current, &d) {
			return d, step
		}
		in.Current, in.Copies = &d, allReady(&d)
		if in.Object.Divided && in.Policy != nil && in.Policy.Rule.ReplicaDivision != nil && in.Policy.Rule.ReplicaDivision.Mode == federation.DivisionDuplicated {
			for i := range in.Copies {
				in.Copies[i].Ready = in.Object.Replicas
			}
		}
	}
	t.Fatalf("not settled after 200 steps: %v", show(*in.Current))
	return Decision{}, 0
}

func TestDivision(t *testing.T) {
	weighted, capacity, packed, price := federation.StrategyWeighted, federation.StrategyFreeCapacity, federation.StrategyPacked, federation.StrategyPrice
	abc := func() []Cluster { return ready("a", "b", "c") }
	rebalanced := func(d *federation.ReplicaDivision) *federation.ReplicaDivision { d.Rebalance = true; return d }
	for name, test := range map[string]struct {
		object   Object
		rule     federation.Propagation
		clusters []Cluster
		current  *Decision
		want     []string
		missing  string
		unplaced int32
	}{
		"by weight":                      {web(9), federation.Propagation{ReplicaDivision: divided(weighted, "a 1", "b 2", "c 6")}, abc(), nil, []string{"a:1", "b:2", "c:6"}, "", 0},
		"not selected":                   {web(4), federation.Propagation{ReplicaDivision: divided(weighted, "a 1", "b 1")}, abc(), nil, []string{"a:2", "b:2", "NotSelected=[c]"}, "", 0},
		"weight 0 takes its minimum":     {web(5), federation.Propagation{ReplicaDivision: divided(weighted, "a 0 2", "b 1")}, ready("a", "b"), nil, []string{"a:2", "b:3"}, "", 0},
		"minimum first":                  {web(4), federation.Propagation{ReplicaDivision: divided(weighted, "a 100", "b 1 2")}, ready("a", "b"), nil, []string{"a:2", "b:2"}, "", 0},
		"maximum is a wall":              {web(9), federation.Propagation{ReplicaDivision: divided(weighted, "a 1 0 2", "b 1 0 3")}, ready("a", "b"), nil, []string{"a:2", "b:3"}, fmt.Sprintf(missingWall, 4, 9), 4},
		"overflow over a maximum":        {web(9), federation.Propagation{ReplicaDivision: divided(weighted, "a 8 0 2", "b 1")}, ready("a", "b"), nil, []string{"a:2", "b:7"}, "", 0},
		"growth by weight":               {web(12), federation.Propagation{ReplicaDivision: divided(weighted, "a 1", "b 2")}, ready("a", "b"), decided(web(4), "a:4", "b:0"), []string{"a:4", "b:8"}, "", 0},
		"shrinking by weight":            {web(6), federation.Propagation{ReplicaDivision: divided(weighted, "a 1", "b 2")}, ready("a", "b"), decided(web(8), "a:4", "b:4"), []string{"a:2", "b:4"}, "", 0},
		"sticky":                         {web(6), federation.Propagation{ReplicaDivision: divided(weighted, "a 1", "b 1", "c 1")}, abc(), decided(web(6), "a:3", "b:3"), []string{"a:3", "b:3"}, "", 0},
		"rebalanced always":              {web(6), federation.Propagation{ReplicaDivision: rebalanced(divided(weighted, "a 1", "b 1", "c 1"))}, abc(), decided(web(6), "a:3", "b:3"), []string{"a:2", "b:2", "c:2"}, "", 0},
		"rebalanced on request":          {func() Object { o := web(6); o.Rebalance = "1"; return o }(), federation.Propagation{}, abc(), decided(web(6), "a:4", "b:2"), []string{"a:2", "b:2", "c:2"}, "", 0},
		"deselected: moves":              {web(4), federation.Propagation{ReplicaDivision: divided(weighted, "b 1", "c 1")}, abc(), decided(web(4), "a:2", "b:2"), []string{"b:2", "c:2", "NotSelected=[a]"}, "", 0},
		"deselected: nowhere to go":      {web(4), federation.Propagation{ReplicaDivision: divided(weighted, "z 1")}, ready("a"), decided(web(4), "a:4"), []string{"a:4"}, missingPlace, 0},
		"maximum lowered, nowhere to go": {web(4), federation.Propagation{ReplicaDivision: divided(weighted, "a 1 0 1")}, ready("a"), decided(web(4), "a:4"), []string{"a:4"}, missingPlace, 0},
		"nothing selected":               {web(4), federation.Propagation{ReplicaDivision: divided(weighted, "z 1")}, ready("a"), nil, []string{"NotSelected=[a]"}, missingAny + "; " + fmt.Sprintf(missingWall, 4, 4), 4},

		"goes where it fits":                 {oneCPU(web(6)), federation.Propagation{}, free(ready("a", "b"), 1, 9), nil, []string{"a:1", "b:5"}, "", 0},
		"unknown is not zero":                {oneCPU(web(6)), federation.Propagation{}, free(ready("a", "b"), 1, -1), nil, []string{"a:1", "b:5"}, "", 0},
		"fits nowhere: placed by weight":     {oneCPU(web(6)), federation.Propagation{}, free(ready("a", "b"), 1, 1), nil, []string{"a:3", "b:3"}, "", 0},
		"by free capacity":                   {oneCPU(web(9)), federation.Propagation{ReplicaDivision: divided(capacity)}, free(abc(), 10, 20, 60), nil, []string{"a:1", "b:2", "c:6"}, "", 0},
		"by free capacity, one unknown":      {oneCPU(web(8)), federation.Propagation{ReplicaDivision: divided(capacity)}, free(abc(), 10, 30, -1), nil, []string{"a:1", "b:4", "c:3"}, "", 0},
		"packed into the one that fits best": {oneCPU(web(6)), federation.Propagation{ReplicaDivision: divided(packed)}, free(abc(), 5, 8, 20), nil, []string{"b:6", "NotNeeded=[a c]"}, "", 0},
		"packed into as few as can be":       {oneCPU(web(24)), federation.Propagation{ReplicaDivision: divided(packed)}, free(abc(), 5, 8, 20), nil, []string{"a:4", "c:20", "NotNeeded=[b]"}, "", 0},
		"packed: shrinking frees clusters":   {oneCPU(web(8)), federation.Propagation{ReplicaDivision: divided(packed)}, free(abc(), 5, 8, 0), decided(web(12), "a:4", "c:8"), []string{"c:8", "NotNeeded=[a b]"}, "", 0},
		"cheapest first":                     {oneCPU(web(6)), federation.Propagation{ReplicaDivision: divided(price)}, priced(free(abc(), 9, 4, -1), "EUR 0.05", "EUR 0.03", ""), nil, []string{"a:2", "b:4", "NotNeeded=[c]"}, "", 0},
		"other currencies last":              {oneCPU(web(6)), federation.Propagation{ReplicaDivision: divided(price)}, priced(abc(), "EUR 0.05", "USD 0.01", "EUR 0.05"), nil, []string{"a:3", "c:3", "NotNeeded=[b]"}, "", 0},
		"price: the dearest shrinks":         {oneCPU(web(4)), federation.Propagation{ReplicaDivision: divided(price)}, priced(abc(), "EUR 0.05", "EUR 0.03", "EUR 0.01"), decided(web(6), "a:2", "b:2", "c:2"), []string{"b:2", "c:2", "NotNeeded=[a]"}, "", 0},

		"first group takes all":       {web(4), federation.Propagation{ClusterGroups: groups("a,b", "c")}, abc(), nil, []string{"a:2", "b:2", "NotNeeded=[c]"}, "", 0},
		"overflow to the next group":  {web(6), federation.Propagation{ClusterGroups: groups("a", "b,c"), ReplicaDivision: divided(weighted, "a 1 0 2", "b 1", "c 1")}, abc(), nil, []string{"a:2", "b:2", "c:2"}, "", 0},
		"overflow by capacity":        {oneCPU(web(6)), federation.Propagation{ClusterGroups: groups("a", "b,c")}, free(abc(), 4, 9, 9), nil, []string{"a:4", "b:1", "c:1"}, "", 0},
		"first group down":            {web(4), federation.Propagation{ClusterGroups: groups("c", "a,b")}, with(abc(), down), nil, []string{"a:2", "b:2", "NotReady=[c]"}, "", 0},
		"goes back":                   {web(4), federation.Propagation{ClusterGroups: groups("a", "b")}, ready("a", "b"), decided(web(4), "b:4"), []string{"a:4", "NotNeeded=[b]"}, "", 0},
		"later groups shrink first":   {web(4), federation.Propagation{ClusterGroups: groups("a", "b"), ReplicaDivision: divided(weighted, "a 1 0 3", "b 1")}, ready("a", "b"), decided(web(6), "a:3", "b:3"), []string{"a:3", "b:1"}, "", 0},
		"unreachable group keeps its": {web(4), federation.Propagation{ClusterGroups: groups("b", "a")}, with(ready("a", "b"), down), decided(web(4), "b:4"), []string{"b:4", "NotNeeded=[a]"}, "", 0},

		"spread over regions":          {web(9), federation.Propagation{TopologySpreadConstraints: []federation.TopologySpreadConstraint{spreadOver("region", 1, 0, 0)}}, in(abc(), "x", "x", "y"), nil, nil, "", 0},
		"at most one region":           {web(9), federation.Propagation{TopologySpreadConstraints: []federation.TopologySpreadConstraint{spreadOver("region", 0, 0, 1)}}, in(abc(), "x", "y", "x"), nil, []string{"a:4", "c:5", "Spread=[b]"}, "", 0},
		"no region":                    {web(3), federation.Propagation{TopologySpreadConstraints: []federation.TopologySpreadConstraint{spreadOver("region", 1, 0, 0)}}, in(abc(), "x", "y"), nil, []string{"a:2", "b:1", "Spread=[c]"}, "", 0},
		"fewer regions than asked for": {web(6), federation.Propagation{TopologySpreadConstraints: []federation.TopologySpreadConstraint{spreadOver("region", 0, 2, 0)}}, in(ready("a"), "x"), nil, []string{"a:5"}, `the policy spreads over at least 2 of "region", and only 1 can take replicas; add clusters elsewhere or lower minDomains; ` + fmt.Sprintf(missingWall, 1, 6), 1},
		"regions against weights":      {web(4), federation.Propagation{TopologySpreadConstraints: []federation.TopologySpreadConstraint{spreadOver("region", 0, 2, 0)}, ReplicaDivision: divided(weighted, "a 100", "b 1")}, in(ready("a", "b"), "x", "y"), nil, []string{"a:3", "b:1"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := settled(t, Input{Object: test.object, Policy: by(test.rule), Clusters: test.clusters, Current: test.current, Now: noon})
			if test.want == nil {
				t.Log(show(d))
			} else if diff := cmp.Diff(test.want, show(d)); diff != "" {
				t.Errorf("Place (-want +got):\n%s", diff)
			}
			if d.Missing != test.missing || d.Unplaced != test.unplaced || d.Moving {
				t.Errorf("missing %q, want %q; unplaced %d, want %d; moving %v", d.Missing, test.missing, d.Unplaced, test.unplaced, d.Moving)
			}
		})
	}
}

// TestTimes follows decisions through time: each step says when it is asked, what has changed, and what is answered.
func TestTimes(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	type step struct {
		minute int
		change func(in *Input)
		want   []string
		wake   time.Time
	}
	since := func(cluster, minute int) func(in *Input) {
		return func(in *Input) { in.Clusters[cluster].Ready, in.Clusters[cluster].Since = true, at(minute) }
	}
	evict := func(cluster int) func(in *Input) {
		return func(in *Input) {
			in.Clusters[cluster].Taints = []corev1.Taint{{Key: "down", Effect: corev1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: in.Now}}}
		}
	}
	seconds := int64(300)
	for name, test := range map[string]struct {
		in    Input
		steps []step
	}{
		"goes back step by step when the better group is well": {
			Input{Object: web(4), Policy: by(federation.Propagation{ClusterGroups: groups("a", "b")}), Clusters: ready("a", "b"), Current: decided(web(4), "b:4")},
			[]step{
				{0, since(0, -2), []string{"b:4", "NotNeeded=[a]"}, at(3)},
				{3, nil, []string{"a:1", "b:4"}, time.Time{}},
				{4, nil, []string{"a:2", "b:3"}, time.Time{}},
				{5, nil, []string{"a:3", "b:2"}, time.Time{}},
				{6, nil, []string{"a:4", "b:1"}, time.Time{}},
				{7, nil, []string{"a:4", "NotNeeded=[b]"}, time.Time{}},
			},
		},
		"a taint is tolerated for a while": {
			Input{Object: web(2), Policy: by(federation.Propagation{Tolerations: []corev1.Toleration{{Key: "down", Operator: corev1.TolerationOpExists, TolerationSeconds: &seconds}}}),
				Clusters: ready("a", "b"), Current: decided(web(2), "a:1", "b:1")},
			[]step{
				{0, evict(1), []string{"a:1", "b:1"}, at(5)},
				{5, nil, []string{"a:2", "b:1"}, time.Time{}},
				{6, nil, []string{"a:2", "Tainted=[b]"}, time.Time{}},
			},
		},
		"what was lost with a cluster is replaced at once": {
			Input{Object: web(8), Policy: by(federation.Propagation{}), Clusters: ready("a", "b"), Current: decided(web(8), "a:4", "b:4")},
			[]step{
				{0, func(in *Input) { in.Clusters[1].Ready = false }, []string{"a:4", "b:4"}, time.Time{}},
				{1, evict(1), []string{"a:8", "b:4"}, time.Time{}},
				{2, nil, []string{"a:8", "Tainted=[b]"}, time.Time{}},
			},
		},
		"the last copy stays where it runs": {
			Input{Object: web(3), Policy: by(federation.Propagation{}), Clusters: ready("a"), Current: decided(web(3), "a:3")},
			[]step{{0, evict(0), []string{"a:3"}, time.Time{}}},
		},
		"spill-over, and another try": {
			Input{Object: web(6), Policy: by(federation.Propagation{ClusterGroups: groups("a", "b")}), Clusters: ready("a", "b"), Current: decided(web(6), "a:6")},
			[]step{
				{0, func(in *Input) { in.Copies = []Copy{{Cluster: "a", Ready: ptr.To[int32](4), Unschedulable: 2}} }, []string{"a:4", "b:2"}, at(5)},
				{1, nil, []string{"a:4", "b:2"}, at(5)},
				{6, nil, []string{"a:4", "b:2"}, at(10)},
				{10, nil, []string{"a:6", "b:2"}, time.Time{}},
			},
		},
		"what was seen to fit at first does not fit after all": {
			Input{Object: web(6), Policy: by(federation.Propagation{}), Clusters: ready("a", "b"), Current: decided(web(6), "a:4", "b:2")},
			[]step{
				{0, func(in *Input) { in.Copies[1] = Copy{Cluster: "b", Synced: true, Unschedulable: 1} }, []string{"a:5", "b:2"}, at(5)},
				{1, func(in *Input) { in.Copies[1] = Copy{Cluster: "b", Synced: true, Unschedulable: 1} }, []string{"a:5", "b:1"}, at(5)},
				{2, func(in *Input) { in.Copies[1] = Copy{Cluster: "b", Synced: true, Unschedulable: 1} }, []string{"a:6", "b:1"}, at(5)},
				{3, func(in *Input) { in.Copies[1] = Copy{Cluster: "b", Synced: true, Unschedulable: 1} }, []string{"a:6", "b:0"}, at(5)},
			},
		},
		"its policy is gone": {
			Input{Object: web(4), Policy: by(federation.Propagation{ClusterGroups: groups("a")}), Clusters: ready("a", "b")},
			[]step{
				{0, nil, []string{"a:4", "NotSelected=[b]"}, time.Time{}},
				{1, func(in *Input) { in.Policy, in.Object.Replicas = nil, ptr.To[int32](6) }, []string{"a:6", "NotSelected=[b]"}, time.Time{}},
				{2, func(in *Input) { in.Object.Rebalance = "now" }, []string{"a:6", "b:2"}, time.Time{}},
				{3, nil, []string{"a:4", "b:3"}, time.Time{}},
				{4, nil, []string{"a:3", "b:3"}, time.Time{}},
			},
		},
		"copies move when the new ones are there": {
			Input{Object: config(), Policy: by(federation.Propagation{ClusterGroups: groups("b")}), Clusters: ready("a", "b"), Current: decided(config(), "a")},
			[]step{
				{0, nil, []string{"a", "b"}, time.Time{}},
				{1, nil, []string{"b", "NotSelected=[a]"}, time.Time{}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := test.in
			for _, s := range test.steps {
				in.Now = at(s.minute)
				if in.Current != nil {
					in.Copies = allReady(in.Current)
				}
				if s.change != nil {
					s.change(&in)
				}
				a := Place(in)
				if diff := cmp.Diff(s.want, show(a.Decision)); diff != "" {
					t.Errorf("minute %d (-want +got):\n%s", s.minute, diff)
				}
				if !a.Wake.Equal(s.wake) {
					t.Errorf("minute %d: wakes at %s, want %s", s.minute, a.Wake, s.wake)
				}
				in.Current = &a.Decision
			}
		})
	}
}
