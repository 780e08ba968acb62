package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
)

// Leaving is what is to leave a cluster that is drained.
type Leaving struct {
	Object  federation.ObjectReference `json:"object"`
	Cluster string                     `json:"cluster"`
	// Replicas that are still decided to be there; nil for a whole copy.
	Replicas *int32 `json:"replicas,omitempty"`
	// Ends says that it is a Job that comes to its end there.
	Ends bool `json:"ends,omitempty"`
	// Missing is what the decision waits for.
	Missing string `json:"missing,omitempty"`
	// Stays says why it will not leave; empty where it will.
	Stays string `json:"stays,omitempty"`
}

// Leaving lists what runs pods in clusters that are drained, by object and cluster. results are what objects come to in a
// world in which they are (Drained); what stays there by them will not leave.
func (w *World) Leaving(results map[Key]Result, clusters ...string) []Leaving {
	list := []Leaving{}
	for _, key := range slices.SortedFunc(maps.Keys(w.Objects), compareKeys) {
		o := w.Objects[key]
		if o.Decision == nil {
			continue
		}
		facts := placement.ObjectFacts(o.Kind, o.Unstructured)
		version, name := o.Kind.GroupVersionKind.ToAPIVersionAndKind()
		for _, cluster := range clusters {
			replicas, there := placedIn(&o.Decision.Spec, cluster)
			state := stateIn(o.Decision, cluster)
			switch {
			case facts.Request == nil || state != nil && state.Finished:
				continue
			case !there && (state == nil || state.State != federation.StateDeleting): // gone
				continue
			case there && replicas != nil && *replicas == 0:
				continue
			}
			l := Leaving{Cluster: cluster, Replicas: replicas, Ends: facts.Completions != nil, Missing: o.Decision.Spec.Missing,
				Object: federation.ObjectReference{APIVersion: version, Kind: name, Namespace: key.Namespace, Name: key.Name, UID: o.GetUID()}}
			if r, known := results[key]; known && there && !l.Ends {
				if then, stays := placedIn(&r.Decision, cluster); stays && ptr.Deref(then, 1) > 0 {
					l.Stays = cmp.Or(r.Decision.Missing, "its policy tolerates the drain")
				}
			}
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b Leaving) int { return strings.Compare(a.Cluster, b.Cluster) })
	return list
}

func placedIn(d *placement.Decision, cluster string) (replicas *int32, there bool) {
	for _, p := range d.Clusters {
		if p.Name == cluster {
			return p.Replicas, true
		}
	}
	return nil, false
}

func stateIn(d *federation.PlacementDecision, cluster string) *federation.ClusterState {
	for i := range d.Status.Clusters {
		if d.Status.Clusters[i].Name == cluster {
			return &d.Status.Clusters[i]
		}
	}
	return nil
}

// Takers are the clusters that may take what others give away: ready, without a taint that keeps new placements away, and
// not one of those.
func (w *World) Takers(without ...string) []string {
	var names []string
	for i := range w.Clusters {
		if c := &w.Clusters[i]; c.Ready && !c.Deleted && !slices.Contains(without, c.Name) && !placement.Repels(c) {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}
