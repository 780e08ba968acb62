package policy

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// A policy spreads Secrets only where it says so.
func TestSecretsAreSelectedByKind(t *testing.T) {
	labelled := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	for name, test := range map[string]struct {
		selectors     []federation.ResourceSelector
		secret, other bool
	}{
		"everything":         {[]federation.ResourceSelector{{}}, false, true},
		"labels":             {[]federation.ResourceSelector{{LabelSelector: labelled}}, false, true},
		"kind":               {[]federation.ResourceSelector{{APIVersion: "v1", Kind: "Secret"}}, true, false},
		"kind and labels":    {[]federation.ResourceSelector{{APIVersion: "v1", Kind: "Secret", LabelSelector: labelled}}, true, false},
		"name":               {[]federation.ResourceSelector{{APIVersion: "v1", Kind: "Secret", Name: "web"}}, true, false},
		"everything, or one": {[]federation.ResourceSelector{{}, {APIVersion: "v1", Kind: "Secret", Name: "web"}}, true, true},
	} {
		p, err := OfNamespace(&federation.PropagationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"},
			Spec: federation.PropagationPolicySpec{ResourceSelectors: test.selectors}})
		if err != nil {
			t.Fatal(err)
		}
		for kind, want := range map[string]bool{"Secret": test.secret, "ConfigMap": test.other} {
			o := Object{GroupKind: schema.GroupKind{Kind: kind}, Namespace: "shop", Name: "web", Labels: labelled.MatchLabels}
			if chosen := Choose([]*Propagation{p}, o); (chosen != nil) != want {
				t.Errorf("%s: selects the %s: %v, want %v", name, kind, chosen != nil, want)
			}
		}
	}
}
