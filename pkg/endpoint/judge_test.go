package endpoint

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// in is an address that was well for an hour, out one that left a moment ago.
var (
	in  = Track{State: dns.Healthy, Reason: ReasonAnswers, Since: noon.Add(-time.Hour), Served: true}
	out = Track{State: dns.Unhealthy, Reason: ReasonNoAnswer, Since: noon, Served: true, Out: true, Hold: baseHold}
)

// verdict is what a test looks at.
type verdict struct {
	State    dns.State
	Reason   string
	Doubtful bool
}

func TestJudge(t *testing.T) {
	up := func(e Evidence) Evidence { e.Probed, e.Successes = true, 3; return e }
	down := func(e Evidence) Evidence { e.Probed, e.Fails = true, 2; return e }
	ready := func(n, of int32) Evidence { return Evidence{Ready: &n, Wanted: of} }
	stale := Evidence{Stale: true}
	missed := in
	missed.State, missed.Doubted = dns.Unknown, noon.Add(-doubtHold)
	for _, test := range []struct {
		name   string
		before Track
		e      Evidence
		want   verdict
	}{
		{"watch only: ready", Track{}, ready(2, 2), verdict{dns.Healthy, ReasonReady, false}},
		{"watch only: readiness unknown", Track{}, Evidence{}, verdict{dns.Healthy, ReasonReady, false}},
		{"watch only: less than half ready", in, ready(2, 5), verdict{dns.Degraded, ReasonFewReady, false}},
		{"watch only: half ready", in, ready(2, 4), verdict{dns.Healthy, ReasonReady, false}},
		{"watch only: nothing ready", in, ready(0, 2), verdict{dns.Unhealthy, ReasonNoReadyPods, false}},
		{"watch only: the member is silent", in, stale, verdict{dns.Unknown, ReasonUnreachable, false}},
		{"new, not asked yet", Track{}, Evidence{Probed: true}, verdict{dns.Unknown, ReasonPending, false}},
		{"new, answers once", Track{}, Evidence{Probed: true, Successes: 1}, verdict{dns.Healthy, ReasonAnswers, false}},
		{"new, fails once", Track{}, Evidence{Probed: true, Fails: 1}, verdict{dns.Unknown, ReasonPending, false}},
		{"new, fails", Track{}, down(Evidence{}), verdict{dns.Unknown, ReasonNoAnswer, false}},
		{"new, fails, a witness too", Track{}, down(Evidence{Dead: 1}), verdict{dns.Unhealthy, ReasonNoAnswer, false}},
		{"new, fails, a witness sees it", Track{}, down(Evidence{Alive: 1}), verdict{dns.Degraded, ReasonSplit, false}},
		{"known, not asked since the restart", in, Evidence{Probed: true}, verdict{dns.Healthy, ReasonAnswers, false}},
		{"answers", in, up(ready(2, 2)), verdict{dns.Healthy, ReasonAnswers, false}},
		{"answers, few ready", in, up(ready(1, 3)), verdict{dns.Degraded, ReasonFewReady, false}},
		{"answers, nothing ready", in, up(ready(0, 3)), verdict{dns.Unhealthy, ReasonNoReadyPods, false}},
		{"answers, the member is silent, was not ready", in, up(Evidence{Stale: true, Ready: new(int32)}), verdict{dns.Healthy, ReasonAnswers, false}},
		{"fails once", in, Evidence{Probed: true, Fails: 1}, verdict{dns.Healthy, ReasonAnswers, false}},
		{"fails, nobody else looks", in, down(ready(2, 2)), verdict{dns.Unknown, ReasonDoubt, true}},
		{"fails, nobody else looks, the member is silent", in, down(stale), verdict{dns.Unknown, ReasonDoubt, true}},
		{"fails for a while, nobody else looks", missed, down(ready(2, 2)), verdict{dns.Unhealthy, ReasonNoAnswer, true}},
		{"fails for a while, a witness sees it", missed, down(Evidence{Alive: 1}), verdict{dns.Degraded, ReasonSplit, false}},
		{"fails, a witness too", in, down(Evidence{Dead: 1}), verdict{dns.Unhealthy, ReasonNoAnswer, false}},
		{"fails, one witness sees it", in, down(Evidence{Alive: 1}), verdict{dns.Degraded, ReasonSplit, false}},
		{"fails, one of two witnesses sees it", in, down(Evidence{Alive: 1, Dead: 1}), verdict{dns.Unhealthy, ReasonNoAnswer, false}},
		{"fails, two of three witnesses see it", in, down(Evidence{Alive: 2, Dead: 1}), verdict{dns.Degraded, ReasonSplit, false}},
		{"fails, witnesses see it, the member is silent", in, down(Evidence{Alive: 2, Stale: true}), verdict{dns.Unknown, ReasonSplit, false}},
		{"answers, one witness sees nothing", in, up(Evidence{Dead: 1}), verdict{dns.Healthy, ReasonAnswers, false}},
		{"answers, two witnesses see nothing", in, up(Evidence{Dead: 2}), verdict{dns.Unhealthy, ReasonNoAnswer, false}},
		{"answers, two of three witnesses see nothing", in, up(Evidence{Dead: 2, Alive: 1}), verdict{dns.Healthy, ReasonAnswers, false}},
		{"the cluster is down", in, Evidence{Verdict: federation.VerdictDown}, verdict{dns.Unhealthy, ReasonClusterDown, false}},
		{"the cluster is down, and it answers", in, up(Evidence{Verdict: federation.VerdictDown}), verdict{dns.Unhealthy, ReasonClusterDown, false}},
		{"the cluster is unreachable, and it answers", in, up(Evidence{Verdict: federation.VerdictUnreachable, Stale: true}), verdict{dns.Healthy, ReasonAnswers, false}},
		{"the cluster is degraded", in, up(Evidence{Verdict: federation.VerdictDegraded}), verdict{dns.Healthy, ReasonAnswers, false}},
		{"draining", in, up(Evidence{Draining: true}), verdict{dns.Draining, ReasonDraining, false}},
		{"draining, the member is silent", in, Evidence{Draining: true, Stale: true}, verdict{dns.Draining, ReasonDraining, false}},
		{"draining, fails", missed, down(Evidence{Draining: true}), verdict{dns.Unhealthy, ReasonNoAnswer, true}},
		{"draining, nothing ready", in, func() Evidence { e := ready(0, 1); e.Draining = true; return e }(), verdict{dns.Unhealthy, ReasonNoReadyPods, false}},
		{"out, answers", out, Evidence{Probed: true, Successes: 1}, verdict{dns.Unknown, ReasonHoldDown, false}},
		{"out, answered, fails once", out, Evidence{Probed: true, Fails: 1}, verdict{dns.Unhealthy, ReasonNoAnswer, true}},
		{"out, ready again", out, ready(1, 1), verdict{dns.Unknown, ReasonHoldDown, false}},
		{"out, not asked since the restart", out, Evidence{Probed: true}, verdict{dns.Unhealthy, ReasonNoAnswer, false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _ := Judge(test.before, test.e, noon.Add(time.Second))
			if diff := cmp.Diff(test.want, verdict{got.State, got.Reason, got.Doubtful}); diff != "" {
				t.Errorf("(-want +got)\n%s%s", diff, got.Message)
			}
		})
	}
}

