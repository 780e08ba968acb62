package dns

import "time"

const (
	// handoverQuiet is how long a drained endpoint waits for capacity elsewhere that does not grow, and of which nothing is on its way.
	handoverQuiet = 20 * time.Second
	// handoverLimit is how long it waits in all: pods that never become ready are no reason to stay.
	handoverLimit = 5 * time.Minute
)

// Handover is what is known of an endpoint that drains: whether what is to take its place can. Until then it answers as before.
type Handover struct {
	// Had is the ready capacity that answered when the drain began; Best is the most that would have answered since without what drains.
	Had, Best uint32
	// Began is when the drain was seen first, Grew when Best grew last.
	Began, Grew time.Time
	// Over: the endpoint leaves the answers, and does not come back while it drains.
	Over bool
}

// Next looks at a drained endpoint of a subject as it is now. Coming says that elsewhere pods have begun which are not ready yet. It
// returns when to look again although nothing changed, 0 for never.
//
// Capacity is counted as far as the policy lets it answer. What takes the place of the drained share comes in steps, of which the next
// one waits until clients of the last have gone; so capacity that does not grow any more is all that can be had.
func (h Handover) Next(s Subject, cluster string, coming bool, now time.Time) (Handover, time.Duration) {
	if h.Over {
		return h, 0
	}
	without := capacity(s, func(e *Endpoint) bool { return false })
	if h.Began.IsZero() {
		h.Had = capacity(s, func(e *Endpoint) bool { return e.Kept || e.Cluster == cluster })
		h.Began, h.Grew, h.Best = now, now, without
	}
	if without > h.Best {
		h.Best, h.Grew = without, now
	}
	end := h.Grew.Add(handoverQuiet)
	if limit := h.Began.Add(handoverLimit); coming || limit.Before(end) {
		end = limit
	}
	h.Over = h.Best >= h.Had || !now.Before(end)
	if h.Over {
		return h, 0
	}
	return h, end.Sub(now)
}

// capacity is what answers under the subject's policy, with those that drain and that a function takes.
func capacity(s Subject, drained func(*Endpoint) bool) (sum uint32) {
	var usable []Endpoint
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		serves := e.State == Healthy || e.State == Degraded || e.State == Unknown || e.State == Draining && drained(e)
		if serves && len(e.Addresses) > 0 {
			usable = append(usable, *e)
		}
	}
	if len(usable) == 0 {
		return 0
	}
	for _, e := range preferred(usable, s.Settings.withDefaults().Policy) {
		sum += e.Weight
	}
	return sum
}
