package simulation

import (
	"fmt"
	"slices"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/drill"
)

// Step lets a second pass, and says which promise was broken in it.
func (w *World) Step() error {
	w.second++
	before := make(map[string]string, len(w.clusters))
	for _, c := range w.clusters {
		if c.memory.Verdict != nil {
			before[c.name] = c.memory.Verdict.State
		}
	}
	shares, answers := w.totals(), w.answers()
	w.fate()
	w.look()
	w.rehearse()
	w.ask()
	if err := w.place(); err != nil {
		return fmt.Errorf("promise 3, within budgets: %w", err)
	}
	if err := w.carryOut(); err != nil {
		return fmt.Errorf("promise 3, never lose the last copy: %w", err)
	}
	if err := w.publish(); err != nil {
		return err
	}
	for _, c := range w.clusters {
		if err := w.checkVerdict(c, before[c.name]); err != nil {
			return fmt.Errorf("promise 4, dead is not unreachable: %w", err)
		}
	}
	if err := w.checkRehearsal(); err != nil {
		return fmt.Errorf("promise 9, fail on purpose: %w", err)
	}
	if err := w.checkIsolation(shares, answers); err != nil {
		return fmt.Errorf("promise 4, frozen while cut off: %w", err)
	}
	for _, l := range w.workloads {
		if err := w.checkAnswer(l); err != nil {
			return fmt.Errorf("promise 5, DNS follows health: %w", err)
		}
		if err := w.checkOrdinals(l); err != nil {
			return fmt.Errorf("promise 7, one writer: %w", err)
		}
	}
	return nil
}

// checkVerdict: a cluster that serves its users, and is hit by no more than one thing that could make it look dead, never
// becomes Down; one that is dead, with everything else whole, is Down within 15 seconds.
func (w *World) checkVerdict(c *cluster, before string) error {
	state := ""
	if c.memory.Verdict != nil {
		state = c.memory.Verdict.State
	}
	if state == federation.VerdictDown && c.memory.Verdict.Reason == federation.VerdictDrill {
		return nil
	}
	if state == federation.VerdictDown && before != federation.VerdictDown && !w.lately(kill, c.name, minute) {
		signs := 0
		for _, hit := range []bool{w.lately(silentAPI, c.name, minute), w.lately(slowAPI, c.name, minute), w.lately(cutLink, c.name, minute), w.lately(unserved, c.name, minute), w.lately(liar, "*", minute)} {
			if hit {
				signs++
			}
		}
		if w.lately(cutOff, "", minute) {
			signs++
		}
		if signs <= 1 && w.witnesses(c) {
			return fmt.Errorf("%s serves, and is Down: %s", c.name, c.memory.Verdict.Message)
		}
	}
	if c.killed && state != federation.VerdictDown && w.second-w.lastFault == 15 && w.alone(kill, c.name, 10*minute) {
		return fmt.Errorf("%s is dead for 15 s, and is %s", c.name, state)
	}
	return nil
}

// witnesses says whether the control plane hears another cluster.
func (w *World) witnesses(c *cluster) bool {
	return !w.lately(blind, "", minute) && slices.ContainsFunc(w.clusters, func(o *cluster) bool { return o != c && w.reached(o) })
}

// alone says whether nothing else was broken within some seconds.
func (w *World) alone(kind, name string, within int) bool {
	for key, at := range w.broken {
		if key != kind+name && w.second-at <= within {
			return false
		}
	}
	return w.second > within
}

// checkIsolation: while the control plane is cut off, and nothing else was wrong for long, no replica moves and no address
// leaves DNS.
func (w *World) checkIsolation(shares map[string]int32, answers map[string][]string) error {
	if !w.cutOff || !w.alone(cutOff, "", 30*minute) || w.second-w.rescaled() < 30*minute {
		return nil
	}
	for key, n := range w.totals() {
		if shares[key] > n {
			return fmt.Errorf("%s went from %d replicas to %d", key, shares[key], n)
		}
	}
	for name, was := range answers {
		now := w.answers()[name]
		for _, a := range was {
			if !slices.Contains(now, a) {
				return fmt.Errorf("%s lost %s: %v", name, a, now)
			}
		}
	}
	return nil
}

func (w *World) rescaled() (last int) {
	for _, f := range w.faults {
		if f.began && (f.kind == scale || f.kind == drain || f.kind == restart || f.kind == pause) {
			last = max(last, f.from)
		}
	}
	return last
}

func (w *World) totals() map[string]int32 {
	out := map[string]int32{}
	for _, l := range w.workloads {
		if l.decision == nil {
			continue
		}
		for _, c := range l.decision.Clusters {
			out[l.name+" in "+c.Name] = *c.Replicas
		}
	}
	return out
}

