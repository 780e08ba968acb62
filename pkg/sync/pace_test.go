package sync

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// moment is what the folder finds at a time: from then on this is so.
type moment struct {
	at         time.Duration
	generation int64
	news       news
}

// written plays moments through until the end and returns when the object's and the decision's status were written. What
// was written is no news any more, and an object at rest whose status is written has none.
func written(moments []moment, end time.Duration) (objects, decisions []time.Duration) {
	var p pace
	var now moment
	start := time.Unix(0, 0)
	const step = 100 * time.Millisecond
	for at := time.Duration(0); at <= end; at += step {
		for len(moments) > 0 && moments[0].at <= at {
			n := moments[0]
			n.news.object, n.news.decision = n.news.object || now.news.object, n.news.decision || now.news.decision
			now, moments = n, moments[1:]
		}
		if !now.news.object && !now.news.decision {
			continue
		}
		clock := start.Add(at)
		p = p.next(now.generation, clock)
		if p.wait(now.news, clock) > 0 {
			continue
		}
		if p.decides(now.news) {
			decisions = append(decisions, at)
			now.news.decision = false
		}
		if now.news.object {
			objects = append(objects, at)
			now.news.object = false
		}
		p = p.wrote(now.news, clock)
	}
	return objects, decisions
}

// rollout is one step of progress each second until it comes to rest.
func rollout(from, length time.Duration, generation int64) (list []moment) {
	for at := from; at < from+length; at += time.Second {
		list = append(list, moment{at, generation, news{object: true, decision: true}})
	}
	return append(list, moment{from + length, generation, news{object: true, decision: true, rest: true}})
}

func TestPace(t *testing.T) {
	const s = time.Second
	progress, rest := news{object: true}, news{object: true, rest: true}
	for _, test := range []struct {
		name              string
		moments           []moment
		end               time.Duration
		objects, decision []time.Duration
	}{
		{"a short rollout is written once", rollout(0, 2*s, 1), 60 * s, []time.Duration{2 * s}, []time.Duration{2 * s}},
		{"a slow one tells of its progress once", rollout(0, 29*s, 1), 60 * s, []time.Duration{3 * s, 29 * s}, []time.Duration{29 * s}},
		{"a long one every half minute", rollout(0, 100*s, 1), 120 * s, []time.Duration{3 * s, 33100 * time.Millisecond, 64 * s, 95 * s, 100 * s}, []time.Duration{33100 * time.Millisecond, 64 * s, 95 * s, 100 * s}},
		{"a change on the way begins anew", append(rollout(0, 10*s, 1)[:10], rollout(10*s, 10*s, 2)...), 60 * s, []time.Duration{3 * s, 13 * s, 20 * s}, []time.Duration{20 * s}},
		{"a failure is told at once", []moment{{0, 1, progress}, {5 * s, 1, progress}, {6 * s, 1, news{object: true, urgent: true}}}, 20 * s, []time.Duration{3 * s, 6 * s}, nil},
		{"pods that end slowly can wait", []moment{{0, 1, rest}, {5 * s, 1, news{object: true, rest: true, minor: true}}}, 60 * s, []time.Duration{0, 35 * s}, nil},
		{"what comes to rest anew each second is written ever more rarely", func() (list []moment) {
			for at := time.Duration(0); at < 60*s; at += s {
				list = append(list, moment{at, 0, rest})
			}
			return list
		}(), 60 * s, []time.Duration{0, s, 2 * s, 3 * s, 5 * s, 9 * s, 17 * s, 33 * s}, nil},
		{"replicas that move come to rest at every step", func() (list []moment) {
			for step := range int64(6) {
				list = append(list, moment{time.Duration(step) * s, step, news{decision: true, rest: true, moving: true}})
			}
			return list
		}(), 60 * s, nil, []time.Duration{0, s, 2 * s, 3 * s, 4 * s, 5 * s}},
		{"a step that is slow tells of its progress", func() (list []moment) {
			for at := time.Duration(0); at < 10*s; at += s {
				list = append(list, moment{at, 1, news{decision: true, moving: true}})
			}
			return list
		}(), 60 * s, nil, []time.Duration{3 * s, 7 * s, 11 * s}},
		{"left alone for a minute it is written at once again", []moment{{0, 0, rest}, {s, 0, rest}, {2 * s, 0, rest}, {3 * s, 0, rest}, {70 * s, 0, rest}, {71 * s, 0, rest}}, 80 * s,
			[]time.Duration{0, s, 2 * s, 3 * s, 70 * s, 71 * s}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects, decisions := written(test.moments, test.end)
			if !equal(objects, test.objects) || !equal(decisions, test.decision) {
				t.Errorf("the object was written at %v, the decision at %v; want %v, %v", objects, decisions, test.objects, test.decision)
			}
		})
	}
}

func equal(a, b []time.Duration) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestPaceBudget: however a rollout of up to half a minute goes, its statuses cost three writes at most.
func TestPaceBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []moment
		for at := time.Duration(0); at < 30*time.Second; {
			list = append(list, moment{at, 1, news{object: rapid.Bool().Draw(t, "object"), decision: rapid.Bool().Draw(t, "decision")}})
			at += time.Duration(rapid.IntRange(1, 80).Draw(t, "later")) * 100 * time.Millisecond
		}
		last := moment{list[len(list)-1].at + 100*time.Millisecond, 1, news{object: true, decision: true, rest: true}}
		if last.at > 30*time.Second {
			return
		}
		list = append(list, last)
		objects, decisions := written(list, time.Minute)
		if n := len(objects) + len(decisions); n > 3 {
			t.Errorf("%d writes: the object at %v, the decision at %v", n, objects, decisions)
		}
	})
}

func TestAlarming(t *testing.T) {
	status := func(text string) map[string]any {
		return object(t, "{kind: X, status: "+text+"}").Object["status"].(map[string]any)
	}
	for _, test := range []struct {
		name, before, after string
		want                bool
	}{
		{"progress", `{replicas: 1}`, `{replicas: 2, conditions: [{type: Progressing, status: "True"}]}`, false},
		{"the deadline has passed", `{conditions: [{type: Progressing, status: "True"}]}`, `{conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}`, true},
		{"is known already", `{conditions: [{type: Progressing, status: "False"}]}`, `{replicas: 1, conditions: [{type: Progressing, status: "False"}]}`, false},
		{"no pods can be made", `{}`, `{conditions: [{type: ReplicaFailure, status: "True"}]}`, true},
		{"a Job has ended", `{active: 1}`, `{conditions: [{type: Complete, status: "True"}]}`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := alarming(status(test.before), status(test.after)); got != test.want {
				t.Errorf("alarming: %v, want %v", got, test.want)
			}
		})
	}
}

func TestPressing(t *testing.T) {
	state := func(s string) federation.ClusterState { return federation.ClusterState{Name: "gondor", State: s} }
	stuck := state(federation.StateSynced)
	stuck.UnschedulableReplicas = int32p(2)
	for _, test := range []struct {
		name          string
		before, after federation.ClusterState
		want          bool
	}{
		{"on its way", state(federation.StatePending), state(federation.StateSynced), false},
		{"refused", state(federation.StatePending), state(federation.StateRejected), true},
		{"refused as before", state(federation.StateRejected), state(federation.StateRejected), false},
		{"no room", state(federation.StateSynced), stuck, true},
		{"no room as before", stuck, stuck, false},
		{"room again", stuck, state(federation.StateSynced), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := pressing([]federation.ClusterState{test.before}, []federation.ClusterState{test.after}); got != test.want {
				t.Errorf("pressing: %v, want %v", got, test.want)
			}
		})
	}
}
