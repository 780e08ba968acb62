package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

func deploymentReading(shares map[string]int32) reading {
	in := reading{complete: true, kind: kind.Kind{
		GroupVersionKind: schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, Namespaced: true, Rule: kind.RuleOf(deployments),
	}}
	in.object = &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web", "uid": "u1", "generation": int64(1)},
	}}
	in.decision = &federation.PlacementDecision{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
	in.decision.Spec.Object.UID = "u1"
	for _, name := range []string{"gondor", "rohan", "shire"} {
		if n, ok := shares[name]; ok {
			in.decision.Spec.Clusters = append(in.decision.Spec.Clusters, federation.ClusterPlacement{Name: name, Replicas: int32p(n)})
		}
	}
	return in
}

// held is the evidence of a ready cluster that holds its share.
func held(name string, share, ready int64) evidence {
	c := &Copy{OriginUID: "u1", Replicas: share, Status: map[string]any{"observedGeneration": int64(1), "replicas": share, "updatedReplicas": share, "readyReplicas": ready, "availableReplicas": ready}}
	c.Generation = 1
	return evidence{name: name, placed: true, joined: true, ready: true, seen: sighting{known: true, decided: true, copy: c,
		outcome: outcome{State: federation.StateSynced, uid: "c", of: revision{uid: "u1", generation: 1, decision: 2}}}}
}

func TestSummarize(t *testing.T) {
	three := int32p(3)
	for _, test := range []struct {
		name     string
		shares   map[string]int32
		evidence []evidence
		where    string
		states   []federation.ClusterState
		rest     bool
		reason   string
	}{{
		name: "at rest", shares: map[string]int32{"gondor": 3, "rohan": 3},
		evidence: []evidence{held("gondor", 3, 3), held("rohan", 3, 3)},
		where:    "gondor 3/3, rohan 3/3", rest: true, reason: federation.StateSynced,
		states: []federation.ClusterState{{Name: "gondor", State: "Synced", ReadyReplicas: three}, {Name: "rohan", State: "Synced", ReadyReplicas: three}},
	}, {
		name: "a rollout in progress is not at rest", shares: map[string]int32{"gondor": 3},
		evidence: []evidence{held("gondor", 3, 1)},
		where:    "gondor 1/3", reason: federation.StateSynced,
		states: []federation.ClusterState{{Name: "gondor", State: "Synced", ReadyReplicas: int32p(1)}},
	}, {
		name: "pods that are ready but not available yet are not at rest", shares: map[string]int32{"gondor": 3},
		evidence: []evidence{func() evidence {
			e := held("gondor", 3, 3)
			e.seen.copy.Status["availableReplicas"] = int64(1)
			return e
		}()},
		where: "gondor 3/3", reason: federation.StateSynced,
		states: []federation.ClusterState{{Name: "gondor", State: "Synced", ReadyReplicas: three}},
	}, {
		name: "a cluster that holds what was asked of it before is not at rest", shares: map[string]int32{"gondor": 3},
		evidence: []evidence{func() evidence { e := held("gondor", 3, 3); e.seen.outcome.of.generation = 0; return e }()},
		where:    "gondor 3/3", reason: federation.StateSynced,
		states: []federation.ClusterState{{Name: "gondor", State: "Synced", ReadyReplicas: three}},
	}, {
		name: "a cluster that was not dealt with yet is pending", shares: map[string]int32{"gondor": 3},
		evidence: []evidence{{name: "gondor", placed: true, joined: true, ready: true, seen: sighting{known: true}}},
		where:    "gondor (Pending)", reason: federation.StatePending,
		states: []federation.ClusterState{{Name: "gondor", State: "Pending"}},
	}, {
		name: "a dead cluster keeps what was recorded of it, and holds nothing up", shares: map[string]int32{"gondor": 3},
		evidence: []evidence{{name: "gondor", placed: true, joined: true, recorded: &federation.ClusterState{Name: "gondor", State: "Synced", ReadyReplicas: three}}},
		where:    "gondor 3/3", rest: true, reason: federation.StateSynced,
		states: []federation.ClusterState{{Name: "gondor", State: "Synced", ReadyReplicas: three}},
	}, {
		name: "a dead cluster that never got it waits", shares: map[string]int32{"gondor": 3},
		evidence: []evidence{{name: "gondor", placed: true, joined: true}},
		where:    "gondor (Waiting)", rest: true, reason: federation.StateWaiting,
		states: []federation.ClusterState{{Name: "gondor", State: "Waiting", Message: "the cluster is not ready; it gets the object when it is"}},
	}, {
		name: "a dropped cluster stays until its copy is gone", shares: map[string]int32{"rohan": 3},
		evidence: []evidence{func() evidence { e := held("gondor", 3, 3); e.placed = false; return e }(), held("rohan", 3, 3)},
		where:    "gondor (Deleting), rohan 3/3", reason: federation.StateDeleting,
		states: []federation.ClusterState{{Name: "gondor", State: "Deleting"}, {Name: "rohan", State: "Synced", ReadyReplicas: three}},
	}, {
		name: "a cluster that left is not mentioned", shares: map[string]int32{"rohan": 3},
		evidence: []evidence{{name: "gondor", recorded: &federation.ClusterState{Name: "gondor", State: "Synced"}}, held("rohan", 3, 3)},
		where:    "rohan 3/3", rest: true, reason: federation.StateSynced,
		states: []federation.ClusterState{{Name: "rohan", State: "Synced", ReadyReplicas: three}},
	}} {
		t.Run(test.name, func(t *testing.T) {
			s := summarize(deploymentReading(test.shares), test.evidence)
			if diff := cmp.Diff(test.states, s.decision.Clusters); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			if s.decision.Where != test.where || s.rest != test.rest {
				t.Errorf("where %q, at rest %v; want %q, %v", s.decision.Where, s.rest, test.where, test.rest)
			}
			if got := s.decision.Conditions[0].Reason; got != test.reason {
				t.Errorf("reason %s, want %s", got, test.reason)
			}
		})
	}
}

