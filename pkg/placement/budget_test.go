package placement

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestHold(t *testing.T) {
	number := func(n int) federation.FailoverBounds {
		return federation.FailoverBounds{MaxClusters: ptr.To(intstr.FromInt(n))}
	}
	for name, test := range map[string]struct {
		bounds federation.FailoverBounds
		down   string // "a b! c": b is confirmed
		want   string // clusters that are held
	}{
		"one of six":                       {federation.FailoverBounds{}, "a", ""},
		"a third, rounded up":              {federation.FailoverBounds{}, "a b c", ""},
		"more than a third":                {federation.FailoverBounds{}, "a b c d e", "d e"},
		"what others confirm is no matter": {federation.FailoverBounds{}, "a! b! c! d! e f", ""},
		"a number":                         {number(1), "a b", "b"},
		"none":                             {number(0), "a b!", "a"},
		"paused":                           {federation.FailoverBounds{Paused: true}, "a b!", "a b c d e f"},
	} {
		t.Run(name, func(t *testing.T) {
			clusters := ready("a", "b", "c", "d", "e", "f")
			for i := range clusters {
				for at, word := range strings.Fields(test.down) {
					if strings.TrimSuffix(word, "!") == clusters[i].Name {
						clusters[i].Down, clusters[i].Confirmed = true, strings.HasSuffix(word, "!")
						clusters[i].DownSince = noon.Add(time.Duration(at) * time.Second)
					}
				}
			}
			Hold(test.bounds, clusters)
			var held []string
			for _, c := range clusters {
				if c.Held != "" {
					held = append(held, c.Name)
				}
			}
			if diff := cmp.Diff(strings.Fields(test.want), held); diff != "" && len(held)+len(test.want) > 0 {
				t.Error(diff)
			}
		})
	}
}

func TestConfirmed(t *testing.T) {
	for evidence, want := range map[string]bool{
		"":                                   false,
		"API Dead":                           false,
		"API Dead, Traffic Dead":             false, // both as the control plane sees it
		"API Dead, Witness/rohan Dead":       true,
		"API Dead, Witness/rohan Unknown":    false,
		"API Dead, Cloud Dead":               true,
		"Witness/rohan Dead, Witness/b Dead": true,
		"Drill Dead":                         true,
		"API Dead, Witness/rohan Alive":      false,
	} {
		c := &federation.Cluster{Status: federation.ClusterStatus{Verdict: &federation.Verdict{State: federation.VerdictDown}}}
		for _, words := range strings.Split(evidence, ", ") {
			if source, says, ok := strings.Cut(words, " "); ok {
				c.Status.Verdict.Evidence = append(c.Status.Verdict.Evidence, federation.Evidence{Source: source, Says: says})
			}
		}
		if got := confirmed(c); got != want {
			t.Errorf("%s: %v", evidence, got)
		}
	}
	byHand := &federation.Cluster{Spec: federation.ClusterSpec{Taints: []corev1.Taint{{Key: federation.TaintDown, Effect: corev1.TaintEffectNoExecute}}}}
	if !confirmed(byHand) {
		t.Error("a taint that a person set needs no evidence")
	}
}

func TestWorkloadsPerMinute(t *testing.T) {
	for _, test := range []struct {
		value     *intstr.IntOrString
		workloads int
		want      int
	}{
		{nil, 1000, 200}, {nil, 3, 10}, {ptr.To(intstr.FromInt(7)), 1000, 7}, {ptr.To(intstr.FromString("1%")), 5000, 50},
		{ptr.To(intstr.FromInt(0)), 1000, 0}, {ptr.To(intstr.FromString("0%")), 1000, 0},
	} {
		if got := WorkloadsPerMinute(federation.FailoverBounds{MaxWorkloadsPerMinute: test.value}, test.workloads); got != test.want {
			t.Errorf("%v of %d: %d, want %d", test.value, test.workloads, got, test.want)
		}
	}
}

// TestPass: in a minute as many begin as are allowed, twice as many after one in which replacements became ready.
func TestPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Pass
		base, now, allowed := rapid.IntRange(0, 20).Draw(t, "base"), noon, 0
		for minute := range rapid.IntRange(1, 6).Draw(t, "minutes") {
			if allowed = max(2*allowed, base); minute == 0 || p.finished == 0 {
				allowed = base
			}
			n := 0
			for range rapid.IntRange(1, 100).Draw(t, "asked") {
				ok, wait := p.Take(now, base)
				if ok {
					n++
				} else if wait <= 0 || wait > time.Minute {
					t.Fatalf("waits %s", wait)
				}
			}
			if n > allowed {
				t.Fatalf("minute %d: %d began, %d are allowed", minute, n, allowed)
			}
			if rapid.Bool().Draw(t, "finished") {
				p.Finish()
			}
			now = now.Add(time.Minute)
		}
	})
}

// TestPassClock: however the clock is set, nobody waits for more than a minute of it, and no more begin at one time than are allowed.
func TestPassClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Pass
		now := noon
		for range rapid.IntRange(1, 50).Draw(t, "times") {
			now = now.Add(time.Duration(rapid.IntRange(-100_000, 100_000).Draw(t, "clock step")) * time.Second)
			n := 0
			for range 30 {
				ok, wait := p.Take(now, 5)
				if ok {
					n++
				} else if wait <= 0 || wait > time.Minute {
					t.Fatalf("waits %s", wait)
				}
			}
			if n > 5 {
				t.Fatalf("%d began at once", n)
			}
		}
	})
}

// TestDepartures follows what events and the budget are told of.
func TestDepartures(t *testing.T) {
	var f failovers
	clusters := ready("a", "b")
	clusters[0].Down, clusters[0].Taints = true, []corev1.Taint{{Key: federation.TaintDown, Effect: corev1.TaintEffectNoExecute}}
	leaving, gone := decided(web(2), "a:1", "b:2"), decided(web(2), "b:2")
	for _, d := range []*Decision{leaving, gone} {
		d.Displaced = []federation.DisplacedShare{{Name: "a", Replicas: 1, Reason: federation.DisplacedDown}}
	}
	key := func(name string) Key { k := Key{}; k.Name = name; return k }
	var told []string
	see := func(name string, d *Decision, seconds int) {
		for _, n := range f.see(key(name), d, clusters, noon.Add(time.Duration(seconds)*time.Second)) {
			told = append(told, n.reason+": "+n.text)
		}
	}
	see("x", leaving, 0)
	see("y", leaving, 1)
	see("x", leaving, 2)
	see("x", gone, 3)
	see("x", gone, 4)
	see("y", gone, 5)
	see("z", decided(web(2), "b:2"), 6)
	if diff := cmp.Diff([]string{
		"FailoverStarted: replicas move away: the cluster is down, or tainted NoExecute",
		"FailoverCompleted: 2 workloads with 2 replicas run elsewhere, 5s after the first began to move",
	}, told); diff != "" {
		t.Error(diff)
	}
	if len(f.clusters) > 0 {
		t.Errorf("still leaving: %v", f.clusters)
	}
}
