package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// forgiving has the replicas of every workload leave a dead cluster at once, and stay where they went.
var forgiving = strings.ReplaceAll(propagation(`
  tolerations: [{key: federation.kubefed.dev/down, operator: Exists, effect: NoExecute, tolerationSeconds: 0}]`), ", name: web}", "}")

// bounded sets Federation.spec.failover, for a story.
func bounded(t *testing.T, failover string) {
	t.Helper()
	set := func(ctx context.Context, failover string) error {
		_, err := federation.run(ctx, "kubectl", "--context="+federationName, "patch", "federations.federation.kubefed.dev", federationName,
			"--type=merge", "-p", `{"spec":{"failover":`+failover+`}}`)
		return err
	}
	if err := set(t.Context(), failover); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set(context.Background(), "null") })
}

// unwitnessed takes the witnesses away from all members, and waits until nobody shows what they said.
func unwitnessed(t *testing.T) {
	t.Helper()
	scale := func(ctx context.Context, replicas int) {
		for _, m := range members {
			_, _ = federation.run(ctx, "kubectl", "--context="+m, "-n", "federation-system", "scale", "deployment/witness", fmt.Sprintf("--replicas=%d", replicas))
		}
	}
	t.Cleanup(func() { scale(context.Background(), 1) })
	scale(t.Context(), 0)
	for _, m := range members {
		eventually(t, "no witness speaks of "+m, 60*time.Second, func() (bool, string) {
			found := evidence(t, m)
			for source := range found {
				if strings.HasPrefix(source, "Witness/") {
					return false, fmt.Sprint(found)
				}
			}
			return found["Traffic"] == "Alive", fmt.Sprint(found)
		})
	}
}

