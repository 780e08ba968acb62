package drill_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/drill"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/plan"
	"kubefed.dev/kubefed/pkg/policy"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a federation in which marks have their consequences, without any clock but its own.
type world struct {
	now   time.Time
	drill *federation.FailoverDrill
	seen  drill.Seen
	// dead are members that the executor ended, or that failed by themselves.
	dead map[string]bool
	// executes says that somebody carries out Kill and Partition.
	executes bool
	// fresh says that the process has just begun.
	fresh bool
}

func newWorld(mode string, change ...func(*world)) *world {
	w := &world{now: start, dead: map[string]bool{}, executes: true, drill: &federation.FailoverDrill{
		ObjectMeta: metav1.ObjectMeta{Name: "monday", Generation: 1, Finalizers: []string{federation.FinalizerDrill}},
		Spec: federation.FailoverDrillSpec{
			Targets: []federation.DrillTarget{{Cluster: "gondor"}}, Mode: mode, Duration: &metav1.Duration{Duration: 30 * time.Second},
			Services: []federation.DrillService{{Namespace: "shop", Name: "web"}},
		},
	}}
	if mode == federation.DrillKill || mode == federation.DrillPartition {
		w.drill.Spec.Executor = federation.DrillExecutorPlayground
	}
	w.seen.World = &plan.World{Now: start, Objects: map[plan.Key]plan.Object{}}
	for i, name := range []string{"gondor", "rohan", "shire"} {
		w.seen.Clusters = append(w.seen.Clusters, drill.Cluster{Name: name, Ready: true, Verdict: federation.VerdictReady, Published: true})
		provider := []string{"aws", "aws", "gcp"}[i]
		w.seen.World.Clusters = append(w.seen.World.Clusters, placement.Cluster{Ready: true, Cluster: policy.Cluster{
			Name: name, Provider: provider, Region: provider + "-" + name, Zones: []string{name + "-a", name + "-b"},
		}})
	}
	w.seen.Services = []drill.Service{{Key: "shop/web", In: []string{"gondor", "rohan", "shire"}, Recent: 100}}
	w.seen.Replicas = drill.Replicas{
		Objects: 1, Failed: 3, Ready: 9, ReadyElsewhere: 6, Elsewhere: []int32{6},
		Moves: []federation.DrillMove{{Kind: "Deployment", Namespace: "shop", Name: "web", Lost: 3, Ready: 9}},
	}
	for _, c := range change {
		c(w)
	}
	return w
}

// act does what the controller does with a stored status, and the executor with what it reads there.
func (w *world) act() {
	for _, m := range drill.Marks(w.drill.Name, w.drill.Spec.Mode, &w.drill.Status, w.seen.Clusters) {
		c := w.cluster(m.Cluster)
		c.Mark = m.Drill
		if m.Drain && c.Drained == nil {
			c.Drained = ptr.To(federation.DrillTaintValue)
		} else if m.Drill == "" && c.Drained != nil && *c.Drained == federation.DrillTaintValue {
			c.Drained = nil
		}
	}
	if w.drill.Spec.Executor == "" || !w.executes {
		return
	}
	st := &w.drill.Status
	for _, t := range st.Clusters {
		switch {
		case st.Phase == federation.DrillInjecting && st.Execution == nil:
			w.dead[t.Name] = true
		case st.Phase == federation.DrillRestoring:
			delete(w.dead, t.Name)
		}
	}
	if st.Phase == federation.DrillInjecting && st.Execution == nil {
		st.Execution = &federation.DrillExecution{Injected: &metav1.MicroTime{Time: w.now}}
	}
}

// follow is what the other rooms make of marks and deaths.
func (w *world) follow() {
	for i := range w.seen.Clusters {
		c := &w.seen.Clusters[i]
		_, mode := drill.SplitMark(c.Mark)
		c.Ready, c.Verdict, c.Published, c.Why = true, federation.VerdictReady, true, ""
		switch {
		case w.dead[c.Name] && mode == federation.DrillPartition:
			c.Ready, c.Verdict, c.Why = false, federation.VerdictUnreachable, "ClusterNotReachable"
		case w.dead[c.Name], mode == federation.DrillVerdict:
			c.Ready, c.Verdict, c.Published, c.Why = false, federation.VerdictDown, false, "down"
		case mode == federation.DrillDNS:
			c.Published = false
		}
	}
	gone := func(name string) bool { c := w.cluster(name); return !c.Published || c.Drained != nil }
	r := &w.seen.Replicas
	if len(r.Moves) > 0 && gone("gondor") && w.cluster("gondor").Mark != w.drill.Name+"/DNS" {
		r.Failed, r.ReadyElsewhere, r.Elsewhere, r.Moves[0].Lost = 0, 9, []int32{9}, 0
	}
}

