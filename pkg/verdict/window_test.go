package verdict_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
	. "kubefed.dev/kubefed/pkg/verdict"
)

func at(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

// window is one of probes three seconds apart: a letter each of Alive, Impaired, Dead and Unknown.
func window(probes string) Window {
	var w Window
	for i, p := range probes {
		w = w.Add(Probe{Asked: at(float64(3*i) - 0.1), At: at(float64(3 * i)), Says: map[rune]string{'a': alive, 'i': impaired, 'd': dead, 'u': unknown}[p]})
	}
	return w
}

func TestWindow(t *testing.T) {
	for probes, want := range map[string]string{
		"":                                  "",
		"a":                                 alive,
		"d":                                 "",
		"dd":                                dead,
		"ad":                                alive,
		"id":                                impaired,
		"add":                               dead,
		"adda":                              alive,
		"addi":                              impaired,
		"au":                                unknown,
		"adadada":                           impaired, // it turned silent three times
		"adada":                             alive,
		"addddddddda":                       alive, // one outage
		"adadad" + "dd":                     dead,
		"adadada" + strings.Repeat("a", 21): alive, // a minute ago
	} {
		if got := window(probes).Signal().Says; got != want {
			t.Errorf("%q says %q, want %q", probes, got, want)
		}
	}
	w := window("aaddd")
	if !w.Heard.Equal(at(3)) || !w.Silent.Equal(at(6)) || !w.Asked.Equal(at(11.9)) {
		t.Errorf("heard %s, silent since %s, asked %s", w.Heard, w.Silent, w.Asked)
	}
}

func TestWitnessed(t *testing.T) {
	see := func(live, known bool, since float64) Sighting {
		return Sighting{Sighting: probe.Sighting{Alive: live, Since: at(since)}, Known: known}
	}
	for name, test := range map[string]struct {
		sightings []Sighting
		want      string
	}{
		"nothing":                        {nil, unknown},
		"never reached":                  {[]Sighting{see(false, false, 0), see(false, false, 1)}, unknown},
		"dead":                           {[]Sighting{see(false, true, 0)}, dead},
		"dead, and one never reached":    {[]Sighting{see(false, true, 0), see(false, false, 0)}, dead},
		"an endpoint answers":            {[]Sighting{see(false, true, 0), see(true, true, 0)}, alive},
		"its API answers, endpoints not": {[]Sighting{see(true, true, 0), see(false, true, 0)}, alive},
	} {
		if got := Witnessed("rohan", test.sightings); got.Says != test.want || got.Witness != "rohan" {
			t.Errorf("%s: %+v, want %s", name, got, test.want)
		}
	}
}

func TestTaints(t *testing.T) {
	key := func(v *federation.Verdict, before []corev1.Taint, now time.Time) []string {
		var list []string
		for _, taint := range Taints(v, before, now) {
			list = append(list, taint.ToString()+" "+taint.TimeAdded.UTC().Format(time.TimeOnly))
		}
		return list
	}
	downed := &federation.Verdict{State: down}
	old := Taints(downed, nil, at(0))
	for name, test := range map[string]struct {
		got, want []string
	}{
		"ready":       {key(&federation.Verdict{State: ready}, old, at(60)), nil},
		"no verdict":  {key(nil, nil, at(60)), nil},
		"degraded":    {key(&federation.Verdict{State: degraded}, old, at(60)), []string{"federation.kubefed.dev/degraded:NoSchedule 12:01:00"}},
		"unreachable": {key(&federation.Verdict{State: unreachable}, nil, at(60)), []string{"federation.kubefed.dev/unreachable:NoSchedule 12:01:00"}},
		"down, still": {key(downed, old, at(60)), []string{"federation.kubefed.dev/down:NoSchedule 12:00:00", "federation.kubefed.dev/down:NoExecute 12:00:00"}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}