// TestJudgeReturn: what left is back after three answers and the hold-down, which doubles for what does not stay, and begins anew
// after a failure.
func TestJudgeReturn(t *testing.T) {
	now, track := noon, in
	step := func(after time.Duration, e Evidence, state dns.State, reason string) {
		t.Helper()
		now = now.Add(after)
		e.Probed = true
		if track, _ = Judge(track, e, now); track.State != state || track.Reason != reason {
			t.Fatalf("after %s: %s (%s), not %s (%s)", now.Sub(noon), track.State, track.Reason, state, reason)
		}
	}
	fails, answers := Evidence{Fails: 2, Dead: 1}, Evidence{Successes: 3}
	step(0, fails, dns.Unhealthy, ReasonNoAnswer)
	step(time.Minute, Evidence{Successes: 1}, dns.Unknown, ReasonHoldDown)
	step(31*time.Second, Evidence{Successes: 2}, dns.Unknown, ReasonHoldDown) // not three yet
	step(time.Second, answers, dns.Healthy, ReasonAnswers)

	hold := baseHold
	for hold < maxHold {
		hold = min(2*hold, maxHold)
		step(time.Second, fails, dns.Unhealthy, ReasonNoAnswer)
		step(time.Second, answers, dns.Unknown, ReasonHoldDown)
		step(hold/2, Evidence{Fails: 1, Dead: 1}, dns.Unhealthy, ReasonNoAnswer)
		step(time.Second, answers, dns.Unknown, ReasonHoldDown) // from the beginning
		step(hold-time.Second, answers, dns.Unknown, ReasonHoldDown)
		step(time.Second, answers, dns.Healthy, ReasonAnswers)
	}
	step(maxHold+time.Second, fails, dns.Unhealthy, ReasonNoAnswer)
	if track.Hold != baseHold {
		t.Errorf("after %s without trouble the hold-down is %s", maxHold, track.Hold)
	}
}