// TestFinishedShares: a Job's share that has ended needs nothing more, even while others run or its member is away.
func TestFinishedShares(t *testing.T) {
	job := func(name, status string) evidence {
		e := held(name, 2, 0)
		e.seen.copy.Status = object(t, "{kind: X, status: "+status+"}").Object["status"].(map[string]any)
		return e
	}
	for _, test := range []struct {
		name     string
		evidence evidence
		finished bool
		rest     bool
		where    string
	}{
		{"running", job("gondor", `{active: 2, ready: 1}`), false, false, "gondor 1/2"},
		{"complete", job("gondor", `{succeeded: 4, conditions: [{type: Complete, status: "True"}]}`), true, true, "gondor finished"},
		{"failed", job("gondor", `{failed: 7, conditions: [{type: Failed, status: "True"}]}`), true, true, "gondor finished"},
		{"about to fail", job("gondor", `{active: 1, conditions: [{type: FailureTarget, status: "True"}]}`), false, false, "gondor 0/2"},
		{"of a former Job", func() evidence {
			e := job("gondor", `{conditions: [{type: Complete, status: "True"}]}`)
			e.seen.copy.OriginUID = "u0"
			return e
		}(), false, false, "gondor 0/2"},
		{"out of sight", evidence{name: "gondor", placed: true, joined: true,
			recorded: &federation.ClusterState{Name: "gondor", State: "Synced", Finished: true, ReadyReplicas: int32p(0)}}, true, true, "gondor finished"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := deploymentReading(map[string]int32{"gondor": 2})
			in.kind.Kind, in.kind.Group, in.kind.Rule = jobs.Kind, jobs.Group, kind.RuleOf(jobs)
			s := summarize(in, []evidence{test.evidence})
			if got := s.decision.Clusters[0].Finished; got != test.finished || s.rest != test.rest || s.decision.Where != test.where {
				t.Errorf("finished %v, at rest %v, where %q; want %v, %v, %q", got, s.rest, s.decision.Where, test.finished, test.rest, test.where)
			}
		})
	}
}

