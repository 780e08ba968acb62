package endpoint

import (
	"fmt"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

// Thresholds of Judge.
const (
	// leaveAfter probes without the expected answer, one after the other, speak against an address.
	leaveAfter = 2
	// returnAfter answers, one after the other, and the hold-down bring it back.
	returnAfter = 3
	// baseHold is the first hold-down; it doubles with each return that did not last for maxHold.
	baseHold = 30 * time.Second
	maxHold  = 10 * time.Minute
	// unknownHold is how long contradictory evidence leaves things as they are.
	unknownHold = 5 * time.Minute
	// doubtHold is how long an address that nobody but the control plane misses stays as it was: longer than between the
	// failures of two addresses that have one cause, so that when the control plane's own network fails all are missed together,
	// which dns.Brake sees.
	doubtHold = 3 * time.Second
)

// Reasons of a state.
const (
	ReasonAnswers     = "Answers"     // Healthy: it answers
	ReasonReady       = "Ready"       // Healthy: not probed, its member says that it is ready
	ReasonFewReady    = "FewReady"    // Degraded: less than half of its pods are ready
	ReasonSplit       = "Split"       // Degraded or Unknown: some see it answer, others do not
	ReasonNoReadyPods = "NoReadyPods" // Unhealthy: its member says that nothing is ready
	ReasonNoAnswer    = "NoAnswer"    // Unhealthy: it does not answer; Unknown: it never did, and nobody but the control plane asked
	ReasonClusterDown = "ClusterDown" // Unhealthy: the verdict on its cluster
	ReasonNoAddress   = "NoAddress"   // Unhealthy: the member has given it no address yet
	ReasonUnresolved  = "Unresolved"  // Unknown: its host names resolve to no address
	ReasonPending     = "Pending"     // Unknown: not asked yet
	ReasonUnreachable = "Unreachable" // Unknown: the member can't be read, and nobody asks the address
	ReasonDoubt       = "Doubt"       // Unknown: it does not answer, for a moment, and nobody but the control plane asks
	ReasonHoldDown    = "HoldDown"    // Unknown: it answers again, and is back once it has done so for a while
	ReasonDraining    = "Draining"    // Draining: its cluster is being emptied
	ReasonNoTargets   = "NoTargets"   // Unknown: its cloud says that nothing behind its load balancer is healthy, and nobody asks the address
)

// Evidence is all that is known of one address at one time.
type Evidence struct {
	// Ready of Wanted pods are behind it, by the member's word; Ready is nil where that is unknown.
	Ready  *int32
	Wanted int32
	// Stale: the member's word is old, for it can't be read.
	Stale bool
	// Verdict on the cluster, empty where there is none.
	Verdict string
	// Draining: the cluster is to be emptied.
	Draining bool
	// Probed: someone asks this address. Fails or Successes of the control plane's own questions were the last ones, without a
	// break; one of them is 0.
	Probed           bool
	Fails, Successes int
	// Message is the last failure.
	Message string
	// Alive and Dead count witnesses in other clusters by what they see.
	Alive, Dead int
	// Targetless: its cloud says that no target of its load balancer is healthy. Ailing: it says that zones where the cluster is are
	// impaired or unavailable.
	Targetless, Ailing bool
}

// confirmed says that someone besides the control plane has a reason why the address should not answer.
func (e Evidence) confirmed() bool { return e.Dead > 0 || e.Targetless || e.Ailing }

// Track is what is believed of an address, and remembered of it to believe well. The zero value is an address of which nothing is
// known.
type Track struct {
	State    dns.State
	Doubtful bool
	Reason   string
	Message  string
	// Since is when State became so.
	Since time.Time
	// Served: it was usable once.
	Served bool
	// Out: it was usable, and is not now. Better is since when it seems so again.
	Out    bool
	Better time.Time
	// Hold is the hold-down in force, Returned the end of the last one.
	Hold     time.Duration
	Returned time.Time
	// Doubted is since when nobody but the control plane misses it.
	Doubted time.Time
	// Puzzled is since when vantage points contradict one another about a member that can't be read.
	Puzzled time.Time
}

// opinion is what the evidence of one moment says, before hysteresis.
type opinion struct {
	state    dns.State // never Draining
	doubtful bool
	reason   string
	message  string
}

// Judge is the state of an address after new evidence. wake is when the answer changes without any: ask again then; zero is never.
// It is pure.
func Judge(t Track, e Evidence, now time.Time) (next Track, wake time.Time) {
	next = t
	o := weigh(t, e)
	if o.reason == ReasonPending && t.State != "" && t.State != dns.Draining {
		// After a restart what was believed before holds until someone asked.
		return next.say(drained(opinion{t.State, t.Doubtful, t.Reason, t.Message}, e), now), time.Time{}
	}
	if next, o = puzzle(next, e, o, now); o.reason == ReasonSplit && o.state == dns.Unknown {
		wake = next.Puzzled.Add(unknownHold)
	}
	if next, o = doubt(next, o, now); o.reason == ReasonDoubt {
		wake = next.doubtedUntil()
	}
	switch o.state {
	case dns.Unhealthy:
		next = leave(next, now)
	case dns.Healthy, dns.Degraded:
		if next.Out {
			if next.Better.IsZero() {
				next.Better = now
			}
			back := next.Better.Add(next.Hold)
			if now.Before(back) || e.Probed && e.Successes > 0 && e.Successes < returnAfter {
				// Unknown stays published where it is, as after a false alarm that removed nothing, and stays out where it is out.
				o = opinion{state: dns.Unknown, reason: ReasonHoldDown, message: fmt.Sprintf("it seems well again, and is back once that has lasted for %s", next.Hold)}
				if now.Before(back) {
					wake = back
				}
				break
			}
			next.Out, next.Returned, next.Better = false, now, time.Time{}
		}
		next.Served = true
	default:
		next.Better = time.Time{}
	}
	return next.say(drained(o, e), now), wake
}

// doubt leaves things as they are for a moment where the control plane alone misses an address.
func doubt(t Track, o opinion, now time.Time) (Track, opinion) {
	if o.state != dns.Unhealthy || !o.doubtful {
		t.Doubted = time.Time{}
		return t, o
	}
	if t.Doubted.IsZero() {
		t.Doubted = now
	}
	if t.State != dns.Unhealthy && now.Before(t.doubtedUntil()) {
		return t, opinion{state: dns.Unknown, doubtful: true, reason: ReasonDoubt, message: o.message}
	}
	return t, o
}

// doubtedUntil is later for one that has just come back: there a single failure counts, which comes before those of others.
func (t Track) doubtedUntil() time.Time {
	if t.Out {
		return t.Doubted.Add(2 * doubtHold)
	}
	return t.Doubted.Add(doubtHold)
}

func drained(o opinion, e Evidence) opinion {
	if e.Draining && o.state != dns.Unhealthy {
		return opinion{state: dns.Draining, reason: ReasonDraining, message: "its cluster is being emptied"}
	}
	return o
}

// say takes over an opinion. A message alone is no news: an error's text may differ from try to try.
func (t Track) say(o opinion, now time.Time) Track {
	if t.State != o.state {
		t.Since = now
	}
	if t.State != o.state || t.Reason != o.reason {
		t.Message = o.message
	}
	t.State, t.Reason, t.Doubtful = o.state, o.reason, o.doubtful
	return t
}

func leave(t Track, now time.Time) Track {
	t.Better = time.Time{}
	if t.Out || !t.Served {
		return t
	}
	t.Out = true
	if t.Hold == 0 || t.Returned.IsZero() || now.Sub(t.Returned) > maxHold {
		t.Hold = baseHold
	} else {
		t.Hold = min(2*t.Hold, maxHold)
	}
	return t
}

// puzzle leaves things as they are for a while where the member can't be read and vantage points contradict one another.
func puzzle(t Track, e Evidence, o opinion, now time.Time) (Track, opinion) {
	if o.reason != ReasonSplit || !e.Stale {
		t.Puzzled = time.Time{}
		return t, o
	}
	if t.Puzzled.IsZero() {
		t.Puzzled = now
	}
	if now.Sub(t.Puzzled) < unknownHold {
		o.state = dns.Unknown
	}
	return t, o
}

func weigh(t Track, e Evidence) opinion {
	switch {
	case e.Verdict == federation.VerdictDown:
		return opinion{state: dns.Unhealthy, reason: ReasonClusterDown, message: "the cluster is down"}
	case !e.Stale && e.Ready != nil && *e.Ready == 0:
		return opinion{state: dns.Unhealthy, reason: ReasonNoReadyPods, message: "nothing is ready behind it"}
	case e.Probed:
		return probed(t, e)
	case e.Targetless:
		return opinion{state: dns.Unknown, reason: ReasonNoTargets, message: "its cloud says that no target of its load balancer is healthy"}
	case e.Stale:
		return opinion{state: dns.Unknown, reason: ReasonUnreachable, message: "the cluster can't be read, and the address is not probed"}
	}
	return well(e, ReasonReady, "the cluster says that it is ready")
}

func well(e Evidence, reason, message string) opinion {
	if !e.Stale && e.Ready != nil && 2**e.Ready < e.Wanted {
		return opinion{state: dns.Degraded, reason: ReasonFewReady, message: "less than half of the pods behind it are ready"}
	}
	return opinion{state: dns.Healthy, reason: reason, message: message}
}

// probed weighs the vantage points: the control plane and the witnesses. Two thirds of them have to fail; the control plane alone
// decides, but doubtfully, and one witness alone decides nothing. The cloud's word is no vantage point: it takes the doubt from what the
// control plane sees, and decides nothing.
func probed(t Track, e Evidence) opinion {
	answers, known := own(t, e)
	if !known {
		return opinion{state: dns.Unknown, reason: ReasonPending, message: "not asked often enough yet"}
	}
	alive, dead := e.Alive, e.Dead
	if answers {
		alive++
	} else {
		dead++
	}
	switch {
	case 3*dead >= 2*(alive+dead) && e.Dead == 0 && !t.Served:
		return opinion{state: dns.Unknown, reason: ReasonNoAnswer, message: "it has never answered yet: " + e.Message}
	case 3*dead >= 2*(alive+dead):
		return opinion{state: dns.Unhealthy, doubtful: !e.confirmed(), reason: ReasonNoAnswer, message: noAnswer(e, answers)}
	case !answers:
		message := fmt.Sprintf("%d of %d vantage points see it answer, the control plane does not: %s", alive, alive+dead, e.Message)
		return opinion{state: dns.Degraded, reason: ReasonSplit, message: message}
	}
	return well(e, ReasonAnswers, "it answers")
}

// own is what the control plane's own questions say: one failure alone says nothing new.
func own(t Track, e Evidence) (answers, known bool) {
	switch {
	case e.Successes > 0:
		return true, true
	case e.Fails >= leaveAfter:
		return false, true
	case e.Fails > 0:
		return !t.Out, t.Served
	}
	return false, false
}

func noAnswer(e Evidence, answers bool) string {
	switch {
	case answers:
		return fmt.Sprintf("%d witnesses in other clusters get no answer, the control plane does", e.Dead)
	case e.Dead == 0 && e.Targetless:
		return "it does not answer, and its cloud says that no target of its load balancer is healthy: " + e.Message
	case e.Dead == 0 && e.Ailing:
		return "it does not answer, and its cloud says that zones of its cluster are impaired: " + e.Message
	case e.Dead == 0:
		return "it does not answer: " + e.Message
	}
	return fmt.Sprintf("it does not answer, as witnesses in %d other clusters see too: %s", e.Dead, e.Message)
}
