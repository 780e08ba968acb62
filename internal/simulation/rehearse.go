package simulation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/drill"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/plan"
	"kubefed.dev/kubefed/pkg/policy"
)

// rehearsalLimit is how long a drill may take beside its duration: until clusters are back, and some more.
const rehearsalLimit = 10 * minute

// order has a drill run, unless one is under way.
func (w *World) order(cluster string, seconds int) {
	if w.drill != nil && drill.Active(w.drill) {
		return
	}
	mode := []string{federation.DrillVerdict, federation.DrillDNS, federation.DrillDrain}[w.random.IntN(3)]
	w.drill = &federation.FailoverDrill{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("d%d", w.second), Generation: 1},
		Spec: federation.FailoverDrillSpec{Targets: []federation.DrillTarget{{Cluster: cluster}}, Mode: mode,
			Duration: &metav1.Duration{Duration: time.Duration(seconds) * time.Second},
			Services: []federation.DrillService{{Namespace: "shop", Name: w.workloads[0].name}}},
	}
	w.ordered, w.length = w.second, seconds
	w.note("drill %s %s of %s", w.drill.Name, mode, cluster)
}

// rehearse takes a drill one step further. The process may die before a step is stored, or before it is carried out.
func (w *World) rehearse() {
	if w.drill == nil {
		return
	}
	seen := w.seenOfDrill()
	crash := w.resumed && w.random.IntN(2) == 0
	before := w.drill.Status.Phase
	w.drill.Status = drill.Step(drill.Input{Drill: w.drill, Seen: seen, Now: w.now()}).Status
	if now := w.drill.Status.Phase; now != before {
		w.note("drill %s: %s %s", w.drill.Name, now, w.drill.Status.Broken)
	}
	w.resumed = false
	if crash {
		return
	}
	for _, m := range drill.Marks(w.drill.Name, w.drill.Spec.Mode, &w.drill.Status, seen.Clusters) {
		c := w.find(m.Cluster)
		c.mark, c.emptied = m.Drill, m.Drain
	}
}

// mode is how a drill has a cluster fail, empty for not at all.
func (c *cluster) mode() string {
	_, mode := drill.SplitMark(c.mark)
	return mode
}

// leaves says whether a cluster is being emptied, by its operator or by a drill.
func (c *cluster) leaves() bool { return c.holding || c.emptied }

func (w *World) seenOfDrill() *drill.Seen {
	seen := &drill.Seen{World: &plan.World{Now: w.now(), Objects: map[plan.Key]plan.Object{}}, Resumed: w.resumed}
	if w.view.Isolated {
		seen.Isolated = "members are silent"
	}
	failing := map[string]bool{}
	for _, t := range w.drill.Status.Clusters {
		failing[t.Name] = true
	}
	measured := w.answer(w.workloads[0])
	service := drill.Service{Key: "shop/" + w.workloads[0].name, Recent: 100}
	for _, c := range w.clusters {
		s := drill.Cluster{Name: c.name, Ready: c.ready, Mark: c.mark, Why: "not ready",
			Published: slices.Contains(measured, w.workloads[0].tracks[c.name].address.String())}
		if v := c.memory.Verdict; v != nil {
			s.Verdict = v.State
		}
		switch {
		case c.holding:
			s.Drained = ptr.To("")
		case c.emptied:
			s.Drained = ptr.To(federation.DrillTaintValue)
		}
		if s.Published {
			service.In = append(service.In, c.name)
		}
		if s.Published && (!c.serves() || w.ready(w.workloads[0], c) == 0) {
			service.RecentFailed += 100 / int64(len(measured))
		}
		seen.Clusters = append(seen.Clusters, s)
		seen.World.Clusters = append(seen.World.Clusters, placement.Cluster{Cluster: policy.Cluster{Name: c.name, Region: c.region}, Ready: c.ready})
	}
	seen.Services = []drill.Service{service}
	for _, l := range w.workloads {
		var lost, ready, elsewhere int32
		for _, c := range w.clusters {
			n := l.reports[c.name].ready
			ready += n
			if failing[c.name] {
				lost += w.shareOf(l, c.name)
			} else {
				elsewhere += n
			}
		}
		r := &seen.Replicas
		r.Objects, r.Failed, r.Ready, r.ReadyElsewhere = r.Objects+1, r.Failed+lost, r.Ready+ready, r.ReadyElsewhere+elsewhere
		r.Moves = append(r.Moves, federation.DrillMove{Kind: "Deployment", Namespace: "shop", Name: l.name, Lost: lost, Ready: ready})
		r.Elsewhere = append(r.Elsewhere, elsewhere)
	}
	if stored := w.drill.Status.Moves; len(stored) > 0 { // in its order
		moves, elsewhere := seen.Replicas.Moves, seen.Replicas.Elsewhere
		seen.Replicas.Moves, seen.Replicas.Elsewhere = nil, nil
		for _, m := range stored {
			i := slices.IndexFunc(moves, func(o federation.DrillMove) bool { return o.Name == m.Name })
			seen.Replicas.Moves, seen.Replicas.Elsewhere = append(seen.Replicas.Moves, moves[i]), append(seen.Replicas.Elsewhere, elsewhere[i])
		}
	}
	return seen
}

