package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// rejoin brings a member back for the stories to come.
func rejoin(t *testing.T, name string) {
	t.Helper()
	must(t, "kubefed", "join", name, "--host-cluster-context="+host)
	ready(t, name, "True", 60*time.Second)
}

// TestUnjoinKeep: by default a leaving member keeps its workloads, as its own.
func TestUnjoinKeep(t *testing.T) {
	ns := namespace(t, "unjoin-keep")
	apply(t, federationName, into(ns, webDeployment))
	synced(t, ns, 60*time.Second)
	share := shares(t, ns, "web")["shire"]
	if share == 0 {
		t.Fatal("shire has no share")
	}
	out := must(t, "kubefed", "unjoin", "shire", "--host-cluster-context="+host)
	t.Log(out)
	t.Cleanup(func() {
		_, _ = federation.run(context.Background(), "kubefed", "join", "shire", "--host-cluster-context="+host)
	})
	if _, ok := get(t, federationName, "cluster", "shire"); ok {
		t.Error("the Cluster is still there")
	}
	if n := shares(t, ns, "web")["shire"]; n != share {
		t.Errorf("shire has %d replicas, want its %d kept", n, share)
	}
	d, _ := get(t, "shire", "deployment/web", "-n", ns)
	if l := text(d, "metadata", "labels", "federation.kubefed.dev/federation"); l != "" {
		t.Errorf("the kept Deployment is still labelled as of federation %q", l)
	}
	for _, gone := range [][]string{{"namespace", "federation-system"}, {"clusterrole", "federation.kubefed.dev:member"}} {
		if _, ok := get(t, "shire", gone...); ok {
			t.Errorf("shire still has %v", gone)
		}
	}
	// The share moves to those who stay.
	eventually(t, "six replicas in gondor and rohan", 30*time.Second, func() (bool, string) {
		now := shares(t, ns, "web")
		return now["gondor"]+now["rohan"] == 6, fmt.Sprint(now)
	})
	inMember(t, "shire", "delete", "namespace", ns, "--timeout=60s")
	rejoin(t, "shire")
}

// TestUnjoinRemove: with --workloads=remove nothing of the federation's stays, and nothing else is touched.
func TestUnjoinRemove(t *testing.T) {
	ns := namespace(t, "unjoin-remove")
	apply(t, federationName, into(ns, webDeployment))
	synced(t, ns, 60*time.Second)
	inMember(t, "rohan", "create", "configmap", "own", "-n", "default", "--from-literal=a=b")
	t.Cleanup(func() {
		_, _ = federation.run(context.Background(), "kubectl", "--context=rohan", "delete", "configmap", "own", "-n", "default")
		_, _ = federation.run(context.Background(), "kubefed", "join", "rohan", "--host-cluster-context="+host)
	})
	must(t, "kubefed", "unjoin", "rohan", "--host-cluster-context="+host, "--workloads=remove")
	if _, ok := get(t, "rohan", "deployment/web", "-n", ns); ok {
		t.Error("rohan still has the Deployment")
	}
	if _, ok := get(t, "rohan", "configmap/own", "-n", "default"); !ok {
		t.Error("rohan's own ConfigMap is gone")
	}
	rejoin(t, "rohan")
	synced(t, ns, 60*time.Second)
}

// TestRotation: a revoked token shows as Unauthorized; joining again repairs it without a restart.
func TestRotation(t *testing.T) {
	ns := namespace(t, "rotation")
	secret := "cluster-gondor"
	old, ok := get(t, federationName, "secret", secret, "-n", "federation-system")
	if !ok {
		t.Fatal("the member's Secret is not there")
	}
	t.Cleanup(func() {
		_, _ = federation.run(context.Background(), "kubefed", "join", "gondor", "--host-cluster-context="+host)
	})
	patch, err := json.Marshal(map[string]any{"stringData": map[string]string{"token": "expired"}})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, "patch", "secret", secret, "-n", "federation-system", "-p", string(patch))
	eventually(t, "gondor unauthorized", 30*time.Second, func() (bool, string) {
		c, _ := get(t, federationName, "cluster", "gondor")
		r := condition(c, "Ready")
		return text(r, "reason") == "Unauthorized" && strings.Contains(text(r, "message"), "kubefed join"), fmt.Sprint(r)
	})
	rejoin(t, "gondor")
	renewed, _ := get(t, federationName, "secret", secret, "-n", "federation-system")
	if text(renewed, "data", "token") == text(old, "data", "token") {
		t.Error("the token was not renewed")
	}
	kubectl(t, "create", "configmap", "after", "-n", ns, "--from-literal=v=1")
	eventually(t, "the ConfigMap in gondor", 20*time.Second, func() (bool, string) {
		_, ok := get(t, "gondor", "configmap/after", "-n", ns)
		return ok, "it is not there"
	})
}

