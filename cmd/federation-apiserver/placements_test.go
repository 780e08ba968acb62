package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestAdmissionOfPlacements(t *testing.T) {
	s := sharedFor(t)
	namespace := newNamespace(t, s)
	said := &warned{}
	config := rest.CopyConfig(s.config)
	config.WarningHandler = said
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	create := func(resource, text string) error {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
			t.Fatal(err)
		}
		gvr := obj.GroupVersionKind().GroupVersion().WithResource(resource)
		_, err := client.Resource(gvr).Namespace(namespace).Create(t.Context(), obj, metav1.CreateOptions{})
		return err
	}
	policy := func(name, spec string) error {
		return create("propagationpolicies", `{apiVersion: `+federation.GroupVersion.String()+`, kind: PropagationPolicy, metadata: {name: `+name+`}, spec: `+spec+`}`)
	}
	const all = `resourceSelectors: [{apiVersion: apps/v1, kind: Deployment}]`
	if err := policy("first", `{`+all+`}`); err != nil {
		t.Fatal(err)
	}
	said.take()
	for _, test := range []struct {
		name, spec, refused string
		warns               []string
	}{
		{"labels", `{resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, labelSelector: {matchExpressions: [{key: a, operator: Near}]}}]}`,
			`spec.resourceSelectors[0]: labelSelector: "Near" is not a valid label selector operator`, nil},
		{"spread", `{` + all + `, topologySpreadConstraints: [{topologyKey: cluster, maxDomains: 2}, {topologyKey: region, minDomains: 3}]}`,
			"spec.topologySpreadConstraints[1].minDomains: Invalid value: 3: can't be met in 2 clusters", nil},
		{"toleration", `{` + all + `, tolerations: [{key: a, operator: Exists, tolerationSeconds: 5}]}`,
			"spec.tolerations[0].effect: Invalid value: \"\": must be NoExecute", nil},
		{"label", `{` + all + `, clusterGroups: [{name: a, matchExpressions: [{key: "a b", operator: Exists}]}]}`,
			"spec.clusterGroups[0].matchExpressions[0].key: Invalid value: \"a b\"", nil},
		{"topology", `{` + all + `, topologySpreadConstraints: [{topologyKey: "a b", maxSkew: 1}]}`,
			"spec.topologySpreadConstraints[0].topologyKey: Invalid value: \"a b\"", nil},
		{"second", `{` + all + `, clusterGroups: [{name: a, names: [nowhere]}]}`, "", []string{
			"no cluster has joined under the name nowhere; it may join later",
			"spec.clusterGroups[0]: group a selects no cluster now",
			"spec.resourceSelectors: selects objects with the same rank as PropagationPolicy first; for these the older policy is in force",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := policy(test.name, test.spec)
			if test.refused == "" && err != nil || test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)) {
				t.Errorf("answered %v, want %q", err, test.refused)
			}
			if diff := cmp.Diff(test.warns, said.take()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("annotation", func(t *testing.T) {
		web := func(annotations string) error {
			return create("deployments", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, annotations: `+annotations+`},
				spec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}}`)
		}
		for annotation, value := range map[string]string{
			"federation.kubernetes.io/deployment-preferences": "clusters: none", "federation.alpha.kubernetes.io/cluster-selector": "{}",
		} {
			if err := web(`{` + annotation + `: '` + value + `'}`); err == nil || !strings.Contains(err.Error(), "annotation "+annotation) {
				t.Errorf("%s: %q: answered %v", annotation, value, err)
			}
		}
		if err := web(`{federation.kubernetes.io/replica-set-preferences: not for this kind, federation.kubefed.dev/propagate: "false"}`); err != nil {
			t.Error(err)
		}
	})
}
