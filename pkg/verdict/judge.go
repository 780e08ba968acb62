package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const (
	// impairedAfter is how long a member must be impaired to be Degraded, and how long it must be well to be Ready again.
	impairedAfter = 10 * time.Second
	// DefaultStableFor is how long a member that was silent must be well before it is Ready. It doubles with each return, up to
	// stableAtMost, until the member has been Ready for forgetTimes as long, or for forgetAtMost.
	DefaultStableFor = 10 * time.Second
	stableAtMost     = 10 * time.Minute
	forgetTimes      = 30
	forgetAtMost     = time.Hour
)

// Rules tune Judge; the zero Rules are the defaults.
type Rules struct {
	// StableFor is in place of DefaultStableFor.
	StableFor time.Duration
}

// Memory is what Judge carries from one time to the next. The zero Memory knows nothing; Recall makes one from a status.
type Memory struct {
	// Verdict in force, nil before the first.
	Verdict *federation.Verdict
	// Well and Poor are since when the evidence alone would make the member Ready, or Degraded; zero while it does not.
	Well, Poor time.Time
	// Returns counts how often it came back from silence lately, Returned is when it did last.
	Returns  int
	Returned time.Time
	// turns are sources that began to say something else a moment ago.
	turns map[string]turn
}

// Recall is the memory of a process that starts, by the verdict in force.
func Recall(v *federation.Verdict, now time.Time) Memory {
	m := Memory{Verdict: v.DeepCopy()}
	switch {
	case v == nil:
	case v.Returns > 0 && v.LastReturn != nil:
		m.Returns, m.Returned = int(v.Returns), v.LastReturn.Time
	case v.State == federation.VerdictDegraded && v.Reason == federation.VerdictReturning:
		m.Returns, m.Returned = 1, now
	}
	return m
}

// finding is what evidence amounts to.
type finding struct{ state, reason, message string }

// Judge says what becomes of the verdict on one member. frozen holds back a verdict Down that is not in force yet (see Look).
//
//	API       traffic, witnesses, cloud        verdict
//	answers   well, or nothing known           Ready
//	answers   impaired                         Degraded (for 10 s)
//	silent    a sign of life, or nothing       Unreachable
//	silent    more say dead than alive         Down
//	answers   after silence                    Degraded, until it was well for a stable time
//
// No single source makes a member Down, and one that answers the control plane never is. What made a member Down may vanish
// later, as when its endpoints are not probed any more: only a sign of life takes the verdict back.
func (r Rules) Judge(e Evidence, m Memory, frozen bool, now time.Time) Memory {
	f := weigh(e, m.Verdict)
	if frozen && f.state == federation.VerdictDown && f.reason != federation.VerdictDrill && !is(m.Verdict, federation.VerdictDown) {
		f = finding{federation.VerdictUnreachable, federation.VerdictOthersSilent,
			"the API is silent, and so are too many others: the control plane may be cut off; nothing moves"}
	}
	f, m = r.dampen(f, m, now)
	if f.state == "" {
		return m
	}
	var before federation.Verdict
	if m.Verdict != nil {
		before = *m.Verdict
	}
	v := &federation.Verdict{State: f.state, Since: before.Since, Reason: f.reason, Message: f.message}
	if f.state != before.State || v.Since.After(now) { // or the clock was set back
		v.Since = second(now)
	}
	if f.state == before.State && f.reason == before.Reason {
		v.Message = before.Message // the same again in other numbers is no news
	}
	changed := f.state != before.State || f.reason != before.Reason
	v.Evidence, m.turns = e.entries(before.Evidence, m.turns, changed, now)
	v.Returns, v.LastReturn = before.Returns, before.LastReturn
	if changed {
		v.Returns, v.LastReturn = m.returned()
	}
	m.Verdict = v
	return m
}

// returned is what a verdict tells of returns.
func (m Memory) returned() (int32, *metav1.Time) {
	if m.Returns == 0 {
		return 0, nil
	}
	last := second(m.Returned)
	return int32(m.Returns), &last
}

// weigh is what the evidence amounts to, without regard to time.
func weigh(e Evidence, before *federation.Verdict) finding {
	if e.Drill != "" {
		return finding{federation.VerdictDown, federation.VerdictDrill, fmt.Sprintf("drill %s treats the cluster as failed; nothing in it is touched", e.Drill)}
	}
	switch e.API.Says {
	case federation.SaysAlive, federation.SaysImpaired:
		return answering(e)
	case federation.SaysDead:
		return silent(e, before)
	case federation.SaysUnknown:
		if is(before, federation.VerdictDown) && before.Reason != federation.VerdictDrill && silent(e, before).state == federation.VerdictDown {
			return same(before) // an API that can't be asked shows no life
		}
		return finding{federation.VerdictUnreachable, federation.VerdictNotAsked, cmp.Or(e.API.Message, "the federation has nothing to ask the API with")}
	}
	return finding{} // not asked yet
}

func answering(e Evidence) finding {
	traffic := e.traffic()
	switch {
	case e.API.Says == federation.SaysImpaired:
		return finding{federation.VerdictDegraded, federation.VerdictAPIImpaired, "the API answers, but not well: " + e.API.Message}
	// A single endpoint that does not answer is the application's matter as long as the API does.
	case e.Traffic.Probed > 1 && (traffic.Says == federation.SaysDead || traffic.Says == federation.SaysImpaired):
		return finding{federation.VerdictDegraded, federation.VerdictTrafficImpaired, "the API answers, but " + traffic.Message}
	case e.Cloud.Says == federation.SaysDead || e.Cloud.Says == federation.SaysImpaired:
		return finding{federation.VerdictDegraded, federation.VerdictCloudImpaired, "the API answers, but its cloud reports: " + e.Cloud.Message}
	}
	return finding{federation.VerdictReady, federation.VerdictServing, "the API answers"}
}

