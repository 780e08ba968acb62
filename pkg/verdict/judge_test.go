package verdict_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
	. "kubefed.dev/kubefed/pkg/verdict"
)

const (
	ready, degraded, unreachable, down = federation.VerdictReady, federation.VerdictDegraded, federation.VerdictUnreachable, federation.VerdictDown
	alive, impaired, dead, unknown     = federation.SaysAlive, federation.SaysImpaired, federation.SaysDead, federation.SaysUnknown
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func judge(e Evidence, m Memory, frozen bool, now time.Time) Memory {
	return Rules{}.Judge(e, m, frozen, now)
}

func says(s string) Signal { return Signal{Says: s} }

func votes(says ...string) []Vote {
	var list []Vote
	for i, s := range says {
		list = append(list, Vote{Witness: fmt.Sprintf("w%d", i), Signal: Signal{Says: s}})
	}
	return list
}

func repeat(n int, s string) []string { return slices.Repeat([]string{s}, n) }

// settled is the verdict once the same evidence has held for long.
func settled(e Evidence, m Memory, frozen bool) Memory {
	for i := range 100 {
		m = judge(e, m, frozen, start.Add(time.Duration(i)*10*time.Second))
	}
	return m
}

// TestTable is the whole table: each answer of the API with all that traffic, up to three witnesses each way and the cloud
// can say, frozen or not, against a second statement of the rules.
func TestTable(t *testing.T) {
	n := 0
	for _, api := range []string{alive, impaired, dead, unknown} {
		for _, traffic := range []probe.Traffic{{}, {Probed: 1}, {Probed: 1, Alive: 1}, {Probed: 5}, {Probed: 5, Alive: 2}, {Probed: 5, Alive: 5}} {
			for _, cloud := range []string{"", alive, impaired, dead} {
				for lively := range 4 {
					for deadly := range 4 {
						for _, frozen := range []bool{false, true} {
							e := Evidence{API: says(api), Traffic: traffic, Cloud: says(cloud), Witnesses: votes(append(append(repeat(lively, alive), repeat(deadly, dead)...), unknown)...)}
							got := settled(e, Memory{}, frozen).Verdict
							if want := byRule(e, lively, deadly, frozen); got.State != want {
								t.Errorf("API %s, traffic %+v, cloud %q, witnesses %d alive %d dead, frozen %v: %s (%s), want %s", api, traffic, cloud, lively, deadly, frozen, got.State, got.Message, want)
							}
							n++
						}
					}
				}
			}
		}
	}
	if n != 4*6*4*4*4*2 {
		t.Errorf("%d cases", n)
	}
}

func byRule(e Evidence, lively, deadly int, frozen bool) string {
	if e.API.Says == alive {
		if e.Cloud.Says == impaired || e.Cloud.Says == dead || e.Traffic.Probed > 1 && 2*e.Traffic.Alive < e.Traffic.Probed {
			return degraded
		}
		return ready
	}
	if e.API.Says == impaired {
		return degraded
	}
	if e.API.Says != dead || e.Traffic.Alive > 0 || frozen {
		return unreachable
	}
	against := deadly
	if e.Traffic.Probed > 0 {
		against++
	}
	if against == 0 {
		return unreachable
	}
	if e.Cloud.Says == dead {
		against++
	}
	if against > lively {
		return down
	}
	return unreachable
}

// TestStories are the cases that the rules are there for.
func TestStories(t *testing.T) {
	for name, test := range map[string]struct {
		evidence Evidence
		want     [2]string
	}{
		"all is well":                            {Evidence{API: says(alive), Traffic: probe.Traffic{Probed: 2, Alive: 2}, Witnesses: votes(alive, alive)}, [2]string{ready, "Serving"}},
		"nobody else to ask":                     {Evidence{API: says(dead)}, [2]string{unreachable, "NobodyElse"}},
		"witnesses that can't tell":              {Evidence{API: says(dead), Witnesses: votes(unknown, unknown)}, [2]string{unreachable, "NobodyElse"}},
		"users are served":                       {Evidence{API: says(dead), Traffic: probe.Traffic{Probed: 3, Alive: 1}, Witnesses: votes(dead, dead)}, [2]string{unreachable, "SaidAlive"}},
		"traffic is dead":                        {Evidence{API: says(dead), Traffic: probe.Traffic{Probed: 3}}, [2]string{down, "TrafficDead"}},
		"a witness agrees":                       {Evidence{API: says(dead), Witnesses: votes(dead)}, [2]string{down, "WitnessesAgree"}},
		"all agree":                              {Evidence{API: says(dead), Traffic: probe.Traffic{Probed: 3}, Witnesses: votes(dead, dead)}, [2]string{down, "TrafficAndWitnesses"}},
		"one witness lies, the API answers":      {Evidence{API: says(alive), Witnesses: votes(dead)}, [2]string{ready, "Serving"}},
		"all witnesses lie, the API answers":     {Evidence{API: says(alive), Witnesses: votes(dead, dead, dead)}, [2]string{ready, "Serving"}},
		"one witness lies that it is dead":       {Evidence{API: says(dead), Witnesses: votes(dead, alive, alive)}, [2]string{unreachable, "SaidAlive"}},
		"one witness lies that it is alive":      {Evidence{API: says(dead), Witnesses: votes(alive, dead, dead)}, [2]string{down, "WitnessesAgree"}},
		"witnesses divided":                      {Evidence{API: says(dead), Witnesses: votes(alive, dead)}, [2]string{unreachable, "SaidAlive"}},
		"witnesses divided, traffic is dead":     {Evidence{API: says(dead), Traffic: probe.Traffic{Probed: 1}, Witnesses: votes(alive, dead)}, [2]string{down, "TrafficAndWitnesses"}},
		"only the control plane can't reach it":  {Evidence{API: says(dead), Traffic: probe.Traffic{Probed: 3}, Witnesses: votes(alive)}, [2]string{unreachable, "SaidAlive"}},
		"the cloud alone does not do":            {Evidence{API: says(dead), Cloud: says(dead)}, [2]string{unreachable, "NobodyElse"}},
		"a drill":                                {Evidence{API: says(alive), Drill: "friday"}, [2]string{down, "Drill"}},
		"the API is not well":                    {Evidence{API: says(impaired)}, [2]string{degraded, "APIImpaired"}},
		"endpoints fail while the API answers":   {Evidence{API: says(alive), Traffic: probe.Traffic{Probed: 4, Alive: 1}}, [2]string{degraded, "TrafficImpaired"}},
		"one application fails":                  {Evidence{API: says(alive), Traffic: probe.Traffic{Probed: 1}}, [2]string{ready, "Serving"}},
		"the zone is impaired":                   {Evidence{API: says(alive), Cloud: says(impaired)}, [2]string{degraded, "CloudImpaired"}},
		"the Secret is gone, all else says dead": {Evidence{API: says(unknown), Traffic: probe.Traffic{Probed: 3}, Witnesses: votes(dead, dead)}, [2]string{unreachable, "NotAsked"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := settled(test.evidence, Memory{}, false).Verdict
			if diff := cmp.Diff(test.want, [2]string{got.State, got.Reason}); diff != "" {
				t.Errorf("%s\n%s", diff, got.Message)
			}
		})
	}
}

// TestDownStaysUntilASignOfLife: what made it Down may vanish.
func TestDownStaysUntilASignOfLife(t *testing.T) {
	m := settled(Evidence{API: says(dead), Traffic: probe.Traffic{Probed: 3}}, Memory{}, false)
	for name, test := range map[string]struct {
		evidence Evidence
		frozen   bool
		want     string
	}{
		"its endpoints are not probed any more": {Evidence{API: says(dead)}, false, down},
		"the control plane is cut off now":      {Evidence{API: says(dead)}, true, down},
		"the Secret is gone":                    {Evidence{API: says(unknown)}, false, down},
		"an endpoint answers":                   {Evidence{API: says(dead), Traffic: probe.Traffic{Probed: 3, Alive: 1}}, false, unreachable},
		"a witness sees it":                     {Evidence{API: says(dead), Witnesses: votes(alive)}, false, unreachable},
		"the API answers":                       {Evidence{API: says(alive)}, false, degraded},
		"nothing was asked yet":                 {Evidence{}, false, down},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judge(test.evidence, m, test.frozen, start.Add(time.Hour)).Verdict; got.State != test.want {
				t.Errorf("%s (%s), want %s", got.State, got.Message, test.want)
			}
		})
	}
}

