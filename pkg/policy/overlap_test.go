package policy

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestOverlap(t *testing.T) {
	kind := federation.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}
	named := func(name string) federation.ResourceSelector { s := kind; s.Name = name; return s }
	labelled := func(value string) federation.ResourceSelector {
		s := kind
		s.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": value}}
		return s
	}
	anyOf := func(s federation.ResourceSelector) federation.ResourceSelector {
		s.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpExists}}}
		return s
	}
	for _, test := range []struct {
		name string
		a, b federation.ResourceSelector
		want bool
	}{
		{"the same kind", kind, kind, true},
		{"any kind", federation.ResourceSelector{}, federation.ResourceSelector{}, true},
		{"one is more specific", kind, federation.ResourceSelector{}, false},
		{"another kind", kind, federation.ResourceSelector{APIVersion: "v1", Kind: "ConfigMap"}, false},
		{"the same name", named("web"), named("web"), true},
		{"another name", named("web"), named("api"), false},
		{"the same label", labelled("front"), labelled("front"), true},
		{"another value of a label", labelled("front"), labelled("back"), false},
		{"labels that may meet", labelled("front"), anyOf(kind), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			compiled := func(name string, s federation.ResourceSelector) *Propagation {
				p := &federation.PropagationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
				p.Spec.ResourceSelectors = []federation.ResourceSelector{s}
				c, err := OfNamespace(p)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			a, b := compiled("a", test.a), compiled("b", test.b)
			if Overlap(a, b) != test.want || Overlap(b, a) != test.want || Overlap(a, a) {
				t.Errorf("overlap %v and %v, want %v; with itself %v", Overlap(a, b), Overlap(b, a), test.want, Overlap(a, a))
			}
		})
	}
}