func (w *world) cluster(name string) *drill.Cluster {
	return &w.seen.Clusters[slices.IndexFunc(w.seen.Clusters, func(c drill.Cluster) bool { return c.Name == name })]
}

// step is one reconcile; a crash before the status is stored, or before it is acted on, is what crash says.
func (w *world) step(crash string) {
	w.act()
	w.follow()
	if crash == "before" {
		return
	}
	w.seen.Resumed, w.fresh = w.fresh, false
	w.drill.Status = drill.Step(drill.Input{Drill: w.drill, Seen: &w.seen, Now: w.now}).Status
	if crash == "after" {
		return
	}
	w.act()
}

// run steps until the drill is over.
func (w *world) run(t testing.TB, crash string) {
	t.Helper()
	for range 2000 {
		w.step(crash)
		w.step("")
		w.now = w.now.Add(time.Second)
		if over(w.drill) {
			return
		}
	}
	t.Fatalf("still in phase %s after %s: %v", w.drill.Status.Phase, w.now.Sub(start), w.events())
}

func over(d *federation.FailoverDrill) bool {
	return meta.IsStatusConditionTrue(d.Status.Conditions, federation.DrillFinished)
}

func (w *world) events() string {
	var events []string
	for _, e := range w.drill.Status.Timeline {
		events = append(events, e.Event)
	}
	return strings.Join(events, " ")
}

func (w *world) passed() string {
	c := meta.FindStatusCondition(w.drill.Status.Conditions, federation.DrillPassed)
	return string(c.Status) + " " + c.Reason
}

// clean says what of the drill is left on clusters.
func (w *world) clean() error {
	for _, c := range w.seen.Clusters {
		if c.Mark != "" || c.Drained != nil && *c.Drained == federation.DrillTaintValue {
			return fmt.Errorf("cluster %s still has mark %q and drain taint %v", c.Name, c.Mark, c.Drained)
		}
	}
	return nil
}

