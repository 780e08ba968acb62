package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"kubefed.dev/kubefed/pkg/plan"
)

func TestCostPrinted(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	clusters := []plan.ClusterPrice{
		{Cluster: "gondor", Currency: "USD", CPUHour: 0.032797, GiBHour: 0.004396, EgressGiB: ptr.To(0.09), Spot: 40, Unpriced: 1, Source: "api", At: ptr.To(at.Add(-5 * time.Minute))},
		{Cluster: "rohan", Currency: "EUR", CPUHour: 0.011, GiBHour: 0.0014, Source: "spec"},
		{Cluster: "shire", Spot: 100},
	}
	usd := func(hour float64) plan.Cost { return plan.Cost{Hour: plan.Money{"USD": hour}} }
	byCluster := plan.CostReport{At: at, By: plan.ByCluster, Clusters: clusters, Total: plan.Cost{Hour: plan.Money{"USD": 0.6, "EUR": 0.1}, Unknown: 3}, Items: []plan.CostItem{
		{Cluster: "gondor", Pods: 12, Cost: usd(0.42), Spot: 40}, {Cluster: "gondor", Idle: true, Cost: usd(0.18), Spot: 40},
		{Cluster: "rohan", Pods: 2, Cost: plan.Cost{Hour: plan.Money{"EUR": 0.02}, Unknown: 1}}, {Cluster: "rohan", Idle: true, Cost: plan.Cost{Hour: plan.Money{"EUR": 0.08}}},
		{Cluster: "shire", Pods: 2, Cost: plan.Cost{Unknown: 2}, Spot: 100}, {Cluster: "shire", Idle: true, Spot: 100},
	}}
	byWorkload := plan.CostReport{At: at, By: plan.ByWorkload, Clusters: clusters[:2], Total: plan.Cost{Hour: plan.Money{"USD": 0.42, "EUR": 0.02}}, Items: []plan.CostItem{
		{Namespace: "shop", Kind: "Deployment", Name: "web", Pods: 13, Spot: 37, Cost: plan.Cost{Hour: plan.Money{"USD": 0.42, "EUR": 0.02}}},
	}}
	for name, test := range map[string]struct {
		output string
		report plan.CostReport
	}{
		"cost.txt":          {"", byCluster},
		"cost-wide.txt":     {"wide", byCluster},
		"cost.csv":          {"csv", byCluster},
		"cost.json":         {"json", byWorkload},
		"cost-workload.txt": {"", byWorkload},
		"cost-workload.csv": {"csv", byWorkload},
		"cost-nothing.txt":  {"", plan.CostReport{At: at, By: plan.ByNamespace}},
	} {
		var out bytes.Buffer
		if err := (&costFlags{by: test.report.By, output: test.output}).printCost(Streams{Out: &out}, test.report); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantGolden(t, name, out.String())
	}
}

func TestCostFlags(t *testing.T) {
	for line, want := range map[string]string{
		"cost --by colour": "use cluster, namespace or workload",
		"cost -o xml":      "use wide, csv, json or yaml",
		"cost -n shop -A":  "leave one of them out",
		"cost everything":  "takes no arguments",
	} {
		var out, errs bytes.Buffer
		if code := Main(strings.Fields(line), Streams{Out: &out, Err: &errs}); code != ExitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("kubefed %s: exit code %d, %s", line, code, errs.String())
		}
	}
}
