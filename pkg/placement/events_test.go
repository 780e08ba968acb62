package placement

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

func TestWhichDecisionsAClusterConcerns(t *testing.T) {
	cluster := func(f func(*Cluster)) *Cluster {
		c := &Cluster{Cluster: policy.Cluster{Name: "gondor"}, Ready: true}
		if f != nil {
			f(c)
		}
		return c
	}
	ready := cluster(nil)
	down := cluster(func(c *Cluster) { c.Ready = false })
	deleted := cluster(func(c *Cluster) { c.Deleted = true })
	room := cluster(func(c *Cluster) {
		c.Free = []federation.FreeNodes{{Nodes: 1, Free: corev1.ResourceList{"cpu": resource.MustParse("1")}}}
	})
	in := func(name string, replicas *int32) Decision {
		return Decision{Clusters: []federation.ClusterPlacement{{Name: name, Replicas: replicas}}}
	}
	with := func(d Decision, f func(*Decision)) Decision { f(&d); return d }
	rule := func(f func(*federation.Propagation)) *policy.Propagation {
		p := &policy.Propagation{Rule: &federation.Propagation{}}
		if f != nil {
			f(p.Rule)
		}
		return p
	}
	elsewhere := rule(func(r *federation.Propagation) {
		r.ClusterGroups = []federation.ClusterGroup{{Name: "a", ClusterSelector: federation.ClusterSelector{Names: []string{"rohan"}}}}
	})
	groups := rule(func(r *federation.Propagation) { r.ClusterGroups = make([]federation.ClusterGroup, 2) })
	named := func(d *Decision) { d.Policy = &federation.PolicyReference{Kind: "PropagationPolicy", Name: "p"} }

	for _, test := range []struct {
		name          string
		decision      Decision
		policy        *policy.Propagation
		before, after *Cluster
		want          bool
	}{
		{"copied whole, a cluster comes", in("rohan", nil), nil, down, ready, true},
		{"divided, a cluster comes", in("rohan", ptr.To[int32](3)), nil, down, ready, false},
		{"a cluster goes down", in("gondor", nil), nil, ready, down, false},
		{"a cluster leaves", in("gondor", ptr.To[int32](3)), nil, ready, deleted, true},
		{"a cluster leaves that others have", in("rohan", ptr.To[int32](3)), nil, ready, deleted, false},
		{"something is missing", with(in("rohan", ptr.To[int32](3)), func(d *Decision) { d.Missing = "room" }), nil, down, ready, true},
		{"by policy, a cluster comes", with(in("rohan", ptr.To[int32](3)), named), rule(nil), down, ready, true},
		{"by policy, a cluster comes that it does not select", with(in("rohan", ptr.To[int32](3)), named), elsewhere, down, ready, false},
		{"by policy, a cluster goes down", with(in("gondor", ptr.To[int32](3)), named), rule(nil), ready, down, true},
		{"by annotations, a cluster comes", with(in("rohan", nil), func(d *Decision) { d.Policy = &federation.PolicyReference{Kind: federation.PolicyAnnotations} }), nil, down, ready, true},
		{"more room", in("gondor", ptr.To[int32](3)), nil, ready, room, false},
		{"more room, by a simple policy", with(in("gondor", ptr.To[int32](3)), named), rule(nil), ready, room, false},
		{"more room, by ordered groups", with(in("gondor", ptr.To[int32](3)), named), groups, ready, room, true},
		{"more room where some is missing", with(in("gondor", ptr.To[int32](3)), func(d *Decision) { d.Missing = "room" }), nil, ready, room, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := concernedBy(&test.decision, test.policy, test.before, test.after, onlyRoom(test.before, test.after)); got != test.want {
				t.Errorf("concerned: %v, want %v", got, test.want)
			}
		})
	}
}
