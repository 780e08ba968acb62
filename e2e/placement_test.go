package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fleet is a Deployment, or another kind with replicas and a pod template.
func fleet(kind string, replicas int, pod string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: %s
metadata: {name: web}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 0, %scontainers: [{name: c, image: "nginx:1.27"}]}
`, kind, replicas, pod)
}

// propagation is a policy for the namespace's objects called web.
func propagation(rule string) string {
	return `
apiVersion: federation.kubefed.dev/v1alpha1
kind: PropagationPolicy
metadata: {name: web}
spec:
  resourceSelectors:
  - {apiVersion: apps/v1, kind: Deployment, name: web}
  - {apiVersion: apps/v1, kind: StatefulSet, name: web}
` + rule
}

// placedAs waits until web's decision has settled and reads "gondor 2, rohan 1", and every replica is ready there.
func placedAs(t *testing.T, ns, kind, want string, within time.Duration) {
	t.Helper()
	eventually(t, "web at "+want, within, func() (bool, string) {
		d, _ := get(t, federationName, "placementdecision", "web."+strings.ToLower(kind)+"s.apps", "-n", ns)
		clusters, _ := field(d, "spec", "clusters").([]any)
		states, _ := field(d, "status", "clusters").([]any)
		var have []string
		for _, c := range clusters {
			m, _ := c.(map[string]any)
			if number(m, "replicas") > 0 {
				have = append(have, fmt.Sprintf("%s %d", text(m, "name"), number(m, "replicas")))
			}
		}
		got := strings.Join(have, ", ")
		if got != want || field(d, "spec", "moving") == true {
			return false, fmt.Sprintf("%s (moving %v, missing %q, status %v)", got, field(d, "spec", "moving"), text(d, "spec", "missing"), states)
		}
		where := strings.Split(text(d, "status", "where"), ", ")
		where = slices.DeleteFunc(where, func(w string) bool { return strings.HasSuffix(w, " 0/0") })
		return text(condition(d, "Synced"), "status") == "True" && strings.Join(where, ", ") == allReady(want), text(d, "status", "where")
	})
}

// allReady is how a decision's status shows that all replicas are: "gondor 2/2, rohan 1/1".
func allReady(shares string) string {
	words := strings.Split(shares, ", ")
	for i, w := range words {
		name, n, _ := strings.Cut(w, " ")
		words[i] = fmt.Sprintf("%s %s/%s", name, n, n)
	}
	return strings.Join(words, ", ")
}

// floor watches how many replicas of a Deployment are ready in all members together, until it is asked for the least. The
// members are asked one after the other: of a replica that moves meanwhile neither side may be seen, so that each member
// counts with the more of two rounds.
func floor(t *testing.T, ns string) (least func() int) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	lowest := 1 << 30
	wg.Go(func() {
		last := map[string]int{}
		for round := 0; ctx.Err() == nil; round++ {
			sum := 0
			for _, m := range members {
				out, err := federation.run(ctx, "kubectl", "--context="+m, "get", "deployment/web", "-n", ns, "--ignore-not-found", "-o", "jsonpath={.status.readyReplicas}")
				if err != nil {
					return
				}
				n := 0
				fmt.Sscan(out, &n)
				sum += max(n, last[m])
				last[m] = n
			}
			if round > 0 {
				lowest = min(lowest, sum)
			}
		}
	})
	return func() int { cancel(); wg.Wait(); return lowest }
}

func manifest(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func taints(t *testing.T, cluster, list string) {
	t.Helper()
	kubectl(t, "patch", "cluster", cluster, "--type=merge", "-p", `{"spec":{"taints":`+list+`}}`)
}

// TestOrderedGroups: replicas fill the preferred cluster first, overflow, leave it when it is tainted and go back when
// it is well, and at no time fewer are ready than asked for.
func TestOrderedGroups(t *testing.T) {
	ns := namespace(t, "groups")
	apply(t, federationName, into(ns, propagation(`
  clusterGroups: [{name: home, names: [gondor]}, {name: overflow}]
  replicaDivision: {clusters: [{names: [gondor], maxReplicas: 4}, {}]}
  moves: {stableFor: 2s, minimumStay: 2s, maxMoving: 50%}
