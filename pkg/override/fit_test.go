package override

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kubefed.dev/kubefed/pkg/kind"
)

func TestCheckKind(t *testing.T) {
	p, err := OfNamespace(policyOf(t, `[{labels: {set: {a: b}}}, {images: [{tag: "2"}], env: [{container: c, remove: [A]}], jsonPatch: [{op: test, path: /spec/replicas, value: 1}, {op: add, path: /spec/replicas, value: 2}]},
  {jsonPatch: [{op: add, path: /spec/ordinals/start, value: 2}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		kind schema.GroupKind
		want []string
	}{
		{schema.GroupKind{Group: "apps", Kind: "Deployment"}, []string{"spec.rules[1].jsonPatch[1]: add /spec/replicas"}},
		{schema.GroupKind{Group: "apps", Kind: "StatefulSet"}, []string{"spec.rules[1].jsonPatch[1]: add /spec/replicas", "spec.rules[2].jsonPatch[0]: add /spec/ordinals/start"}},
		{schema.GroupKind{Group: "apps", Kind: "DaemonSet"}, nil},
		{schema.GroupKind{Kind: "ConfigMap"}, []string{"spec.rules[1].images: a ConfigMap has no pod template", "spec.rules[1].env: a ConfigMap has no pod template"}},
	} {
		t.Run(test.kind.Kind, func(t *testing.T) {
			err := p.CheckKind(kind.Kind{GroupVersionKind: test.kind.WithVersion("v1"), Rule: kind.RuleOf(test.kind)})
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(test.want) {
				t.Fatalf("got %d errors, want %d: %v", len(got), len(test.want), err)
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q in it", got[i], want)
				}
			}
		})
	}
}

func TestContainers(t *testing.T) {
	p, err := OfNamespace(policyOf(t, `[{images: [{tag: "2"}, {containers: [c, init], tag: "2"}], command: [{container: c, replace: [x]}], args: [{container: d, append: [x]}]}, {env: [{container: proxy, remove: [A]}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	in := object(t, web)
	p.Containers(func(field, container string) {
		if HasContainer(kindOf(in), in, container) {
			container += " is there"
		}
		got = append(got, field+" "+container)
	})
	want := []string{
		"spec.rules[0].images[1].containers c is there", "spec.rules[0].images[1].containers init is there", "spec.rules[0].command[0].container c is there",
		"spec.rules[0].args[0].container d", "spec.rules[1].env[0].container proxy is there",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
