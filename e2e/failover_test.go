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
