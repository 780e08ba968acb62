package drill

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// historyLimit bounds the runs that are remembered.
const historyLimit = 20

// refuse ends a run in which nothing failed.
func (s *step) refuse(reason, message string) {
	s.status.Broken = message
	s.event(federation.DrillEvent{Event: federation.DrillEventRefused, Message: message})
	s.condition(federation.DrillPassed, metav1.ConditionFalse, reason, message)
	s.over(federation.DrillRefused, federation.DrillResultRefused, message)
}

// finish ends a run of which nothing is left.
func (s *step) finish() {
	if s.status.Broken != "" {
		s.over(federation.DrillAborted, federation.DrillResultAborted, s.status.Broken)
		return
	}
	s.status.Objectives = objectives(s.spec, s.status)
	passed := meta.FindStatusCondition(s.status.Conditions, federation.DrillPassed)
	if passed == nil || passed.Status == metav1.ConditionUnknown {
		if missed := missed(s.status.Objectives); missed == "" {
			s.condition(federation.DrillPassed, metav1.ConditionTrue, federation.ReasonDrillPassed, fmt.Sprintf("%d objectives met", len(s.status.Objectives)))
		} else {
			s.condition(federation.DrillPassed, metav1.ConditionFalse, federation.ReasonDrillFailed, missed)
		}
	}
	passed = meta.FindStatusCondition(s.status.Conditions, federation.DrillPassed)
	result := federation.DrillResultFailed
	if passed.Status == metav1.ConditionTrue {
		result = federation.DrillResultPassed
	}
	s.over(federation.DrillCompleted, result, passed.Message)
}

// over writes the run into the history.
func (s *step) over(phase, result, message string) {
	st := s.status
	st.Phase, st.Times.Finished = phase, s.micro()
	run := federation.DrillRun{Run: st.Run, Finished: metav1.Time{Time: s.now}, Result: result, Message: message, Moved: st.Moved}
	if st.Times.Started != nil {
		run.Started = &metav1.Time{Time: st.Times.Started.Time}
		s.event(federation.DrillEvent{Event: federation.DrillEventFinished, Message: result})
	}
	for i := range st.Services {
		r := &st.Services[i]
		run.Requests, run.Failed = run.Requests+r.Requests, run.Failed+r.Failed
		if r.RecoveryTime != nil && (run.RecoveryTime == nil || r.RecoveryTime.Duration > run.RecoveryTime.Duration) {
			run.RecoveryTime = ptr.To(*r.RecoveryTime)
		}
	}
	st.History = append([]federation.DrillRun{run}, st.History...)
	st.History = st.History[:min(len(st.History), historyLimit)]
	s.condition(federation.DrillFinished, metav1.ConditionTrue, result, message)
	if s.spec.Schedule != "" {
		s.schedule()
	}
}

// objectives says of each objective whether it was met.
func objectives(spec *federation.FailoverDrillSpec, status *federation.FailoverDrillStatus) []federation.DrillObjective {
	o, list := &spec.Objectives, []federation.DrillObjective{}
	add := func(name, service, want, got string, met bool) {
		list = append(list, federation.DrillObjective{Name: name, Service: service, Want: want, Got: got, Met: met})
	}
	if o.ReplacementTime != nil {
		got, met := "never", status.Before == nil || status.Before.Replicas == 0
		if t := status.Times; t.Replaced != nil && t.Injected != nil {
			took := since(t.Replaced.Time, t.Injected.Time)
			got, met = took.Round(time.Millisecond).String(), took <= o.ReplacementTime.Duration
		}
		add("replacementTime", "", "<= "+o.ReplacementTime.Duration.String(), got, met)
	}
	for i := range status.Services {
		r := &status.Services[i]
		key := r.Namespace + "/" + r.Name
		if o.RecoveryTime != nil {
			took := ptr.Deref(r.RecoveryTime, metav1.Duration{}).Duration
			add("recoveryTime", key, "<= "+o.RecoveryTime.Duration.String(), took.String(), took <= o.RecoveryTime.Duration)
		}
		if o.FailedRequests != nil {
			add("failedRequests", key, fmt.Sprintf("<= %d", *o.FailedRequests), fmt.Sprint(r.Failed), r.Failed <= *o.FailedRequests)
		}
		late, most := r.FailedLate+r.FailedInRestore, ptr.Deref(o.FailedLate, 0)
		add("failedLate", key, fmt.Sprintf("<= %d", most), fmt.Sprint(late), late <= most)
	}
	return list
}

func missed(objectives []federation.DrillObjective) string {
	n, first := 0, ""
	for _, o := range objectives {
		if o.Met {
			continue
		}
		if n++; n == 1 {
			first = fmt.Sprintf("%s is %s, wanted %s", o.Name, o.Got, o.Want)
			if o.Service != "" {
				first = "Service " + o.Service + ": " + first
			}
		}
	}
	if n > 1 {
		return fmt.Sprintf("%s; and %d more", first, n-1)
	}
	return first
}
