package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// everyKind has one object of each kind whose status is folded in a way of its own.
const everyKind = `
apiVersion: batch/v1
kind: Job
metadata: {name: sums}
spec:
  parallelism: 3
  completions: 6
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: "busybox:1"}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  replicas: 4
  serviceName: store
  selector: {matchLabels: {app: store}}
  template: {metadata: {labels: {app: store}}, spec: {containers: [{name: c, image: "redis:7"}]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: c, image: "agent:1"}]}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: plain}
spec:
  replicas: 5
  selector: {matchLabels: {app: plain}}
  template: {metadata: {labels: {app: plain}}, spec: {containers: [{name: c, image: "plain:1"}]}}
---
apiVersion: v1
kind: Service
metadata: {name: public}
spec: {type: LoadBalancer, selector: {app: plain}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

// TestStatus: what members report is read on the federation as on any cluster, by kubectl's own waiting commands.
func TestStatus(t *testing.T) {
	ns := namespace(t, "status")
	apply(t, federationName, into(ns, everyKind))
	synced(t, ns, 60*time.Second)
	t.Run("Job", func(t *testing.T) {
		kubectl(t, "wait", "-n", ns, "job/sums", "--for=condition=Complete", "--timeout=60s")
		job, _ := get(t, federationName, "job/sums", "-n", ns)
		if n := number(job, "status", "succeeded"); n != 6 {
			t.Errorf("%d pods succeeded, want 6", n)
		}
		completions := 0
		for _, member := range members {
			copied, _ := get(t, member, "job/sums", "-n", ns)
			completions += number(copied, "spec", "completions")
		}
		if completions != 6 {
			t.Errorf("the members were asked for %d completions, want 6", completions)
		}
		eventually(t, "every share to be known as finished", 20*time.Second, func() (bool, string) {
			d, _ := get(t, federationName, "placementdecision", "sums.jobs.batch", "-n", ns)
			where := text(d, "status", "where")
			return strings.Count(where, " finished") == len(members), where
		})
	})
	t.Run("StatefulSet", func(t *testing.T) {
		kubectl(t, "rollout", "status", "-n", ns, "statefulset/store", "--timeout=60s")
		set, _ := get(t, federationName, "statefulset/store", "-n", ns)
		if n := number(set, "status", "readyReplicas"); n != 4 {
			t.Errorf("%d replicas are ready, want 4", n)
		}
	})
	t.Run("DaemonSet", func(t *testing.T) {
		kubectl(t, "rollout", "status", "-n", ns, "daemonset/agent", "--timeout=60s")
		set, _ := get(t, federationName, "daemonset/agent", "-n", ns)
		nodes := 0
		for _, c := range items(t, federationName, "clusters") {
			nodes += number(c, "status", "nodes", "ready")
		}
		if n := number(set, "status", "numberReady"); n != nodes {
			t.Errorf("%d pods are ready, want one on each of %d nodes", n, nodes)
		}
	})
	t.Run("ReplicaSet", func(t *testing.T) {
		kubectl(t, "wait", "-n", ns, "replicaset/plain", "--for=jsonpath={.status.readyReplicas}=5", "--timeout=60s")
	})
	t.Run("Service", func(t *testing.T) {
		eventually(t, "the address of every member's load balancer", 30*time.Second, func() (bool, string) {
			s, _ := get(t, federationName, "service/public", "-n", ns)
			list, _ := field(s, "status", "loadBalancer", "ingress").([]any)
			return len(list) == len(members), fmt.Sprint(list)
		})
		for _, member := range members {
			s, _ := get(t, member, "service/public", "-n", ns)
			if ip := text(s, "spec", "clusterIP"); ip == "" || ip == "None" {
				t.Errorf("%s gave the Service no cluster IP of its own: %q", member, ip)
			}
		}
	})
	t.Run("PersistentVolumeClaim", func(t *testing.T) {
		kubectl(t, "wait", "-n", ns, "pvc/data", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
	})
	t.Run("a rollout that can't finish says so", func(t *testing.T) {
		apply(t, federationName, into(ns, strings.ReplaceAll(webDeployment, "nginx:1", "nginx:missing")))
		eventually(t, "the Deployment to be unavailable", 30*time.Second, func() (bool, string) {
			d, _ := get(t, federationName, "deployment/web", "-n", ns)
			c := condition(d, "Available")
			return text(c, "status") == "False" && number(d, "status", "unavailableReplicas") == 6, fmt.Sprint(field(d, "status"))
		})
	})
}

// TestCustomStatus: the status of custom objects is folded, too, and what someone writes into it beside is left alone.
func TestCustomStatus(t *testing.T) {
	ns := namespace(t, "custom-status")
	apply(t, federationName, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: forges.mordor.example.com}
spec:
  group: mordor.example.com
  scope: Namespaced
  names: {plural: forges, singular: forge, kind: Forge}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, properties: {
      spec: {type: object, x-kubernetes-preserve-unknown-fields: true},
      status: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
`)
	kubectl(t, "wait", "crd/forges.mordor.example.com", "--for=condition=Established", "--timeout=30s")
	apply(t, federationName, into(ns, "apiVersion: mordor.example.com/v1\nkind: Forge\nmetadata: {name: one}\nspec: {rings: 3}\n"))
	synced(t, ns, 60*time.Second)
	tell := func(member, ready string, replicas int, phase string) {
		inMember(t, member, "patch", "forge/one", "-n", ns, "--subresource=status", "--type=merge", "-p", fmt.Sprintf(
			`{"status":{"phase":%q,"replicas":%d,"observedGeneration":1,"conditions":[{"type":"Ready","status":%q,"reason":"Forging","message":"hot","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
			phase, replicas, ready))
	}
	status := func(want func(forge map[string]any) bool) func() (bool, string) {
		return func() (bool, string) {
			forge, _ := get(t, federationName, "forge/one", "-n", ns)
			return want(forge), fmt.Sprint(field(forge, "status"))
		}
	}
	for i, member := range members {
		tell(member, "True", i+1, "Hot")
	}
	kubectl(t, "wait", "-n", ns, "forge/one", "--for=condition=Ready", "--timeout=30s")
	eventually(t, "the sum of all members", 20*time.Second, status(func(forge map[string]any) bool {
		return number(forge, "status", "replicas") == 6 && text(forge, "status", "phase") == "Hot" && number(forge, "status", "observedGeneration") == 1
	}))

	kubectl(t, "patch", "forge/one", "-n", ns, "--subresource=status", "--type=merge", "-p", `{"status":{"note":"of the federation alone"}}`)
	tell("rohan", "False", 1, "Cold")
	eventually(t, "rohan's trouble", 20*time.Second, status(func(forge map[string]any) bool {
		c := condition(forge, "Ready")
		return text(c, "status") == "False" && text(c, "message") == "cluster rohan: hot" && number(forge, "status", "replicas") == 5 &&
			field(forge, "status", "phase") == nil && text(forge, "status", "note") == "of the federation alone"
	}))
	federation.still(t)

	kubectl(t, "annotate", "forge/one", "-n", ns, "federation.kubefed.dev/propagate=false")
	eventually(t, "what members told to go with them", 20*time.Second, status(func(forge map[string]any) bool {
		return field(forge, "status", "replicas") == nil && field(forge, "status", "conditions") == nil && text(forge, "status", "note") != ""
	}))
	kubectl(t, "delete", "crd/forges.mordor.example.com", "--timeout=60s")
}

// TestUnschedulable: pods for which a member has no room are counted in the decision, as long as that is so.
func TestUnschedulable(t *testing.T) {
	ns := namespace(t, "no-room")
	deployment := into(ns, strings.Replace(webDeployment, `image: "nginx:1"`, `image: "nginx:1", resources: {requests: {cpu: "5000"}}`, 1))
	apply(t, federationName, deployment)
	unschedulable := func() (total int, states string) {
		d, _ := get(t, federationName, "placementdecision", "web.deployments.apps", "-n", ns)
		list, _ := field(d, "status", "clusters").([]any)
		for _, state := range list {
			total += number(state.(map[string]any), "unschedulableReplicas")
		}
		return total, fmt.Sprint(list)
	}
	eventually(t, "the pods without a node to be counted", 30*time.Second, func() (bool, string) {
		n, states := unschedulable()
		return n == 6, states
	})
	apply(t, federationName, strings.Replace(deployment, "5000", "1m", 1))
	kubectl(t, "rollout", "status", "-n", ns, "deployment/web", "--timeout=60s")
	eventually(t, "none to be counted", 30*time.Second, func() (bool, string) {
		n, states := unschedulable()
		return n == 0 && !strings.Contains(states, "unschedulable"), states
	})
}

// TestAutoscaled: the number of replicas that a member's autoscaler set stays, whatever else changes.
func TestAutoscaled(t *testing.T) {
	ns := namespace(t, "autoscaled")
	apply(t, federationName, into(ns, webDeployment+`
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {minReplicas: 1, maxReplicas: 10, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
`))
	synced(t, ns, 60*time.Second)
	// As kube-controller-manager's autoscaler does it.
	inMember(t, "rohan", "patch", "-n", ns, "deployment/web", "--subresource=scale", "--type=merge", "--field-manager=kube-controller-manager", "-p", `{"spec":{"replicas":7}}`)
	kubectl(t, "set", "image", "-n", ns, "deployment/web", "c=nginx:2")
	eventually(t, "the new image in rohan", 30*time.Second, func() (bool, string) {
		image := inMember(t, "rohan", "get", "deployment/web", "-n", ns, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
		return image == "nginx:2", image
	})
	synced(t, ns, 30*time.Second)
	if n := shares(t, ns, "web")["rohan"]; n != 7 {
		t.Errorf("rohan has %d replicas, want the autoscaler's 7", n)
	}
}

// TestNotFederated: an object that is marked leaves the members, and comes back when the mark goes.
func TestNotFederated(t *testing.T) {
	ns := namespace(t, "marked")
	kubectl(t, "create", "configmap", "c", "-n", ns, "--from-literal=v=1")
	everywhere := func(want bool) func() (bool, string) {
		return func() (bool, string) {
			for _, member := range members {
				if _, ok := get(t, member, "configmap/c", "-n", ns); ok != want {
					return false, fmt.Sprintf("%s: %v", member, ok)
				}
			}
			return true, ""
		}
	}
	eventually(t, "the ConfigMap everywhere", 20*time.Second, everywhere(true))
	kubectl(t, "annotate", "configmap/c", "-n", ns, "federation.kubefed.dev/propagate=false")
	eventually(t, "the ConfigMap nowhere", 20*time.Second, everywhere(false))
	if _, ok := get(t, federationName, "configmap/c", "-n", ns); !ok {
		t.Error("the ConfigMap left the federation API too")
	}
	t.Run("its status is no longer the members'", func(t *testing.T) {
		apply(t, federationName, into(ns, webDeployment))
		kubectl(t, "rollout", "status", "-n", ns, "deployment/web", "--timeout=60s")
		kubectl(t, "annotate", "deployment/web", "-n", ns, "federation.kubefed.dev/propagate=false")
		eventually(t, "the Deployment to have no replicas", 20*time.Second, func() (bool, string) {
			d, _ := get(t, federationName, "deployment/web", "-n", ns)
			return number(d, "status", "replicas") == 0 && field(d, "metadata", "finalizers") == nil, fmt.Sprint(d)
		})
		kubectl(t, "delete", "deployment/web", "-n", ns, "--timeout=60s")
	})
	kubectl(t, "annotate", "configmap/c", "-n", ns, "federation.kubefed.dev/propagate-")
	eventually(t, "the ConfigMap everywhere again", 20*time.Second, everywhere(true))

	t.Run("a Secret goes only where it is used", func(t *testing.T) {
		kubectl(t, "create", "secret", "generic", "key", "-n", ns, "--from-literal=k=v")
		eventually(t, "a decision", 20*time.Second, func() (bool, string) {
			d, ok := get(t, federationName, "placementdecision", "key.secrets", "-n", ns)
			return ok && field(d, "spec", "clusters") == nil, fmt.Sprint(field(d, "spec"))
		})
		apply(t, federationName, into(ns, strings.Replace(webDeployment, `image: "nginx:1"`, `image: "nginx:1", envFrom: [{secretRef: {name: key}}]`, 1)))
		eventually(t, "the Secret where the Deployment is", 30*time.Second, func() (bool, string) {
			for _, member := range members {
				if _, ok := get(t, member, "secret/key", "-n", ns); !ok {
					return false, member + " lacks it"
				}
			}
			return true, ""
		})
	})
	t.Run("a kind that no member serves", func(t *testing.T) {
		apply(t, federationName, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rings.only.example.com, annotations: {federation.kubefed.dev/propagate: "false"}}
spec:
  group: only.example.com
  scope: Namespaced
  names: {plural: rings, singular: ring, kind: Ring}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`)
		kubectl(t, "wait", "crd/rings.only.example.com", "--for=condition=Established", "--timeout=30s")
		apply(t, federationName, into(ns, "apiVersion: only.example.com/v1\nkind: Ring\nmetadata: {name: one}\n"))
		eventually(t, "the decision to say so", 30*time.Second, func() (bool, string) {
			d, _ := get(t, federationName, "placementdecision", "one.rings.only.example.com", "-n", ns)
			c := condition(d, "Synced")
			return text(c, "reason") == "Unsupported", fmt.Sprint(c)
		})
		kubectl(t, "delete", "crd/rings.only.example.com", "--timeout=60s")
	})
}

