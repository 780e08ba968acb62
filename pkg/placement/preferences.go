package placement

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"kubefed.dev/kubefed/pkg/policy"
)

// preferences are Federation v1's annotations on an object, read. They go before any policy.
type preferences struct {
	selector labels.Selector     // nil for every cluster
	division *policy.Preferences // nil for none: divided evenly
	invalid  error
}

// readPreferences reads an object's annotations, nil where it has none. As in Federation v1 one that can't be read counts
// as absent; here the decision says so.
func readPreferences(o *Object) *preferences {
	if o.Preferences == "" && o.ClusterSelector == "" {
		return nil
	}
	p := &preferences{}
	if o.ClusterSelector != "" {
		p.selector, p.invalid = policy.ParseClusterSelector(o.ClusterSelector)
	}
	if o.Preferences != "" && o.Divided {
		division, err := policy.ParsePreferences(annotationOf(o), o.Preferences)
		if err != nil {
			p.invalid = err
		} else {
			p.division = &division
		}
	}
	return p
}

func annotationOf(o *Object) string {
	switch o.Reference.Kind {
	case "ReplicaSet":
		return policy.AnnotationReplicaSetPreferences
	case "Job":
		return policy.AnnotationJobPreferences
	}
	return policy.AnnotationDeploymentPreferences
}

func (p *preferences) selects(c *Cluster) bool {
	return p.selector == nil || p.selector.Matches(labels.Set(c.Labels))
}

// divides says whether the annotation divides the replicas of an object. A Job that runs can't be divided anew.
func (p *preferences) divides(q *question, candidates []candidate) bool {
	if p.division == nil {
		return false
	}
	if q.Object.Completions == nil {
		return true
	}
	for i := range candidates {
		if candidates[i].has {
			return false
		}
	}
	return true
}

// plan divides replicas by Federation v1's planner. What a cluster has counts as what runs there, so that readiness that
// comes and goes moves nothing; a cluster that takes nothing new keeps what it has, and is left out of the plan.
func (p *preferences) plan(q *question, candidates []candidate) {
	in := V1Input{Key: q.Object.Reference.Namespace + "/" + q.Object.Reference.Name, Replicas: q.total, Preferences: *p.division}
	in.Preferences.Rebalance = in.Preferences.Rebalance || q.anew
	planned := make([]*candidate, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		switch {
		case c.leaves:
		case c.why != "":
			c.replicas = c.share
			in.Replicas = max(in.Replicas-c.replicas, 0)
		default:
			one := V1Cluster{Name: c.Name, Current: c.share}
			if c.has {
				one.Placed = ptr.To(c.share)
			}
			if c.full >= 0 {
				one.Capacity = ptr.To(c.full)
			}
			planned = append(planned, c)
			in.Clusters = append(in.Clusters, one)
		}
	}
	left := in.Replicas
	plan := PlanV1(in)
	for i, c := range planned { // both are sorted by name
		c.replicas = plan[i].Replicas
		left -= c.replicas
	}
	// What the full clusters can't run waits there, as far as no other cluster runs it. Federation v1 had the rest wait
	// there too if it rebalanced; here a full cluster is tried again after a while, and no replica is planned twice.
	for i, c := range planned {
		wait := max(min(plan[i].Overflow, left), 0)
		c.replicas, left = c.replicas+wait, left-wait
	}
	if left > 0 {
		before := left
		if left = stay(q, candidates, left, func(c *candidate) int64 { return c.share }); left < before {
			q.lacks(missingPlace)
		}
	}
	if q.unplaced = left; left > 0 {
		q.lacks(fmt.Sprintf(missingV1, left, q.total))
	}
}

const missingV1 = "%d of %d replicas are unplaced: the preferences on the object let no cluster take more of them; add \"*\", raise maxReplicas, or add clusters"
