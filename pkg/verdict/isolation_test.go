package verdict_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	. "kubefed.dev/kubefed/pkg/verdict"
)

// heard is a member that answered at a time, silent one whose silence began then and that was asked much later.
func heard(name string, seconds float64) Member { return Member{Name: name, Heard: at(seconds)} }

func silent(name string, seconds float64) Member {
	return Member{Name: name, Heard: at(seconds - 3), Silent: at(seconds), Asked: at(seconds + 500), Dead: true}
}

func confirmed(m Member) Member { m.Confirmed = true; return m }

func TestLook(t *testing.T) {
	for name, test := range map[string]struct {
		members  []Member
		isolated bool
		frozen   string
	}{
		"all answer":                           {[]Member{heard("a", 100), heard("b", 100)}, false, ""},
		"the only one":                         {[]Member{silent("a", 100)}, true, "a"},
		"one of two":                           {[]Member{silent("a", 100), heard("b", 101)}, false, ""},
		"one of two, the other not heard yet":  {[]Member{silent("a", 100), heard("b", 99)}, false, "a"},
		"both of two":                          {[]Member{silent("a", 100), silent("b", 103)}, true, "a b"},
		"both of two, one long ago":            {[]Member{silent("a", 10), silent("b", 100)}, true, "b"},
		"two of three":                         {[]Member{silent("a", 100), silent("b", 103), heard("c", 120)}, true, "a b"},
		"two of three, long apart":             {[]Member{silent("a", 10), silent("b", 100), heard("c", 120)}, false, ""},
		"two of three, confirmed":              {[]Member{confirmed(silent("a", 100)), confirmed(silent("b", 103)), heard("c", 120)}, false, ""},
		"two of three, one confirmed":          {[]Member{confirmed(silent("a", 100)), silent("b", 103), heard("c", 120)}, false, ""},
		"two of four":                          {[]Member{silent("a", 100), silent("b", 103), heard("c", 120), heard("d", 120)}, false, ""},
		"three of four":                        {[]Member{silent("a", 100), silent("b", 103), silent("c", 105), heard("d", 120)}, true, "a b c"},
		"new ones that were not asked":         {[]Member{silent("a", 100), heard("b", 101), {Name: "c"}, {Name: "d"}}, false, ""},
		"one failed first, the rest follow":    {[]Member{silent("a", 100), heard("b", 98), heard("c", 99)}, false, "a"},
		"others lost one probe at that moment": {[]Member{silent("a", 100), {Name: "b", Heard: at(98), Silent: at(101)}, heard("c", 102)}, false, "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			view := Look(test.members, View{}, at(110))
			view = Look(test.members, view, at(130))
			if view.Isolated != test.isolated || frozen(view, test.members) != test.frozen {
				t.Errorf("isolated %v, frozen %q, want %v, %q: %s", view.Isolated, frozen(view, test.members), test.isolated, test.frozen, view.Message())
			}
		})
	}
}

func frozen(v View, members []Member) string {
	var names []string
	for _, m := range members {
		if v.Frozen(m.Name) {
			names = append(names, m.Name)
		}
	}
	return strings.Join(names, " ")
}

// TestThaw: when a control plane that was cut off is back, the member that is asked last does not die of it.
func TestThaw(t *testing.T) {
	a, b, c := silent("a", 100), silent("b", 101), silent("c", 102)
	c.Asked = at(190)
	view := Look([]Member{a, b, c}, View{}, at(195))
	if !view.Isolated {
		t.Fatal("not isolated")
	}
	back := []Member{heard("a", 200), heard("b", 201), c}
	view = Look(back, view, at(201))
	if view.Isolated || !view.Frozen("c") {
		t.Errorf("isolated %v, c frozen %v", view.Isolated, view.Frozen("c"))
	}
	back[2].Asked = at(203) // and again there was no answer
	if view = Look(back, view, at(205)); view.Frozen("c") {
		t.Error("c is still frozen")
	}
}

// TestCutOff: a control plane that is cut off at any moment, with probes at any phase, never has a member that may become
// Down; neither while it is cut off nor when it is back.
func TestCutOff(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "members")
		cut := 20 + rapid.Float64Range(0, 5).Draw(rt, "cut")
		back := cut + rapid.Float64Range(0, 60).Draw(rt, "for")
		hangs := rapid.Bool().Draw(rt, "probes hang")
		type prober struct {
			window Window
			next   float64 // when it asks
			end    float64 // when it is answered
			says   string
		}
		probers := make([]prober, n)
		for i := range probers {
			probers[i].next = rapid.Float64Range(0, 3).Draw(rt, "phase")
		}
		var view View
		for now := 0.0; now < back+20; now += 0.1 {
			var members []Member
			for i := range probers {
				p := &probers[i]
				if p.end > 0 && now >= p.end {
					p.window = p.window.Add(Probe{Asked: at(p.next), At: at(now), Says: p.says})
					p.next, p.end = now+3, 0
					if p.says == dead {
						p.next = now + 1
					}
				}
				if p.end == 0 && now >= p.next {
					p.next, p.says, p.end = now, alive, now+0.05
					if now >= cut && now < back {
						p.says = dead
						if hangs {
							p.end = now + 2
						}
					}
				}
				w := p.window
				members = append(members, Member{Name: fmt.Sprint(i), Heard: w.Heard, Silent: w.Silent, Asked: w.Asked, Dead: w.Signal().Says == dead})
			}
			view = Look(members, view, at(now))
			for _, m := range members {
				if m.Dead && !view.Frozen(m.Name) {
					rt.Fatalf("%.1f: %s may become Down although only the control plane is cut off (from %.1f to %.1f)", now, m.Name, cut, back)
				}
			}
		}
	})
}

// TestLookOrder: the order of members does not matter.
func TestLookOrder(t *testing.T) {
	members := []Member{silent("a", 100), silent("b", 103), heard("c", 120), silent("d", 10)}
	want := Look(members, View{}, at(130))
	slices.Reverse(members)
	got := Look(members, View{}, at(130))
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(View{})); diff != "" {
		t.Error(diff)
	}
}
