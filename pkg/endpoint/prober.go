package endpoint

import (
	"context"
	"math/rand/v2"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
)

const (
	// maxRate is how many questions are asked in a second, over all clusters: with more addresses than that allows, each is asked
	// less often. 10,000 addresses are asked every 10 s.
	maxRate = 1000
	// maxInFlight questions of one cluster wait for an answer at a time, so that a dead one does not use up the sockets.
	maxInFlight = 1024
	// doubtPause is the time until an address that did not answer for the first time is asked again.
	doubtPause = 500 * time.Millisecond
	// hurryAgain is how long a cluster's questions keep their pace after they were brought forward.
	hurryAgain = 10 * time.Second
	// sightingLife is how long a witness's sighting counts.
	sightingLife = 15 * time.Second
)

// question is asked once, whoever wants to know.
type question struct {
	users            map[*entry]time.Duration // the period that each wants
	fails, successes int                      // since the last change; one of them is 0
	answered         bool                     // once, at least
	message          string
	alive, dead      int // witnesses, by what they saw when it was asked last
}

func (c *Collector) period(p *federation.EndpointProbe) time.Duration {
	if p != nil && p.PeriodSeconds != nil {
		return time.Duration(*p.PeriodSeconds) * time.Second
	}
	return c.options.Period
}

// hold has a question asked for an entry, too.
func (c *Collector) hold(target probe.Target, e *entry, period time.Duration, answered bool) {
	q := c.questions[target]
	if q == nil {
		q = &question{users: map[*entry]time.Duration{}}
		c.questions[target] = q
		// At once, but not all at once.
		c.prober.set(target, time.Now().Add(rand.N(c.least())))
	}
	q.users[e] = period
	q.answered = q.answered || answered
}

// release has a question asked no more for an entry.
func (c *Collector) release(target probe.Target, e *entry) {
	q := c.questions[target]
	if q == nil {
		return
	}
	if delete(q.users, e); len(q.users) == 0 {
		delete(c.questions, target)
		c.prober.set(target, time.Time{})
	}
}

// least is the shortest period that keeps to maxRate.
func (c *Collector) least() time.Duration {
	return max(time.Millisecond, time.Duration(len(c.questions))*time.Second/maxRate)
}

// pause is the time from one question to the next.
func (c *Collector) pause(q *question) time.Duration {
	period := time.Hour
	for _, p := range q.users {
		period = min(period, p)
	}
	period = max(period, c.least())
	if q.fails > 0 && q.fails < leaveAfter && q.answered {
		period = min(period, doubtPause)
	}
	return period*9/10 + rand.N(period/5) // so that questions spread
}

// ask begins to ask, and returns at once.
func (c *Collector) ask(ctx context.Context, target probe.Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q, m := c.questions[target], c.members[target.Cluster]
	if q == nil || m == nil {
		return
	}
	if m.inFlight >= maxInFlight {
		c.prober.set(target, time.Now().Add(c.pause(q)))
		return
	}
	m.inFlight++
	go func() {
		began := time.Now()
		err := probe.Ask(ctx, target)
		if ctx.Err() != nil {
			return
		}
		alive, dead := c.witnesses(target)
		c.answer(q, m, target, reply{began, err, alive, dead})
	}()
}

// reply is how a question was answered, and what witnesses said at that time.
type reply struct {
	began       time.Time
	err         error
	alive, dead int
}

// witnesses counts what those in other clusters see. They are asked without the mutex held, for they may ask for Targets.
func (c *Collector) witnesses(target probe.Target) (alive, dead int) {
	c.mu.Lock()
	sightings := c.sightings
	c.mu.Unlock()
	if sightings == nil {
		return 0, 0
	}
	for _, s := range sightings(target) {
		switch {
		case s.Witness == target.Cluster, time.Since(s.At) > sightingLife:
		case s.Alive:
			alive++
		default:
			dead++
		}
	}
	return alive, dead
}

// answer takes over how a question was answered.
func (c *Collector) answer(q *question, m *member, target probe.Target, r reply) {
	result := "ok"
	if r.err != nil {
		result = "failed"
	}
	var changes news
	c.mu.Lock()
	m.inFlight--
	if c.questions[target] == q {
		now := time.Now()
		probeSeconds.WithLabelValues(target.Cluster, result).Observe(now.Sub(r.began).Seconds())
		q.alive, q.dead = r.alive, r.dead
		if r.err == nil {
			q.fails, q.successes, q.answered, q.message = 0, min(q.successes+1, returnAfter), true, ""
		} else {
			q.fails, q.successes, q.message = min(q.fails+1, leaveAfter), 0, r.err.Error()
		}
		next := r.began.Add(c.pause(q))
		if soon := now.Add(doubtPause / 5); next.Before(soon) {
			next = soon
		}
		c.prober.set(target, next)
		if q.fails == leaveAfter && q.answered {
			c.hurry(m, now)
		}
		for e := range q.users {
			changes.add(e.key, c.evaluate(e, now))
		}
	}
	c.mu.Unlock()
	c.publish(changes)
}

// hurry has all addresses of a cluster asked soon: where one stopped answering, others may have, too. Without it a cluster of many
// would be found dead address by address, at the pace that maxRate allows.
func (c *Collector) hurry(m *member, now time.Time) {
	if now.Sub(m.hurried) < hurryAgain {
		return
	}
	m.hurried = now
	spread := max(time.Millisecond, time.Duration(len(m.entries))*time.Second/maxRate)
	for _, e := range m.entries {
		for _, a := range e.at {
			c.prober.advance(a.target, now.Add(rand.N(spread)))
		}
	}
}

// heard adds to the evidence what those say who asked an address.
func (c *Collector) heard(e Evidence, target probe.Target) Evidence {
	q := c.questions[target]
	if q == nil {
		return e
	}
	e.Probed, e.Fails, e.Successes, e.Message = true, q.fails, q.successes, q.message
	e.Alive, e.Dead = q.alive, q.dead
	return e
}

// recount counts an entry in its cluster's traffic.
func (c *Collector) recount(e *entry) {
	var probed, alive bool
	for _, a := range e.at {
		if q := c.questions[a.target]; q != nil && q.answered && q.fails+q.successes > 0 {
			probed = true
			alive = alive || q.fails < leaveAfter
		}
	}
	if e.served.ready != nil && *e.served.ready == 0 {
		probed, alive = false, false
	}
	c.count(e, probed, alive)
}

func (c *Collector) count(e *entry, probed, alive bool) {
	m := c.memberLocked(e.cluster)
	before := m.traffic.Alive > 0
	m.traffic.Probed += number(probed) - number(e.probed)
	m.traffic.Alive += number(alive) - number(e.alive)
	e.probed, e.alive = probed, alive
	if before != (m.traffic.Alive > 0) {
		m.traffic.Since = time.Now()
	}
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