// TestJudgeWakes: what changes with time alone says when.
func TestJudgeWakes(t *testing.T) {
	_, wake := Judge(out, Evidence{Probed: true, Successes: 3}, noon)
	if want := noon.Add(baseHold); !wake.Equal(want) {
		t.Errorf("the hold-down ends at %s, not %s", wake, want)
	}
	doubted, wake := Judge(in, Evidence{Probed: true, Fails: 2}, noon)
	if want := noon.Add(doubtHold); !wake.Equal(want) || doubted.State != dns.Unknown {
		t.Errorf("%s until %s, not Unknown until %s", doubted.State, wake, want)
	}
	puzzled, wake := Judge(in, Evidence{Probed: true, Fails: 2, Alive: 1, Stale: true}, noon)
	if want := noon.Add(unknownHold); !wake.Equal(want) {
		t.Errorf("contradictions are left alone until %s, not %s", wake, want)
	}
	after, _ := Judge(puzzled, Evidence{Probed: true, Fails: 2, Alive: 1, Stale: true}, wake)
	if after.State != dns.Degraded {
		t.Errorf("then it is %s, not what probes say", after.State)
	}
}

func TestCombine(t *testing.T) {
	at := func(address string, track Track) located { return located{addr(address), track} }
	dead, doubt := Track{State: dns.Unhealthy, Reason: ReasonNoAnswer}, Track{State: dns.Unhealthy, Doubtful: true, Reason: ReasonNoAnswer}
	pending := Track{State: dns.Unknown, Reason: ReasonPending}
	for _, test := range []struct {
		name   string
		all    []located
		before dns.State
		want   []string
		state  verdict
	}{
		{"none", nil, "", nil, verdict{}},
		{"one dead of two", []located{at("192.0.2.2", in), at("192.0.2.1", dead)}, dns.Healthy, []string{"192.0.2.2"}, verdict{dns.Healthy, ReasonAnswers, false}},
		{"all dead, one in doubt", []located{at("192.0.2.2", dead), at("192.0.2.1", doubt)}, dns.Healthy, []string{"192.0.2.1", "192.0.2.2"}, verdict{dns.Unhealthy, ReasonNoAnswer, true}},
		{"not all asked yet", []located{at("192.0.2.1", in), at("192.0.2.2", pending)}, "", []string{"192.0.2.1", "192.0.2.2"}, verdict{dns.Unknown, ReasonPending, false}},
		{"a new one beside a good one", []located{at("192.0.2.1", in), at("192.0.2.2", pending)}, dns.Healthy, []string{"192.0.2.1"}, verdict{dns.Healthy, ReasonAnswers, false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			addresses, chief := combine(test.all, test.before)
			var got []string
			for _, a := range addresses {
				got = append(got, a.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("addresses (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.state, verdict{chief.State, chief.Reason, chief.Doubtful}); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func anyEvidence(t *rapid.T) Evidence {
	e := Evidence{
		Stale: rapid.Bool().Draw(t, "stale"), Draining: rapid.Bool().Draw(t, "draining"), Probed: rapid.Bool().Draw(t, "probed"),
		Verdict: rapid.SampledFrom([]string{"", federation.VerdictReady, federation.VerdictDegraded, federation.VerdictUnreachable, federation.VerdictDown}).Draw(t, "verdict"),
		Wanted:  rapid.Int32Range(0, 4).Draw(t, "wanted"),
		Alive:   rapid.IntRange(0, 3).Draw(t, "alive"), Dead: rapid.IntRange(0, 3).Draw(t, "dead"),
		Targetless: rapid.Bool().Draw(t, "targetless"), Ailing: rapid.Bool().Draw(t, "ailing"),
	}
	if n := rapid.Int32Range(-1, e.Wanted).Draw(t, "ready"); n >= 0 {
		e.Ready = &n
	}
	if n := rapid.IntRange(-leaveAfter, returnAfter).Draw(t, "answers"); n < 0 {
		e.Fails = -n
	} else {
		e.Successes = n
	}
	return e
}

// TestJudgeProperties runs random histories.
func TestJudgeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now, track := noon, Track{}
		left := time.Time{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "seconds")) * time.Second)
			e := anyEvidence(t)
			next, wake := Judge(track, e, now)
			zero := !e.Stale && e.Ready != nil && *e.Ready == 0
			usable := next.State == dns.Healthy || next.State == dns.Degraded
			switch {
			case next.State == "":
				t.Fatal("there is always a state")
			case next.Doubtful && (next.State != dns.Unhealthy && next.Reason != ReasonDoubt && next.State != dns.Draining || e.confirmed() && e.Fails+e.Successes > 0 || zero || e.Verdict == federation.VerdictDown):
				t.Fatalf("doubtful, though it is %s, or was confirmed: %+v", next.State, e)
			case (zero || e.Verdict == federation.VerdictDown) && (next.State != dns.Unhealthy || next.Doubtful):
				t.Fatalf("a fact makes it %s", next.State)
			case e.Draining && usable:
				t.Fatalf("%s while its cluster is emptied", next.State)
			case usable && track.Out && now.Sub(left) < baseHold:
				t.Fatalf("back %s after it left", now.Sub(left))
			case !wake.IsZero() && !wake.After(now):
				t.Fatalf("wakes at %s, now is %s", wake, now)
			case next.State == track.State && !next.Since.Equal(track.Since), next.State != track.State && !next.Since.Equal(now):
				t.Fatalf("%s since %s", next.State, next.Since)
			}
			if again, _ := Judge(next, e, now); (e.Fails >= leaveAfter || e.Successes > 0) && (again.State != next.State || again.Doubtful != next.Doubtful) {
				t.Fatalf("the same evidence says something else: %s, then %s", next.State, again.State)
			}
			if next.Out && !track.Out {
				left = now
			}
			track = next
		}
	})
}