// TestReturn: a cluster that comes back is Ready after a stable time that doubles when it flaps.
func TestReturn(t *testing.T) {
	up, gone := Evidence{API: says(alive)}, Evidence{API: says(dead)}
	m, now := judge(up, Memory{}, false, start), start
	var waits []time.Duration
	for range 9 {
		m = judge(gone, m, false, now)
		now = now.Add(time.Second)
		m = judge(up, m, false, now)
		if m.Verdict.State != degraded || m.Verdict.Reason != federation.VerdictReturning {
			t.Fatalf("after its return: %s (%s)", m.Verdict.State, m.Verdict.Reason)
		}
		back := now
		for m.Verdict.State != ready {
			now = now.Add(time.Second)
			m = judge(up, m, false, now)
		}
		waits = append(waits, now.Sub(back))
	}
	want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 600 * time.Second, 600 * time.Second, 600 * time.Second}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Error(diff)
	}
	now = now.Add(61 * time.Minute)
	m = judge(gone, m, false, now)
	if m = judge(up, m, false, now.Add(time.Second)); m.Returns != 1 {
		t.Errorf("after a quiet hour it is return %d", m.Returns)
	}
}

// TestReturnsSurviveARestart: whenever the process is started anew, a member that flaps waits as long as it would have, but for what
// it was well for before; and what is long ago is forgotten all the same.
func TestReturnsSurviveARestart(t *testing.T) {
	up, gone := Evidence{API: says(alive)}, Evidence{API: says(dead)}
	rapid.Check(t, func(rt *rapid.T) {
		m, now := judge(up, Memory{}, false, start), start
		restart := func(where string) {
			if rapid.Bool().Draw(rt, "restarted "+where) {
				m = Recall(m.Verdict, now)
			}
		}
		for n := range rapid.IntRange(1, 6).Draw(rt, "returns") {
			restart("while Ready")
			now = now.Add(time.Second)
			m = judge(gone, m, false, now)
			restart("while away")
			now = now.Add(time.Second)
			m = judge(up, m, false, now)
			restart("while returning")
			back, want := now, min(10*time.Second<<n, 10*time.Minute)
			m = judge(up, m, false, now)
			for m.Verdict.State != ready {
				now = now.Add(time.Second)
				m = judge(up, m, false, now)
			}
			if waited := now.Sub(back); waited != want || int(m.Verdict.Returns) != n+1 {
				rt.Fatalf("return %d, by the verdict %d: it was Ready after %s, want %s", n+1, m.Verdict.Returns, waited, want)
			}
		}
		m = Recall(m.Verdict, now)
		now = now.Add(2 * time.Hour)
		m = judge(up, m, false, now)
		m = judge(gone, m, false, now)
		if m = judge(up, m, false, now.Add(time.Second)); m.Returns != 1 || m.Verdict.Returns != 1 {
			rt.Errorf("after two quiet hours it is return %d", m.Returns)
		}
	})
}