`)))
	plan := must(t, "kubefed", "plan", "-n", ns, "-f", manifest(t, "web.yaml", fleet("Deployment", 6, "")))
	if !strings.Contains(plan, "gondor 4, rohan 1, shire 1") {
		t.Errorf("the plan says\n%s", plan)
	}
	apply(t, federationName, into(ns, fleet("Deployment", 6, "")))
	placedAs(t, ns, "Deployment", "gondor 4, rohan 1, shire 1", 30*time.Second)

	least := floor(t, ns)
	taints(t, "gondor", `[{"key":"maintenance","effect":"NoExecute"}]`)
	t.Cleanup(func() {
		_, _ = federation.run(context.WithoutCancel(t.Context()), "kubectl", "--context="+federationName, "patch", "cluster", "gondor", "--type=merge", "-p", `{"spec":{"taints":null}}`)
	})
	placedAs(t, ns, "Deployment", "rohan 3, shire 3", 60*time.Second)
	why := must(t, "kubefed", "why", "deployment/web", "-n", ns)
	for _, word := range []string{"PropagationPolicy/web (selected by name)", "Tainted", "home", "overflow"} {
		if !strings.Contains(why, word) {
			t.Errorf("kubefed why does not say %q:\n%s", word, why)
		}
	}
	taints(t, "gondor", "null")
	placedAs(t, ns, "Deployment", "gondor 4, rohan 1, shire 1", 60*time.Second)
	if n := least(); n < 6 {
		t.Errorf("at one time only %d of 6 replicas were ready", n)
	}
}

// TestOrdinals: no two members run the same ordinal of a StatefulSet, whatever happens to the shares.
func TestOrdinals(t *testing.T) {
	ns := namespace(t, "ordinals")
	apply(t, federationName, into(ns, propagation("  clusterGroups: [{name: two, names: [gondor, rohan]}]\n")))
	apply(t, federationName, into(ns, fleet("StatefulSet", 4, "")))
	placedAs(t, ns, "StatefulSet", "gondor 2, rohan 2", 40*time.Second)
	pods := func(want string) {
		t.Helper()
		eventually(t, "pods "+want, 40*time.Second, func() (bool, string) {
			var names []string
			for _, m := range members {
				for _, p := range items(t, m, "pods", "-n", ns) {
					names = append(names, m+" "+text(p, "metadata", "name"))
				}
			}
			got := strings.Join(names, ", ")
			return got == want, got
		})
	}
	pods("gondor web-0, gondor web-1, rohan web-1000, rohan web-1001")
	kubectl(t, "scale", "statefulset/web", "-n", ns, "--replicas=6")
	pods("gondor web-0, gondor web-1, gondor web-2, rohan web-1000, rohan web-1001, rohan web-1002")
	apply(t, federationName, into(ns, propagation("  clusterGroups: [{name: two, names: [rohan, shire]}]\n")))
	pods("rohan web-1000, rohan web-1001, rohan web-1002, shire web-2000, shire web-2001, shire web-2002")
}

// TestSpillOver: replicas that a member can't schedule move to where they fit.
func TestSpillOver(t *testing.T) {
	ns := namespace(t, "spill")
	region := inMember(t, "rohan", "get", "nodes", "-o", `jsonpath={.items[0].metadata.labels.topology\.kubernetes\.io/region}`)
	apply(t, federationName, into(ns, propagation("  moves: {maxMoving: 100%}\n")))
	apply(t, federationName, into(ns, fleet("Deployment", 6, "nodeSelector: {topology.kubernetes.io/region: "+region+"}, ")))
	placedAs(t, ns, "Deployment", "rohan 6", 90*time.Second)
}

// TestRebalance: a policy's new weights move nothing by themselves, a request does, make before break.
func TestRebalance(t *testing.T) {
	ns := namespace(t, "rebalance")
	apply(t, federationName, into(ns, propagation("  moves: {maxMoving: 50%}\n")))
	apply(t, federationName, into(ns, fleet("Deployment", 6, "")))
	placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 30*time.Second)
	weights := propagation("  moves: {maxMoving: 50%}\n  replicaDivision: {clusters: [{names: [gondor], weight: 4}, {}]}\n")
	if out := must(t, "kubefed", "plan", "-n", ns, "--policy", manifest(t, "policy.yaml", into(ns, weights))); !strings.Contains(out, "Nothing would change") {
		t.Errorf("the plan says\n%s", out)
	}
	apply(t, federationName, into(ns, weights))
	if out := must(t, "kubefed", "rebalance", "deployment/web", "-n", ns, "--plan"); !strings.Contains(out, "gondor 4, rohan 1, shire 1") {
		t.Errorf("the plan says\n%s", out)
	}
	placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 10*time.Second)
	least := floor(t, ns)
	must(t, "kubefed", "rebalance", "deployment/web", "-n", ns)
	placedAs(t, ns, "Deployment", "gondor 4, rohan 1, shire 1", 60*time.Second)
	if n := least(); n < 6 {
		t.Errorf("at one time only %d of 6 replicas were ready", n)
	}

	// A policy that goes changes nothing that runs, and the decision says so.
	kubectl(t, "delete", "propagationpolicy", "web", "-n", ns)
	kubectl(t, "scale", "deployment/web", "-n", ns, "--replicas=7")
	eventually(t, "the decision to say that its policy is gone", 20*time.Second, func() (bool, string) {
		d, _ := get(t, federationName, "placementdecision", "web.deployments.apps", "-n", ns)
		reason := text(d, "spec", "reason")
		return strings.Contains(reason, "deleted") && text(d, "spec", "policy", "name") == "web", reason
	})
}

// TestPlanGates: what would not survive is said before it happens, with an exit code for scripts.
func TestPlanGates(t *testing.T) {
	ns := namespace(t, "gates")
	apply(t, federationName, into(ns, propagation("  clusterGroups: [{name: one, names: [shire]}]\n")))
	apply(t, federationName, into(ns, fleet("Deployment", 2, "")))
	placedAs(t, ns, "Deployment", "shire 2", 30*time.Second)
	for _, command := range [][]string{
		{"kubefed", "plan", "--without", "shire"},
		{"kubefed", "plan", "--survivability", "-o", "json"},
	} {
		out, err := federation.run(t.Context(), command...)
		if err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(out, "nothing of it would be left") {
			t.Errorf("%s: got %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	if out := must(t, "kubefed", "plan", "--without", "rohan"); !strings.Contains(out, "Without cluster rohan") {
		t.Errorf("the plan says\n%s", out)
	}
	refused(t, []string{"kubefed", "plan", "--without", "mordor"}, "no cluster mordor has joined")
	refused(t, []string{"kubefed", "why", "deployment/none", "-n", ns}, "not found in namespace")
	refused(t, []string{"kubefed", "plan"}, "say what would happen")
}

// TestFederationV1Annotations: they mean what they meant.
func TestFederationV1Annotations(t *testing.T) {
	ns := namespace(t, "v1")
	web := strings.Replace(fleet("Deployment", 6, ""), "metadata: {name: web}", `metadata: {name: web, annotations: {
  federation.kubernetes.io/deployment-preferences: '{"rebalance": true, "clusters": {"gondor": {"weight": 2}, "rohan": {"weight": 1}}}'}}`, 1)
	apply(t, federationName, into(ns, web))
	placedAs(t, ns, "Deployment", "gondor 4, rohan 2", 40*time.Second)
	d, _ := get(t, federationName, "placementdecision", "web.deployments.apps", "-n", ns)
	if kind := text(d, "spec", "policy", "kind"); kind != "Annotations" {
		t.Errorf("the decision names policy %q", kind)
	}
	kubectl(t, "annotate", "deployment/web", "-n", ns, "--overwrite", `federation.kubernetes.io/deployment-preferences={"rebalance": true, "clusters": {"*": {"weight": 1}}}`)
	placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 60*time.Second)
	refused(t, []string{"kubectl", "annotate", "deployment/web", "-n", ns, "--overwrite", "federation.kubernetes.io/deployment-preferences=evenly"},
		"federation.kubernetes.io/deployment-preferences")
}