func TestModes(t *testing.T) {
	for mode, want := range map[string]string{
		federation.DrillVerdict:   "Started Injected Detected Verdict DNSWithdrawn ReplacementReady Restoring Verdict ClusterReturned DNSReturned Restored Finished",
		federation.DrillDNS:       "Started Injected DNSWithdrawn Restoring DNSReturned Restored Finished",
		federation.DrillDrain:     "Started Injected ReplacementReady Restoring Restored Finished",
		federation.DrillKill:      "Started Injected Detected Verdict DNSWithdrawn ReplacementReady Restoring Verdict ClusterReturned DNSReturned Restored Finished",
		federation.DrillPartition: "Started Injected Detected Verdict Restoring Verdict ClusterReturned Restored Finished",
	} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(mode)
			w.run(t, "")
			if got := w.events(); got != want {
				t.Errorf("timeline %s\nwant     %s", got, want)
			}
			if w.drill.Status.Phase != federation.DrillCompleted || w.passed() != "True ObjectivesMet" {
				t.Errorf("phase %s, passed %s", w.drill.Status.Phase, w.passed())
			}
			if err := w.clean(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRestartAtEachStep: whether the process ends before a status is stored or before it is acted on, the drill comes to the
// same.
func TestRestartAtEachStep(t *testing.T) {
	for _, mode := range []string{federation.DrillVerdict, federation.DrillDNS, federation.DrillDrain, federation.DrillKill, federation.DrillPartition} {
		straight := newWorld(mode)
		straight.run(t, "")
		for _, crash := range []string{"before", "after"} {
			t.Run(mode+" "+crash, func(t *testing.T) {
				w := newWorld(mode)
				w.run(t, crash)
				timeless := func(d *federation.FailoverDrill) federation.FailoverDrillStatus {
					s := d.Status.DeepCopy()
					s.Times = federation.DrillTimes{}
					for i := range s.Timeline {
						s.Timeline[i].Time = metav1.MicroTime{}
					}
					for i := range s.Conditions {
						s.Conditions[i].LastTransitionTime = metav1.Time{}
					}
					for i := range s.History {
						s.History[i].Started, s.History[i].Finished = nil, metav1.Time{}
					}
					slices.SortFunc(s.Timeline, func(a, b federation.DrillEvent) int {
						return strings.Compare(a.Event+a.Message, b.Event+b.Message)
					})
					s.Execution = nil
					return *s
				}
				if diff := cmp.Diff(timeless(straight.drill), timeless(w.drill)); diff != "" {
					t.Errorf("with restarts it comes to something else (-without +with):\n%s", diff)
				}
				if err := w.clean(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestNothingStays: whatever happens, in every state and with restarts at any step, a drill that is aborted or deleted ends, and
// nothing of it is left.
func TestNothingStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]string{federation.DrillVerdict, federation.DrillDNS, federation.DrillDrain, federation.DrillKill, federation.DrillPartition}).Draw(t, "mode")
		w := newWorld(mode)
		w.drill.Spec.Guardrails.MinAvailability = ptr.To[int32](50)
		w.drill.Spec.Guardrails.MaxMoved = ptr.To(int32(rapid.IntRange(0, 5).Draw(t, "maxMoved")))
		w.executes = rapid.Bool().Draw(t, "executes")
		foreign := rapid.Bool().Draw(t, "drained by a user")
		if foreign {
			w.cluster("rohan").Drained = ptr.To("")
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 30).Draw(t, "happens") {
			case 0:
				w.dead["rohan"] = !w.dead["rohan"]
			case 1:
				w.seen.Isolated = rapid.SampledFrom([]string{"", "silent"}).Draw(t, "isolated")
			case 2:
				w.seen.Services[0].RecentFailed = int64(rapid.IntRange(0, 100).Draw(t, "failed"))
			case 3:
				w.now = w.now.Add(time.Duration(rapid.IntRange(-3600, 3600).Draw(t, "clock step")) * time.Second)
			case 4:
				w.fresh = true
			case 5:
				w.cluster("gondor").Mark = "" // somebody takes the annotation away
			}
			w.step(rapid.SampledFrom([]string{"", "", "before", "after"}).Draw(t, "crash"))
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond)
			if active := drill.Active(w.drill); !active {
				if err := w.clean(); err != nil {
					t.Fatalf("in phase %s: %v", w.drill.Status.Phase, err)
				}
			}
		}
		if w.drill.Status.Phase == "" {
			return
		}
		if rapid.Bool().Draw(t, "deleted") {
			w.drill.DeletionTimestamp = &metav1.Time{Time: w.now}
		} else {
			w.drill.Spec.Abort = true
		}
		for i := 0; drill.Active(w.drill); i++ {
			if i > 1000 {
				t.Fatalf("still in phase %s", w.drill.Status.Phase)
			}
			w.step("")
			w.now = w.now.Add(time.Second)
		}
		if err := w.clean(); err != nil {
			t.Fatal(err)
		}
		if foreign && w.cluster("rohan").Drained == nil {
			t.Fatal("the user's own taint is gone")
		}
		if n := len(w.drill.Status.Timeline); n > 100 {
			t.Fatalf("the timeline has %d lines", n)
		}
	})
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*world)
		want   string // reason and a part of the message
	}{
		{"unknown cluster", func(w *world) { w.drill.Spec.Targets[0].Cluster = "mordor" }, "UnknownTarget: no cluster mordor has joined"},
		{"unknown region", func(w *world) { w.drill.Spec.Targets = []federation.DrillTarget{{Region: "nowhere"}} }, "UnknownTarget: no cluster has region nowhere"},
		{"one of several zones", func(w *world) { w.drill.Spec.Targets = []federation.DrillTarget{{Zone: "gondor-a"}} }, "UnknownTarget: gondor would lose one of several zones"},
		{"the only cluster", func(w *world) {
			w.seen.Clusters, w.seen.World.Clusters = w.seen.Clusters[:1], w.seen.World.Clusters[:1]
		}, "NothingLeft: no healthy cluster would be left"},
		{"all clusters", func(w *world) {
			w.drill.Spec.Targets = []federation.DrillTarget{{Provider: "aws"}, {Provider: "gcp"}}
			w.drill.Spec.Force = true
		}, "NothingLeft"},
		{"another one is under way", func(w *world) { w.seen.Other = "sunday" }, "OtherDrill: drill sunday is under way"},
		{"another cluster is down", func(w *world) { w.dead["shire"] = true }, "Unhealthy: other clusters are not healthy: shire (down)"},
		{"the target is down already", func(w *world) { w.dead["gondor"] = true }, "Unhealthy: cluster gondor has failed already"},
		{"isolated", func(w *world) { w.seen.Isolated = "all members are silent" }, "Isolated: the control plane takes itself to be cut off"},
		{"unknown Service", func(w *world) { w.seen.Services[0].Problem = "there is none" }, "UnknownSubject: Service shop/web: there is none"},
		{"unknown workload", func(w *world) {
			w.seen.Workloads = []drill.Workload{{Key: "Deployment shop/x", Problem: "there is none"}}
		}, "UnknownSubject: Deployment shop/x"},
		{"served there alone", func(w *world) { w.seen.Services[0].In = []string{"gondor"} }, "WouldNotSurvive: the plan says that this would not be survived: Service shop/web: DNS answers name no other cluster"},
		{"drained already", func(w *world) {
			w.drill.Spec.Mode = federation.DrillDrain
			w.cluster("gondor").Drained = ptr.To("")
		}, "Unhealthy: cluster gondor is being drained already"},
		{"the Service fails before", func(w *world) { w.seen.Services[0].RecentFailed = 50 }, "Unhealthy: Service shop/web does not answer well before anything fails"},
		{"no such schedule", func(w *world) { w.drill.Spec.Schedule = "99 99 * * *" }, "Refused: spec.schedule"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(federation.DrillVerdict, c.change)
			for range 20 {
				w.step("")
				w.now = w.now.Add(time.Second)
			}
			passed := meta.FindStatusCondition(w.drill.Status.Conditions, federation.DrillPassed)
			if w.drill.Status.Phase != federation.DrillRefused || !strings.HasPrefix(passed.Reason+": "+passed.Message, c.want) {
				t.Errorf("phase %s, %s: %s\nwant %s", w.drill.Status.Phase, passed.Reason, passed.Message, c.want)
			}
			if w.drill.Status.Times.Injecting != nil {
				t.Error("something was injected")
			}
			if err := w.clean(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestForceIsRecorded(t *testing.T) {
	w := newWorld(federation.DrillVerdict, func(w *world) {
		w.seen.Services[0].In = []string{"gondor"}
		w.drill.Spec.Force = true
	})
	w.run(t, "")
	if p := w.drill.Status.Plan; w.drill.Status.Phase != federation.DrillCompleted || !p.Forced || p.Survives {
		t.Errorf("phase %s, plan %+v", w.drill.Status.Phase, p)
	}
}

func TestGuardrails(t *testing.T) {
	for _, c := range []struct {
		name   string
		spec   func(*federation.FailoverDrillSpec)
		breaks func(*world)
		want   string
	}{
		{"availability", func(s *federation.FailoverDrillSpec) { s.Guardrails.MinAvailability = ptr.To[int32](90) },
			func(w *world) { w.seen.Services[0].RecentFailed = 11 }, "Service shop/web: 11 of the 100 latest requests failed, at least 90% have to succeed"},
		{"ready replicas", func(s *federation.FailoverDrillSpec) {
			s.Guardrails.Workloads = []federation.DrillWorkload{{MinReady: 6}}
		},
			func(w *world) { w.seen.Workloads[0].Ready = 5 }, "Deployment shop/web has 5 ready replicas, needs 6"},
		{"moved replicas", func(s *federation.FailoverDrillSpec) { s.Guardrails.MaxMoved = ptr.To[int32](2) },
			func(*world) {}, "3 replicas have moved, at most 2 may"},
		{"duration", func(s *federation.FailoverDrillSpec) {
			s.Guardrails.MaxDuration = &metav1.Duration{Duration: 20 * time.Second}
		},
			func(w *world) { w.now = w.now.Add(20 * time.Second) }, "it takes longer than 20s"},
		{"another cluster", func(*federation.FailoverDrillSpec) {}, func(w *world) { w.dead["rohan"] = true }, "cluster rohan, which is no target, is not healthy: down"},
		{"isolation", func(*federation.FailoverDrillSpec) {}, func(w *world) { w.seen.Isolated = "silent" }, "the control plane takes itself to be cut off: silent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(federation.DrillVerdict, func(w *world) {
				c.spec(&w.drill.Spec)
				w.seen.Workloads = []drill.Workload{{Key: "Deployment shop/web", Ready: 9}}
				if len(w.drill.Spec.Guardrails.Workloads) == 0 {
					w.seen.Workloads = nil
				}
			})
			for range 10 {
				w.step("")
				w.now = w.now.Add(time.Second)
			}
			c.breaks(w)
			w.run(t, "")
			if got := w.drill.Status; got.Phase != federation.DrillAborted || got.Broken != c.want || w.passed() != "False GuardrailBroken" {
				t.Errorf("phase %s, broken %q, passed %s; want %q", got.Phase, got.Broken, w.passed(), c.want)
			}
			if err := w.clean(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNobodyCarriesItOut(t *testing.T) {
	w := newWorld(federation.DrillKill, func(w *world) { w.executes = false })
	w.run(t, "")
	if w.drill.Status.Phase != federation.DrillAborted || w.passed() != "False NotCarriedOut" {
		t.Errorf("phase %s, passed %s", w.drill.Status.Phase, w.passed())
	}
	if err := w.clean(); err != nil {
		t.Error(err)
	}
}

func TestSchedule(t *testing.T) {
	w := newWorld(federation.DrillDNS, func(w *world) { w.drill.Spec.Schedule = "0 13 * * *" })
	w.step("")
	if next := w.drill.Status.NextRun; w.drill.Status.Phase != federation.DrillScheduled || !next.Equal(ptr.To(metav1.NewTime(start.Add(time.Hour)))) {
		t.Fatalf("phase %s, next run %v", w.drill.Status.Phase, next)
	}
	results := func() string {
		var list []string
		for _, r := range w.drill.Status.History {
			list = append(list, fmt.Sprintf("%d %s", r.Run, r.Result))
		}
		return strings.Join(list, ", ")
	}
	for day := range 25 {
		w.now = start.Add(time.Hour + time.Duration(day)*24*time.Hour)
		switch day {
		case 1:
			w.dead["rohan"] = true
		case 2:
			w.dead["rohan"] = false
		case 3:
			w.now = w.now.Add(10 * time.Minute) // the control plane was down: this one is left out
		case 4:
			w.drill.Spec.Suspend = true
		case 5:
			w.drill.Spec.Suspend = false
		}
		for range 60 {
			w.step("")
			w.now = w.now.Add(time.Second)
		}
		if day == 6 {
			if got, want := results(), "5 Passed, 4 Passed, 3 Passed, 2 Refused, 1 Passed"; got != want {
				t.Fatalf("history %s, want %s", got, want)
			}
		}
	}
	if n := len(w.drill.Status.History); n != 20 || w.drill.Status.Phase != federation.DrillScheduled {
		t.Errorf("%d runs in the history, phase %s", n, w.drill.Status.Phase)
	}
}

func TestObjectives(t *testing.T) {
	w := newWorld(federation.DrillVerdict, func(w *world) {
		w.drill.Spec.Objectives = federation.DrillObjectives{
			RecoveryTime: &metav1.Duration{Duration: 10 * time.Second}, ReplacementTime: &metav1.Duration{Duration: 10 * time.Second}, FailedRequests: ptr.To[int64](5),
		}
	})
	for w.drill.Status.Phase != federation.DrillRunning {
		w.step("")
		w.now = w.now.Add(time.Second)
	}
	injected := w.drill.Status.Times.Injected.Time
	w.seen.Services[0].Result = federation.DrillServiceResult{
		Requests: 500, Failed: 7, FailedLate: 1, LastError: "connection refused",
		FirstFailure: &metav1.MicroTime{Time: injected.Add(time.Second)}, LastFailure: &metav1.MicroTime{Time: injected.Add(12 * time.Second)},
		Outages: []federation.DrillOutage{{From: metav1.MicroTime{Time: injected.Add(time.Second)}, To: metav1.MicroTime{Time: injected.Add(12 * time.Second)}, Failed: 7}},
	}
	w.now = injected.Add(13 * time.Second)
	w.run(t, "")
	var got []string
	for _, o := range w.drill.Status.Objectives {
		got = append(got, fmt.Sprintf("%s %s: %s, %s, %v", o.Name, o.Service, o.Want, o.Got, o.Met))
	}
	want := []string{
		"replacementTime : <= 10s, 1s, true",
		"recoveryTime shop/web: <= 10s, 12s, false",
		"failedRequests shop/web: <= 5, 7, false",
		"failedLate shop/web: <= 0, 1, false",
	}
	if diff := cmp.Diff(want, got); diff != "" || w.passed() != "False ObjectivesMissed" {
		t.Errorf("passed %s (-want +got):\n%s", w.passed(), diff)
	}
	if !strings.Contains(w.events(), "TrafficFailing") || !strings.Contains(w.events(), "TrafficRecovered") {
		t.Errorf("timeline %s", w.events())
	}
}
