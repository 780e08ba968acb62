package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// playground runs a playground command on the federation's clusters.
func playground(t *testing.T, args ...string) {
	t.Helper()
	must(t, append(append([]string{"kubefed", "playground"}, args...), "--dir="+federation.dir)...)
}

func ready(t *testing.T, cluster, status string, within time.Duration) {
	t.Helper()
	eventually(t, "cluster "+cluster+" Ready="+status, within, func() (bool, string) {
		c, _ := get(t, federationName, "cluster", cluster)
		got := condition(c, "Ready")
		return text(got, "status") == status, fmt.Sprint(got)
	})
}

// judged waits for a verdict on a cluster.
func judged(t *testing.T, cluster, state string, within time.Duration) {
	t.Helper()
	eventually(t, "verdict "+state+" on cluster "+cluster, within, func() (bool, string) {
		c, _ := get(t, federationName, "cluster", cluster)
		return text(c, "status", "verdict", "state") == state, "it is " + text(c, "status", "verdict", "state") + ": " + text(c, "status", "verdict", "message")
	})
}

// TestDeadMember: a member is killed during creates, updates and deletes. The others go on, a delete does not hang, and
// when the member is back nothing is lost and nothing is resurrected.
func TestDeadMember(t *testing.T) {
	ns := namespace(t, "dead-member")
	for _, name := range []string{"kept", "changed", "deleted", "replaced"} {
		apply(t, federationName, into(ns, strings.ReplaceAll(webDeployment, "web", name)))
		kubectl(t, "create", "configmap", name, "-n", ns, "--from-literal=v=1")
	}
	synced(t, ns, 60*time.Second)

	playground(t, "kill", "shire")
	t.Cleanup(func() {
		// Also after a failure: the next story needs all members.
		_, _ = federation.run(context.Background(), "kubefed", "playground", "start", "shire", "--dir="+federation.dir)
	})
	apply(t, federationName, into(ns, strings.ReplaceAll(webDeployment, "web", "new")))
	kubectl(t, "create", "configmap", "new", "-n", ns, "--from-literal=v=1")
	kubectl(t, "set", "image", "-n", ns, "deployment/changed", "c=nginx:2")
	kubectl(t, "patch", "configmap/changed", "-n", ns, "-p", `{"data":{"v":"2"}}`)
	eventually(t, "the change in the living members", 20*time.Second, func() (bool, string) {
		for _, member := range []string{"gondor", "rohan"} {
			if v := inMember(t, member, "get", "configmap/changed", "-n", ns, "-o", "jsonpath={.data.v}"); v != "2" {
				return false, member + " has " + v
			}
		}
		return true, ""
	})
	start := time.Now()
	kubectl(t, "delete", "-n", ns, "deployment/deleted", "configmap/deleted", "configmap/replaced", "--timeout=60s")
	t.Logf("deleting with a dead member took %s", time.Since(start).Round(time.Millisecond))
	kubectl(t, "create", "configmap", "replaced", "-n", ns, "--from-literal=v=anew")
	ready(t, "shire", "False", 30*time.Second)
	tombstones := kubectl(t, "get", "tombstones")
	for _, want := range []string{"deleted", "replaced", "shire"} {
		if !strings.Contains(tombstones, want) {
			t.Errorf("the tombstones do not show %s:\n%s", want, tombstones)
		}
	}

	playground(t, "start", "shire")
	ready(t, "shire", "True", 60*time.Second)
	judged(t, "shire", "Ready", 60*time.Second)
	eventually(t, "the tombstones carried out", 60*time.Second, func() (bool, string) {
		left := items(t, federationName, "tombstones")
		return len(left) == 0, kubectl(t, "get", "tombstones")
	})
	synced(t, ns, 60*time.Second)
	for name, want := range map[string]string{"kept": "1", "changed": "2", "replaced": "anew", "deleted": ""} {
		cm, ok := get(t, "shire", "configmap/"+name, "-n", ns)
		if got := text(cm, "data", "v"); got != want || ok != (want != "") {
			t.Errorf("shire's ConfigMap %s holds %q, want %q", name, got, want)
		}
	}
	if _, ok := get(t, "shire", "deployment/deleted", "-n", ns); ok {
		t.Error("the deleted Deployment is back in shire")
	}
	if d, _ := get(t, federationName, "deployment/kept", "-n", ns); number(d, "status", "readyReplicas") != 6 {
		t.Errorf("kept has %d ready replicas, want 6", number(d, "status", "readyReplicas"))
	}
}

