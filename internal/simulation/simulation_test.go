package simulation

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

var (
	hours = flag.Int("hours", 6, "virtual hours of each kind of schedule")
	seed  = flag.Uint64("seed", 1, "of the first schedule")
	story = flag.Int("story", 40, "lines of what happened before a promise was broken")
)

// perRun is the length of one schedule.
const perRun = 6

// TestPromises runs random schedules of faults; `make simulate` runs thousands of hours.
func TestPromises(t *testing.T) {
	for name, kinds := range map[string][]string{
		"a cluster dies":                 {kill},
		"it flaps":                       {flapping},
		"several die at once":            {massive},
		"only the control plane is cut":  {cutOff},
		"APIs fall silent, users do not": {silentAPI, slowAPI, cutLink},
		"users are cut off":              {unserved},
		"a witness lies":                 {liar, kill, silentAPI},
		"drained and scaled":             {drain, scale, kill},
		"the control plane restarts":     {restart, kill, cutOff, scale},
		"only the control plane sees it": {blind, kill, kill, massive, pause},
		"drills":                         {rehearsal, rehearsal, kill, restart, drain},
		"everything":                     {kill, flapping, massive, cutOff, silentAPI, slowAPI, cutLink, unserved, liar, drain, scale, restart, rehearsal, pause, blind},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runs, length := max(1, *hours/perRun), perRun
			if testing.Short() {
				runs, length = 1, 2
			}
			for i := range runs {
				s := *seed + uint64(i)
				w, err := Run(s, length, kinds...)
				if err != nil {
					t.Fatalf("seed %d, after %d s: %v\n%s", s, w.second, err, strings.Join(w.Story(*story), "\n"))
				}
			}
		})
	}
}

// TestSimulationCanFail: the checks see what is broken on purpose.
func TestSimulationCanFail(t *testing.T) {
	w := New(1)
	for range 2 * minute {
		if err := w.Step(); err != nil {
			t.Fatal(err)
		}
	}
	l := w.workloads[2]
	for _, c := range w.clusters {
		l.blocks[c.name], l.pods[c.name] = 0, []int{0}
	}
	if err := w.checkOrdinals(l); err == nil {
		t.Error("two pods of one ordinal are not seen")
	}
	w.lastFault, w.second = w.second, w.second+15
	c := w.clusters[0]
	c.killed = true
	if err := w.checkVerdict(c, ""); err == nil && w.second > 10*minute {
		t.Error("a dead cluster that is Ready is not seen")
	}
	before, after := w.workloads[0].decision, w.workloads[0].decision.DeepCopy()
	in := w.question(w.workloads[0])
	after.Displaced = []federation.DisplacedShare{{Name: before.Clusters[0].Name, Replicas: 1, Reason: federation.DisplacedDown}}
	for i := range in.Clusters {
		in.Clusters[i].Down = true
	}
	for n := 0; w.checkLeaving(w.workloads[0], before, after, in.Clusters) == nil; n++ {
		if n > 2*w.rate {
			t.Fatal("that too many workloads begin to move is not seen")
		}
	}
	w.paused = true
	if err := w.checkLeaving(w.workloads[0], before, after, in.Clusters); err == nil || !strings.Contains(err.Error(), "paused") {
		t.Errorf("a move while moves are paused is not seen: %v", err)
	}
	w.order(c.name, 60)
	c.mark = "d/Verdict"
	if err := w.checkRehearsal(); err == nil {
		t.Error("what a drill left is not seen")
	}
	for _, set := range w.zone.Sets() {
		if _, _, _, err := w.zone.Apply(dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, []dns.Change{{Name: set.Name, Before: []dns.RecordSet{set}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.checkAnswer(w.workloads[0]); err == nil {
		t.Error(fmt.Sprint("a name without an answer is not seen: ", w.answers()))
	}
}
