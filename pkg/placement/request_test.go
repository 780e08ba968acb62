package placement

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestRequestOfOneReplica(t *testing.T) {
	for _, test := range []struct {
		name, spec string
		want       map[corev1.ResourceName]string
	}{
		{"nothing requested", `{containers: [{name: a}]}`, map[corev1.ResourceName]string{"pods": "1"}},
		{"containers add up", `{containers: [
			{name: a, resources: {requests: {cpu: 100m, memory: 1Gi, ephemeral-storage: 1Gi}}},
			{name: b, resources: {requests: {cpu: 200m, example.com/gpu: "1"}}}]}`,
			map[corev1.ResourceName]string{"pods": "1", "cpu": "300m", "memory": "1Gi", "example.com/gpu": "1"}},
		{"limits stand in for requests", `{containers: [{name: a, resources: {limits: {cpu: "1", memory: 1Gi}, requests: {cpu: 100m}}}]}`,
			map[corev1.ResourceName]string{"pods": "1", "cpu": "100m", "memory": "1Gi"}},
		{"the greatest init container", `{containers: [{name: a, resources: {requests: {cpu: 100m}}}],
			initContainers: [{name: i, resources: {requests: {cpu: "1"}}}, {name: j, resources: {requests: {cpu: 500m}}}]}`,
			map[corev1.ResourceName]string{"pods": "1", "cpu": "1"}},
		{"sidecars stay", `{containers: [{name: a, resources: {requests: {cpu: 100m}}}],
			initContainers: [{name: s, restartPolicy: Always, resources: {requests: {cpu: 50m}}}]}`,
			map[corev1.ResourceName]string{"pods": "1", "cpu": "150m"}},
		{"overhead", `{containers: [{name: a, resources: {requests: {cpu: 100m}}}], overhead: {cpu: 10m}}`,
			map[corev1.ResourceName]string{"pods": "1", "cpu": "110m"}},
		{"the pod as a whole", `{containers: [{name: a, resources: {requests: {cpu: 100m}}}], resources: {requests: {cpu: "2"}}}`,
			map[corev1.ResourceName]string{"pods": "1", "cpu": "2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := map[string]any{}
			if err := yaml.Unmarshal([]byte(test.spec), &spec); err != nil {
				t.Fatal(err)
			}
			obj := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"template": map[string]any{"spec": spec}}}}
			got := map[corev1.ResourceName]string{}
			for name, q := range requestOf(obj, []string{"spec", "template"}) {
				got[name] = q.String()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
	if got := requestOf(&unstructured.Unstructured{Object: map[string]any{}}, nil); got != nil {
		t.Errorf("an object without pods requests %v", got)
	}
}

func BenchmarkRequestOfOneReplica(b *testing.B) {
	container := map[string]any{"name": "web", "resources": map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "128Mi"}}}
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers": []any{container, container},
	}}}}}
	b.ReportAllocs()
	var request corev1.ResourceList
	for b.Loop() {
		request = requestOf(obj, []string{"spec", "template"})
	}
	if want := resource.MustParse("200m"); request.Cpu().Cmp(want) != 0 {
		b.Errorf("cpu %s, want %s", request.Cpu(), &want)
	}
}
