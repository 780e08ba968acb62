package drill

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// startLimit is how late a scheduled run may begin: a rehearsal does not begin at a time that nobody chose.
const startLimit = 5 * time.Minute

// due says whether a scheduled drill is to run now, and else when to look again.
func (s *step) due() (bool, time.Time) {
	st := s.status
	if st.Phase == federation.DrillPending && st.NextRun == nil {
		return true, time.Time{} // its time has come
	}
	if st.Phase != federation.DrillScheduled || st.NextRun == nil || !s.fits(st.NextRun.Time) {
		if !s.schedule() {
			return false, time.Time{}
		}
	}
	next := st.NextRun.Time
	switch {
	case s.now.Before(next):
		return false, next
	case s.spec.Suspend || s.spec.Abort || since(s.now, next) > startLimit:
		s.schedule() // this one is left out
		return false, st.NextRun.Time
	}
	st.NextRun = nil
	return true, time.Time{}
}

// schedule puts a drill to sleep until its next run.
func (s *step) schedule() bool {
	table, err := cron.ParseStandard(s.spec.Schedule)
	if err != nil {
		s.status.Phase, s.status.NextRun = federation.DrillRefused, nil
		s.condition(federation.DrillPassed, metav1.ConditionFalse, federation.ReasonDrillRefused, fmt.Sprintf("spec.schedule: %v", err))
		return false
	}
	next := table.Next(s.now.UTC())
	if next.IsZero() {
		s.status.Phase, s.status.NextRun = federation.DrillRefused, nil
		s.condition(federation.DrillPassed, metav1.ConditionFalse, federation.ReasonDrillRefused, "spec.schedule: no such day comes")
		return false
	}
	s.status.Phase, s.status.NextRun = federation.DrillScheduled, &metav1.Time{Time: next}
	return true
}

// fits says whether a time is one of the schedule, which may have been changed.
func (s *step) fits(at time.Time) bool {
	table, err := cron.ParseStandard(s.spec.Schedule)
	return err == nil && table.Next(at.UTC().Add(-time.Second)).Equal(at)
}
