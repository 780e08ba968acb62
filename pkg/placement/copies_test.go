package placement

import (
	"testing"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestAwaited(t *testing.T) {
	states := func(s ...federation.ClusterState) []federation.ClusterState { return s }
	gondor := func(ready int32) federation.ClusterState {
		return federation.ClusterState{Name: "gondor", State: federation.StateSynced, ReadyReplicas: &ready}
	}
	with := func(s federation.ClusterState, f func(*federation.ClusterState)) federation.ClusterState {
		f(&s)
		return s
	}
	at := func(names ...string) (list []federation.ClusterPlacement) {
		for _, name := range names {
			list = append(list, federation.ClusterPlacement{Name: name})
		}
		return list
	}
	rohan := federation.ClusterState{Name: "rohan", State: federation.StateDeleting}
	for _, test := range []struct {
		name          string
		spec          Decision
		before, after []federation.ClusterState
		want          bool
	}{
		{"first status", Decision{}, nil, states(gondor(0)), false},
		{"a rollout", Decision{}, states(gondor(1)), states(gondor(2)), false},
		{"a rollout while replicas move", Decision{Moving: true}, states(gondor(1)), states(gondor(2)), true},
		{"another message while replicas move", Decision{Moving: true}, states(gondor(1)),
			states(with(gondor(1), func(s *federation.ClusterState) { s.Message = "m" })), false},
		{"pods without a node", Decision{}, states(gondor(1)),
			states(with(gondor(1), func(s *federation.ClusterState) { s.UnschedulableReplicas = ptr.To[int32](1) })), true},
		{"a Job's share that ended", Decision{}, states(gondor(1)), states(with(gondor(1), func(s *federation.ClusterState) { s.Finished = true })), true},
		{"a copy that is gone", Decision{Clusters: at("gondor")}, states(gondor(1), rohan), states(gondor(1)), false},
		{"a copy that is gone, with its ordinals", Decision{Clusters: at("gondor"), Ordinals: []federation.OrdinalStart{{Name: "gondor"}, {Name: "rohan", Start: 1000}}},
			states(gondor(1), rohan), states(gondor(1)), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, after := &federation.PlacementDecision{Spec: test.spec}, &federation.PlacementDecision{Spec: test.spec}
			before.Status.Clusters, after.Status.Clusters = test.before, test.after
			if got := awaited(before, after); got != test.want {
				t.Errorf("awaited: %v, want %v", got, test.want)
			}
		})
	}
}
