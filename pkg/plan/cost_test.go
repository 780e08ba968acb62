package plan_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/plan"
)

// market puts prices on middleEarth: gondor by its cloud, rohan by its spec in another currency, shire's is not known.
func market() *plan.World {
	w := middleEarth()
	members := map[string]*federation.Cluster{}
	for i := range w.Clusters {
		c := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: w.Clusters[i].Name}}
		c.Status.Nodes = federation.NodeCount{Total: 4, Ready: 3}
		c.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi")}
		members[c.Name] = c
	}
	members["gondor"].Status.Price = &federation.PriceStatus{Price: federation.Price{Currency: "USD", CPUHour: resource.MustParse("0.04"), GiBHour: resource.MustParse("0.005")},
		Spot: 50, EgressGiB: ptr.To(resource.MustParse("0.1")), Source: "api", At: metav1.Time{Time: now}}
	members["rohan"].Spec.Price = &federation.Price{Currency: "EUR", CPUHour: resource.MustParse("0.02"), GiBHour: resource.MustParse("0.01")}
	for i := range w.Clusters {
		facts := placement.ClusterFacts(members[w.Clusters[i].Name])
		w.Clusters[i].Price, w.Clusters[i].EgressGiB, w.Clusters[i].Spot = facts.Price, facts.EgressGiB, facts.Spot
	}
	w.Members = members
	return w
}

const requests = "template: {spec: {containers: [{name: c, resources: {requests: {cpu: 500m, memory: 2Gi}}}]}}"

// costs is a report for a person to read.
func costs(r plan.CostReport) []string {
	var lines []string
	write := func(name string, pods int32, c plan.Cost, spot int32) {
		line := fmt.Sprintf("%s %d", name, pods)
		for _, currency := range c.Hour.Currencies() {
			line += fmt.Sprintf(" %.3f %s", c.Hour[currency], currency)
		}
		if c.Unknown > 0 {
			line += fmt.Sprintf(" unknown %d", c.Unknown)
		}
		lines = append(lines, fmt.Sprintf("%s %d%%", line, spot))
	}
	for _, i := range r.Items {
		name := strings.TrimSpace(i.Cluster + i.Namespace + " " + i.Kind + i.Name)
		if i.Idle {
			name += " idle"
		}
		write(name, i.Pods, i.Cost, i.Spot)
	}
	write("all", 0, r.Total, 0)
	return lines
}