// TestImpairment: what lasts for less than ten seconds is nothing.
func TestImpairment(t *testing.T) {
	m := judge(Evidence{API: says(alive)}, Memory{}, false, start)
	poor := Evidence{API: says(alive), Traffic: probe.Traffic{Probed: 4}}
	var states []string
	for i := range 4 {
		m = judge(poor, m, false, start.Add(time.Duration(i)*4*time.Second))
		states = append(states, m.Verdict.State)
	}
	if diff := cmp.Diff([]string{ready, ready, ready, degraded}, states); diff != "" {
		t.Error(diff)
	}
}

// TestNoise: a source that says something else for a moment changes nothing that would be written; one that goes on is shown.
func TestNoise(t *testing.T) {
	well, worse := Evidence{API: says(alive), Traffic: probe.Traffic{Probed: 1, Alive: 1}, Witnesses: votes(alive)}, Evidence{API: says(alive), Traffic: probe.Traffic{Probed: 1}}
	m := judge(well, Memory{}, false, start)
	before := m.Verdict
	for i, e := range []Evidence{worse, worse, well, worse, well} {
		m = judge(e, m, false, start.Add(time.Duration(2*i)*time.Second))
		if diff := cmp.Diff(before, m.Verdict); diff != "" {
			t.Fatalf("after %d looks:\n%s", i+1, diff)
		}
	}
	m = judge(worse, m, false, start.Add(20*time.Second))
	m = judge(worse, m, false, start.Add(25*time.Second))
	if e := m.Verdict.Evidence; len(e) != 2 || e[1].Says != dead {
		t.Errorf("evidence that goes on is not shown: %+v", e)
	}
}

// TestDrillEnds: what it held is given back at once.
func TestDrillEnds(t *testing.T) {
	m := judge(Evidence{API: says(alive)}, Memory{}, false, start)
	m = judge(Evidence{API: says(alive), Drill: "friday"}, m, false, start.Add(time.Minute))
	if m.Verdict.State != down {
		t.Fatal(m.Verdict.State)
	}
	if m = judge(Evidence{API: says(alive)}, m, false, start.Add(2*time.Minute)); m.Verdict.State != ready {
		t.Errorf("%s: %s", m.Verdict.State, m.Verdict.Message)
	}
}

func drawEvidence(rt *rapid.T) Evidence {
	e := Evidence{
		API:   says(rapid.SampledFrom([]string{alive, impaired, dead, unknown}).Draw(rt, "api")),
		Cloud: says(rapid.SampledFrom([]string{"", alive, impaired, dead}).Draw(rt, "cloud")),
	}
	e.Traffic.Probed = rapid.IntRange(0, 4).Draw(rt, "probed")
	e.Traffic.Alive = rapid.IntRange(0, e.Traffic.Probed).Draw(rt, "alive")
	e.Witnesses = votes(rapid.SliceOfN(rapid.SampledFrom([]string{alive, dead, unknown}), 0, 5).Draw(rt, "votes")...)
	return e
}

