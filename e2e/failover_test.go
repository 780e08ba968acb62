package e2e

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestDrain: a living cluster is drained under a floor of ready replicas and taken back; the replicas come back, and what
// does not run has never left.
func TestDrain(t *testing.T) {
	ns := namespace(t, "drain")
	t.Cleanup(func() {
		_, _ = federation.run(context.Background(), "kubefed", "uncordon", "gondor", "--context="+federationName)
	})
	apply(t, federationName, into(ns, webDeployment))
	kubectl(t, "create", "configmap", "kept", "-n", ns, "--from-literal=v=1")
	synced(t, ns, 60*time.Second)
	placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 60*time.Second)

	if out := must(t, "kubefed", "drain", "gondor", "--dry-run", "--context="+federationName); !strings.Contains(out, "Deployment "+ns+"/web") {
		t.Errorf("the plan does not show what would move:\n%s", out)
	}
	refused(t, []string{"kubefed", "drain", "gondor", "rohan", "shire", "--context=" + federationName}, "no cluster would be left")
	refused(t, []string{"kubefed", "drain", "mordor", "--context=" + federationName}, "no cluster mordor has joined")

	least := floor(t, ns)
	out := must(t, "kubefed", "drain", "gondor", "--timeout=90s", "--context="+federationName)
	if !strings.Contains(out, "drained gondor") {
		t.Errorf("kubefed drain said %s", out)
	}
	placedAs(t, ns, "Deployment", "rohan 3, shire 3", 30*time.Second)
	if _, there := get(t, "gondor", "deployment/web", "-n", ns); there {
		t.Error("the Deployment is still in gondor")
	}
	if _, there := get(t, "gondor", "configmap/kept", "-n", ns); !there {
		t.Error("the ConfigMap left gondor")
	}
	must(t, "kubefed", "uncordon", "gondor", "--context="+federationName)
	placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 60*time.Second)
	if n := least(); n < 6 {
		t.Errorf("only %d of 6 replicas were ready meanwhile", n)
	}
}

// TestMemberDies: a member dies with its share of a Deployment. Its replicas run elsewhere after the verdict and 30 s, it
// comes back with old copies, and these go, since their replacements are ready; nothing moves back before stableFor.
func TestMemberDies(t *testing.T) {
	ns := namespace(t, "dies")
	apply(t, federationName, into(ns, webDeployment))
	kubectl(t, "create", "configmap", "kept", "-n", ns, "--from-literal=v=1")
	synced(t, ns, 60*time.Second)
	placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 60*time.Second)
	t.Cleanup(func() {
		_, _ = federation.run(context.Background(), "kubefed", "playground", "start", "shire", "--dir="+federation.dir)
	})
	start := time.Now()
	playground(t, "kill", "shire")
	// Whether the verdict is Down depends on witnesses; a person may know better.
	eventually(t, "the verdict", 30*time.Second, func() (bool, string) {
		c, _ := get(t, federationName, "cluster", "shire")
		state := text(c, "status", "verdict", "state")
		return state == "Down" || state == "Unreachable", state
	})
	t.Logf("the verdict took %s", time.Since(start).Round(time.Millisecond))
	c, _ := get(t, federationName, "cluster", "shire")
	byHand := text(c, "status", "verdict", "state") != "Down"
	if byHand {
		taints(t, "shire", `[{"key":"federation.kubefed.dev/down","effect":"NoExecute"}]`)
	}
	eventually(t, "the replicas elsewhere", 90*time.Second, func() (bool, string) {
		d, _ := get(t, federationName, "placementdecision", "web.deployments.apps", "-n", ns)
		return text(d, "status", "where") == "gondor 3/3, rohan 3/3, shire (Deleting)", text(d, "status", "where")
	})
	t.Logf("replaced %s after the death", time.Since(start).Round(time.Millisecond))
	if d, _ := get(t, federationName, "deployment/web", "-n", ns); number(d, "status", "readyReplicas") != 6 {
		t.Errorf("%d replicas are ready, want 6", number(d, "status", "readyReplicas"))
	}
	playground(t, "start", "shire")
	ready(t, "shire", "True", 60*time.Second)
	if byHand {
		taints(t, "shire", "[]")
	}
	eventually(t, "the old copy gone", 60*time.Second, func() (bool, string) {
		_, there := get(t, "shire", "deployment/web", "-n", ns)
		return !there, kubectl(t, "get", "placementdecisions", "-n", ns, "-o", "wide")
	})
	if _, there := get(t, "shire", "configmap/kept", "-n", ns); !there {
		t.Error("the ConfigMap left shire")
	}
	placedAs(t, ns, "Deployment", "gondor 3, rohan 3", 10*time.Second)
}
