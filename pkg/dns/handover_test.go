package dns

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestHandover: a drained endpoint answers until as much is ready elsewhere, or no more comes.
func TestHandover(t *testing.T) {
	gondor, rohan, shire := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	type look struct {
		at            time.Duration
		gondor, rohan uint32 // ready; gondor drains
		coming        bool
		kept          bool
		again         time.Duration
	}
	for _, test := range []struct {
		name   string
		policy Policy
		shire  State // Degraded, Unhealthy
		looks  []look
	}{
		{"replaced in two steps", All, Unhealthy, []look{
			{0, 4, 4, false, true, 20 * time.Second}, {5 * time.Second, 4, 6, false, true, 20 * time.Second}, {24 * time.Second, 4, 8, false, false, 0},
			{30 * time.Second, 4, 4, false, false, 0}}},
		{"nothing moves", All, Unhealthy, []look{
			{0, 4, 4, false, true, 20 * time.Second}, {19 * time.Second, 4, 4, false, true, time.Second}, {20 * time.Second, 4, 4, false, false, 0}}},
		{"a step at a time", All, Unhealthy, []look{
			{0, 4, 4, true, true, 5 * time.Minute}, {time.Minute, 4, 6, false, true, 20 * time.Second}, {80 * time.Second, 4, 6, false, false, 0}}},
		{"its pods leave first", All, Unhealthy, []look{
			{0, 4, 4, true, true, 5 * time.Minute}, {time.Minute, 1, 6, true, true, 4 * time.Minute}, {2 * time.Minute, 0, 6, true, true, 3 * time.Minute}}},
		{"they never become ready", All, Unhealthy, []look{
			{0, 4, 4, true, true, 5 * time.Minute}, {299 * time.Second, 4, 4, true, true, time.Second}, {5 * time.Minute, 4, 4, true, false, 0}}},
		{"a backup that is as strong", Ordered, Degraded, []look{{0, 4, 4, false, false, 0}}},
		{"a backup that grows", Ordered, Unhealthy, []look{{0, 4, 1, true, true, 5 * time.Minute}, {time.Minute, 4, 4, false, false, 0}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var h Handover
			for _, l := range test.looks {
				s := Subject{Settings: Settings{Policy: test.policy}, Endpoints: []Endpoint{
					{Cluster: "gondor", Addresses: []netip.Addr{gondor}, State: Draining, Weight: l.gondor},
					{Cluster: "rohan", Addresses: []netip.Addr{rohan}, State: Healthy, Weight: l.rohan, Order: 1},
					{Cluster: "shire", Addresses: []netip.Addr{shire}, State: test.shire, Weight: 9, Order: 2},
				}}
				next, again := h.Next(s, "gondor", l.coming, began.Add(l.at))
				if next.Over == l.kept || again != l.again {
					t.Errorf("after %s: over %v, again after %s; want %v, %s (%+v)", l.at, next.Over, again, !l.kept, l.again, next)
				}
				s.Endpoints[0].Kept = !next.Over
				chosen, _ := Choose(s)
				if has := len(within(chosen, func(e Endpoint) bool { return e.Cluster == "gondor" })) == 1; has != l.kept {
					t.Errorf("after %s: answered is %v", l.at, chosen)
				}
				h = next
			}
		})
	}
}

// TestHandoverEnds: whatever others do, a drained endpoint leaves the answers at last, does not come back, and says when it is to be
// looked at again; and it does not leave before the limit while more is coming and less is ready than it had.
func TestHandoverEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		now, wait := began, time.Duration(0)
		var h Handover
		for {
			var s Subject
			s.Settings.Policy = rapid.SampledFrom([]Policy{All, Weighted, Nearest, Ordered}).Draw(t, "policy")
			s.Endpoints = []Endpoint{{Cluster: "x", State: Draining, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Weight: rapid.Uint32Range(0, 9).Draw(t, "x")}}
			for _, name := range []string{"a", "b"} {
				s.Endpoints = append(s.Endpoints, Endpoint{Cluster: name, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.2")},
					State: rapid.SampledFrom(states).Draw(t, "state"), Weight: rapid.Uint32Range(0, 9).Draw(t, "weight"), Order: rapid.IntRange(0, 2).Draw(t, "order")})
			}
			coming := rapid.Bool().Draw(t, "coming")
			before := h
			h, wait = h.Next(s, "x", coming, now)
			if before.Over && !h.Over {
				t.Fatal("it came back")
			}
			if h.Over {
				if !before.Over && coming && h.Best < h.Had && now.Before(began.Add(handoverLimit)) {
					t.Fatalf("it left %s after, although more is coming: %+v", now.Sub(began), h)
				}
				if h.Over && now.After(began.Add(handoverLimit)) {
					return
				}
			} else if wait <= 0 || now.Add(wait).After(began.Add(handoverLimit)) {
				t.Fatalf("%s after it is to be looked at again after %s", now.Sub(began), wait)
			}
			step := time.Duration(rapid.IntRange(1, 60).Draw(t, "step")) * time.Second
			if !h.Over {
				step = min(step, wait)
			}
			now = now.Add(step)
		}
	})
}
