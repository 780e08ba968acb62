package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// ref names an object as kubectl does.
type ref struct{ kind, name string }

// applied applies files to a namespace and returns what they hold.
func applied(t *testing.T, ns string, files ...string) []ref {
	t.Helper()
	var refs []ref
	for _, file := range files {
		out := kubectl(t, "apply", "-n", ns, "-f", file, "-o", "name")
		for line := range strings.Lines(out) {
			kind, name, _ := strings.Cut(strings.TrimSpace(line), "/")
			refs = append(refs, ref{kind, name})
		}
	}
	return refs
}

func clusterScoped(kind string) bool {
	return strings.HasPrefix(kind, "storageclass") || kind == "namespace" || strings.HasPrefix(kind, "customresourcedefinition")
}

func objectIn(t *testing.T, kubeContext, ns string, r ref) (map[string]any, bool) {
	t.Helper()
	if clusterScoped(r.kind) {
		return get(t, kubeContext, r.kind, r.name)
	}
	return get(t, kubeContext, r.kind, r.name, "-n", ns)
}

// inAllMembers checks every object in every member: it is there, it is the federation's, it was made from the object of
// that UID, and the replicas add up.
func inAllMembers(t *testing.T, ns string, refs []ref) {
	t.Helper()
	for _, r := range refs {
		source, ok := objectIn(t, federationName, ns, r)
		if !ok {
			t.Errorf("%s/%s is not in the federation", r.kind, r.name)
			continue
		}
		replicas, holding := 0, 0
		for _, member := range members {
			copied, ok := objectIn(t, member, ns, r)
			if !ok {
				continue
			}
			holding++
			if got := text(copied, "metadata", "labels", "federation.kubefed.dev/federation"); got != federationName {
				t.Errorf("%s: %s/%s is labelled as of federation %q", member, r.kind, r.name, got)
			}
			if got := text(copied, "metadata", "annotations", "federation.kubefed.dev/origin-uid"); got != text(source, "metadata", "uid") {
				t.Errorf("%s: %s/%s was made from %q", member, r.kind, r.name, got)
			}
			replicas += number(copied, "spec", "replicas")
		}
		want := number(source, "spec", "replicas")
		if replicas != want {
			t.Errorf("%s/%s has %d replicas over all members, want %d", r.kind, r.name, replicas, want)
		}
		// Divided kinds are absent where their share is zero.
		if expected := len(members); holding != expected && (field(source, "spec", "replicas") == nil || holding != min(want, expected)) {
			t.Errorf("%s/%s is in %d members, want %d", r.kind, r.name, holding, expected)
		}
	}
}

// TestFixtures: manifests as users have them are applied, run in all members, get a new image, are scaled and deleted,
// each member checked object by object.
func TestFixtures(t *testing.T) {
	ns := namespace(t, "fixtures")
	refs := applied(t, ns, "testdata/guestbook/guestbook-all-in-one.yaml", "testdata/online-boutique/kubernetes-manifests.yaml",
		"testdata/stateful/cassandra-service.yaml", "testdata/stateful/cassandra-statefulset.yaml")
	if len(refs) < 35 {
		t.Fatalf("only %d objects applied", len(refs))
	}
	synced(t, ns, 90*time.Second)
	inAllMembers(t, ns, refs)

	t.Run("rollouts are seen to finish", func(t *testing.T) {
		for _, name := range []string{"frontend", "redis-replica", "cartservice"} {
			kubectl(t, "rollout", "status", "-n", ns, "deployment/"+name, "--timeout=60s")
		}
		kubectl(t, "wait", "-n", ns, "deployment/checkoutservice", "--for=condition=Available", "--timeout=60s")
	})

	t.Run("a new image reaches every member", func(t *testing.T) {
		kubectl(t, "set", "image", "-n", ns, "deployment/cartservice", "server=example.com/cart:v2")
		eventually(t, "the new image in every member", 30*time.Second, func() (bool, string) {
			found := 0
			for _, member := range members {
				if d, ok := get(t, member, "deployment/cartservice", "-n", ns); ok {
					found++
					containers, _ := field(d, "spec", "template", "spec", "containers").([]any)
					if image := text(containers[0].(map[string]any), "image"); image != "example.com/cart:v2" {
						return false, fmt.Sprintf("%s has image %s", member, image)
					}
				}
			}
			return found > 0, "it is in no member"
		})
		kubectl(t, "rollout", "status", "-n", ns, "deployment/cartservice", "--timeout=60s")
	})

	t.Run("scaling divides anew and moves nothing else", func(t *testing.T) {
		before := shares(t, ns, "frontend")
		kubectl(t, "scale", "-n", ns, "deployment/frontend", "--replicas=8")
		eventually(t, "eight replicas in the members", 30*time.Second, func() (bool, string) {
			now := shares(t, ns, "frontend")
			return sum(now) == 8, fmt.Sprint(now)
		})
		for member, n := range shares(t, ns, "frontend") {
			if n < before[member] {
				t.Errorf("scaling up took replicas from %s: %d, were %d", member, n, before[member])
			}
			if n > 3 {
				t.Errorf("%s got %d of 8 replicas", member, n)
			}
		}
		kubectl(t, "rollout", "status", "-n", ns, "deployment/frontend", "--timeout=60s")
		if d, _ := get(t, federationName, "deployment/frontend", "-n", ns); number(d, "status", "readyReplicas") != 8 {
			t.Errorf("the federation reads %d ready replicas, want 8", number(d, "status", "readyReplicas"))
		}
	})

	t.Run("what is deleted is gone everywhere", func(t *testing.T) {
		kubectl(t, "delete", "-n", ns, "--timeout=60s", "-f", "testdata/guestbook/guestbook-all-in-one.yaml", "-f", "testdata/online-boutique/kubernetes-manifests.yaml",
			"-f", "testdata/stateful/cassandra-service.yaml", "-f", "testdata/stateful/cassandra-statefulset.yaml")
		for _, r := range refs {
			for _, member := range members {
				if _, ok := objectIn(t, member, ns, r); ok {
					t.Errorf("%s still has %s/%s", member, r.kind, r.name)
				}
			}
		}
		eventually(t, "no decisions", 10*time.Second, func() (bool, string) {
			left := 0
			for _, d := range items(t, federationName, "placementdecisions", "-n", ns) {
				if text(d, "spec", "object", "kind") != "ConfigMap" {
					left++
				}
			}
			return left == 0, fmt.Sprintf("%d left", left)
		})
	})
}

// shares are a Deployment's replicas per member.
func shares(t *testing.T, ns, deployment string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, member := range members {
		if d, ok := get(t, member, "deployment/"+deployment, "-n", ns); ok {
			out[member] = number(d, "spec", "replicas")
		}
	}
	return out
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}
