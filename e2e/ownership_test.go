package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const webDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "nginx:1"}
`

func into(ns, manifest string) string {
	return strings.ReplaceAll(manifest, "metadata: {name:", "metadata: {namespace: "+ns+", name:")
}

// TestCustomResources: a CRD and its objects are federated as natives are, and go as they came.
func TestCustomResources(t *testing.T) {
	ns := namespace(t, "custom")
	apply(t, federationName, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {cronSpec: {type: string}, tags: {type: array, items: {type: string}}}}}}}
`)
	kubectl(t, "wait", "crd/crontabs.stable.example.com", "--for=condition=Established", "--timeout=30s")
	apply(t, federationName, into(ns, `
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: nightly}
spec: {cronSpec: "0 3 * * *", tags: [a, b]}
`))
	eventually(t, "the object in every member", 60*time.Second, func() (bool, string) {
		for _, member := range members {
			out, err := federation.run(t.Context(), "kubectl", "--context="+member, "get", "crontab/nightly", "-n", ns, "-o", "jsonpath={.spec.cronSpec}")
			if err != nil || out != "0 3 * * *" {
				return false, fmt.Sprintf("%s: %q %v", member, out, err)
			}
		}
		return true, ""
	})
	synced(t, ns, 30*time.Second)
	kubectl(t, "patch", "crontab/nightly", "-n", ns, "--type=merge", "-p", `{"spec":{"cronSpec":"0 4 * * *"}}`)
	eventually(t, "the change in every member", 20*time.Second, func() (bool, string) {
		for _, member := range members {
			if c, _ := get(t, member, "crontab/nightly", "-n", ns); text(c, "spec", "cronSpec") != "0 4 * * *" {
				return false, member + " has " + text(c, "spec", "cronSpec")
			}
		}
		return true, ""
	})
	kubectl(t, "delete", "crd/crontabs.stable.example.com", "--timeout=60s")
	for _, member := range members {
		if _, ok := get(t, member, "crd/crontabs.stable.example.com"); ok {
			t.Errorf("%s still has the CRD", member)
		}
	}
}

// TestDrift: a field of the federation's that someone changes in a member comes back, with an event; what the member
// added of its own stays.
func TestDrift(t *testing.T) {
	ns := namespace(t, "drift")
	apply(t, federationName, into(ns, webDeployment))
	synced(t, ns, 60*time.Second)
	inMember(t, "rohan", "annotate", "-n", ns, "deployment/web", "team=riders")
	inMember(t, "rohan", "set", "image", "-n", ns, "deployment/web", "c=nginx:tampered")
	eventually(t, "the image as federated", 20*time.Second, func() (bool, string) {
		image := inMember(t, "rohan", "get", "deployment/web", "-n", ns, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
		return image == "nginx:1", image
	})
	if got := inMember(t, "rohan", "get", "deployment/web", "-n", ns, "-o", "jsonpath={.metadata.annotations.team}"); got != "riders" {
		t.Errorf("the member's own annotation is %q, want riders", got)
	}
	eventually(t, "an event", 10*time.Second, func() (bool, string) {
		out := kubectl(t, "get", "events", "-n", ns, "-o", "jsonpath={.items[*].reason}")
		return strings.Contains(out, "DriftCorrected"), out
	})
	inMember(t, "shire", "delete", "-n", ns, "deployment/web")
	eventually(t, "the deleted copy made again", 20*time.Second, func() (bool, string) {
		_, ok := get(t, "shire", "deployment/web", "-n", ns)
		return ok, "it is not there"
	})
}

// TestConflict: an object that was in a member before is never taken over silently; it can be adopted, without
// restarting its pods, or overwritten.
func TestConflict(t *testing.T) {
	ns := namespace(t, "conflict")
	eventually(t, "the namespace in gondor", 20*time.Second, func() (bool, string) {
		_, ok := get(t, "gondor", "namespace", ns)
		return ok, "it is not there"
	})
	apply(t, "gondor", into(ns, strings.Replace(webDeployment, "replicas: 6", "replicas: 2", 1)))
	inMember(t, "gondor", "rollout", "status", "-n", ns, "deployment/web", "--timeout=60s")
	pods := inMember(t, "gondor", "get", "pods", "-n", ns, "-l", "app=web", "-o", "jsonpath={.items[*].metadata.uid}")

	apply(t, federationName, into(ns, webDeployment))
	state := func() map[string]any {
		d, _ := get(t, federationName, "placementdecision", "web.deployments.apps", "-n", ns)
		list, _ := field(d, "status", "clusters").([]any)
		for _, s := range list {
			if m := s.(map[string]any); m["name"] == "gondor" {
				return m
			}
		}
		return nil
	}
	eventually(t, "a conflict in gondor", 30*time.Second, func() (bool, string) {
		s := state()
		return text(s, "state") == "Conflict" && strings.Contains(text(s, "message"), "federation.kubefed.dev/on-conflict"), fmt.Sprint(s)
	})
	if replicas := inMember(t, "gondor", "get", "deployment/web", "-n", ns, "-o", "jsonpath={.spec.replicas}"); replicas != "2" {
		t.Errorf("the foreign Deployment was changed: %s replicas, want its own 2", replicas)
	}

	kubectl(t, "annotate", "-n", ns, "deployment/web", "federation.kubefed.dev/on-conflict=adopt")
	eventually(t, "adoption", 45*time.Second, func() (bool, string) {
		s := state()
		return text(s, "state") == "Synced", fmt.Sprint(s)
	})
	after := inMember(t, "gondor", "get", "pods", "-n", ns, "-l", "app=web", "-o", "jsonpath={.items[*].metadata.uid}")
	for _, uid := range strings.Fields(after) {
		if !strings.Contains(pods, uid) {
			t.Errorf("adoption started pod %s anew; there were %s", uid, pods)
		}
	}

	// A ConfigMap that differs is overwritten when asked for.
	inMember(t, "gondor", "create", "configmap", "settings", "-n", ns, "--from-literal=color=red")
	kubectl(t, "create", "configmap", "settings", "-n", ns, "--from-literal=color=blue")
	eventually(t, "a conflict of the ConfigMap", 30*time.Second, func() (bool, string) {
		d, _ := get(t, federationName, "placementdecision", "settings.configmaps", "-n", ns)
		c := condition(d, "Synced")
		return text(c, "reason") == "Conflict", fmt.Sprint(c)
	})
	kubectl(t, "annotate", "-n", ns, "configmap/settings", "federation.kubefed.dev/on-conflict=overwrite")
	eventually(t, "the ConfigMap as federated", 45*time.Second, func() (bool, string) {
		color := inMember(t, "gondor", "get", "configmap/settings", "-n", ns, "-o", "jsonpath={.data.color}")
		return color == "blue", color
	})
}