// TestOneWitnessDecidesNothing: whatever one witness says, an address that answers stays, and one more witness against it never
// makes it better.
func TestOneWitnessDecidesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvidence(t)
		track := rapid.SampledFrom([]Track{{}, in, out}).Draw(t, "track")
		more := e
		more.Dead++
		before, _ := Judge(track, e, noon)
		after, _ := Judge(track, more, noon)
		if good[after.State] > good[before.State] {
			t.Fatalf("one more witness against it: from %s to %s", before.State, after.State)
		}
		e.Alive, e.Dead = 0, 0
		more.Alive, more.Dead = 0, 1
		if e.Successes > 0 {
			before, _ = Judge(track, e, noon)
			if after, _ = Judge(track, more, noon); after.State != before.State {
				t.Fatalf("one witness: from %s to %s", before.State, after.State)
			}
		}
	})
}

// good orders states.
var good = map[dns.State]int{dns.Healthy: 3, dns.Degraded: 2, dns.Draining: 2, dns.Unknown: 1, dns.Unhealthy: 0}

// TestCloudAloneRemovesNothing: what answers stays by whatever the cloud says, and what is not asked is Unknown at worst.
func TestCloudAloneRemovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvidence(t)
		track := rapid.SampledFrom([]Track{{}, in, out}).Draw(t, "track")
		e.Targetless, e.Ailing, e.Draining = false, false, false
		more := e
		more.Targetless, more.Ailing = rapid.Bool().Draw(t, "more targetless"), rapid.Bool().Draw(t, "more ailing")
		before, _ := Judge(track, e, noon)
		after, _ := Judge(track, more, noon)
		switch {
		case good[after.State] > good[before.State]:
			t.Fatalf("its word against it makes it better: from %s to %s", before.State, after.State)
		case e.Probed && e.Successes > 0 && after.State != before.State:
			t.Fatalf("it answers, and is %s by the cloud's word, not %s", after.State, before.State)
		case after.State == dns.Unhealthy && before.State != dns.Unhealthy && before.Reason != ReasonDoubt:
			t.Fatalf("from %s (%s) to %s", before.State, before.Reason, after.State)
		}
	})
}

// TestCloudTakesTheDoubt: an address whose balancer has no healthy target leaves with the second failure, another one 3 s later.
func TestCloudTakesTheDoubt(t *testing.T) {
	for name, e := range map[string]Evidence{"nobody knows why": {}, "no targets": {Targetless: true}, "an impaired zone": {Ailing: true}} {
		t.Run(name, func(t *testing.T) {
			e.Probed, e.Fails = true, leaveAfter
			next, wake := Judge(in, e, noon)
			if !e.confirmed() {
				if next.State != dns.Unknown || !next.Doubtful || !wake.Equal(noon.Add(doubtHold)) {
					t.Errorf("%+v, wakes at %s", next, wake)
				}
				return
			}
			if next.State != dns.Unhealthy || next.Doubtful || next.Reason != ReasonNoAnswer {
				t.Errorf("%+v", next)
			}
		})
	}
}
