package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// The policies of the story: everything that is not a workload is for gondor, as far as a policy may say so.
const dependencyPolicies = `
apiVersion: federation.kubefed.dev/v1alpha1
kind: PropagationPolicy
metadata: {name: at-home}
spec:
  resourceSelectors: [{}]
  clusterGroups: [{name: home, names: [gondor]}]
---
apiVersion: federation.kubefed.dev/v1alpha1
kind: PropagationPolicy
metadata: {name: riders}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: web}]
  clusterGroups: [{name: riders, names: [rohan]}]
---
apiVersion: federation.kubefed.dev/v1alpha1
kind: PropagationPolicy
metadata: {name: hobbits}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: api}, {apiVersion: networking.k8s.io/v1, kind: Ingress}]
  clusterGroups: [{name: hobbits, names: [shire]}]
---
apiVersion: federation.kubefed.dev/v1alpha1
kind: PropagationPolicy
metadata: {name: named}
spec:
  resourceSelectors: [{apiVersion: v1, kind: Secret, name: named}]
  clusterGroups: [{name: home, names: [gondor]}]
`

const dependencyObjects = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: white}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: runner}
imagePullSecrets: [{name: pull}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Secret
metadata: {name: pull}
---
apiVersion: v1
kind: Secret
metadata: {name: shared}
stringData: {token: mellon}
---
apiVersion: v1
kind: Secret
metadata: {name: certificate}
---
apiVersion: v1
kind: Secret
metadata: {name: unused}
---
apiVersion: v1
kind: Secret
metadata: {name: named}
`

const dependencyUsers = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: runner
      containers:
      - name: c
        image: nginx:1
        envFrom: [{configMapRef: {name: settings}}]
        env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: shared, key: token}}}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers: [{name: c, image: "nginx:1"}]
      volumes: [{name: shared, projected: {sources: [{secret: {name: shared, optional: true}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: door}
spec:
  tls: [{hosts: [door.example.com], secretName: certificate}]
  defaultBackend: {service: {name: door, port: {number: 443}}}
`

// held waits until each object, as kubectl names it, is in these members and no other.
func held(t *testing.T, ns, when string, want map[string]string) {
	t.Helper()
	names := slices.Sorted(maps.Keys(want))
	eventually(t, when, 60*time.Second, func() (bool, string) {
		got := map[string][]string{}
		for _, member := range members {
			out := inMember(t, member, append([]string{"get", "-n", ns, "-o", "name", "--ignore-not-found"}, names...)...)
			for line := range strings.Lines(out) {
				got[strings.TrimSpace(line)] = append(got[strings.TrimSpace(line)], member)
			}
		}
		for _, name := range names {
			if is := strings.Join(got[name], " "); is != want[name] {
				return false, fmt.Sprintf("%s is in %q, not in %q", name, is, want[name])
			}
		}
		return true, ""
	})
}

// TestDependencies: what a workload or an Ingress refers to goes where it goes, whatever policies say of the rest, serves
// all its users, and leaves with the last one; Secrets go nowhere else, unless a policy names them.
func TestDependencies(t *testing.T) {
	ns := namespace(t, "dependencies")
	apply(t, federationName, into(ns, dependencyPolicies))
	apply(t, federationName, into(ns, dependencyObjects))
	held(t, ns, "what nothing uses is where policies say", map[string]string{
		"configmap/settings": "gondor", "serviceaccount/runner": "gondor", "persistentvolumeclaim/data": "gondor",
		"secret/pull":   "gondor", // the ServiceAccount uses it
		"secret/shared": "", "secret/certificate": "", "secret/unused": "", "secret/named": "gondor",
	})

	apply(t, federationName, into(ns, dependencyUsers))
	held(t, ns, "what they need goes with its users", map[string]string{
		"deployment.apps/web": "rohan", "deployment.apps/api": "shire", "ingress.networking.k8s.io/door": "shire",
		"configmap/settings": "gondor rohan", "serviceaccount/runner": "gondor rohan", "persistentvolumeclaim/data": "gondor rohan",
		"secret/pull": "gondor rohan", "secret/shared": "rohan shire", "secret/certificate": "shire", "secret/unused": "", "secret/named": "gondor",
	})

	kubectl(t, "delete", "-n", ns, "deployment/web", "--timeout=60s")
	held(t, ns, "what it needed leaves with it, and serves the others", map[string]string{
		"deployment.apps/web": "", "configmap/settings": "gondor", "serviceaccount/runner": "gondor", "persistentvolumeclaim/data": "gondor",
		"secret/pull": "gondor", "secret/shared": "shire", "secret/certificate": "shire",
	})

	kubectl(t, "delete", "-n", ns, "deployment/api", "ingress/door", "--timeout=60s")
	held(t, ns, "nobody is left", map[string]string{"secret/shared": "", "secret/certificate": "", "configmap/settings": "gondor"})
}
