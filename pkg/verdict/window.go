package verdict

import (
	"fmt"
	"slices"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const (
	// span is how far back a Window looks.
	span = time.Minute
	// failuresToSilence is how many probes in a row must fail before an API is silent: one lost packet is no event.
	failuresToSilence = 2
	// losses is how many times within the span an API may turn silent, for one probe, before it is impaired.
	losses = 3
)

// Probe is how one of the control plane's probes of an API ended.
type Probe struct {
	// Asked is when it was sent, At when its answer came, or was given up. Times with a monotonic reading make windows stand
	// steps of the clock.
	Asked, At time.Time
	// Says is federation.SaysAlive, SaysImpaired (it answers, but not well), SaysDead (no answer) or SaysUnknown (nothing to ask
	// with).
	Says    string
	Message string
}

// Window is what probes of one API found lately. The zero Window is empty; it is a value.
type Window struct {
	probes   []Probe
	failures int
	// Heard is when the API answered last, in whatever words. Silent is when the first of the probes ended that have failed
	// since, and Asked when the last of those was sent; both are zero while it answers.
	Heard, Silent, Asked time.Time
}

// Add returns the window with one more probe.
func (w Window) Add(p Probe) Window {
	w.probes = append(slices.Clone(w.probes), p)
	w.probes = slices.DeleteFunc(w.probes, func(o Probe) bool { return p.At.Sub(o.At) > span })
	for i := range w.probes {
		if w.probes[i].At.After(p.At) {
			w.probes[i].At = p.At // the clock was set back
		}
	}
	switch p.Says {
	case federation.SaysDead:
		if w.failures++; w.failures == 1 {
			w.Silent = p.At
		}
		w.Asked = p.Asked
	case federation.SaysUnknown:
	default:
		w.failures, w.Heard, w.Silent, w.Asked = 0, p.At, time.Time{}, time.Time{}
	}
	return w
}

// Signal is what the window says of the API; the zero Signal before the first probe, or after one failure alone.
func (w Window) Signal() Signal {
	last := len(w.probes) - 1
	if last < 0 {
		return Signal{}
	}
	p := w.probes[last]
	if p.Says == federation.SaysDead {
		if w.failures >= failuresToSilence {
			return Signal{Says: federation.SaysDead, Since: w.Silent, Message: p.Message}
		}
		if last == 0 {
			return Signal{}
		}
		p = w.probes[last-1] // of before the one that was lost
	}
	if lost := w.lost(); p.Says == federation.SaysAlive && lost >= losses {
		return Signal{Says: federation.SaysImpaired, Message: fmt.Sprintf("the API turned silent %d times within %s", lost, span)}
	}
	return Signal{Says: p.Says, Message: p.Message}
}

// lost counts the times at which an API that had answered did not.
func (w Window) lost() int {
	n := 0
	for i := 1; i < len(w.probes); i++ {
		if w.probes[i].Says == federation.SaysDead && w.probes[i-1].Says != federation.SaysDead {
			n++
		}
	}
	return n
}
