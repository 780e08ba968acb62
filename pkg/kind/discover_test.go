package kind

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestReplicasOfCustomKinds(t *testing.T) {
	for _, test := range []struct {
		name, annotations, subresources string
		want                            []string
	}{
		{"none", `{}`, `{status: {}}`, nil},
		{"a scale subresource", `{}`, `{scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}`, []string{"spec", "size"}},
		{"declared", `{federation.kubefed.dev/replicas-path: .spec.workers.count}`, `{}`, []string{"spec", "workers", "count"}},
		{"declared beside a scale subresource", `{federation.kubefed.dev/replicas-path: spec.workers}`,
			`{scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}`, []string{"spec", "workers"}},
		{"no simple path", `{federation.kubefed.dev/replicas-path: ".spec.groups[0].replicas"}`, `{}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			crd := map[string]any{}
			if err := yaml.Unmarshal([]byte(`
metadata: {name: rings.example.com, annotations: `+test.annotations+`}
spec:
  group: example.com
  names: {plural: rings, kind: Ring}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, subresources: `+test.subresources+`}]
status: {conditions: [{type: Established, status: "True"}]}`), &crd); err != nil {
				t.Fatal(err)
			}
			k, served := OfDefinition(&unstructured.Unstructured{Object: crd})
			if !served {
				t.Fatal("the kind is not served")
			}
			if diff := cmp.Diff(test.want, k.Replicas); diff != "" {
				t.Errorf("path of the replicas (-want +got):\n%s", diff)
			}
		})
	}
}
