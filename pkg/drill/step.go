package drill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const (
	// baseline is how long Services are asked before anything fails.
	baseline = 5 * time.Second
	// injectionLimit is how long it may take until the failure is there.
	injectionLimit = time.Minute
	// returnLimit is how long clusters may take to come back.
	returnLimit = 5 * time.Minute
	// settle is how long Services are asked after everything was restored.
	settle = 5 * time.Second
	// quiet is how long no request may fail for traffic to have recovered.
	quiet = 5 * time.Second
	// beat is how often a drill under way is looked at, at least.
	beat = time.Second
)

// Input of a step.
type Input struct {
	// Drill is not changed.
	Drill *federation.FailoverDrill
	Seen  *Seen
	Now   time.Time
}

// Output of a step.
type Output struct {
	// Status is to be stored before anything is done for it.
	Status federation.FailoverDrillStatus
	// Wake is when to look again at the latest; zero is never.
	Wake time.Time
}

// step is a step being decided.
type step struct {
	name   string
	spec   *federation.FailoverDrillSpec
	status *federation.FailoverDrillStatus
	seen   *Seen
	now    time.Time
	gone   bool // the object is being deleted
}

// Step decides what comes next. It is pure, and goes through one phase at a time: what the next phase does rests on what is
// stored.
func Step(in Input) Output {
	d := in.Drill.DeepCopy()
	s := &step{name: d.Name, spec: &d.Spec, status: &d.Status, seen: in.Seen, now: in.Now, gone: d.DeletionTimestamp != nil}
	if s.status.Phase == federation.DrillRefused && s.status.ObservedGeneration != d.Generation {
		s.status.Phase = "" // it was changed so that it might do now
	}
	s.status.ObservedGeneration = d.Generation
	wake := s.phase()
	return Output{Status: *s.status, Wake: wake}
}

func (s *step) phase() time.Time {
	s.rebase()
	if s.seen.Resumed && active(s.status.Phase) && len(s.spec.Services) > 0 {
		s.event(federation.DrillEvent{Event: federation.DrillEventResumed, Message: "the control plane was started again; no requests were sent meanwhile"})
	}
	switch s.status.Phase {
	case federation.DrillMeasuring:
		s.measured()
	case federation.DrillInjecting:
		s.injecting()
	case federation.DrillRunning:
		s.running()
	case federation.DrillRestoring:
		s.restoring()
	default:
		return s.idle()
	}
	return s.now.Add(beat)
}

// rebase brings times that lie ahead to now: the clock was set back, and nothing is to wait until it is there again.
func (s *step) rebase() {
	t := &s.status.Times
	for _, at := range []*metav1.MicroTime{t.Started, t.Injecting, t.Injected, t.Restoring, t.Restored} {
		if at != nil && s.now.Before(at.Add(-time.Second)) {
			at.Time = s.now
		}
	}
}

// idle waits for the time of the next run, and checks what would be begun.
func (s *step) idle() time.Time {
	if s.gone {
		return time.Time{}
	}
	if s.spec.Schedule != "" {
		if due, wake := s.due(); !due {
			return wake
		}
	} else {
		s.status.NextRun = nil
		switch s.status.Phase {
		case federation.DrillScheduled:
			s.status.Phase = federation.DrillCompleted // without its schedule there is nothing to wait for
			return time.Time{}
		case federation.DrillCompleted, federation.DrillAborted, federation.DrillRefused:
			return time.Time{}
		}
	}
	switch {
	case s.status.Phase != federation.DrillPending:
		s.begin()
	case s.spec.Suspend || s.spec.Abort:
		return time.Time{}
	default:
		s.check()
	}
	return s.now
}

// begin makes room for a new run.
func (s *step) begin() {
	old := s.status
	s.status = &federation.FailoverDrillStatus{
		ObservedGeneration: old.ObservedGeneration, Phase: federation.DrillPending, Run: old.Run + 1,
		Conditions: old.Conditions, History: old.History, NextRun: old.NextRun,
	}
	s.condition(federation.DrillFinished, metav1.ConditionFalse, federation.ReasonDrillUnderWay, "its checks are under way")
	s.condition(federation.DrillPassed, metav1.ConditionUnknown, federation.ReasonDrillUnderWay, "")
}

