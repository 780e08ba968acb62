package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const web = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {federation.kubefed.dev/propagate: "false"}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "nginx:1.27", securityContext: {privileged: true}}
`

func TestKubectl(t *testing.T) {
	s := sharedFor(t)
	namespace := newNamespace(t, s)
	kubectl := func(t *testing.T, stdin string, args ...string) string {
		t.Helper()
		return s.mustKubectl(t, stdin, append([]string{"-n", namespace}, args...)...)
	}
	contains := func(t *testing.T, out string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(out, part) {
				t.Errorf("no %q in:\n%s", part, out)
			}
		}
	}
	t.Run("create is defaulted", func(t *testing.T) {
		kubectl(t, web, "create", "-f", "-")
		contains(t, kubectl(t, "", "get", "deployment", "web", "-o", "yaml"),
			"maxSurge: 25%", "progressDeadlineSeconds: 600", "imagePullPolicy: IfNotPresent", "dnsPolicy: ClusterFirst")
	})
	t.Run("tables have the kind's columns", func(t *testing.T) {
		contains(t, kubectl(t, "", "get", "deployments"), "UP-TO-DATE", "AVAILABLE", "0/3")
		contains(t, kubectl(t, "", "get", "all"), "deployment.apps/web")
	})
	t.Run("explain", func(t *testing.T) {
		contains(t, kubectl(t, "", "explain", "deployment.spec.strategy"), "rollingUpdate")
		contains(t, kubectl(t, "", "explain", "clusters.spec"), "FIELDS")
	})
	t.Run("server-side apply finds conflicts", func(t *testing.T) {
		other := strings.Replace(web, "replicas: 3", "replicas: 5", 1)
		kubectl(t, other, "apply", "--server-side", "--force-conflicts", "-f", "-")
		out, err := s.kubectl(t, strings.Replace(web, "replicas: 3", "replicas: 6", 1), "-n", namespace, "apply", "--server-side", "--field-manager=other", "-f", "-")
		if err == nil || !strings.Contains(out, "conflict") {
			t.Errorf("applying as another manager: %v\n%s", err, out)
		}
	})
	t.Run("diff", func(t *testing.T) {
		out, err := s.kubectl(t, strings.Replace(web, "nginx:1.27", "nginx:1.28", 1), "-n", namespace, "diff", "--server-side", "--force-conflicts", "-f", "-")
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("diff of a change: %v, want exit code 1", err)
		}
		contains(t, out, "nginx:1.28")
	})
	t.Run("dry run stores nothing", func(t *testing.T) {
		kubectl(t, strings.Replace(web, "name: web", "name: dry", 1), "create", "--dry-run=server", "-f", "-")
		if out, err := s.kubectl(t, "", "-n", namespace, "get", "deployment", "dry"); err == nil {
			t.Errorf("a dry run stored:\n%s", out)
		}
	})
	t.Run("scale and wait", func(t *testing.T) {
		kubectl(t, "", "scale", "deployment/web", "--replicas=2")
		kubectl(t, "", "wait", "--for=jsonpath={.spec.replicas}=2", "deployment/web", "--timeout=10s")
	})
	t.Run("auth can-i", func(t *testing.T) {
		contains(t, kubectl(t, "", "auth", "can-i", "create", "deployments"), "yes")
		out, err := s.kubectl(t, "", "-n", namespace, "auth", "can-i", "get", "secrets", "--as=nobody")
		if err == nil {
			t.Errorf("nobody may read secrets: %s", out)
		}
	})
	t.Run("pagination", func(t *testing.T) {
		var maps strings.Builder
		for i := range 7 {
			fmt.Fprintf(&maps, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: page-%d, labels: {page: p}}\n", i)
		}
		kubectl(t, maps.String(), "create", "-f", "-")
		if out := kubectl(t, "", "get", "configmaps", "-l", "page=p", "--chunk-size=2", "-o", "name"); strings.Count(out, "page-") != 7 {
			t.Errorf("7 objects in pages of 2 gave:\n%s", out)
		}
	})
	t.Run("a bad manifest is rejected with the field", func(t *testing.T) {
		out, err := s.kubectl(t, strings.Replace(web, "app: web}}\n  template", "app: other}}\n  template", 1), "-n", namespace, "create", "--dry-run=server", "-f", "-")
		if err == nil {
			t.Fatal("the server took a selector that matches nothing")
		}
		contains(t, out, "spec.template.metadata.labels", "selector")
	})
	t.Run("custom kinds", func(t *testing.T) {
		kubectl(t, definition, "apply", "-f", "-")
		kubectl(t, "", "wait", "--for=condition=Established", "crd/rings.test.example.com", "--timeout=20s")
		mustAwait(t, 20*time.Second, func() string {
			if out, err := s.kubectl(t, ring, "-n", namespace, "apply", "-f", "-"); err != nil {
				return out
			}
			return ""
		})
		contains(t, kubectl(t, "", "get", "rings"), "BEARER", "frodo")
		out, err := s.kubectl(t, strings.Replace(ring, "frodo", "sauron", 1), "-n", namespace, "apply", "-f", "-")
		if err == nil || !strings.Contains(out, "not to sauron") {
			t.Errorf("a CEL rule was not enforced: %v\n%s", err, out)
		}
	})
	t.Run("certificate requests are signed", func(t *testing.T) { testSigning(t, s) })
	t.Run("admission policies", func(t *testing.T) {
		kubectl(t, policy, "apply", "-f", "-")
		mustAwait(t, 20*time.Second, func() string {
			out, err := s.kubectl(t, "", "-n", namespace, "create", "configmap", "forbidden", "--dry-run=server")
			if err == nil {
				return "the policy does not deny yet"
			}
			contains(t, out, "forbidden by policy")
			return ""
		})
	})
	t.Run("watch", func(t *testing.T) {
		watch, err := s.client.CoreV1().ConfigMaps(namespace).Watch(t.Context(), watchFrom(t, s, namespace))
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Stop()
		kubectl(t, "", "create", "configmap", "seen")
		select {
		case event := <-watch.ResultChan():
			if event.Type != "ADDED" {
				t.Errorf("first event: %v", event)
			}
		case <-time.After(10 * time.Second):
			t.Error("no event within 10 s")
		}
	})
}

const definition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rings.test.example.com}
spec:
  group: test.example.com
  scope: Namespaced
  names: {plural: rings, singular: ring, kind: Ring, shortNames: [rg]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Bearer, type: string, jsonPath: .spec.bearer}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {bearer: {type: string}}
            x-kubernetes-validations: [{rule: "self.bearer != 'sauron'", message: "not to sauron"}]
`

const ring = `apiVersion: test.example.com/v1
kind: Ring
metadata: {name: one}
spec: {bearer: frodo}
`

const policy = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: forbidden}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "object.metadata.name != 'forbidden'", message: forbidden by policy}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: forbidden}
spec: {policyName: forbidden, validationActions: [Deny]}
`
