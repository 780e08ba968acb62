package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestUnhealthyInOnePlace: a workload that does not become ready in one cluster, by what is different there, while it is ready elsewhere,
// moves away from there after a while; the decision says so, and nothing of it is lost.
func TestUnhealthyInOnePlace(t *testing.T) {
	for _, m := range members {
		judged(t, m, "Ready", 60*time.Second)
	}
	ns := namespace(t, "unhealthy")
	apply(t, federationName, into(ns, propagation(`
  moves: {unhealthyAfter: 4s, maxMoving: 100%}`)+`
---
apiVersion: federation.kubefed.dev/v1alpha1
kind: OverridePolicy
metadata: {name: broken}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: web}]
  rules:
  - clusters: {names: [shire]}
    env: [{container: web, set: [{name: PORT, value: "9999"}]}]
`))
	apply(t, federationName, into(ns, strings.Split(strings.Replace(named, "replicas: 3", "replicas: 6", 1), "---")[0]))
	placedAs(t, ns, "Deployment", "gondor 3, rohan 3", 90*time.Second)
	d, _ := get(t, federationName, "placementdecision", "web.deployments.apps", "-n", ns)
	full, _ := field(d, "spec", "full").([]any)
	if len(full) != 1 || text(full[0].(map[string]any), "name") != "shire" {
		t.Errorf("the decision does not say that shire is full: %v", full)
	}
	if why := must(t, "kubefed", "why", "deployment/web", "-n", ns, "--context="+federationName); !strings.Contains(why, "shire") {
		t.Errorf("kubefed why does not tell of shire:\n%s", why)
	}
}
