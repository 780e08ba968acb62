package simulation

import (
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/endpoint"
	"kubefed.dev/kubefed/pkg/verdict"
)

// look lets the control plane and the witnesses ask, and works out verdicts.
func (w *World) look() {
	for i, c := range w.clusters {
		if (w.second+i)%probePeriod == 0 {
			says := federation.SaysDead
			if w.reached(c) {
				says = federation.SaysAlive
			}
			c.window = c.window.Add(verdict.Probe{Asked: w.now().Add(-200 * time.Millisecond), At: w.now(), Says: says})
			w.testify(c)
		}
	}
	var members []verdict.Member
	evidence := make([]verdict.Evidence, len(w.clusters))
	for i, c := range w.clusters {
		evidence[i] = w.evidence(c)
		members = append(members, verdict.Member{Name: c.name, Heard: c.window.Heard, Silent: c.window.Silent, Asked: c.window.Asked,
			Dead: evidence[i].API.Says == federation.SaysDead, Confirmed: evidence[i].Confirmed()})
	}
	w.view = verdict.Look(members, w.view, w.now())
	for i, c := range w.clusters {
		before := ""
		if c.memory.Verdict != nil {
			before = c.memory.Verdict.State
		}
		c.memory = verdict.Rules{}.Judge(evidence[i], c.memory, w.view.Frozen(c.name), w.now())
		if v := c.memory.Verdict; v != nil && v.State != before {
			w.note("%s is %s: %s", c.name, v.State, v.Message)
		}
		c.taints = verdict.Taints(c.memory.Verdict, c.taints, w.now())
		signal := c.window.Signal()
		if answers := signal.Says != federation.SaysDead && c.mode() != federation.DrillVerdict; signal.Says != "" && answers != c.ready {
			c.ready, c.since = answers, w.now()
		}
	}
}

// testify has the witnesses that can be heard tell of a cluster. What a witness said before is kept for as long as a poll
// lasts, then it is not heard any more.
func (w *World) testify(c *cluster) {
	for _, other := range w.clusters {
		if other == c {
			continue
		}
		if c.seen[other.name] == nil {
			c.seen[other.name] = map[string]*verdict.Sighting{"api": {}, "endpoint": {}}
		}
		if !w.reached(other) || w.blind {
			delete(c.seen, other.name)
			continue
		}
		for what, alive := range map[string]bool{"api": c.answers(), "endpoint": c.serves()} {
			s := c.seen[other.name][what]
			alive = alive && !other.liar
			if s.At.IsZero() || s.Alive != alive {
				s.Since = w.now()
			}
			s.Witness, s.Alive, s.At, s.Known = other.name, alive, w.now(), s.Known || alive
		}
	}
}

func (w *World) evidence(c *cluster) verdict.Evidence {
	e := verdict.Evidence{API: c.window.Signal()}
	if c.mode() == federation.DrillVerdict {
		e.Drill = w.drill.Name
	}
	for witness, sightings := range c.seen {
		var list []verdict.Sighting
		for _, s := range sightings {
			if !s.At.IsZero() {
				list = append(list, *s)
			}
		}
		if len(list) > 0 {
			e.Witnesses = append(e.Witnesses, verdict.Witnessed(witness, list))
		}
	}
	for _, l := range w.workloads {
		t := l.tracks[c.name]
		if l.reports[c.name].ready == 0 {
			continue // by the member's own word nothing is there that could answer
		}
		if t.Served && (t.fails >= 2 || t.successes > 0) {
			e.Traffic.Probed++
			if t.successes > 0 {
				e.Traffic.Alive++
			}
		}
	}
	if e.Traffic.Probed > 0 {
		e.Traffic.Since = w.now()
	}
	return e
}

// ask has the control plane ask every endpoint that was ever there, and judges them.
func (w *World) ask() {
	for i, l := range w.workloads {
		for j, c := range w.clusters {
			t := l.tracks[c.name]
			if len(l.pods[c.name]) == 0 && !t.Served {
				continue
			}
			if (w.second+i+j)%endpointPeriod == 0 {
				if !w.cutOff && !c.cut && c.serves() && w.ready(l, c) > 0 {
					t.fails, t.successes = 0, t.successes+1
				} else {
					t.fails, t.successes = t.fails+1, 0
				}
			}
			w.judge(l, c, t)
		}
	}
}

func (w *World) judge(l *workload, c *cluster, t *track) {
	r := l.reports[c.name]
	e := endpoint.Evidence{Ready: &r.ready, Wanted: r.share, Probed: true, Fails: t.fails, Successes: t.successes, Message: "no answer"}
	if v := c.memory.Verdict; v != nil {
		e.Verdict = v.State
	}
	e.Stale = e.Verdict == federation.VerdictUnreachable || !c.ready && w.now().Sub(c.since) >= 30*time.Second
	e.Draining = c.leaves()
	for witness, sightings := range c.seen {
		s := sightings["endpoint"]
		if s.At.IsZero() || !s.Known {
			continue
		}
		// A witness asks this very endpoint: without a ready pod nobody answers.
		if s.Alive && (w.ready(l, c) > 0 || w.find(witness).liar) {
			e.Alive++
		} else {
			e.Dead++
		}
	}
	before := t.State
	t.Track, _ = endpoint.Judge(t.Track, e, w.now())
	if t.State != before && t.Served {
		w.note("endpoint of %s in %s is %s: %s", l.name, c.name, t.State, t.Message)
	}
}

// subject is what the names of a workload's Service are made of.
func (w *World) subject(l *workload) dns.Subject {
	s := dns.Subject{Owner: dns.Owner{Ref: "svc/shop/" + l.name, UID: l.name}, Names: dns.Names{Service: l.name, Namespace: "shop", Federation: "earth", Domain: zoneName}}
	for _, c := range w.clusters {
		t := l.tracks[c.name]
		e := dns.Endpoint{Cluster: c.name, Region: c.region, State: dns.Unhealthy}
		if t.Served || len(l.pods[c.name]) > 0 {
			e.Addresses = append(e.Addresses, t.address)
			e.State, e.Doubtful, e.Weight = t.State, t.Doubtful, 1
			if v := c.memory.Verdict; v != nil && v.State == federation.VerdictDown || c.mode() == federation.DrillDNS {
				e.State, e.Doubtful = dns.Unhealthy, false
			}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}
