package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDryRuns: the dry runs that the README recommends print what would be written, and write nothing.
func TestDryRuns(t *testing.T) {
	before, _ := get(t, federationName, "cluster", "gondor")
	out := must(t, "kubefed", "join", "gondor", "--dry-run=client", "-o", "yaml")
	for _, want := range []string{"kind: Cluster\n", "kind: ClusterRole\n", "kind: Secret\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the dry run of join does not show %q:\n%s", want, out)
		}
	}
	out = must(t, "kubefed", "init", federationName, "--host-cluster-context="+host, "--dns-zone-name=example.com",
		"--image=example.com/federation-apiserver:v0.1.0", "--dry-run=client", "-o", "yaml")
	for _, want := range []string{"kind: Deployment\n", "kind: Secret\n", "image: example.com/federation-apiserver:v0.1.0\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the dry run of init does not show %q", want)
		}
	}
	after, _ := get(t, federationName, "cluster", "gondor")
	if a, b := number(after, "metadata", "generation"), number(before, "metadata", "generation"); a != b {
		t.Errorf("the dry run changed the Cluster: generation %d, was %d", a, b)
	}
}

// TestDeinitRefused: a federation with members is not ended by a slip.
func TestDeinitRefused(t *testing.T) {
	refused(t, []string{"kubefed", "deinit", federationName, "--host-cluster-context=" + host}, "gondor", "kubefed unjoin", "--force")
}

// TestPropagate: what carries propagate=false from the start reaches no member; setting it later takes the copies back;
// the federated object stays.
func TestPropagate(t *testing.T) {
	ns := namespace(t, "propagate")
	apply(t, federationName, into(ns, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: local, annotations: {federation.kubefed.dev/propagate: \"false\"}}\n"))
	kubectl(t, "create", "configmap", "shared", "-n", ns, "--from-literal=v=1")
	in := func(member, name string) bool {
		_, ok := get(t, member, "configmap/"+name, "-n", ns)
		return ok
	}
	eventually(t, "the shared ConfigMap in every member", 20*time.Second, func() (bool, string) {
		for _, member := range members {
			if !in(member, "shared") {
				return false, member + " lacks it"
			}
		}
		return true, ""
	})
	for _, member := range members {
		if in(member, "local") {
			t.Errorf("%s has the ConfigMap that is not to be propagated", member)
		}
	}
	kubectl(t, "annotate", "-n", ns, "configmap/shared", "federation.kubefed.dev/propagate=false")
	eventually(t, "the copies taken back", 20*time.Second, func() (bool, string) {
		for _, member := range members {
			if in(member, "shared") {
				return false, member + " still has it"
			}
		}
		_, ok := get(t, federationName, "placementdecision", "shared.configmaps", "-n", ns)
		return !ok, fmt.Sprint("the decision is there: ", ok)
	})
	if !in(federationName, "shared") {
		t.Error("the federated ConfigMap itself is gone")
	}
}