// silent weighs what others say of a member whose API is silent. Each witness has a vote, and so have the control plane's own
// probes of endpoints: in case of doubt it lives.
func silent(e Evidence, before *federation.Verdict) finding {
	alive, dead := e.Counted()
	traffic := e.traffic().Says
	votes := dead
	if traffic == federation.SaysDead {
		votes++
	}
	if votes > 0 && e.Cloud.Says == federation.SaysDead {
		votes++
	}
	says := fmt.Sprintf("%d of %d witnesses say alive", alive, alive+dead)
	switch {
	case traffic == federation.SaysAlive || traffic == federation.SaysImpaired:
		return finding{federation.VerdictUnreachable, federation.VerdictSaidAlive, fmt.Sprintf("the API is silent, but %d of %d published endpoints answer", e.Traffic.Alive, e.Traffic.Probed)}
	case votes > alive && traffic == federation.SaysDead && dead > 0:
		return finding{federation.VerdictDown, federation.VerdictTrafficAndWitness, fmt.Sprintf("the API is silent, %s, and %d of %d witnesses see it dead", e.traffic().Message, dead, alive+dead)}
	case votes > alive && traffic == federation.SaysDead:
		return finding{federation.VerdictDown, federation.VerdictTrafficDead, "the API is silent, and " + e.traffic().Message}
	case votes > alive:
		return finding{federation.VerdictDown, federation.VerdictWitnessesAgree, fmt.Sprintf("the API is silent, and %d of %d witnesses see it dead", dead, alive+dead)}
	case alive > 0:
		return finding{federation.VerdictUnreachable, federation.VerdictSaidAlive, "the API is silent, but " + says}
	case is(before, federation.VerdictDown) && before.Reason != federation.VerdictDrill:
		return same(before)
	}
	return finding{federation.VerdictUnreachable, federation.VerdictNobodyElse, "the API is silent, and nobody else can be asked: no published endpoint is probed, and no witness in another cluster answers"}
}

// dampen keeps a member from becoming better or impaired too soon.
func (r Rules) dampen(f finding, m Memory, now time.Time) (finding, Memory) {
	m.Well, m.Poor = since(m.Well, f.state == federation.VerdictReady, now), since(m.Poor, f.state == federation.VerdictDegraded, now)
	if m.Verdict == nil {
		return f, m // the first verdict is what it is
	}
	if m.Returned.After(now) {
		m.Returned = now // the clock was set back
	}
	before := m.Verdict.State
	answers := f.state == federation.VerdictReady || f.state == federation.VerdictDegraded
	switch {
	case answers && m.Verdict.Reason == federation.VerdictDrill:
		return f, m // it was never away
	case answers && (before == federation.VerdictUnreachable || before == federation.VerdictDown):
		m.Returns, m.Returned, m.Well, m.Poor = r.recent(m, now)+1, now, now, now
		return r.returning(m), m
	case before == federation.VerdictReady && f.state == federation.VerdictReady:
		m.Returns = r.recent(m, now)
	case before == federation.VerdictReady && f.state == federation.VerdictDegraded && now.Sub(m.Poor) < impairedAfter:
		return same(m.Verdict), m
	case before == federation.VerdictDegraded && f.state == federation.VerdictReady:
		wait := impairedAfter
		if m.Verdict.Reason == federation.VerdictReturning || m.Returns > 1 {
			wait = r.stable(m.Returns)
		}
		if now.Sub(m.Well) < wait {
			return same(m.Verdict), m
		}
	case before == federation.VerdictDegraded && f.state == federation.VerdictDegraded && m.Verdict.Reason == federation.VerdictReturning && now.Sub(m.Poor) < impairedAfter:
		return same(m.Verdict), m
	}
	return f, m
}

// returning is the finding on a member that answers again.
func (r Rules) returning(m Memory) finding {
	return finding{federation.VerdictDegraded, federation.VerdictReturning,
		fmt.Sprintf("the API answers again; Ready once it has been well for %s (return %d)", r.stable(m.Returns), m.Returns)}
}

// recent is how many returns still count.
func (r Rules) recent(m Memory, now time.Time) int {
	stable := r.stable(m.Returns)
	if now.Sub(m.Returned) > stable+min(forgetTimes*stable, forgetAtMost) {
		return 0
	}
	return m.Returns
}

// stable is how long a member must be well after its nth return.
func (r Rules) stable(n int) time.Duration {
	wait := cmp.Or(r.StableFor, DefaultStableFor)
	for range min(max(n-1, 0), 16) {
		wait = min(2*wait, stableAtMost)
	}
	return wait
}

func since(t time.Time, holds bool, now time.Time) time.Time {
	switch {
	case !holds:
		return time.Time{}
	case t.IsZero() || t.After(now): // or the clock was set back
		return now
	}
	return t
}

func is(v *federation.Verdict, state string) bool { return v != nil && v.State == state }

func same(v *federation.Verdict) finding { return finding{v.State, v.Reason, v.Message} }

// Worse orders states: Ready, Degraded, Unreachable, Down.
func Worse(a, b string) bool { return slices.Index(order, a) > slices.Index(order, b) }

var order = []string{federation.VerdictReady, federation.VerdictDegraded, federation.VerdictUnreachable, federation.VerdictDown}
