package verdict_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	. "kubefed.dev/kubefed/pkg/verdict"
)

// TestClockSteps: however the clock is set, and at whatever time, no step of it makes a member Down, what is well is Ready after
// the longest stable time at most, and no time that is shown lies ahead, so that tolerations that count from it end.
func TestClockSteps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, now := drawMemory(rt)
		var taints []corev1.Taint
		look := func(e Evidence) {
			m = judge(e, m, false, now)
			taints = Taints(m.Verdict, taints, now)
			for _, taint := range taints {
				if taint.TimeAdded.After(now) {
					rt.Fatalf("taint %s counts from %s after now", taint.Key, taint.TimeAdded.Sub(now))
				}
			}
			if v := m.Verdict; v.Since.After(now) || v.LastReturn != nil && m.Returned.After(now) {
				rt.Fatalf("%s since %s after now", v.State, v.Since.Sub(now))
			}
		}
		steps := func() {
			now = now.Add(time.Duration(rapid.IntRange(-100_000, 100_000).Draw(rt, "clock step")) * time.Second)
			if rapid.Bool().Draw(rt, "restarted") {
				m = Recall(m.Verdict, now)
			}
		}
		for range rapid.IntRange(0, 4).Draw(rt, "looks") {
			look(drawEvidence(rt))
			steps()
		}
		// The same evidence says the same, whatever time it is.
		silent := Evidence{API: says(dead), Witnesses: votes(alive)}
		look(silent)
		was := m.Verdict.State
		steps()
		if look(silent); m.Verdict.State != was {
			rt.Fatalf("a step of the clock made %s of %s", m.Verdict.State, was)
		}
		for range 2 + int(10*time.Minute/time.Second)/5 {
			now = now.Add(5 * time.Second)
			look(Evidence{API: says(alive)})
		}
		if m.Verdict.State != ready {
			rt.Errorf("still %s (%s) after more than ten minutes", m.Verdict.State, m.Verdict.Message)
		}
	})
}

// TestWindowClock: probes from before a step of the clock say no more than others: the API is silent after two failures, and not
// impaired for what lies ahead.
func TestWindowClock(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var w Window
		now, failures := start, 0
		for i := range rapid.IntRange(1, 100).Draw(rt, "probes") {
			now = now.Add(time.Duration(rapid.IntRange(1000, 5000).Draw(rt, "pause")) * time.Millisecond)
			if rapid.IntRange(0, 9).Draw(rt, "stepped") == 0 {
				now = now.Add(time.Duration(rapid.IntRange(-100_000, 100_000).Draw(rt, "by")) * time.Second)
			}
			p := Probe{Asked: now.Add(-time.Second), At: now, Says: rapid.SampledFrom([]string{alive, dead}).Draw(rt, "says")}
			if failures++; p.Says == alive {
				failures = 0
			}
			if w = w.Add(p); (w.Signal().Says == dead) != (failures >= 2) && !(i == 0 && failures == 1) {
				rt.Fatalf("after %d failures it says %q", failures, w.Signal().Says)
			}
		}
		for range 25 { // more than a minute
			now = now.Add(3 * time.Second)
			w = w.Add(Probe{Asked: now.Add(-time.Second), At: now, Says: alive})
		}
		if got := w.Signal().Says; got != alive {
			rt.Errorf("after a minute of answers it says %q", got)
		}
	})
}

// TestSlow: a member whose answers take about as long as the deadline comes and goes for the control plane's probes. It is never Down
// while its endpoints and the witnesses answer, and it does not flap: once it has come and gone, it has to be well for longer
// and longer before it is Ready.
func TestSlow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		slow := rapid.IntRange(5, 95).Draw(rt, "percent of answers that are too late")
		var w Window
		m, now, changes := Memory{}, start, 0
		for range 1200 { // an hour
			now = now.Add(3 * time.Second)
			p := Probe{Asked: now.Add(-2 * time.Second), At: now, Says: alive}
			if rapid.IntRange(1, 100).Draw(rt, "late") <= slow {
				p.Says = dead
			}
			w = w.Add(p)
			was := m.Verdict
			m = judge(Evidence{API: w.Signal(), Witnesses: votes(alive, alive)}, m, false, now)
			if m.Verdict == nil {
				continue
			}
			if m.Verdict.State == down {
				rt.Fatalf("Down: %s", m.Verdict.Message)
			}
			if was != nil && was.State != ready && m.Verdict.State == ready {
				changes++
			}
		}
		if changes > 12 {
			rt.Errorf("it became Ready %d times in an hour, with %d %% too late", changes, slow)
		}
	})
}
