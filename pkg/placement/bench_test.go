package placement

import (
	"fmt"
	"testing"
)

// BenchmarkPlace measures decisions per second on one core: a new object, one that is scaled, and one that is
// asked about again.
func BenchmarkPlace(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("cluster-%04d", i))
		}
		clusters := ready(names...)
		for i := range clusters {
			clusters[i].APIs = map[string]bool{"v1": true, "apps/v1": true, "batch/v1": true}
		}
		current := decide(Input{Object: web(int32(n) * 3 / 2), Clusters: clusters})
		for name, in := range map[string]Input{
			"new":       {Object: web(int32(n) * 3 / 2), Clusters: clusters},
			"scaled":    {Object: web(int32(n) * 5 / 3), Clusters: clusters, Current: &current},
			"unchanged": {Object: web(int32(n) * 3 / 2), Clusters: clusters, Current: &current},
			"copied":    {Object: config(), Clusters: clusters},
		} {
			b.Run(fmt.Sprintf("clusters=%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				started := cpuTime(b)
				for b.Loop() {
					decide(in)
				}
				b.ReportMetric(float64(b.N)/(cpuTime(b)-started).Seconds(), "decisions/cpu-s")
			})
		}
	}
}
