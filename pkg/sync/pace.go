package sync

import "time"

// A change in a member is folded with what else changes within foldWindow. What has come to rest is written at once, and
// so is a failure. While a rollout moves on, its first progress is written after firstWindow and further progress
// nextWindow after it was seen; the decision's status waits for the second of these. So a rollout of up to half a minute
// costs three writes at most (one of progress, then the decision's status and the object's), a short one two, however
// many clusters it runs in.
//
// An object that comes to rest over and over, as a custom resource does whose controller counts something in its status,
// is written a few times at once and then ever more rarely, until it has been left alone for calm. A new decision begins
// anew, as a new generation of the object does: replicas that move come to rest at every step, and the next step waits
// for the status. While they move, the decision's status tells of progress each firstWindow.
const (
	foldWindow  = 50 * time.Millisecond
	firstWindow = 3 * time.Second
	nextWindow  = 30 * time.Second
	calm        = time.Minute
	freeRests   = 3
)

// news says what is not written yet of an object.
type news struct {
	object, decision bool // the object's own status, the decision's
	rest             bool // nothing is on its way
	urgent           bool // a failure, or something that others wait for
	minor            bool // nothing that anyone waits for
	moving           bool // replicas move as those that are told of here become ready
}

// pace is what an object's status was written with so far.
type pace struct {
	generation int64     // of the object and of its decision together; a new one of either begins anew
	since      time.Time // when something was first seen that is not written yet
	last       time.Time // when something was last written
	progress   int       // intermediate statuses written since the object was last at rest
	rests      int       // statuses written of an object at rest since it was last left alone
}

// next is the pace for news of a generation of the object.
func (p pace) next(generation int64, now time.Time) pace {
	if p.generation != generation {
		p = pace{generation: generation}
	}
	if p.since.IsZero() {
		p.since = now
	}
	if now.Sub(p.last) > calm {
		p.rests = 0
	}
	return p
}

// wait is how long news waits yet; zero or less is now.
func (p pace) wait(n news, now time.Time) time.Duration {
	switch {
	case n.urgent:
		return 0
	case n.minor, !n.rest && !n.moving && p.progress > 0:
		return nextWindow - now.Sub(p.since)
	case !n.rest:
		return firstWindow - now.Sub(p.since)
	case p.rests < freeRests:
		return 0
	}
	return min(time.Second<<min(p.rests-freeRests, 8), nextWindow) - now.Sub(p.last)
}

// decides says whether a due write is to be of the decision's status, too.
func (p pace) decides(n news) bool {
	return n.decision && (n.rest || n.urgent || n.moving || !n.object || p.progress > 0)
}

// wrote is the pace after a write.
func (p pace) wrote(n news, now time.Time) pace {
	p.since, p.last = time.Time{}, now
	if n.rest {
		p.progress, p.rests = 0, p.rests+1
	} else {
		p.progress++
	}
	return p
}