func TestCost(t *testing.T) {
	w := market()
	put(t, w, deployment, "web", "spec: {replicas: 6, "+requests+"}", "gondor 2, rohan 3, shire 1", "")
	put(t, w, deployment, "sends", "metadata: {namespace: shop, annotations: {federation.kubefed.dev/egress-gib-per-hour: \"2\"}}\nspec: {replicas: 2, "+requests+"}", "gondor 1, rohan 1", "")
	put(t, w, deployment, "free", "spec: {replicas: 1, template: {spec: {containers: [{name: c}]}}}", "gondor 1", "")
	put(t, w, deployment, "none", "spec: {replicas: 0, "+requests+"}", "gondor 0", "")
	put(t, w, kindOf("apps/v1", "DaemonSet", "daemonsets"), "agent", "spec: {"+requests+"}", "gondor", "")
	put(t, w, kindOf("batch/v1", "CronJob", "cronjobs"), "nightly", "spec: {jobTemplate: {spec: {"+requests+"}}}", "gondor", "")
	put(t, w, deployment, "everywhere", "spec: {replicas: 2, "+requests+"}", "rohan", "")
	put(t, w, configMap, "config", "", "gondor, rohan", "")
	done := put(t, w, kindOf("batch/v1", "Job", "jobs"), "done", "spec: {parallelism: 3, "+requests+"}", "gondor 3", "")
	w.Objects[done].Decision.Status.Clusters[0].Finished = true
	// A replica costs 0.5 * 0.04 + 2 * 0.005 = 0.03 USD in gondor, 0.5 * 0.02 + 2 * 0.01 = 0.03 EUR in rohan; nodes cost 0.48 in each.
	for by, want := range map[string][]string{
		plan.ByCluster: {
			"gondor 8 0.380 USD unknown 2 50%", "gondor idle 0 0.300 USD 50%",
			"rohan 6 0.150 EUR unknown 1 0%", "rohan idle 0 0.300 EUR 0%",
			"shire 1 unknown 1 0%", "shire idle 0 0%",
			"all 0 0.450 EUR 0.680 USD unknown 4 0%"},
		plan.ByNamespace: {"shop 15 0.150 EUR 0.380 USD unknown 4 27%", "all 0 0.150 EUR 0.380 USD unknown 4 0%"},
		plan.ByWorkload: {
			"shop CronJobnightly 1 unknown 1 50%", "shop DaemonSetagent 3 0.090 USD 50%", "shop Deploymenteverywhere 2 0.060 EUR 0%",
			"shop Deploymentfree 1 unknown 1 50%", "shop Deploymentsends 2 0.230 USD unknown 1 25%", "shop Deploymentweb 6 0.090 EUR 0.060 USD unknown 1 17%",
			"all 0 0.150 EUR 0.380 USD unknown 4 0%"},
	} {
		if diff := cmp.Diff(want, costs(w.Cost(by, ""))); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", by, diff)
		}
	}
	if got := w.Cost(plan.ByCluster, "elsewhere"); len(got.Items) != 0 || len(got.Clusters) != 3 {
		t.Errorf("in an empty namespace: %v", costs(got))
	}
	sources := []string{}
	for _, p := range w.Cost(plan.ByCluster, "").Clusters {
		sources = append(sources, strings.TrimSpace(p.Cluster+" "+p.Currency+" "+p.Source))
	}
	if diff := cmp.Diff([]string{"gondor USD api", "rohan EUR spec", "shire"}, sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

// TestPlannedCost: a change says how much more it costs, by currency.
func TestPlannedCost(t *testing.T) {
	before := market()
	put(t, before, deployment, "web", "spec: {replicas: 4, "+requests+"}", "gondor 2, rohan 2", "")
	after := before.Without("gondor")
	changes := plan.Compare(before, after, after.Settle(), false)
	if len(changes) != 1 {
		t.Fatalf("changes: %s", show(changes))
	}
	got := []string{}
	for _, c := range []plan.Cost{changes[0].CostNow, changes[0].CostThen, plan.Difference(changes)} {
		got = append(got, fmt.Sprintf("EUR %.2f USD %.2f unknown %d", c.Hour["EUR"], c.Hour["USD"], c.Unknown))
	}
	want := []string{"EUR 0.06 USD 0.06 unknown 0", "EUR 0.06 USD 0.00 unknown 2", "EUR 0.00 USD -0.06 unknown 2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("now, then, difference (-want +got):\n%s\n%s", diff, show(changes))
	}
}

// TestCostsAddUp: whatever the federation's cost is divided by, the sum is the same, and with what is idle it is what nodes cost.
func TestCostsAddUp(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := market()
		for i := range rapid.IntRange(0, 6).Draw(r, "workloads") {
			n, m := rapid.IntRange(0, 2).Draw(r, "gondor"), rapid.IntRange(0, 2).Draw(r, "rohan")
			put(t, w, deployment, fmt.Sprint("web", i), fmt.Sprintf("spec: {replicas: %d, %s}", n+m, requests), fmt.Sprintf("gondor %d, rohan %d", n, m), "")
		}
		clusters, namespaces, workloads := w.Cost(plan.ByCluster, ""), w.Cost(plan.ByNamespace, ""), w.Cost(plan.ByWorkload, "")
		for _, currency := range []string{"EUR", "USD"} {
			if all := clusters.Total.Hour[currency]; math.Abs(all-0.48) > 1e-9 {
				r.Fatalf("%s: nodes cost 0.48, the report says %f", currency, all)
			}
			idle := 0.0
			for _, item := range clusters.Items {
				if item.Idle {
					idle += item.Hour[currency]
				}
			}
			a, b := namespaces.Total.Hour[currency], workloads.Total.Hour[currency]
			if math.Abs(a-b) > 1e-9 || math.Abs(a+idle-0.48) > 1e-9 {
				r.Fatalf("%s: by namespace %f, by workload %f, idle %f", currency, a, b, idle)
			}
		}
		if !slices.IsSortedFunc(workloads.Items, func(a, b plan.CostItem) int { return strings.Compare(a.Name, b.Name) }) {
			r.Fatalf("not sorted: %v", costs(workloads))
		}
	})
}
