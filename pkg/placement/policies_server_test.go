package placement_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

var deployments = federation.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}

func labelled(value string) federation.ResourceSelector {
	s := deployments
	s.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": value}}
	return s
}

// policy makes a policy that keeps what it selects in some clusters.
func (s *story) policy(name string, clusters []string, selectors ...federation.ResourceSelector) *federation.PropagationPolicy {
	p := &federation.PropagationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	p.Spec.ResourceSelectors = selectors
	p.Spec.ClusterGroups = []federation.ClusterGroup{{Name: "these", ClusterSelector: federation.ClusterSelector{Names: clusters}}}
	return p
}

// looks counts the decisions made because of f, until an object made after it was decided on.
func (s *story) looks(marker string, f func()) int {
	s.Helper()
	count := func() int { return decided(s, "unchanged") + decided(s, "changed") + decided(s, "created") }
	settled := func(name string) int {
		s.create(s.configMap(name))
		s.placed(name+".configmaps", "gondor")
		return count()
	}
	before := settled(marker + "-before")
	f()
	return settled(marker+"-after") - before
}

func TestPolicyChangeLooksOnlyAtWhatItSelects(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	r := run(t)
	const back, all = 3, 30
	for i := range all {
		web := s.deployment(fmt.Sprintf("web-%d", i), 1)
		web.Labels = map[string]string{"tier": "front"}
		if i < back {
			web.Labels["tier"] = "back"
		}
		s.create(web)
		s.placed(web.Name+".deployments.apps", "gondor:1")
	}
	// Two markers are decided on, and looked at again when their decisions arrive; so is what a policy changes, maybe only
	// after the marker.
	const slack = 4 + back
	within := func(what string, got, least, most int) {
		t.Helper()
		if got < least || got > most+slack {
			t.Errorf("%s had %d decisions made, want %d to %d and %d for what goes on beside it", what, got, least, most, slack)
		}
	}
	p := s.policy("back", []string{"gondor"}, labelled("back"))
	within("a new policy", s.looks("new", func() { s.create(p) }), back, 2*back)
	so := len(r.writes.in(s.namespace))
	within("another spec", s.looks("spec", func() {
		s.change(p, func() { p.Spec.Moves = &federation.Moves{MaxMoving: ptr.To(intstr.FromInt32(1))} })
	}), back, back)
	within("a policy's label", s.looks("label", func() { s.change(p, func() { p.Labels = map[string]string{"team": "a"} }) }), 0, 0)
	if now := len(r.writes.in(s.namespace)); now != so+4 {
		t.Errorf("4 markers and a policy that changes nothing caused %d writes: %q", now-so, r.writes.in(s.namespace)[so:])
	}
	within("another selector", s.looks("selector", func() {
		s.change(p, func() { p.Spec.ResourceSelectors[0].LabelSelector = nil; p.Spec.ResourceSelectors[0].Name = "web-9" })
	}), back+1, 2*(back+1))
	within("a deleted policy", s.looks("gone", func() {
		if err := s.Delete(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}), 1, 2)
}

func TestLabelsOfObjectsMatter(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	run(t)
	web := s.deployment("web", 1)
	s.create(web)
	s.placed("web.deployments.apps", "gondor:1")
	if got := s.looks("label", func() { s.change(web, func() { web.Labels = map[string]string{"tier": "back"} }) }); got == 0 {
		t.Error("another label had no decision made")
	}
}
