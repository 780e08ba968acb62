package placement

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

// many are clusters of 10 regions with 3 groups of nodes each.
func many(n int) []Cluster {
	clusters := make([]Cluster, n)
	for i := range clusters {
		c := &clusters[i]
		c.Cluster = policy.Cluster{Name: fmt.Sprintf("cluster-%04d", i), Region: fmt.Sprintf("region-%d", i%10), Provider: "aws", Labels: map[string]string{"tier": fmt.Sprint(i % 2)}}
		c.Ready = true
		c.APIs = map[string]bool{"v1": true, "apps/v1": true, "batch/v1": true}
		c.Spot = int32(i % 3 * 50)
		c.Price = &federation.Price{Currency: "EUR", CPUHour: *resource.NewMilliQuantity(int64(30+i%7), resource.DecimalSI), GiBHour: resource.MustParse("0.004")}
		for g := range 3 {
			c.Free = append(c.Free, federation.FreeNodes{Nodes: int32(g + 1), Free: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("3500m"), corev1.ResourceMemory: resource.MustParse("12Gi"), corev1.ResourcePods: resource.MustParse("80")}})
		}
	}
	return clusters
}

// BenchmarkPolicy measures decisions per second on one core by policies: a new object, and one that is scaled.
func BenchmarkPolicy(b *testing.B) {
	tiers := []federation.ClusterGroup{
		{Name: "first", ClusterSelector: federation.ClusterSelector{MatchLabels: map[string]string{"tier": "0"}}},
		{Name: "second", ClusterSelector: federation.ClusterSelector{MatchLabels: map[string]string{"tier": "1"}}},
	}
	for _, n := range []int{100, 1000} {
		clusters := many(n)
		for name, rule := range map[string]federation.Propagation{
			"weighted": {},
			"groups":   {ClusterGroups: tiers},
			"capacity": {ReplicaDivision: divided(federation.StrategyFreeCapacity)},
			"packed":   {ReplicaDivision: divided(federation.StrategyPacked)},
			"price":    {ReplicaDivision: divided(federation.StrategyPrice)},
			"spot": {ReplicaDivision: &federation.ReplicaDivision{Mode: federation.DivisionDivided, Strategy: federation.StrategyPrice, Rebalance: true,
				Price: &federation.PriceDivision{MaxSpot: "20%"}}},
			"spread": {TopologySpreadConstraints: []federation.TopologySpreadConstraint{spreadOver("region", 1, 3, 0)}},
		} {
			o := web(int32(n) * 3 / 2)
			o.Request = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("1Gi"), corev1.ResourcePods: resource.MustParse("1")}
			in := Input{Object: o, Policy: by(rule), Clusters: clusters, Now: noon}
			in.Scope = ScopeOf(in.Policy, clusters)
			current := decide(in)
			scaled := in
			scaled.Object.Replicas, scaled.Current = web(int32(n)*5/3).Replicas, &current
			for what, in := range map[string]Input{"new": in, "scaled": scaled} {
				b.Run(fmt.Sprintf("clusters=%d/%s/%s", n, name, what), func(b *testing.B) {
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
}

// cpuTime is what the process has used of processors: other processes do not count.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkRosterChange measures the CPU that 5,000 objects take after one of 100 clusters left.
func BenchmarkRosterChange(b *testing.B) {
	clusters := many(100)
	var inputs []Input
	for i := range 5000 {
		o := web(int32(3 + i%20))
		o.Reference.Name = fmt.Sprintf("web-%d", i)
		in := Input{Object: o, Clusters: clusters, Now: noon}
		if i%2 == 0 {
			in.Policy = by(federation.Propagation{})
			in.Scope = ScopeOf(in.Policy, clusters)
		}
		d := decide(in)
		in.Current, in.Clusters, in.Scope = &d, clusters[1:], nil
		inputs = append(inputs, in)
	}
	b.ReportAllocs()
	started := cpuTime(b)
	for b.Loop() {
		for i := range inputs {
			decide(inputs[i])
		}
	}
	b.ReportMetric((cpuTime(b)-started).Seconds()/float64(b.N), "cpu-s/5000")
}
