// Package verdict says what the federation believes of its members' health. In: what was found of each member (the control
// plane's own probes, traffic, witnesses, the cloud's word, drills), what was believed before, the time. Out: verdicts with
// their evidence, taints, and whether the control plane is itself cut off. It is pure: it asks nobody and writes nothing.
//
//	probes --> Window.Signal --+
//	traffic, witnesses, cloud -+-> Rules.Judge --> verdict --> Taints
//	all members ---------------+-> Look (isolation)
package verdict

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
)

// Signal is what one source says: federation.SaysAlive, SaysImpaired, SaysDead or SaysUnknown. The zero Signal is a source
// that said nothing.
type Signal struct {
	Says    string
	Since   time.Time
	Message string
}

// Vote is what the witness in one cluster says of another cluster.
type Vote struct {
	Witness string
	Signal
}

// Evidence is what is known of one member at one moment.
type Evidence struct {
	// API is what the control plane's own probes say; Unknown where it has nothing to ask with.
	API Signal
	// Traffic is what the control plane's probes of the member's published endpoints say.
	Traffic probe.Traffic
	// Witnesses that can be heard, and are in other clusters.
	Witnesses []Vote
	// Cloud is the cloud's word on where the member is.
	Cloud Signal
	// Drill is the name of the drill that treats the member as failed, empty for none.
	Drill string
	// Settling says that sources may not have spoken yet since the process began: what they said before is still shown. It
	// has no weight.
	Settling bool
}

// Counted counts the witnesses that say alive and dead. Those that say anything else can't tell.
func (e Evidence) Counted() (alive, dead int) {
	for _, v := range e.Witnesses {
		switch v.Says {
		case federation.SaysAlive:
			alive++
		case federation.SaysDead:
			dead++
		}
	}
	return alive, dead
}

// Confirmed says that most of the witnesses that can tell see the member dead.
func (e Evidence) Confirmed() bool {
	alive, dead := e.Counted()
	return dead > alive
}

// Witnessed is what one witness says of a cluster, from its sightings of the cluster's API and endpoints. One sign of life is
// life. It says Dead where nothing answers it of what it has seen alive before: what it could never reach tells nothing.
func Witnessed(witness string, sightings []Sighting) Vote {
	v := Vote{Witness: witness, Signal: Signal{Says: federation.SaysUnknown}}
	for _, s := range sightings {
		switch {
		case s.Alive:
			return Vote{witness, Signal{Says: federation.SaysAlive, Since: s.Since}}
		case s.Known && (v.Says == federation.SaysUnknown || s.Since.After(v.Since)):
			v.Signal = Signal{Says: federation.SaysDead, Since: s.Since, Message: s.Message}
		}
	}
	return v
}

// Sighting is one thing of a cluster that a witness asks.
type Sighting struct {
	probe.Sighting
	// Known says that the witness has seen it alive before.
	Known bool
}

// entries are the evidence as it is shown. A source that says what it said before keeps its time and its words: nothing is
// written for what has not changed.
func (e Evidence) entries(before []federation.Evidence, now time.Time) []federation.Evidence {
	var list []federation.Evidence
	add := func(source string, s Signal) {
		if s.Says == "" {
			return
		}
		i := slices.IndexFunc(before, func(b federation.Evidence) bool { return b.Source == source && b.Says == s.Says })
		if i >= 0 {
			list = append(list, before[i])
			return
		}
		if s.Since.IsZero() || s.Since.After(now) {
			s.Since = now
		}
		list = append(list, federation.Evidence{Source: source, Says: s.Says, Since: second(s.Since), Message: s.Message})
	}
	add(federation.SourceAPI, e.API)
	add(federation.SourceTraffic, e.traffic())
	add(federation.SourceCloud, e.Cloud)
	if e.Drill != "" {
		add(federation.SourceDrill, Signal{Says: federation.SaysDead, Message: "drill " + e.Drill})
	}
	witnesses := slices.SortedFunc(slices.Values(e.Witnesses), func(a, b Vote) int { return strings.Compare(a.Witness, b.Witness) })
	for _, v := range witnesses {
		add(federation.SourceWitness+v.Witness, v.Signal)
	}
	if !e.Settling {
		return list
	}
	for i, b := range before {
		if b.Source != federation.SourceDrill && !slices.ContainsFunc(list, func(l federation.Evidence) bool { return l.Source == b.Source }) {
			list = slices.Insert(list, min(i, len(list)), b)
		}
	}
	return list
}

// traffic is the evidence of the control plane's probes of endpoints.
func (e Evidence) traffic() Signal {
	t := e.Traffic
	switch {
	case t.Probed == 0:
		return Signal{}
	case t.Alive == 0:
		return Signal{Says: federation.SaysDead, Since: t.Since, Message: fmt.Sprintf("none of %d published endpoints answers", t.Probed)}
	case 2*t.Alive < t.Probed:
		return Signal{Says: federation.SaysImpaired, Message: fmt.Sprintf("%d of %d published endpoints answer", t.Alive, t.Probed)}
	}
	return Signal{Says: federation.SaysAlive, Since: t.Since}
}

func second(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }
