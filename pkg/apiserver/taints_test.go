package apiserver

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestTaints(t *testing.T) {
	plugin := newTaints()
	plugin.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC) }
	for name, test := range map[string]struct{ old, written, want string }{
		"none":             {"", "[]", "[]"},
		"created":          {"", "[{key: a, effect: NoExecute}]", `[{key: a, effect: NoExecute, timeAdded: "2026-01-02T03:04:05Z"}]`},
		"others need none": {"[]", "[{key: a, effect: NoSchedule}]", "[{key: a, effect: NoSchedule}]"},
		"written":          {"[]", `[{key: a, effect: NoExecute, timeAdded: "2025-01-01T00:00:00Z"}]`, `[{key: a, effect: NoExecute, timeAdded: "2025-01-01T00:00:00Z"}]`},
		"applied again": {`[{key: a, effect: NoExecute, timeAdded: "2025-01-01T00:00:00Z"}]`, "[{key: b, effect: NoExecute}, {key: a, effect: NoExecute}]",
			`[{key: b, effect: NoExecute, timeAdded: "2026-01-02T03:04:05Z"}, {key: a, effect: NoExecute, timeAdded: "2025-01-01T00:00:00Z"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := func(taints string) *unstructured.Unstructured {
				obj := &unstructured.Unstructured{}
				if err := yaml.Unmarshal([]byte("{metadata: {name: gondor}, spec: {taints: "+taints+"}}"), &obj.Object); err != nil {
					t.Fatal(err)
				}
				return obj
			}
			obj, operation := cluster(test.written), admission.Create
			var old runtime.Object
			if test.old != "" {
				old, operation = cluster(test.old), admission.Update
			}
			attr := admission.NewAttributesRecord(obj, old, federation.GroupVersion.WithKind("Cluster"), "", "gondor",
				federation.GroupVersion.WithResource("clusters"), "", operation, &metav1.CreateOptions{}, false, nil)
			if err := plugin.Admit(t.Context(), attr, nil); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(cluster(test.want).Object, obj.Object); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