// TestIdle: an idle federation neither writes nor lists, in the control plane and in members.
func TestIdle(t *testing.T) {
	federation.still(t)
	type count map[string]int
	requests := func(kubeContext, verbs string) count {
		counts := count{}
		out := must(t, "kubectl", "--context="+kubeContext, "get", "--raw", "/metrics")
		for _, m := range requestTotal.FindAllStringSubmatch(out, -1) {
			verb := label(m[1], "verb")
			if !strings.Contains(verbs, verb) || label(m[1], "resource") == "leases" {
				continue
			}
			var n float64
			if err := json.Unmarshal([]byte(m[2]), &n); err != nil {
				t.Fatal(err)
			}
			counts[verb+" "+label(m[1], "resource")+"/"+label(m[1], "subresource")] += int(n)
		}
		return counts
	}
	const all = "POST PUT PATCH APPLY DELETE LIST"
	before := map[string]count{}
	for _, c := range append([]string{federationName}, members...) {
		before[c] = requests(c, all)
	}
	time.Sleep(15 * time.Second) // the length of the observation
	for c, counts := range before {
		d, n := difference(requests(c, all), counts)
		// Not the federation's: nodes' heartbeats, and kube-apiserver itself, which lists all Services every three minutes
		// to repair its allocations of node ports. The federation watches Services and never lists them on a live watch.
		delete(d, "PATCH nodes/status")
		delete(d, "LIST services/")
		if c == federationName && d["PATCH clusters/status"] <= len(members) {
			// What is free in a member is written once more, a minute after its last pods came or went.
			n -= d["PATCH clusters/status"]
			delete(d, "PATCH clusters/status")
		}
		if c == federationName && n > 0 || c != federationName && len(d) > 0 {
			t.Errorf("%s: in 15 idle seconds: %v", c, d)
		}
	}
}