func (w *World) answers() map[string][]string {
	out := map[string][]string{}
	for _, l := range w.workloads {
		out[l.name] = w.answer(l)
	}
	return out
}

// checkAnswer: a name that had an answer always has one; and what has not answered for long is not in it, as long as anything
// else is well and the control plane sees well.
func (w *World) checkAnswer(l *workload) error {
	answer := w.answer(l)
	usable := ""
	for _, c := range w.clusters {
		t := l.tracks[c.name]
		if w.ready(l, c) > 0 && c.serves() && w.reached(c) && (t.State == "Healthy" || t.State == "Degraded") && !c.leaves() && c.mark == "" {
			usable = c.name
		}
	}
	if usable != "" && len(answer) == 0 {
		return fmt.Errorf("%s has no answer, and %s serves it", l.name, usable)
	}
	if usable == "" || w.lately(cutOff, "", 5*minute) || w.lately(cutLink, "*", 5*minute) || w.suspect || w.lately(liar, "*", 5*minute) {
		return nil
	}
	for _, c := range w.clusters {
		t := l.tracks[c.name]
		if !c.serves() && slices.Contains(answer, t.address.String()) && w.deadFor(c) > 15 {
			return fmt.Errorf("%s answers with %s, which is dead for %d s: %s", l.name, c.name, w.deadFor(c), t.State)
		}
	}
	return nil
}

// deadFor is for how many seconds nobody reached the endpoints of a cluster.
func (w *World) deadFor(c *cluster) int {
	since := w.second
	for _, f := range w.faults {
		if f.cluster == c.name && (f.kind == kill || f.kind == unserved) && f.began && w.second < f.until {
			since = min(since, f.from)
		}
	}
	return w.second - since
}

// checkOrdinals: no two members run the same ordinal.
func (w *World) checkOrdinals(l *workload) error {
	if !l.ordered {
		return nil
	}
	owner := map[int32]string{}
	for _, c := range w.clusters {
		if c.killed {
			continue
		}
		for i := range l.pods[c.name] {
			n := l.blocks[c.name] + int32(i)
			if other := owner[n]; other != "" {
				return fmt.Errorf("%s-%d runs in %s and in %s", l.name, n, other, c.name)
			}
			owner[n] = c.name
		}
	}
	return nil
}

// AtRest says what is not as it should be when nothing has been wrong for long, and that nothing changes any more.
func (w *World) AtRest() error {
	for _, c := range w.clusters {
		if v := c.memory.Verdict; v == nil || v.State != federation.VerdictReady || len(c.taints) > 0 {
			return fmt.Errorf("%s is well, and its verdict is %+v", c.name, v)
		}
	}
	if w.drill != nil && drill.Active(w.drill) {
		return fmt.Errorf("drill %s is in phase %s", w.drill.Name, w.drill.Status.Phase)
	}
	if w.view.Isolated || w.suspect {
		return fmt.Errorf("isolated %v, brake %v", w.view.Isolated, w.suspect)
	}
	for _, l := range w.workloads {
		var sum, ready int32
		var want []string
		for _, c := range w.clusters {
			sum += int32(len(l.pods[c.name]))
			ready += w.ready(l, c)
			if w.ready(l, c) > 0 {
				want = append(want, l.tracks[c.name].address.String())
			}
		}
		if sum != l.replicas || ready != l.replicas || l.decision.Moving || l.decision.Missing != "" || l.decision.Unplaced > 0 {
			return fmt.Errorf("%s has %d replicas, %d ready, of %d: %s", l.name, sum, ready, l.replicas, shares(l.decision))
		}
		answer := slices.Sorted(slices.Values(w.answer(l)))
		slices.Sort(want)
		if len(want) > 0 && !slices.Equal(answer, want) {
			return fmt.Errorf("%s answers with %v instead of %v", l.name, answer, want)
		}
	}
	if quiet := w.second - max(w.moved, w.rewritten); quiet < 30*minute {
		return fmt.Errorf("the last write was %d s ago: decisions at %d, DNS at %d", quiet, w.moved, w.rewritten)
	}
	return nil
}

// Run lets hours pass with faults of some kinds, and returns what was broken with the story so far.
func Run(seed uint64, hours int, kinds ...string) (*World, error) {
	w := New(seed)
	w.schedule(hours, kinds...)
	for range hours * hour {
		if err := w.Step(); err != nil {
			return w, err
		}
	}
	return w, w.AtRest()
}

// Story is the last lines of what happened.
func (w *World) Story(lines int) []string { return w.journal[max(0, len(w.journal)-lines):] }