// checkRehearsal: a drill ends, and leaves nothing.
func (w *World) checkRehearsal() error {
	if w.drill == nil {
		return nil
	}
	if drill.Active(w.drill) {
		if w.second-w.ordered > w.length+rehearsalLimit && w.second-w.lastFault > rehearsalLimit {
			return fmt.Errorf("drill %s is still in phase %s after %d s", w.drill.Name, w.drill.Status.Phase, w.second-w.ordered)
		}
		return nil
	}
	for _, c := range w.clusters {
		if c.mark != "" || c.emptied {
			return fmt.Errorf("drill %s is over (%s), and %s still carries %q", w.drill.Name, w.drill.Status.Phase, c.name, c.mark)
		}
	}
	return nil
}

// checkLeaving: what a new decision begins to take away keeps to the federation's budget, and in a living cluster to the workload's
// disruption budget.
func (w *World) checkLeaving(l *workload, before, after *placement.Decision, clusters []placement.Cluster) error {
	if before == nil {
		return nil
	}
	for i := range clusters {
		c := &clusters[i]
		was, is := displaced(before, c.Name), displaced(after, c.Name)
		if w.paused && was == "" && (is == federation.DisplacedDown || is == federation.DisplacedDrained) {
			return fmt.Errorf("%s begins to leave %s (%s) while moves are paused", l.name, c.Name, is)
		}
		if fell := shareIn(before, c.Name) - shareIn(after, c.Name); l.guarded && fell > 1 && w.find(c.Name).leaves() && c.Ready && !c.Down && l.placed == l.replicas {
			return fmt.Errorf("%s: %d of %d replicas leave %s at once, and the disruption budget allows one", l.name, fell, shareIn(before, c.Name), c.Name)
		}
	}
	alone := placement.Begins(before, after, clusters)
	if len(alone) == 0 {
		return nil
	}
	for _, name := range alone {
		if w.holds(clusters, name) {
			return fmt.Errorf("%s begins to leave %s, which the control plane alone takes for dead, as too many others", l.name, name)
		}
	}
	w.begun = append(w.begun, w.second)
	lately := 0
	for _, at := range w.begun {
		if w.second-at < minute {
			lately++
		}
	}
	if lately > 2*w.rate && !w.lately(restart, "", 2*minute) {
		return errors.New("more workloads begin to move in a minute than the federation's budget allows")
	}
	return nil
}

// holds says whether a cluster is one too many of those that the control plane alone takes for dead.
func (w *World) holds(clusters []placement.Cluster, name string) bool {
	i := slices.IndexFunc(clusters, func(c placement.Cluster) bool { return c.Name == name })
	earlier := 0
	for j := range clusters {
		if o := &clusters[j]; j != i && o.Down && !o.Confirmed && o.DownSince.Before(clusters[i].DownSince) {
			earlier++
		}
	}
	return earlier >= max(1, (len(clusters)*34+99)/100)
}

func displaced(d *placement.Decision, name string) string {
	for _, s := range d.Displaced {
		if s.Name == name {
			return s.Reason
		}
	}
	return ""
}

func shareIn(d *placement.Decision, name string) int32 {
	for _, c := range d.Clusters {
		if c.Name == name {
			return ptr.Deref(c.Replicas, 0)
		}
	}
	return 0
}