// TestSummarizeSettles: summing up anew what was just written down changes nothing, whatever the evidence.
func TestSummarizeSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := map[string]int32{}
		var list []evidence
		for _, name := range []string{"gondor", "rohan", "shire"} {
			n := rapid.Int64Range(0, 4).Draw(t, "share")
			e := held(name, n, rapid.Int64Range(0, n).Draw(t, "ready"))
			e.joined = rapid.Bool().Draw(t, "joined")
			e.ready = rapid.Bool().Draw(t, "alive")
			e.placed = rapid.Bool().Draw(t, "placed")
			e.seen.outcome.State = rapid.SampledFrom([]string{"Synced", "Failed", "Conflict", "Waiting"}).Draw(t, "state")
			switch rapid.IntRange(0, 3).Draw(t, "sight") {
			case 0:
				e.seen = sighting{}
			case 1:
				e.seen.copy, e.seen.outcome.uid = nil, ""
			}
			if e.placed {
				shares[name] = int32(n)
			}
			list = append(list, e)
		}
		in := deploymentReading(shares)
		first := summarize(in, list)
		in.decision.Status = first.decision
		for i := range list {
			list[i].recorded = nil
			for j := range first.decision.Clusters {
				if first.decision.Clusters[j].Name == list[i].name {
					list[i].recorded = &first.decision.Clusters[j]
				}
			}
		}
		second := summarize(in, list)
		if diff := cmp.Diff(first.decision, second.decision); diff != "" {
			t.Errorf("summing up again changed it (-first +second):\n%s", diff)
		}
	})
}

