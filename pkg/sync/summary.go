package sync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// summary is what one object's status should be.
type summary struct {
	decision federation.PlacementDecisionStatus
	object   map[string]any // nil: the kind's status is not folded, or too little is known
	// rest says that nothing is on its way: every reachable cluster has been written to and its workload has settled.
	rest bool
}

// evidence is what is known of an object in one of its clusters.
type evidence struct {
	name     string
	placed   bool
	joined   bool // a Cluster of this name is there and not leaving
	ready    bool
	down     bool // taken for dead: what it reported last is true no more
	seen     sighting
	recorded *federation.ClusterState // in the decision's status
}

// summarize gathers the evidence of every cluster that a decision names or named.
func (c *Controller) summarize(ctx context.Context, key Key, in reading) (summary, error) {
	all := map[string]*evidence{}
	at := func(name string) *evidence {
		if all[name] == nil {
			all[name] = &evidence{name: name}
		}
		return all[name]
	}
	for _, p := range in.decision.Spec.Clusters {
		at(p.Name).placed = true
	}
	for i := range in.decision.Status.Clusters {
		at(in.decision.Status.Clusters[i].Name).recorded = &in.decision.Status.Clusters[i]
	}
	for _, m := range c.all() {
		if m.see(key).holds(in.object.GetUID()) {
			at(m.Name)
		}
	}
	list := make([]evidence, 0, len(all))
	for _, e := range all {
		cl, err := c.view.cluster(ctx, e.name)
		if err != nil {
			return summary{}, fmt.Errorf("reading cluster %s: %w", e.name, err)
		}
		e.joined, e.ready, e.down = cl != nil, cl != nil && usable(cl), cl != nil && down(cl)
		if m := c.member(e.name); m != nil {
			e.seen = m.see(key)
		}
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b evidence) int { return strings.Compare(a.name, b.name) })
	return summarize(in, list), nil
}

// summarize is the pure part: evidence is sorted by name.
func summarize(in reading, list []evidence) summary {
	s := summary{rest: true}
	var reports []Report
	complete := true
	for _, e := range list {
		state, known := stateOf(e, in)
		if known && state != nil {
			s.decision.Clusters = append(s.decision.Clusters, *state)
		}
		s.rest = s.rest && (known && settled(e, state, in) || !e.ready)
		if !e.placed || !e.joined {
			continue
		}
		r := Report{Cluster: e.name, Current: e.current(in)}
		switch {
		case e.seen.copy != nil:
			r.Status = e.seen.copy.Status
		case !e.seen.known && e.recorded != nil && e.recorded.ReadyReplicas != nil:
			r.Status = lastKnown(*e.recorded.ReadyReplicas) // out of sight since before this process started
		case !e.seen.known && (e.ready || in.kind.Custom):
			complete = false
		}
		if e.down {
			r.Status = dead(r.Status)
		}
		reports = append(reports, r)
	}
	s.decision.Where = where(s.decision.Clusters, in.decision)
	s.decision.Conditions = slices.Clone(in.decision.Status.Conditions)
	meta.SetStatusCondition(&s.decision.Conditions, syncedCondition(s.decision.Clusters, in.decision.Generation))
	setPlaced(&s.decision.Conditions, in.decision)
	if complete {
		s.object = foldReports(in, reports)
	}
	return s
}

// foldReports folds by the kind's own rules, or by those for custom kinds; nil where the kind's status is not folded.
func foldReports(in reading, reports []Report) map[string]any {
	generation, previous := in.object.GetGeneration(), nested(in.object.Object, "status")
	if in.kind.StatusSubresource {
		return FoldCustom(generation, previous, ownStatus(in.object), reports)
	}
	return Fold(in.kind.GroupKind(), generation, previous, reports)
}

func lastKnown(ready int32) map[string]any {
	n := int64(ready)
	return map[string]any{"replicas": n, "readyReplicas": n, "availableReplicas": n, "updatedReplicas": n, "currentReplicas": n}
}

// dead is what a member that is down reported last, without what is true no more.
func dead(status map[string]any) map[string]any {
	if status == nil {
		return nil
	}
	out := maps.Clone(status)
	for _, field := range []string{"readyReplicas", "availableReplicas", "numberReady", "numberAvailable", "ready", "active", "conditions"} {
		delete(out, field)
	}
	if n := number(status, "replicas"); n > 0 {
		out["unavailableReplicas"] = n
	}
	return out
}

// readyReplicas is what a copy reports. A custom resource that tells nothing of it is taken at its word: otherwise
// replicas that move would be waited for in vain.
func readyReplicas(in reading, c *Copy) int32 {
	if _, tells := c.Status["readyReplicas"]; in.kind.Custom && !tells {
		return int32(c.Replicas)
	}
	return int32(number(c.Status, "readyReplicas") + number(c.Status, "ready"))
}

