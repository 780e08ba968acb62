package placement

import (
	"testing"

	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// TestSpillOverConverges: whatever room clusters turn out to have, as long as it is enough for all in all, every
// replica finds some, and stays there. Without groups nothing waits in the end and nothing moves any more; with groups
// the better clusters are tried again and again, and all that is asked for stays ready meanwhile.
func TestSpillOverConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{pods: map[string][]int{}, holds: map[string]int32{}, started: noon}
		w.in.Clusters = ready("a", "b", "c", "d", "e")
		room := int32(0)
		for _, c := range w.in.Clusters {
			w.holds[c.Name] = rapid.Int32Range(0, 8).Draw(t, "room of "+c.Name)
			room += w.holds[c.Name]
		}
		w.in.Object = web(rapid.Int32Range(0, room).Draw(t, "replicas"))
		w.in.Object.Ordered = rapid.Bool().Draw(t, "ordered")
		grouped := rapid.Bool().Draw(t, "grouped")
		switch {
		case grouped:
			w.in.Policy = by(federation.Propagation{ClusterGroups: groups("a,b", "c,d,e")})
		case rapid.Bool().Draw(t, "weighted"):
			division := &federation.ReplicaDivision{}
			for _, c := range w.in.Clusters {
				division.Clusters = append(division.Clusters, federation.ReplicaRule{
					ClusterSelector: names(c.Name), Weight: ptr.To(rapid.Int32Range(1, 5).Draw(t, "weight")),
				})
			}
			w.in.Policy = by(federation.Propagation{ReplicaDivision: division})
		}
		for range 120 {
			w.checkedStep(t, false)
		}
		var last Decision
		for minute := range 60 {
			d := w.checkedStep(t, false)
			if w.allReady() < *w.in.Object.Replicas {
				t.Fatalf("not all replicas found room: %s", w)
			}
			if !grouped {
				if minute > 0 && !Same(&last, &d) {
					t.Fatalf("comes to no rest: %s\nbefore %v", w, last)
				}
				for _, c := range w.in.Clusters {
					if _, stuck := w.ready(c.Name); stuck > 0 {
						t.Fatalf("%s has replicas that wait: %s", c.Name, w)
					}
				}
			}
			last = d
		}
	})
}