// controlPlane finds the control plane's process.
func controlPlane(t *testing.T) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pgrep", "-f", federation.dir+".*/federation-apiserver|federation-apiserver.*"+federation.dir).Output()
	if err != nil {
		t.Fatalf("no control plane process: %v", err)
	}
	for _, word := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(word)
		if err == nil {
			return pid
		}
	}
	t.Fatal("no control plane process")
	return 0
}

// TestControlPlaneKilled: the control plane dies by SIGKILL between creates; it comes back by itself, with everything
// that was acknowledged, and finishes what it had begun.
func TestControlPlaneKilled(t *testing.T) {
	ns := namespace(t, "killed")
	for i := range 5 {
		kubectl(t, "create", "configmap", fmt.Sprintf("before-%d", i), "-n", ns, "--from-literal=v=1")
		apply(t, federationName, into(ns, strings.ReplaceAll(webDeployment, "web", fmt.Sprintf("web-%d", i))))
	}
	if err := syscall.Kill(controlPlane(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the control plane back", 60*time.Second, func() (bool, string) {
		_, err := federation.run(t.Context(), "kubectl", "--context="+federationName, "get", "--raw", "/readyz")
		return err == nil, fmt.Sprint(err)
	})
	synced(t, ns, 60*time.Second)
	for i := range 5 {
		for _, member := range members {
			if _, ok := get(t, member, "configmap", fmt.Sprintf("before-%d", i), "-n", ns); !ok {
				t.Errorf("%s lacks before-%d", member, i)
			}
		}
		if n := sum(shares(t, ns, fmt.Sprintf("web-%d", i))); n != 6 {
			t.Errorf("web-%d has %d replicas over all members, want 6", i, n)
		}
	}
}

// TestRestartWritesNothing: with everything in place, a new control plane process writes nothing to the federation and
// changes nothing in members.
func TestRestartWritesNothing(t *testing.T) {
	ns := namespace(t, "restart")
	kubectl(t, "create", "configmap", "c", "-n", ns, "--from-literal=v=1")
	apply(t, federationName, into(ns, everyKind))
	kubectl(t, "apply", "-n", ns, "-f", "testdata/online-boutique/kubernetes-manifests.yaml")
	synced(t, ns, 90*time.Second)
	kubectl(t, "wait", "-n", ns, "deployment", "--all", "--for=condition=Available", "--timeout=90s")
	kubectl(t, "wait", "-n", ns, "job/sums", "--for=condition=Complete", "--timeout=60s")
	for _, m := range members { // a source of evidence is shown once it has spoken for a while
		eventually(t, "traffic of "+m, 60*time.Second, func() (bool, string) {
			found := evidence(t, m)
			return found["Traffic"] == "Alive", fmt.Sprint(found)
		})
	}
	federation.still(t)
	before := versions(t, ns)
	if err := syscall.Kill(controlPlane(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the control plane back", 60*time.Second, func() (bool, string) {
		_, err := federation.run(t.Context(), "kubectl", "--context="+federationName, "get", "--raw", "/readyz")
		return err == nil, fmt.Sprint(err)
	})
	// It leads again, has read everything, and the counters stand still.
	eventually(t, "the members watched again", 30*time.Second, func() (bool, string) {
		n := federation.metric(t, "controller_runtime_reconcile_total", `controller="sync"`)
		return n > 0, fmt.Sprintf("%v reconciles", n)
	})
	federation.still(t)
	if after := versions(t, ns); after != before {
		t.Errorf("resource versions changed:\nbefore:\n%s\nafter:\n%s", before, after)
	}
	if n := federation.metric(t, "kubefed_sync_member_writes_total", ""); n != 0 {
		t.Errorf("the restarted control plane sent %v writes to members", n)
	}
	for resource, n := range federation.writes(t) {
		for _, kind := range []string{"deployments", "configmaps", "placementdecisions", "clusters", "tombstones", "namespaces"} {
			if strings.Contains(resource, kind) {
				t.Errorf("the restarted control plane wrote %d times: %s", n, resource)
			}
		}
	}
}

// versions lists the resource versions of a namespace's objects in the federation and in every member.
func versions(t *testing.T, ns string) string {
	t.Helper()
	var b strings.Builder
	for _, context := range append([]string{federationName}, members...) {
		kinds := "configmaps,deployments,statefulsets,daemonsets,jobs,services,serviceaccounts,persistentvolumeclaims"
		if context == federationName {
			kinds += ",placementdecisions"
		}
		b.WriteString(must(t, "kubectl", "--context="+context, "get", kinds, "-n", ns, "-o",
			`jsonpath={range .items[*]}`+context+` {.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}`))
	}
	return b.String()
}