// TestBadInput: what can't be done is refused with words that name the fault and the way out.
func TestBadInput(t *testing.T) {
	ns := namespace(t, "bad-input")
	for _, test := range []struct {
		name      string
		command   []string
		complaint []string
	}{
		{"init on an unknown context", []string{"kubefed", "init", "x", "--host-cluster-context=mordor", "--dns-zone-name=example.com"}, []string{"mordor", "rivendell"}},
		{"init without a host context", []string{"kubefed", "init", "x", "--dns-zone-name=example.com"}, []string{"--host-cluster-context"}},
		{"a name that is no DNS label", []string{"kubefed", "init", "Not_A_Label", "--host-cluster-context=" + host, "--dns-zone-name=example.com"}, []string{"Not_A_Label"}},
		{"a malformed zone", []string{"kubefed", "init", "x", "--host-cluster-context=" + host, "--dns-zone-name=-bad-.example..com"}, []string{"--dns-zone-name"}},
		{"a second federation on one host", []string{"kubefed", "init", "mordor", "--host-cluster-context=" + host, "--dns-zone-name=example.com"}, []string{federationName}},
		{"join of an unknown context", []string{"kubefed", "join", "mordor", "--host-cluster-context=" + host}, []string{"mordor"}},
		{"join under a second name", []string{"kubefed", "join", "minas-tirith", "--cluster-context=gondor", "--host-cluster-context=" + host}, []string{"gondor"}},
		{"join under a name that is no DNS label", []string{"kubefed", "join", "Gondor_1", "--cluster-context=gondor", "--host-cluster-context=" + host}, []string{"Gondor_1"}},
		{"unjoin of an unknown cluster", []string{"kubefed", "unjoin", "mordor", "--host-cluster-context=" + host}, []string{"mordor"}},
	} {
		t.Run(test.name, func(t *testing.T) { refused(t, test.command, test.complaint...) })
	}

	t.Run("joining twice changes nothing", func(t *testing.T) {
		before, _ := get(t, federationName, "cluster", "gondor")
		must(t, "kubefed", "join", "gondor", "--host-cluster-context="+host)
		after, _ := get(t, federationName, "cluster", "gondor")
		if text(before, "metadata", "uid") != text(after, "metadata", "uid") {
			t.Error("the Cluster was replaced")
		}
	})
	t.Run("init twice changes nothing", func(t *testing.T) {
		version := func() string {
			return must(t, "kubectl", "--context="+host, "get", "deployment,service,secret", "-n", "federation-system", "-o", "jsonpath={.items[*].metadata.generation} {.items[*].metadata.uid}")
		}
		before := version()
		must(t, initCommand...)
		if after := version(); after != before {
			t.Errorf("the control plane changed:\n%s\n%s", before, after)
		}
	})
	t.Run("a manifest that Kubernetes rejects", func(t *testing.T) {
		_, err := federation.runInput(t.Context(), into(ns, strings.Replace(webDeployment, "app: web}}\n  template", "app: other}}\n  template", 1)), "kubectl", "--context="+federationName, "create", "-f", "-")
		if err == nil || !strings.Contains(err.Error(), "selector") {
			t.Errorf("the API server said: %v", err)
		}
	})
	t.Run("a ConfigMap of 1 MiB", func(t *testing.T) {
		manifest := into(ns, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large}\ndata: {blob: "+strings.Repeat("x", 1000*1000)+"}\n")
		if _, err := federation.runInput(t.Context(), manifest, "kubectl", "--context="+federationName, "create", "-f", "-"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the large ConfigMap in every member", 30*time.Second, func() (bool, string) {
			for _, member := range members {
				if _, ok := get(t, member, "configmap/large", "-n", ns); !ok {
					return false, member + " lacks it"
				}
			}
			return true, ""
		})
	})
	t.Run("a namespace that terminates in one member", func(t *testing.T) {
		inMember(t, "gondor", "create", "configmap", "stuck", "-n", ns)
		inMember(t, "gondor", "patch", "configmap/stuck", "-n", ns, "-p", `{"metadata":{"finalizers":["example.com/stuck"]}}`)
		inMember(t, "gondor", "delete", "namespace", ns, "--wait=false")
		kubectl(t, "create", "configmap", "late", "-n", ns, "--from-literal=v=1")
		eventually(t, "gondor's state to say so", 20*time.Second, func() (bool, string) {
			d, _ := get(t, federationName, "placementdecision", "late.configmaps", "-n", ns)
			c := condition(d, "Synced")
			return text(c, "reason") == "Waiting" && strings.Contains(text(c, "message"), "terminating"), fmt.Sprint(c)
		})
		inMember(t, "gondor", "patch", "configmap/stuck", "-n", ns, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		eventually(t, "the namespace and its content in gondor again", 60*time.Second, func() (bool, string) {
			out, err := federation.run(t.Context(), "kubectl", "--context=gondor", "get", "configmap/late", "-n", ns, "-o", "name")
			return err == nil && strings.TrimSpace(out) != "", fmt.Sprint(err)
		})
	})
}
