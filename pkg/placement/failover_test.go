package placement

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// TestFailover follows objects through failures of clusters, drains and what comes after.
func TestFailover(t *testing.T) {
	taint := func(key string, clusters ...int) func(in *Input) {
		return func(in *Input) {
			for _, i := range clusters {
				in.Clusters[i].Taints = []corev1.Taint{{Key: key, Effect: corev1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: in.Now}}}
			}
		}
	}
	dies := func(clusters ...int) func(in *Input) {
		return func(in *Input) {
			taint(federation.TaintDown, clusters...)(in)
			for _, i := range clusters {
				in.Clusters[i].Ready, in.Clusters[i].Down, in.Clusters[i].Since = false, true, in.Now
			}
		}
	}
	returns := func(clusters ...int) func(in *Input) {
		return func(in *Input) {
			for _, i := range clusters {
				in.Clusters[i].Ready, in.Clusters[i].Down, in.Clusters[i].Since, in.Clusters[i].Taints = true, false, in.Now, nil
			}
		}
	}
	drain, down := federation.TaintDrain, federation.TaintDown
	runs := func(o Object) Object { o.Request = corev1.ResourceList{corev1.ResourcePods: {}}; return o }
	ordered := func(o Object) Object { o.Ordered = true; return o }
	duplicated := federation.Propagation{ReplicaDivision: &federation.ReplicaDivision{Mode: federation.DivisionDuplicated}}
	forever := federation.Propagation{Tolerations: []corev1.Toleration{{Key: down, Operator: corev1.TolerationOpExists}}}
	atOnce := federation.Propagation{Tolerations: []corev1.Toleration{{Key: down, Operator: corev1.TolerationOpExists, TolerationSeconds: ptr.To[int64](0)}}}
	unhealthy := federation.Propagation{Moves: &federation.Moves{UnhealthyAfter: &metav1.Duration{Duration: time.Minute}}}
	sick := func(cluster int, ready int32, since int) func(in *Input) {
		return func(in *Input) {
			in.Copies[cluster].Ready, in.Copies[cluster].UnreadySince = &ready, noon.Add(time.Duration(since)*time.Second)
		}
	}
	type step struct {
		second int
		change func(in *Input)
		want   []string
		wake   int
	}
	for name, test := range map[string]struct {
		in    Input
		steps []step
	}{
		"without a policy replicas of a dead cluster move after 30 s, and come back after stableFor": {
			Input{Object: web(6), Clusters: ready("a", "b", "c"), Current: decided(web(6), "a:2", "b:2", "c:2")}, []step{
				{0, dies(0), []string{"a:2", "b:2", "c:2"}, 30},
				{30, nil, []string{"a:2", "b:3", "c:3"}, 0},
				{31, func(in *Input) { in.Copies[1].Ready = ptr.To[int32](2) }, []string{"a:1", "b:3", "c:3"}, 0}, // one replacement is not ready
				{32, nil, []string{"b:3", "c:3", "Tainted=[a]"}, 0},
				{60, returns(0), []string{"b:3", "c:3"}, 70},
				{70, nil, []string{"b:3", "c:3"}, 360},
				{360, nil, []string{"a:2", "b:3", "c:3"}, 0},
				{361, nil, []string{"a:2", "b:2", "c:2"}, 0},
			},
		},
		"what returns before its replacements are ready stays": {
			Input{Object: web(4), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")}, []step{
				{0, dies(0), []string{"a:2", "b:2"}, 30},
				{30, nil, []string{"a:2", "b:4"}, 0},
				{31, func(in *Input) { returns(0)(in); in.Copies[1].Ready = ptr.To[int32](2) }, []string{"a:2", "b:2"}, 41}, // a's report may be from before: only what is not ready goes
				{41, func(in *Input) { in.Copies[1].Ready = ptr.To[int32](2) }, []string{"a:2", "b:2"}, 331},
				{331, nil, []string{"a:2", "b:2"}, 0},
			},
		},
		"a policy tolerates it for good": {
			Input{Object: web(4), Policy: by(forever), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")},
			[]step{{0, dies(0), []string{"a:2", "b:2"}, 0}, {600, nil, []string{"a:2", "b:2"}, 0}},
		},
		"a policy moves at once": {
			Input{Object: web(4), Policy: by(atOnce), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")},
			[]step{{0, dies(0), []string{"a:2", "b:4"}, 0}, {1, nil, []string{"b:4", "Tainted=[a]"}, 0}},
		},
		"a cluster that is only not ready keeps its share": {
			Input{Object: web(4), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")},
			[]step{{0, func(in *Input) { in.Clusters[0].Ready = false }, []string{"a:2", "b:2"}, 0}, {3600, nil, []string{"a:2", "b:2"}, 0}},
		},
		"replicas of a cluster that fell silent are no proof": {
			Input{Object: web(2), Clusters: ready("a", "b"), Current: decided(web(2), "a:2")}, []step{
				{0, taint(drain, 0), []string{"a:2", "b:1"}, 0},
				{1, func(in *Input) { in.Clusters[1].Ready = false }, []string{"a:2", "b:1"}, 0},
				{2, func(in *Input) { in.Clusters[1].Ready = true }, []string{"a:1", "b:2"}, 0},
				{3, nil, []string{"b:2", "Tainted=[a]"}, 0},
			},
		},
		"the only cluster": {
			Input{Object: web(3), Clusters: ready("a"), Current: decided(web(3), "a:3")},
			[]step{{0, dies(0), []string{"a:3"}, 30}, {30, nil, []string{"a:3"}, 0}},
		},
		"a living cluster is drained step by step": {
			Input{Object: web(4), Clusters: ready("a", "b"), Current: decided(web(4), "a:3", "b:1")}, []step{
				{0, taint(drain, 0), []string{"a:3", "b:2"}, 0},
				{1, nil, []string{"a:2", "b:3"}, 0},
				{2, nil, []string{"a:1", "b:4"}, 0},
				{3, nil, []string{"b:4", "Tainted=[a]"}, 0},
				{9, func(in *Input) { in.Clusters[0].Taints = nil }, []string{"a:1", "b:4"}, 0},
				{10, nil, []string{"a:2", "b:3"}, 0},
				{11, nil, []string{"a:2", "b:2"}, 0}, // by weight a's part is two
			},
		},
		"what does not run stays in a cluster that is drained": {
			Input{Object: config(), Clusters: ready("a", "b"), Current: decided(config(), "a", "b")},
			[]step{{0, taint(drain, 0), []string{"a", "b"}, 0}},
		},
		"what runs pods and is copied whole leaves a cluster that is drained": {
			Input{Object: runs(config()), Clusters: ready("a", "b"), Current: decided(config(), "a", "b")}, []step{
				{0, taint(drain, 0), []string{"b", "Tainted=[a]"}, 0},
				{1, func(in *Input) { in.Clusters[0].Taints = nil }, []string{"a", "b"}, 0},
			},
		},
		"duplicated: nothing to move when a cluster dies": {
			Input{Object: web(3), Policy: by(duplicated), Clusters: ready("a", "b"), Current: decided(config(), "a", "b")},
			[]step{{0, dies(0), []string{"a", "b"}, 30}, {60, nil, []string{"a", "b"}, 0}},
		},
		"copies in so many clusters: another one is taken": {
			Input{Object: config(), Policy: by(federation.Propagation{TopologySpreadConstraints: []federation.TopologySpreadConstraint{spreadOver("cluster", 0, 0, 2)}}),
				Clusters: ready("a", "b", "c"), Current: decided(config(), "a", "b")}, []step{
				{0, dies(0), []string{"a", "b", "Spread=[c]"}, 30},
				{30, nil, []string{"a", "b", "c"}, 0},
				{31, nil, []string{"b", "c", "Spread=[a]"}, 0},
			},
		},
		"copies in so many clusters, and there is no other": {
			Input{Object: config(), Policy: by(federation.Propagation{TopologySpreadConstraints: []federation.TopologySpreadConstraint{spreadOver("cluster", 0, 0, 2)}}),
				Clusters: ready("a", "b"), Current: decided(config(), "a", "b")},
			[]step{{30, dies(0), []string{"a", "b"}, 60}, {60, nil, []string{"a", "b"}, 0}},
		},
		"copies go to the next group": {
			Input{Object: config(), Policy: by(federation.Propagation{ClusterGroups: groups("a", "b")}), Clusters: ready("a", "b"), Current: decided(config(), "a")}, []step{
				{0, dies(0), []string{"a", "NotNeeded=[b]"}, 30},
				{30, nil, []string{"a", "b"}, 0},
				{31, nil, []string{"b", "Tainted=[a]"}, 0},
			},
		},
		"ordinals of a dead cluster are not used again": {
			Input{Object: ordered(web(2)), Clusters: ready("a", "b"), Current: func() *Decision {
				d := decided(web(2), "a:1", "b:1")
				d.Ordinals = []federation.OrdinalStart{{Name: "a"}, {Name: "b", Start: 1000}}
				return d
			}()}, []step{
				{30, dies(0), []string{"a:1", "b:1"}, 60},
				{60, nil, []string{"a:1", "b:2"}, 0},
				{61, nil, []string{"b:2", "Tainted=[a]"}, 0},
			},
		},
		"a Job is begun anew in a cluster without a part of it": {
			Input{Object: job(2, 4), Clusters: ready("a", "b", "c"), Current: decided(job(2, 4), "a:1/2", "b:1/2")},
			[]step{{0, dies(0), []string{"a:1/2", "b:1/2"}, 30}, {30, nil, []string{"b:1/2", "c:1/2", "Tainted=[a]"}, 0}},
		},
		"a Job waits where all have a part of it": {
			Input{Object: job(2, 4), Clusters: ready("a", "b"), Current: decided(job(2, 4), "a:1/2", "b:1/2")},
			[]step{{0, dies(0), []string{"a:1/2", "b:1/2"}, 30}, {30, nil, []string{"a:1/2", "b:1/2"}, 0}},
		},
		"a Job ends where it runs while that cluster is drained": {
			Input{Object: job(2, 4), Clusters: ready("a", "b", "c"), Current: decided(job(2, 4), "a:1/2", "b:1/2")},
			[]step{{0, taint(drain, 0), []string{"a:1/2", "b:1/2"}, 0}},
		},
		"what a Job has done is not done again": {
			Input{Object: job(2, 4), Clusters: ready("a", "b", "c"), Current: decided(job(2, 4), "a:1/2", "b:1/2")},
			[]step{{30, func(in *Input) { dies(0)(in); in.Copies[0].Finished = true }, []string{"a:1/2", "b:1/2"}, 60},
				{60, func(in *Input) { in.Copies[0].Finished = true }, []string{"a:1/2", "b:1/2"}, 0}},
		},
		"replicas that do not become ready move, and are tried again after twice as long each time": {
			Input{Object: web(4), Policy: by(unhealthy), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")}, []step{
				{0, sick(0, 0, 0), []string{"a:2", "b:2"}, 60},
				{60, sick(0, 0, 0), []string{"a:1", "b:4"}, 360}, // what is not ready costs nothing
				{61, sick(0, 0, 0), []string{"a:0", "b:4"}, 360},
				{360, nil, []string{"a:1", "b:4"}, 0},
				{361, sick(0, 0, 360), []string{"a:1", "b:4"}, 420},
				{420, sick(0, 0, 360), []string{"a:0", "b:4"}, 1020},
				{1020, nil, []string{"a:1", "b:4"}, 0},
				{1021, nil, []string{"a:2", "b:3"}, 0},
				{1022, nil, []string{"a:2", "b:2"}, 0},
			},
		},
		"some are ready: those stay": {
			Input{Object: web(4), Policy: by(unhealthy), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")}, []step{
				{60, sick(0, 1, 0), []string{"a:1", "b:3"}, 360},
				{61, sick(0, 1, 0), []string{"a:1", "b:3"}, 360},
			},
		},
		"ready nowhere: the workload is sick, not the cluster": {
			Input{Object: web(4), Policy: by(unhealthy), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")},
			[]step{{90, func(in *Input) { sick(0, 0, 0)(in); sick(1, 0, 0)(in) }, []string{"a:2", "b:2"}, 0}},
		},
		"nobody asked for that": {
			Input{Object: web(4), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")},
			[]step{{3600, sick(0, 0, 0), []string{"a:2", "b:2"}, 0}},
		},
		"nothing leaves while clients hold its addresses": {
			Input{Object: web(4), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")}, []step{
				{0, func(in *Input) { taint(drain, 0)(in); in.Object.Serving = []string{"a"} }, []string{"a:2", "b:3"}, 0},
				{1, nil, []string{"a:2", "b:3"}, 0},
				{2, func(in *Input) { in.Object.Serving = nil }, []string{"a:1", "b:4"}, 0},
				{3, nil, []string{"b:4", "Tainted=[a]"}, 0},
			},
		},
		"a disruption budget makes the steps small": {
			Input{Object: func() Object {
				o := web(8)
				o.Disruptions = []Disruption{{MaxUnavailable: ptr.To(intstr.FromInt32(1))}}
				return o
			}(), Clusters: ready("a", "b"), Current: decided(web(8), "a:4", "b:4")}, []step{
				{0, taint(drain, 0), []string{"a:4", "b:6"}, 0},
				{1, nil, []string{"a:3", "b:7"}, 0},
				{2, nil, []string{"a:2", "b:8"}, 0},
				{3, nil, []string{"a:1", "b:8"}, 0},
				{4, nil, []string{"b:8", "Tainted=[a]"}, 0},
			},
		},
		"held back by a budget": {
			Input{Object: web(4), Clusters: ready("a", "b"), Current: decided(web(4), "a:2", "b:2")}, []step{
				{0, func(in *Input) { dies(0)(in); in.Clusters[0].Held = "held" }, []string{"a:2", "b:2"}, 30},
				{30, nil, []string{"a:2", "b:2", "held"}, 0},
				{40, func(in *Input) { in.Clusters[0].Held = "" }, []string{"a:2", "b:4"}, 0},
				{41, func(in *Input) { in.Clusters[0].Held = "held" }, []string{"b:4", "Tainted=[a]"}, 0}, // what has begun goes on
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := test.in
			for _, s := range test.steps {
				in.Now = noon.Add(time.Duration(s.second) * time.Second)
				in.Copies = allReady(in.Current)
				if s.change != nil {
					s.change(&in)
				}
				a := Place(in)
				got := show(a.Decision)
				if a.Decision.Missing == "held" {
					got = append(got, "held")
				}
				if diff := cmp.Diff(s.want, got); diff != "" {
					t.Errorf("second %d (-want +got):\n%s", s.second, diff)
				}
				wake := 0
				if !a.Wake.IsZero() {
					wake = int(a.Wake.Sub(noon) / time.Second)
				}
				if wake != s.wake {
					t.Errorf("second %d: wakes at %d, want %d", s.second, wake, s.wake)
				}
				if in.Object.Ordered && (len(a.Decision.Ordinals) != 2 || a.Decision.Ordinals[1].Start != 1000) {
					t.Errorf("second %d: ordinals %v", s.second, a.Decision.Ordinals)
				}
				in.Current = &a.Decision
			}
		})
	}
}