// stateOf is a cluster's entry in the decision's status; nil drops it. known is false where nothing new can be said.
func stateOf(e evidence, in reading) (state *federation.ClusterState, known bool) {
	if !e.joined {
		return nil, true
	}
	s := &federation.ClusterState{Name: e.name, State: e.seen.outcome.State, Message: e.seen.outcome.Message}
	switch {
	case !e.placed && e.seen.known && e.seen.decided && !e.seen.holds(in.object.GetUID()):
		return nil, true
	case !e.placed && e.seen.known && !e.seen.holds(in.object.GetUID()) && e.ready:
		return nil, true
	case !e.placed && e.recorded == nil && !e.seen.holds(in.object.GetUID()):
		return nil, true
	case !e.placed:
		s.State = federation.StateDeleting
	case e.down && e.recorded != nil && e.recorded.State != federation.StateSynced:
		s.State, s.Message = e.recorded.State, e.recorded.Message // as it was written when it fell silent
	case e.down:
		s.State, s.Message = federation.StateWaiting, "the cluster is down; it gets the object when it is back"
	case !e.seen.decided && e.recorded != nil:
		return e.recorded, true
	case !e.seen.decided && !e.ready:
		s.State, s.Message = federation.StateWaiting, "the cluster is not ready; it gets the object when it is"
	case !e.seen.decided || s.State == "":
		s.State = federation.StatePending
	}
	if in.kind.Replicas != nil && e.placed {
		switch {
		case e.down:
			s.ReadyReplicas = new(int32)
		case e.seen.copy != nil:
			ready := readyReplicas(in, e.seen.copy)
			s.ReadyReplicas = &ready
		case e.recorded != nil:
			s.ReadyReplicas = e.recorded.ReadyReplicas
		}
	}
	if in.kind.Replicas != nil && e.placed {
		s.UnschedulableReplicas = unschedulableIn(e)
		s.UnreadySince = unreadySince(e, s, in)
	}
	if in.kind.GroupKind() == jobs && e.placed {
		switch {
		case e.seen.copy != nil:
			s.Finished = e.seen.copy.OriginUID == in.object.GetUID() && finished(e.seen.copy.Status)
		case e.recorded != nil && !e.seen.known:
			s.Finished = e.recorded.Finished
		}
	}
	return s, true
}

// unreadySince is since when a cluster has had fewer replicas ready than its share; nil while all of them are, and for Jobs.
func unreadySince(e evidence, s *federation.ClusterState, in reading) *metav1.Time {
	p, _ := placementIn(in.decision, e.name)
	switch {
	case p.Replicas == nil || s.ReadyReplicas == nil || *s.ReadyReplicas >= *p.Replicas || in.kind.GroupKind() == jobs || in.now.IsZero():
		return nil
	case e.recorded != nil && e.recorded.UnreadySince != nil:
		return e.recorded.UnreadySince
	}
	return &metav1.Time{Time: in.now.Truncate(time.Second)}
}

// where says in one line where an object is.
func where(states []federation.ClusterState, d *federation.PlacementDecision) string {
	words := make([]string, 0, len(states))
	for _, s := range states {
		word := s.Name
		if p, ok := placementIn(d, s.Name); s.Finished {
			word += " finished"
		} else if ok && p.Replicas != nil && s.ReadyReplicas != nil {
			word += fmt.Sprintf(" %d/%d", *s.ReadyReplicas, *p.Replicas)
		}
		if s.State != federation.StateSynced {
			word += " (" + s.State + ")"
		}
		words = append(words, word)
	}
	const most = 10
	if len(words) > most {
		words = append(words[:most], fmt.Sprintf("and %d more", len(states)-most))
	}
	return strings.Join(words, ", ")
}

// syncedCondition sums the clusters' states up; the first cluster that is not as it should be gives the reason.
func syncedCondition(states []federation.ClusterState, generation int64) metav1.Condition {
	c := metav1.Condition{Type: federation.DecisionSynced, Status: metav1.ConditionTrue, Reason: federation.StateSynced, ObservedGeneration: generation}
	var messages []string
	for _, s := range states {
		if s.State == federation.StateSynced {
			continue
		}
		if c.Status == metav1.ConditionTrue {
			c.Status, c.Reason = metav1.ConditionFalse, s.State
		}
		messages = append(messages, strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", s.Name, s.State, s.Message), ": "))
	}
	if len(messages) > 3 {
		messages = append(messages[:3], fmt.Sprintf("and %d more clusters", len(messages)-3))
	}
	c.Message = strings.Join(messages, "; ")
	return c
}

// setPlaced shows what keeps a decision from what its policy asks for. While nothing does there is no such condition.
func setPlaced(conditions *[]metav1.Condition, d *federation.PlacementDecision) {
	if d.Spec.Missing == "" && d.Spec.Unplaced == 0 {
		meta.RemoveStatusCondition(conditions, federation.DecisionPlaced)
		return
	}
	c := metav1.Condition{
		Type: federation.DecisionPlaced, Status: metav1.ConditionFalse, Reason: federation.ReasonPolicyNotMet,
		Message: d.Spec.Missing, ObservedGeneration: d.Generation,
	}
	if d.Spec.Unplaced > 0 {
		c.Reason = federation.ReasonUnplaced
		if c.Message == "" {
			c.Message = fmt.Sprintf("%d replicas that no cluster may take", d.Spec.Unplaced)
		}
	}
	meta.SetStatusCondition(conditions, c)
}