func TestPlacedCondition(t *testing.T) {
	for _, test := range []struct {
		name string
		spec federation.PlacementDecisionSpec
		want *metav1.Condition
	}{
		{"all is well", federation.PlacementDecisionSpec{}, nil},
		{"something is missing", federation.PlacementDecisionSpec{Missing: "no room for 2 replicas in gondor"},
			&metav1.Condition{Reason: federation.ReasonPolicyNotMet, Message: "no room for 2 replicas in gondor"}},
		{"replicas are unplaced", federation.PlacementDecisionSpec{Unplaced: 2, Missing: "maxReplicas leaves 2 replicas out"},
			&metav1.Condition{Reason: federation.ReasonUnplaced, Message: "maxReplicas leaves 2 replicas out"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			conditions := []metav1.Condition{{Type: federation.DecisionPlaced, Status: metav1.ConditionFalse, Reason: "Before"}}
			d := &federation.PlacementDecision{Spec: test.spec}
			d.Generation = 7
			setPlaced(&conditions, d)
			got := meta.FindStatusCondition(conditions, federation.DecisionPlaced)
			if test.want != nil {
				test.want.Type, test.want.Status, test.want.ObservedGeneration = federation.DecisionPlaced, metav1.ConditionFalse, 7
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime")); diff != "" {
				t.Errorf("condition (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReadyReplicas: a custom resource that tells nothing of readiness is taken at its word.
func TestReadyReplicas(t *testing.T) {
	custom := reading{kind: kind.Kind{Custom: true}}
	for _, test := range []struct {
		name   string
		in     reading
		status map[string]any
		want   int32
	}{
		{"a Deployment", deploymentReading(nil), map[string]any{"readyReplicas": int64(2)}, 2},
		{"a Deployment that tells nothing yet", deploymentReading(nil), nil, 0},
		{"a Job", reading{kind: kind.Kind{Rule: kind.RuleOf(jobs)}}, map[string]any{"ready": int64(1)}, 1},
		{"a custom resource that tells", custom, map[string]any{"readyReplicas": int64(1)}, 1},
		{"a custom resource that tells something else", custom, map[string]any{"phase": "Running"}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := readyReplicas(test.in, &Copy{Replicas: 3, Status: test.status}); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// TestDeadShare: what a dead cluster reported last is true no more, here and in the object's own status.
func TestDeadShare(t *testing.T) {
	in := deploymentReading(map[string]int32{"gondor": 3, "rohan": 3})
	in.now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	gone := held("gondor", 3, 3)
	gone.ready, gone.down = false, true
	gone.recorded = &federation.ClusterState{Name: "gondor", State: federation.StateWaiting, Message: "offline", ReadyReplicas: int32p(3)}
	s := summarize(in, []evidence{gone, held("rohan", 3, 3)})
	if s.decision.Where != "gondor 0/3 (Waiting), rohan 3/3" || s.decision.Clusters[0].Message != "offline" {
		t.Errorf("got %s, %v", s.decision.Where, s.decision.Clusters[0])
	}
	if since := s.decision.Clusters[0].UnreadySince; since == nil || !since.Time.Equal(in.now) || s.decision.Clusters[1].UnreadySince != nil {
		t.Errorf("unready since %v, and rohan since %v", since, s.decision.Clusters[1].UnreadySince)
	}
	if got := number(s.object, "readyReplicas"); got != 3 {
		t.Errorf("the object has %d ready replicas, want those of rohan alone: %v", got, s.object)
	}
	gone.recorded = &s.decision.Clusters[0]
	in.now = in.now.Add(time.Minute)
	if again := summarize(in, []evidence{gone, held("rohan", 3, 3)}); !again.decision.Clusters[0].UnreadySince.Equal(gone.recorded.UnreadySince) {
		t.Error("the time since which it is not ready moves on")
	}
}

func TestReplaced(t *testing.T) {
	rohan := func(ready int32, state string) []federation.ClusterState {
		return []federation.ClusterState{{Name: "rohan", State: state, ReadyReplicas: &ready}}
	}
	stale := func(ready int64) *Copy { return held("gondor", 3, ready).seen.copy }
	for name, test := range map[string]struct {
		shares map[string]int32
		states []federation.ClusterState
		live   *Copy
		silent bool
		ok     bool
	}{
		"its replacements are ready":             {map[string]int32{"rohan": 6}, rohan(6, "Synced"), stale(3), false, true},
		"enough of them are":                     {map[string]int32{"rohan": 6}, rohan(3, "Pending"), stale(3), false, true},
		"too few":                                {map[string]int32{"rohan": 6}, rohan(2, "Synced"), stale(3), false, false},
		"nothing is known of them":               {map[string]int32{"rohan": 6}, nil, stale(3), false, false},
		"the cluster that has them fell silent":  {map[string]int32{"rohan": 6}, rohan(6, "Synced"), stale(3), true, false},
		"nothing runs in the copy":               {map[string]int32{"rohan": 6}, rohan(0, "Synced"), stale(0), false, true},
		"more runs here than is wanted":          {map[string]int32{"rohan": 2}, rohan(2, "Synced"), stale(3), false, true},
		"it is to be nowhere":                    {nil, nil, stale(3), false, true},
		"replacements are asked for, none ready": {map[string]int32{"rohan": 1}, rohan(0, "Synced"), stale(1), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := deploymentReading(test.shares)
			in.decision.Status.Clusters = test.states
			if ok, why := replaced(in, test.live, func(string) bool { return !test.silent }); ok != test.ok || ok != (why == "") {
				t.Errorf("got %v, %q", ok, why)
			}
		})
	}
	secret := deploymentReading(nil)
	secret.kind = kind.Kind{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Secret"}}
	secret.decision.Spec.Clusters = []federation.ClusterPlacement{{Name: "rohan"}}
	for state, want := range map[string]bool{"Synced": true, "Pending": false} {
		secret.decision.Status.Clusters = rohan(0, state)
		if ok, _ := replaced(secret, nil, func(string) bool { return true }); ok != want {
			t.Errorf("a Secret that is %s elsewhere: %v", state, ok)
		}
	}
}

// TestNothingGoesWithoutReplacement: whatever members report, a copy is let go only where as many replicas are ready in
// clusters that answer.
func TestNothingGoesWithoutReplacement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares, ready, answer := map[string]int32{}, int64(0), map[string]bool{}
		in := deploymentReading(nil)
		for _, name := range []string{"rohan", "shire"} {
			if rapid.Bool().Draw(t, name) {
				shares[name] = rapid.Int32Range(0, 5).Draw(t, "share")
			}
			answer[name] = rapid.Bool().Draw(t, "answers")
		}
		in.decision.Spec = deploymentReading(shares).decision.Spec
		wanted := int64(0)
		for _, p := range in.decision.Spec.Clusters {
			n := rapid.Int32Range(0, 5).Draw(t, "ready")
			in.decision.Status.Clusters = append(in.decision.Status.Clusters, federation.ClusterState{Name: p.Name, State: "Synced", ReadyReplicas: &n})
			wanted += int64(*p.Replicas)
			if answer[p.Name] {
				ready += int64(n)
			}
		}
		live := held("gondor", 5, rapid.Int64Range(0, 5).Draw(t, "live")).seen.copy
		ok, _ := replaced(in, live, func(name string) bool { return answer[name] })
		if goes := min(number(live.Status, "readyReplicas"), wanted); ok != (ready >= goes) {
			t.Fatalf("%d go, %d are ready elsewhere, %d wanted: %v", goes, ready, wanted, ok)
		}
	})
}
