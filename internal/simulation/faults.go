package simulation

import (
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/verdict"
)

// fault is something that is broken from one second to another.
type fault struct {
	kind    string
	cluster string // empty for the control plane's own network
	from    int
	until   int
	began   bool
}

// Kinds of faults.
const (
	kill      = "kill"      // the data centre is gone: API, pods, users
	silentAPI = "api"       // the API is dead, users are served
	unserved  = "users"     // users do not reach it, the API answers
	cutLink   = "link"      // the control plane does not reach it, everyone else does
	cutOff    = "cutoff"    // the control plane has no network
	slowAPI   = "slow"      // the API is too slow to count
	liar      = "liar"      // its witness says that all others are dead
	drain     = "drain"     // its operator empties it
	scale     = "scale"     // a user scales a workload
	restart   = "restart"   // the control plane starts anew
	rehearsal = "rehearsal" // somebody orders a drill
	pause     = "pause"     // moves are paused
	blind     = "blind"     // no witness is heard: the control plane alone sees failures
	flapping  = "flapping"  // kill, again and again
	massive   = "massive"   // kill of several at once
	minute    = 60          // seconds
	hour      = 60 * minute // seconds
)

// schedule makes random faults for some hours; the last hour and a half are quiet.
func (w *World) schedule(hours int, kinds ...string) {
	end := hours*hour - 90*minute
	for at := 10 * minute; at < end; at += 2*minute + w.random.IntN(20*minute) {
		kind := kinds[w.random.IntN(len(kinds))]
		c := w.clusters[w.random.IntN(len(w.clusters))].name
		length := 5 + w.random.IntN(15*minute)
		until := min(at+length, end)
		switch kind {
		case cutOff, restart, scale, pause:
			c = ""
		case blind: // for long, so that something happens meanwhile
			c, until = "", min(at+10*length, end)
		case flapping:
			for t := at; t < until; t += 20 + w.random.IntN(60) {
				w.faults = append(w.faults, fault{kind: kill, cluster: c, from: t, until: min(t+5+w.random.IntN(30), until)})
			}
			continue
		case massive:
			for _, o := range w.clusters {
				if w.random.IntN(2) == 0 {
					w.faults = append(w.faults, fault{kind: kill, cluster: o.name, from: at, until: until})
				}
			}
			continue
		}
		w.faults = append(w.faults, fault{kind: kind, cluster: c, from: at, until: until})
	}
}

// fate lets faults begin and end.
func (w *World) fate() {
	for i := range w.faults {
		f := &w.faults[i]
		switch {
		case !f.began && w.second >= f.from:
			f.began = true
			w.lastFault = w.second
			w.note("-- %s %s begins", f.kind, f.cluster)
			w.once(f)
		case f.began && w.second == f.until:
			w.lastFault = w.second
			w.note("-- %s %s ends", f.kind, f.cluster)
		}
	}
	on := func(kind, name string) bool {
		for _, f := range w.faults {
			if f.began && w.second < f.until && f.kind == kind && f.cluster == name {
				w.broken[kind+name] = w.second
				return true
			}
		}
		return false
	}
	w.cutOff, w.paused, w.blind = on(cutOff, ""), on(pause, ""), on(blind, "")
	for _, c := range w.clusters {
		killed := on(kill, c.name)
		if c.killed && !killed {
			c.returned = w.second
		}
		c.killed, c.apiDown, c.unserved, c.cut, c.slow = killed, on(silentAPI, c.name), on(unserved, c.name), on(cutLink, c.name), on(slowAPI, c.name)
		c.liar, c.holding = on(liar, c.name), on(drain, c.name)
		if c.mark != "" {
			w.broken[rehearsal+c.name] = w.second
		}
	}
}

// once is what a fault does at its beginning and never again.
func (w *World) once(f *fault) {
	switch f.kind {
	case scale:
		l := w.workloads[w.random.IntN(len(w.workloads))]
		l.replicas = int32(w.random.IntN(12))
		w.note("%s is scaled to %d", l.name, l.replicas)
	case restart:
		w.restart()
	case rehearsal:
		w.order(f.cluster, f.until-f.from)
	}
}

// restart forgets what a control plane has in memory; what is in the API and in the zone is still there.
func (w *World) restart() {
	for _, c := range w.clusters {
		c.window, c.seen = verdict.Window{}, map[string]map[string]*verdict.Sighting{}
		c.memory = verdict.Recall(c.memory.Verdict, w.now())
	}
	w.view = verdict.View{}
	for _, l := range w.workloads {
		l.asked, l.wake = 0, w.started
		for _, t := range l.tracks {
			t.fails, t.successes = 0, 0
		}
	}
	w.planned = 0
	w.budget, w.resumed = placement.Pass{}, true
	w.broken[restart] = w.second
}

// lately says whether a kind of fault was on within some seconds, at a cluster or anywhere ("*").
func (w *World) lately(kind, name string, within int) bool {
	if name != "*" {
		at, ok := w.broken[kind+name]
		return ok && w.second-at <= within
	}
	for _, c := range w.clusters {
		if w.lately(kind, c.name, within) {
			return true
		}
	}
	return w.lately(kind, "", within)
}
