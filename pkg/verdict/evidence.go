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

// shownAfter is how long a source must say something else before that alone is shown: what is over sooner is not worth a write.
const shownAfter = 5 * time.Second

// turn is something else that a source began to say, Says "" for nothing.
type turn struct {
	says  string
	since time.Time
}

// entries are the evidence as it is shown, and the sources that say something else for too short a time. A source that says what it said
// before keeps its time and its words: nothing is written for what has not changed. at once shows what they say now.
func (e Evidence) entries(before []federation.Evidence, turns map[string]turn, atOnce bool, now time.Time) ([]federation.Evidence, map[string]turn) {
	var list []federation.Evidence
	waiting := map[string]turn{}
	heldBack := func(source, says string) bool {
		t, ok := turns[source]
		if !ok || t.says != says || t.since.After(now) {
			t = turn{says, now}
		}
		if atOnce || now.Sub(t.since) >= shownAfter {
			return false
		}
		waiting[source] = t
		return true
	}
	signals := e.signals()
	for _, n := range signals {
		if n.Says == "" {
			continue
		}
		i := slices.IndexFunc(before, func(b federation.Evidence) bool { return b.Source == n.source })
		switch {
		case i >= 0 && (before[i].Says == n.Says || heldBack(n.source, n.Says)):
			list = append(list, before[i])
			continue
		case i < 0 && heldBack(n.source, n.Says):
			continue
		}
		if n.Since.IsZero() || n.Since.After(now) {
			n.Since = now
		}
		list = append(list, federation.Evidence{Source: n.source, Says: n.Says, Since: second(n.Since), Message: n.Message})
	}
	for i, b := range before {
		spoke := slices.ContainsFunc(signals, func(n named) bool { return n.source == b.Source && n.Says != "" })
		if !spoke && b.Source != federation.SourceDrill && (e.Settling || heldBack(b.Source, "")) {
			list = slices.Insert(list, min(i, len(list)), b)
		}
	}
	return list, waiting
}

// named is what a source says.
type named struct {
	source string
	Signal
}

// signals of all sources, in the order in which they are shown.
func (e Evidence) signals() []named {
	list := []named{{federation.SourceAPI, e.API}, {federation.SourceTraffic, e.traffic()}, {federation.SourceCloud, e.Cloud}}
	if e.Drill != "" {
		list = append(list, named{federation.SourceDrill, Signal{Says: federation.SaysDead, Message: "drill " + e.Drill}})
	}
	for _, v := range slices.SortedFunc(slices.Values(e.Witnesses), func(a, b Vote) int { return strings.Compare(a.Witness, b.Witness) }) {
		list = append(list, named{federation.SourceWitness + v.Witness, v.Signal})
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
