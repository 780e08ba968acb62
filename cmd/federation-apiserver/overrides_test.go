package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// warned collects a server's warnings.
type warned struct {
	mu    sync.Mutex
	texts []string
}

func (w *warned) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

func (w *warned) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	texts := w.texts
	w.texts = nil
	slices.Sort(texts)
	return texts
}

const overridden = `
apiVersion: v1
kind: Namespace
metadata: {name: overridden}
---
apiVersion: federation.kubefed.dev/v1alpha1
kind: Cluster
metadata: {name: gondor, labels: {tier: gold}}
spec: {server: "https://127.0.0.1:1", secretName: none}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: overridden, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "nginx:1"}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: local, namespace: overridden, annotations: {federation.kubefed.dev/propagate: "false"}}
---
apiVersion: federation.kubefed.dev/v1alpha1
kind: OverridePolicy
metadata: {name: tested, namespace: overridden}
spec: {resourceSelectors: [{apiVersion: apps/v1, kind: Deployment}], rules: [{jsonPatch: [{op: test, path: /metadata/labels/app, value: web}]}]}
`

var overrideResources = map[string]string{
	"Namespace": "namespaces", "Cluster": "clusters", "Deployment": "deployments", "ConfigMap": "configmaps",
	"OverridePolicy": "overridepolicies", "ClusterOverridePolicy": "clusteroverridepolicies",
}

func resourceOf(api dynamic.Interface, obj *unstructured.Unstructured) dynamic.ResourceInterface {
	gvk := obj.GroupVersionKind()
	return api.Resource(schema.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: overrideResources[gvk.Kind]}).Namespace(obj.GetNamespace())
}

func createFor(t *testing.T, api dynamic.Interface, manifests string) {
	t.Helper()
	for manifest := range strings.SplitSeq(manifests, "\n---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
			t.Fatal(err)
		}
		if _, err := resourceOf(api, obj).Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOverridesAreTried: admission refuses an override policy that can't be applied, with the field, and the object that
// it does not fit; it warns of what may be a mistake.
func TestOverridesAreTried(t *testing.T) {
	s := sharedFor(t)
	config, heard := rest.CopyConfig(s.config), &warned{}
	config.WarningHandler = heard
	api, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	createFor(t, api, overridden)
	t.Cleanup(func() {
		for _, resource := range []schema.GroupVersionResource{federation.GroupVersion.WithResource("clusters"), {Version: "v1", Resource: "namespaces"}} {
			name := map[string]string{"clusters": "gondor", "namespaces": "overridden"}[resource.Resource]
			if err := api.Resource(resource).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	heard.take()
	const deployments, everything = `[{apiVersion: apps/v1, kind: Deployment}]`, `[{}]`
	for name, c := range map[string]struct {
		selectors, rules, refused string
		warnings                  []string
	}{
		"fits": {deployments, `[{images: [{containers: [web], tag: "2"}]}, {clusters: {matchLabels: {tier: gold}}, jsonPatch: [{op: add, path: /metadata/annotations/a, value: b}]}]`, "", nil},
		"a protected path": {deployments, `[{jsonPatch: [{op: replace, path: /metadata/name, value: x}]}]`,
			"spec.rules[0].jsonPatch[0]: Forbidden: replace /metadata/name: of metadata only labels", nil},
		"replicas":                     {deployments, `[{jsonPatch: [{op: replace, path: /spec/replicas, value: 1}]}]`, "spec.rules[0].jsonPatch[0]: Forbidden: replace /spec/replicas: .spec.replicas is decided by placement", nil},
		"an image of a kind without":   {`[{apiVersion: v1, kind: ConfigMap}]`, `[{labels: {set: {a: b}}}, {images: [{tag: "2"}]}]`, "spec.rules[1].images: Forbidden: a ConfigMap has no pod template", nil},
		"two faults":                   {deployments, `[{labels: {set: {a: "b c"}}}, {images: [{tag: "a"}], annotations: {remove: ["x y"]}}]`, "spec.rules[1].annotations", nil},
		"a patch that does not fit":    {deployments, `[{}, {jsonPatch: [{op: add, path: /spec/paused, value: true}, {op: remove, path: /spec/absent}]}]`, "spec.rules[1].jsonPatch[1]: Forbidden: does not fit Deployment overridden/web in cluster gondor: remove /spec/absent", nil},
		"by labels":                    {`[{labelSelector: {matchLabels: {app: web}}}]`, `[{jsonPatch: [{op: remove, path: /spec/absent}]}]`, "Deployment overridden/web", nil},
		"what is not federated counts": {`[{apiVersion: v1, kind: ConfigMap}]`, `[{jsonPatch: [{op: remove, path: /data/absent}]}]`, "", nil},
		"one in the way of another":    {everything, `[{labels: {remove: [app]}}]`, "with this policy, Deployment overridden/web could not be rendered for cluster gondor any more: OverridePolicy overridden/tested", nil},
		"bad selector":                 {`[{labelSelector: {matchExpressions: [{key: a, operator: Is}]}}]`, `[{labels: {set: {a: b}}}]`, "spec.resourceSelectors[0]", nil},
		"no such container": {deployments, `[{args: [{container: wbe, append: [x]}], env: [{container: web, remove: [A]}]}]`, "",
			[]string{`spec.rules[0].args[0].container: no object that is selected now has a container "wbe"`}},
		"no such cluster": {deployments, `[{clusters: {names: [moria]}, jsonPatch: [{op: remove, path: /spec/absent}]}]`, "",
			[]string{"spec.rules[0].clusters: no cluster of the federation is meant now"}},
		"a kind that is not federated": {`[{apiVersion: rbac.authorization.k8s.io/v1, kind: Role}]`, `[{labels: {set: {a: b}}}]`, "",
			[]string{"spec.resourceSelectors: objects of kind Role are federated only where a propagation policy names them"}},
	} {
		t.Run(name, func(t *testing.T) {
			policy := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte("spec:\n  resourceSelectors: "+c.selectors+"\n  rules: "+c.rules), &policy.Object); err != nil {
				t.Fatal(err)
			}
			policy.SetGroupVersionKind(federation.GroupVersion.WithKind("OverridePolicy"))
			policy.SetNamespace("overridden")
			policy.SetName("a")
			_, err := resourceOf(api, policy).Create(t.Context(), policy, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("got %v, want an error with %q", err, c.refused)
			}
			if diff := cmp.Diff(c.warnings, heard.take()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
	// Whatever a policy says, it never keeps an object from being changed or deleted.
	_, err = api.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace("overridden").
		Patch(t.Context(), "web", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"app":null}}}`), metav1.PatchOptions{})
	if err != nil {
		t.Errorf("an object that its policy no longer fits was refused: %v", err)
	}
}
