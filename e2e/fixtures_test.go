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
	for _, test := range []struct {
		name       string
		files      []string
		objects    int
		deployment string // followed through its life
		container  string
	}{
		{"guestbook", []string{"testdata/guestbook/guestbook-all-in-one.yaml"}, 6, "frontend", "php-redis"},
		{"guestbook-single-files", []string{"testdata/guestbook/frontend.yaml", "testdata/guestbook/redis-replica.yaml",
			"testdata/guestbook/redis-master-deployment.yaml", "testdata/guestbook/redis-master-service.yaml"}, 6, "redis-replica", "replica"},
		{"online-boutique", []string{"testdata/online-boutique/kubernetes-manifests.yaml"}, 35, "cartservice", "server"},
		{"cassandra", []string{"testdata/stateful/cassandra-service.yaml", "testdata/stateful/cassandra-statefulset.yaml"}, 3, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ns := namespace(t, test.name)
			refs := applied(t, ns, test.files...)
			if len(refs) != test.objects {
				t.Fatalf("%d objects applied, want %d", len(refs), test.objects)
			}
			synced(t, ns, 90*time.Second)
			inAllMembers(t, ns, refs)
			if test.deployment != "" {
				live(t, ns, test.deployment, test.container)
			}
			gone(t, ns, refs, test.files)
		})
	}
}

// live takes a Deployment through a rollout, a new image and a new size.
func live(t *testing.T, ns, name, container string) {
	t.Helper()
	kubectl(t, "rollout", "status", "-n", ns, "deployment/"+name, "--timeout=60s")
	kubectl(t, "wait", "-n", ns, "deployment/"+name, "--for=condition=Available", "--timeout=60s")

	kubectl(t, "set", "image", "-n", ns, "deployment/"+name, container+"=example.com/other:v2")
	eventually(t, "the new image in every member", 30*time.Second, func() (bool, string) {
		found := 0
		for _, member := range members {
			if d, ok := get(t, member, "deployment/"+name, "-n", ns); ok {
				found++
				containers, _ := field(d, "spec", "template", "spec", "containers").([]any)
				if image := text(containers[0].(map[string]any), "image"); image != "example.com/other:v2" {
					return false, fmt.Sprintf("%s has image %s", member, image)
				}
			}
		}
		return found > 0, "it is in no member"
	})
	kubectl(t, "rollout", "status", "-n", ns, "deployment/"+name, "--timeout=60s")

	before := shares(t, ns, name)
	kubectl(t, "scale", "-n", ns, "deployment/"+name, "--replicas=8")
	eventually(t, "eight replicas in the members", 30*time.Second, func() (bool, string) {
		now := shares(t, ns, name)
		return sum(now) == 8, fmt.Sprint(now)
	})
	for member, n := range shares(t, ns, name) {
		if n < before[member] {
			t.Errorf("scaling up took replicas from %s: %d, were %d", member, n, before[member])
		}
		if n > 3 {
			t.Errorf("%s got %d of 8 replicas", member, n)
		}
	}
	kubectl(t, "rollout", "status", "-n", ns, "deployment/"+name, "--timeout=60s")
	if d, _ := get(t, federationName, "deployment/"+name, "-n", ns); number(d, "status", "readyReplicas") != 8 {
		t.Errorf("the federation reads %d ready replicas, want 8", number(d, "status", "readyReplicas"))
	}
}

// gone deletes what was applied and checks that nothing of it is left.
func gone(t *testing.T, ns string, refs []ref, files []string) {
	t.Helper()
	for _, file := range files {
		kubectl(t, "delete", "-n", ns, "--timeout=60s", "-f", file)
	}
	for _, r := range refs {
		for _, member := range members {
			if _, ok := objectIn(t, member, ns, r); ok {
				t.Errorf("%s still has %s/%s", member, r.kind, r.name)
			}
		}
	}
	eventually(t, "no decisions", 10*time.Second, func() (bool, string) {
		left := items(t, federationName, "placementdecisions", "-n", ns)
		return len(left) == 0, fmt.Sprintf("%d left", len(left))
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