// TestLongAbsence: a member dies, and the control plane alone sees it. Its workloads leave it within the federation's budget; the control
// plane is killed when one has left, and goes on; a person's word opens the budget. When the member is back after more than a minute,
// its old copies stay while the proof of their replacements is missing, and what happened in it is seen at once.
func TestLongAbsence(t *testing.T) {
	for _, m := range members {
		judged(t, m, "Ready", 60*time.Second)
	}
	ns := namespace(t, "absence")
	workloads := []string{"web", "two", "three"}
	apply(t, federationName, into(ns, forgiving+"\n---"+strings.Replace(named, "replicas: 3", "replicas: 6", 1)))
	for _, name := range workloads[1:] {
		apply(t, federationName, into(ns, strings.ReplaceAll(webDeployment, "web", name)))
	}
	kubectl(t, "create", "configmap", "kept", "-n", ns, "--from-literal=v=1")
	synced(t, ns, 60*time.Second)
	where := func(name string) string {
		d, _ := get(t, federationName, "placementdecision", name+".deployments.apps", "-n", ns)
		return text(d, "status", "where")
	}
	const before, after = "gondor 2/2, rohan 2/2, shire 2/2", "gondor 3/3, rohan 3/3, shire (Deleting)"
	for _, name := range workloads {
		eventually(t, name+" everywhere", 60*time.Second, func() (bool, string) { return where(name) == before, where(name) })
	}
	bounded(t, `{"maxWorkloadsPerMinute":1}`)
	unwitnessed(t)

	t.Cleanup(func() {
		for _, m := range members {
			_, _ = federation.run(context.Background(), "kubefed", "playground", "heal", m, "--dir="+federation.dir)
		}
		_, _ = federation.run(context.Background(), "kubefed", "playground", "start", "shire", "--dir="+federation.dir)
		_, _ = federation.run(context.Background(), "kubectl", "--context="+federationName, "patch", "cluster", "shire", "--type=merge", "-p", `{"spec":{"taints":[]}}`)
	})
	died := time.Now()
	playground(t, "kill", "shire")
	judged(t, "shire", "Down", 30*time.Second)
	t.Logf("Down %.1f s after the death", time.Since(died).Seconds())
	moved := func() (n int) {
		for _, name := range workloads {
			if where(name) == after {
				n++
			}
		}
		return n
	}
	moves := func(want int, within time.Duration) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d of %d workloads elsewhere", want, len(workloads)), within, func() (bool, string) {
			n := moved()
			return n == want, fmt.Sprintf("%d: %s; %s; %s", n, where("web"), where("two"), where("three"))
		})
	}
	moves(1, 30*time.Second)
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); time.Sleep(500 * time.Millisecond) {
		if n := moved(); n != 1 {
			t.Fatalf("%d workloads moved, and the budget is one a minute", n)
		}
	}
	held := kubectl(t, "get", "placementdecisions", "-n", ns, "-o", "jsonpath={.items[*].spec.missing}")
	if !strings.Contains(held, "maxWorkloadsPerMinute") {
		t.Errorf("the decisions do not say what they wait for: %q", held)
	}

	restart(t)
	moves(2, 60*time.Second) // the minute of the budget begins anew
	taints(t, "shire", `[{"key":"federation.kubefed.dev/down","effect":"NoExecute"}]`)
	moves(3, 20*time.Second)
	for _, name := range workloads {
		d, _ := get(t, federationName, "deployment", name, "-n", ns)
		if number(d, "status", "readyReplicas") != 6 {
			t.Errorf("%s has %d ready replicas, want 6", name, number(d, "status", "readyReplicas"))
		}
		for _, m := range []string{"gondor", "rohan"} {
			if d, _ := get(t, m, "deployment", name, "-n", ns); number(d, "spec", "replicas") != 3 {
				t.Errorf("%s has %d replicas of %s, want 3", m, number(d, "spec", "replicas"), name)
			}
		}
	}

	// The replacements can't be asked when the member comes back.
	for _, m := range []string{"gondor", "rohan"} {
		playground(t, "partition", m)
	}
	for _, m := range []string{"gondor", "rohan"} {
		judged(t, m, "Unreachable", 30*time.Second)
	}
	time.Sleep(time.Until(died.Add(65 * time.Second))) // watches that fail for a minute pause for half a one
	playground(t, "start", "shire")
	ready(t, "shire", "True", 60*time.Second)
	back := time.Now()
	taints(t, "shire", "[]")
	inMember(t, "shire", "patch", "configmap/kept", "-n", ns, "--type=merge", "-p", `{"data":{"v":"changed there"}}`)
	inMember(t, "shire", "create", "-f", "testdata/node.yaml")
	eventually(t, "what was changed there corrected", 15*time.Second, func() (bool, string) {
		v := inMember(t, "shire", "get", "configmap/kept", "-n", ns, "-o", "jsonpath={.data.v}")
		return v == "1", v
	})
	t.Logf("a change in the member corrected %.1f s after it was Ready", time.Since(back).Seconds())
	eventually(t, "its new node counted", 15*time.Second, func() (bool, string) {
		c, _ := get(t, federationName, "cluster", "shire")
		return number(c, "status", "nodes", "total") > number(c, "status", "nodes", "ready"), fmt.Sprint(field(c, "status", "nodes"))
	})
	t.Logf("a new node counted %.1f s after it was Ready", time.Since(back).Seconds())
	inMember(t, "shire", "delete", "node", "extra")
	for _, name := range workloads {
		if d, there := get(t, "shire", "deployment", name, "-n", ns); !there || number(d, "spec", "replicas") != 2 {
			t.Errorf("shire's old copy of %s went without proof of its replacements: %s", name, where(name))
		}
	}
	for _, m := range []string{"gondor", "rohan"} {
		playground(t, "heal", m)
	}
	for _, name := range workloads {
		eventually(t, "the old copy of "+name+" gone", 60*time.Second, func() (bool, string) {
			_, there := get(t, "shire", "deployment", name, "-n", ns)
			return !there, where(name)
		})
		eventually(t, name+" where it went", 10*time.Second, func() (bool, string) {
			return where(name) == "gondor 3/3, rohan 3/3", where(name)
		})
	}
}