// drawMemory is a memory that judging can lead to.
func drawMemory(rt *rapid.T) (Memory, time.Time) {
	m, now := Memory{}, start
	for range rapid.IntRange(0, 6).Draw(rt, "before") {
		now = now.Add(time.Duration(rapid.IntRange(-30, 700).Draw(rt, "seconds")) * time.Second) // the clock may be set back
		m = judge(drawEvidence(rt), m, rapid.Bool().Draw(rt, "frozen before"), now)
	}
	return m, now
}

// TestMonotone: one more voice that says dead never makes a verdict better, one that says alive never makes it worse.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, now := drawMemory(rt)
		e, frozen := drawEvidence(rt), rapid.Bool().Draw(rt, "frozen")
		worse, better := e, e
		switch rapid.SampledFrom([]string{"API", "witness", "traffic", "cloud"}).Draw(rt, "which") {
		case "API":
			worse.API, better.API = says(dead), says(alive)
		case "witness":
			worse.Witnesses = append(slices.Clone(e.Witnesses), Vote{"more", says(dead)})
			better.Witnesses = append(slices.Clone(e.Witnesses), Vote{"more", says(alive)})
		case "traffic": // one endpoint more dies, or comes to life
			worse.Traffic.Alive, better.Traffic.Alive = max(e.Traffic.Alive-1, 0), min(e.Traffic.Alive+1, e.Traffic.Probed)
		case "cloud":
			worse.Cloud, better.Cloud = says(dead), says(alive)
		}
		got := judge(e, m, frozen, now).Verdict
		if v := judge(worse, m, frozen, now).Verdict; Worse(got.State, v.State) {
			rt.Errorf("with more dead, %s became %s: %+v", got.State, v.State, worse)
		}
		if v := judge(better, m, frozen, now).Verdict; Worse(v.State, got.State) {
			rt.Errorf("with more alive, %s became %s: %+v", got.State, v.State, better)
		}
	})
}

// TestNoSingleSignal: whatever one source says, alone against all others, nothing becomes Down.
func TestNoSingleSignal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, now := drawMemory(rt)
		if m.Verdict != nil && m.Verdict.State == down {
			return
		}
		well := Evidence{API: says(alive), Traffic: probe.Traffic{Probed: 3, Alive: 3}, Witnesses: votes(alive, alive), Cloud: says(alive)}
		nothing := Evidence{API: says(alive)}
		for _, base := range []Evidence{well, nothing} {
			for _, e := range []Evidence{
				{API: says(dead), Traffic: base.Traffic, Witnesses: base.Witnesses, Cloud: base.Cloud},
				{API: base.API, Traffic: probe.Traffic{Probed: 3}, Witnesses: base.Witnesses, Cloud: base.Cloud},
				{API: base.API, Traffic: base.Traffic, Witnesses: votes(dead), Cloud: base.Cloud},
				{API: base.API, Traffic: base.Traffic, Witnesses: base.Witnesses, Cloud: says(dead)},
			} {
				if v := judge(e, m, false, now).Verdict; v.State == down {
					rt.Errorf("%+v: %s", e, v.Message)
				}
			}
		}
	})
}

// TestFrozenNeverBecomesDown, and what is Down when the freeze begins stays so by itself.
func TestFrozenNeverBecomesDown(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, now := drawMemory(rt)
		if v := judge(drawEvidence(rt), m, true, now).Verdict; v.State == down && (m.Verdict == nil || m.Verdict.State != down) {
			rt.Errorf("became Down while frozen: %s", v.Message)
		}
	})
}

// TestSettles: the same evidence again changes nothing, so that an idle federation writes nothing.
func TestSettles(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, _ := drawMemory(rt)
		e, frozen := drawEvidence(rt), rapid.Bool().Draw(rt, "frozen")
		m = settled(e, m, frozen)
		again := judge(e, m, frozen, start.Add(time.Hour))
		if diff := cmp.Diff(m.Verdict, again.Verdict); diff != "" {
			rt.Errorf("the same evidence changed the verdict:\n%s", diff)
		}
		if restarted := judge(e, Recall(m.Verdict, start), frozen, start.Add(time.Hour)); !cmp.Equal(m.Verdict, restarted.Verdict) {
			rt.Errorf("a restart changed the verdict:\n%s", cmp.Diff(m.Verdict, restarted.Verdict))
		}
	})
}
