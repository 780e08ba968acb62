package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// priced sets what running pods costs in a member, in EUR for a CPU-hour; "" takes the price away.
func priced(t *testing.T, cluster, cpuHour string) {
	t.Helper()
	price := "null"
	if cpuHour != "" {
		price = fmt.Sprintf(`{"currency":"EUR","cpuHour":%q,"gibHour":"0"}`, cpuHour)
	}
	must(t, "kubectl", "--context="+federationName, "patch", "cluster", cluster, "--type=merge", "-p", `{"spec":{"price":`+price+`}}`)
}

// TestCost: what runs costs so much, a change says what it costs, and replicas follow prices within bounds and come back.
func TestCost(t *testing.T) {
	ns := namespace(t, "cost")
	t.Cleanup(func() {
		for _, cluster := range []string{"gondor", "rohan"} {
			_, _ = federation.run(t.Context(), "kubectl", "--context="+federationName, "patch", "cluster", cluster, "--type=merge", "-p", `{"spec":{"price":null}}`)
		}
	})
	priced(t, "gondor", "0.04")
	priced(t, "rohan", "0.05")
	apply(t, federationName, into(ns, propagation(`  clusterGroups: [{name: two, names: [gondor, rohan]}]
  replicaDivision:
    strategy: Price
    rebalance: true
    price: {maxSpot: 50%, minSavings: 10%, stableFor: 0s, overlap: 10s}
    clusters: [{names: [gondor], minReplicas: 1}, {names: [rohan]}]
  moves: {minimumStay: 0s}
`)))
	web := strings.Replace(fleet("Deployment", 4, ""), `image: "nginx:1.27"`, `image: "nginx:1.27", resources: {requests: {cpu: 100m}}`, 1)
	apply(t, federationName, into(ns, web))
	placedAs(t, ns, "Deployment", "gondor 4", 30*time.Second)
	if out := must(t, "kubefed", "cost", "--by", "workload", "-n", ns); !strings.Contains(out, "Deployment "+ns+"/web   4      0%     0.0160 EUR   11.68 EUR") {
		t.Errorf("4 replicas of 0.1 CPUs at 0.04 EUR are\n%s", out)
	}
	if out := must(t, "kubefed", "cost"); !strings.Contains(out, "gondor (idle)") || !strings.Contains(out, " EUR + ") {
		t.Errorf("by cluster the cost is\n%s", out)
	}
	larger := strings.Replace(web, "replicas: 4", "replicas: 6", 1)
	if out := must(t, "kubefed", "plan", "-f", manifest(t, "web.yaml", into(ns, larger))); !strings.Contains(out, "It would cost 0.0080 EUR an hour more, 5.84 EUR a month") {
		t.Errorf("two replicas more cost\n%s", out)
	}
	priced(t, "rohan", "0.038") // 5% less: not enough
	refused(t, []string{"kubectl", "--context=" + federationName, "wait", "placementdecision/web.deployments.apps", "-n", ns, "--for=jsonpath={.spec.moving}=true", "--timeout=3s"}, "timed out")
	priced(t, "rohan", "0.01")
	placedAs(t, ns, "Deployment", "gondor 1, rohan 3", 60*time.Second)
	if out := must(t, "kubefed", "why", "deployment/web", "-n", ns); !strings.Contains(out, "0.0010 EUR/h") {
		t.Errorf("a replica in rohan costs\n%s", out)
	}
	priced(t, "rohan", "0.05")
	placedAs(t, ns, "Deployment", "gondor 4", 60*time.Second)
	refused(t, []string{"kubefed", "cost", "--by", "colour"}, "use cluster, namespace or workload")
}