// check goes on to asking Services, or refuses.
func (s *step) check() {
	checked := Check(s.spec, s.seen)
	s.status.Plan = checked.Plan
	if checked.Refusal != nil {
		s.refuse(checked.Refusal.Reason, checked.Refusal.Message)
		return
	}
	for _, name := range checked.Clusters {
		c := s.cluster(name)
		s.status.Clusters = append(s.status.Clusters, federation.DrillCluster{Name: name, Published: c.Published, Verdict: c.Verdict})
	}
	s.status.Phase = federation.DrillMeasuring
	s.status.Times.Started = s.micro()
	message := fmt.Sprintf("%s of %s", s.spec.Mode, strings.Join(checked.Clusters, ", "))
	if checked.Plan.Forced {
		message += "; forced, although the plan says that it would not be survived"
	}
	s.event(federation.DrillEvent{Event: federation.DrillEventStarted, Message: message})
	s.condition(federation.DrillFinished, metav1.ConditionFalse, federation.ReasonDrillUnderWay, message)
}

// measured begins the failure when Services have been seen to answer.
func (s *step) measured() {
	s.measure()
	if s.stopped() || s.broken() {
		return
	}
	for i := range s.status.Clusters {
		if c := s.cluster(s.status.Clusters[i].Name); !c.healthy() {
			s.refuse(federation.ReasonDrillUnhealthy, fmt.Sprintf("cluster %s failed by itself before the drill began: %s", c.Name, c.Why))
			return
		}
	}
	if len(s.spec.Services) > 0 && since(s.now, s.status.Times.Started.Time) < baseline {
		return
	}
	for i := range s.seen.Services {
		if service := &s.seen.Services[i]; !answers(s.spec, service) {
			s.refuse(federation.ReasonDrillUnhealthy, fmt.Sprintf("Service %s does not answer well before anything fails: %d of %d requests failed (%s)",
				service.Key, service.RecentFailed, service.Recent, service.Result.LastError))
			return
		}
	}
	r := &s.seen.Replicas
	s.status.Before = &federation.DrillBefore{Objects: r.Objects, Replicas: r.Failed, Ready: r.Ready, NotFitting: r.NotFitting}
	s.status.Moves = r.Moves
	s.status.Phase, s.status.Times.Injecting = federation.DrillInjecting, s.micro()
}

// injecting waits until the failure is there.
func (s *step) injecting() {
	s.measure()
	if s.stopped() || s.broken() {
		return
	}
	at, missing := s.carriedOut()
	if missing != "" {
		if e := s.status.Execution; e != nil && e.Error != "" || since(s.now, s.status.Times.Injecting.Time) > injectionLimit {
			s.restore(federation.DrillEventUnexecuted, missing)
		}
		return
	}
	s.status.Phase, s.status.Times.Injected = federation.DrillRunning, &metav1.MicroTime{Time: at}
	for _, t := range s.status.Clusters {
		s.event(federation.DrillEvent{Time: metav1.MicroTime{Time: at}, Event: federation.DrillEventInjected, Cluster: t.Name, Message: injections[s.spec.Mode]})
	}
	s.observe()
}

// carriedOut is since when the failure is there, or what is missing.
func (s *step) carriedOut() (at time.Time, missing string) {
	for _, t := range s.status.Clusters {
		if !marked(s.cluster(t.Name), s.name, s.spec.Mode) {
			return at, fmt.Sprintf("cluster %s could not be marked", t.Name)
		}
	}
	e := s.status.Execution
	switch {
	case s.spec.Executor == "":
		return s.status.Times.Injecting.Time, ""
	case e != nil && e.Error != "":
		return at, "the executor could not: " + e.Error
	case e != nil && e.Injected != nil:
		return e.Injected.Time, ""
	}
	return at, "nobody carried it out: kubefed drill run does, while it runs"
}

