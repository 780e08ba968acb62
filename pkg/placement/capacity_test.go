package placement

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestFits(t *testing.T) {
	list := func(cpu, pods string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourcePods: resource.MustParse(pods)}
	}
	three := []federation.FreeNodes{{Nodes: 3, Free: list("16", "110")}}
	for name, test := range map[string]struct {
		request, reserved corev1.ResourceList
		want              int64
	}{
		"by the scarcest resource of each node": {list("3", "1"), nil, 15},
		"less what was placed":                  {list("3", "1"), list("36", "12"), 3},
		"CPUs are taken, pods are scarcer":      {list("10m", "1"), list("36", "12"), 318},
		"all is taken":                          {list("3", "1"), list("60", "20"), 0},
		"something else is taken":               {list("3", "1"), corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}, 15},
	} {
		t.Run(name, func(t *testing.T) {
			q := &question{Input: Input{Object: Object{Request: test.request}}}
			if got := q.fits(&candidate{Cluster: &Cluster{Free: three, Reserved: test.reserved}}); got != test.want {
				t.Errorf("%d fit, want %d", got, test.want)
			}
		})
	}
}