var injections = map[string]string{
	federation.DrillVerdict:   "the federation takes it for dead; nothing in it is touched",
	federation.DrillDNS:       "its endpoints leave DNS; nothing else changes",
	federation.DrillDrain:     "everything moves away, replacements first",
	federation.DrillKill:      "its processes were ended",
	federation.DrillPartition: "the control plane can't reach it; its users can",
}

// running watches until the failure has lasted long enough.
func (s *step) running() {
	s.observe()
	if s.stopped() || s.broken() {
		return
	}
	if since(s.now, s.status.Times.Injected.Time) >= durationOf(s.spec) {
		s.restore("", "")
	}
}

// stopped takes everything back where someone asks for it.
func (s *step) stopped() bool {
	switch {
	case s.gone:
		s.restore(federation.DrillEventAborted, "the drill was deleted")
	case s.spec.Abort:
		s.restore(federation.DrillEventAborted, "somebody asked for it")
	default:
		return false
	}
	return true
}

// broken takes everything back where a guardrail breaks.
func (s *step) broken() bool {
	why := guardrail(s.spec, s.status, s.seen, s.now)
	if why == "" {
		return false
	}
	s.restore(federation.DrillEventGuardrail, why)
	return true
}

// restore begins to take everything back. event is empty where the time was up.
func (s *step) restore(event, why string) {
	if event != "" {
		s.status.Broken = why
		s.event(federation.DrillEvent{Event: event, Message: why})
		reason := map[string]string{
			federation.DrillEventAborted: federation.ReasonDrillAborted, federation.DrillEventGuardrail: federation.ReasonDrillGuardrail,
			federation.DrillEventUnexecuted: federation.ReasonDrillNotCarriedOut,
		}[event]
		s.condition(federation.DrillPassed, metav1.ConditionFalse, reason, why)
	}
	s.status.Phase, s.status.Times.Restoring = federation.DrillRestoring, s.micro()
	s.event(federation.DrillEvent{Event: federation.DrillEventRestoring})
}

// restoring waits until nothing of the drill is left.
func (s *step) restoring() {
	s.observe()
	for i := range s.seen.Clusters {
		c := &s.seen.Clusters[i]
		if left(c, s.name, s.spec.Mode, s.target(c.Name) != nil) {
			return // the marks are what must never stay
		}
	}
	t := &s.status.Times
	if t.Restored == nil {
		var away []string
		for _, target := range s.status.Clusters {
			if c := s.cluster(target.Name); c.Name != "" && !c.healthy() {
				away = append(away, fmt.Sprintf("%s (%s)", c.Name, c.Why))
			}
		}
		if len(away) > 0 && since(s.now, t.Restoring.Time) < returnLimit {
			return
		}
		if len(away) > 0 {
			message := "not back yet: " + strings.Join(away, ", ")
			if s.spec.Executor != "" {
				message += "; bring them back with kubefed playground start or heal"
			}
			s.event(federation.DrillEvent{Event: federation.DrillEventNotBack, Message: message})
			s.condition(federation.DrillPassed, metav1.ConditionFalse, federation.ReasonDrillNotRestored, message)
		} else {
			s.event(federation.DrillEvent{Event: federation.DrillEventRestored})
		}
		t.Restored = s.micro()
	}
	if len(s.spec.Services) == 0 || t.Injected == nil || since(s.now, t.Restored.Time) >= settle {
		s.finish()
	}
}

func (s *step) cluster(name string) *Cluster {
	for i := range s.seen.Clusters {
		if s.seen.Clusters[i].Name == name {
			return &s.seen.Clusters[i]
		}
	}
	return &Cluster{Why: "it has left the federation"}
}

func (s *step) target(name string) *federation.DrillCluster {
	i := slices.IndexFunc(s.status.Clusters, func(t federation.DrillCluster) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &s.status.Clusters[i]
}

func (s *step) micro() *metav1.MicroTime { return &metav1.MicroTime{Time: s.now} }

func (s *step) condition(kind string, is metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&s.status.Conditions, metav1.Condition{
		Type: kind, Status: is, Reason: reason, Message: message, ObservedGeneration: s.status.ObservedGeneration, LastTransitionTime: metav1.Time{Time: s.now},
	})
}
