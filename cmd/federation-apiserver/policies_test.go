package main

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// TestPoliciesAreValidated: what the schema and CEL refuse, and that the message names the field.
func TestPoliciesAreValidated(t *testing.T) {
	s := sharedFor(t)
	api, err := dynamic.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	const propagation, override = "PropagationPolicy", "OverridePolicy"
	deployments := "resourceSelectors: [{apiVersion: apps/v1, kind: Deployment}]\n"
	for name, c := range map[string]struct{ kind, spec, want string }{
		"good": {propagation, deployments + `
clusterGroups:
- {name: first, names: [gondor], exclude: [shire], matchFields: [{key: provider, operator: In, values: [aws]}]}
- {name: rest, matchExpressions: [{key: cores, operator: Gt, values: ["16"]}]}
tolerations: [{key: maintenance, operator: Exists, effect: NoExecute, tolerationSeconds: 60}]
topologySpreadConstraints: [{topologyKey: region, maxSkew: 1, minDomains: 2, whenUnsatisfiable: ScheduleAnyway}]
replicaDivision: {strategy: Packed, clusters: [{names: [gondor], weight: 3, minReplicas: 1, maxReplicas: 5}, {}], rebalance: true}
moves: {stableFor: 1m30s, minimumStay: 0s, maxMoving: 50%, maxUnavailable: 0}`, ""},
		"no selector":        {propagation, "resourceSelectors: []", "spec.resourceSelectors"},
		"name without kind":  {propagation, "resourceSelectors: [{name: web}]", "name needs a kind beside it"},
		"name and labels":    {propagation, "resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: web, labelSelector: {}}]", "exclude each other"},
		"kind without group": {propagation, "resourceSelectors: [{kind: Deployment}]", "apiVersion and kind go together"},
		"negative weight":    {propagation, deployments + "replicaDivision: {clusters: [{weight: -1}]}", "spec.replicaDivision.clusters[0].weight"},
		"min over max":       {propagation, deployments + "replicaDivision: {clusters: [{minReplicas: 3, maxReplicas: 1}]}", "minReplicas must not be greater than maxReplicas"},
		"unknown strategy":   {propagation, deployments + "replicaDivision: {strategy: Random}", "spec.replicaDivision.strategy"},
		"unknown mode":       {propagation, deployments + "replicaDivision: {mode: Halved}", "spec.replicaDivision.mode"},
		"nothing moves":      {propagation, deployments + "moves: {maxMoving: 0}", "maxMoving must be at least 1"},
		"no percentage":      {propagation, deployments + "moves: {maxUnavailable: many}", "maxUnavailable must be at least 0"},
		"no duration":        {propagation, deployments + "moves: {stableFor: soon}", "stableFor must be a duration"},
		"negative duration":  {propagation, deployments + "moves: {minimumStay: -5m}", "minimumStay must be a duration"},
		"unknown field":      {propagation, deployments + "clusterGroups: [{name: a, matchFields: [{key: colour, operator: Exists}]}]", "labels belong in matchExpressions"},
		"unknown operator":   {propagation, deployments + "clusterGroups: [{name: a, matchExpressions: [{key: a, operator: Is}]}]", "matchExpressions[0].operator"},
		"in nothing":         {propagation, deployments + "clusterGroups: [{name: a, matchExpressions: [{key: a, operator: In}]}]", "In and NotIn need values"},
		"exists with value":  {propagation, deployments + "clusterGroups: [{name: a, matchExpressions: [{key: a, operator: Exists, values: [b]}]}]", "take no values"},
		"gt of a word":       {propagation, deployments + "clusterGroups: [{name: a, matchExpressions: [{key: a, operator: Gt, values: [b]}]}]", "one whole number"},
		"group twice":        {propagation, deployments + "clusterGroups: [{name: a}, {name: a}]", "spec.clusterGroups[1]"},
		"constraint of none": {propagation, deployments + "topologySpreadConstraints: [{topologyKey: region}]", "needs maxSkew, minDomains or maxDomains"},
		"impossible spread":  {propagation, deployments + "topologySpreadConstraints: [{topologyKey: zone, minDomains: 3, maxDomains: 2}]", "minDomains must not be greater"},
		"skew of nothing":    {propagation, deployments + "topologySpreadConstraints: [{topologyKey: zone, maxSkew: 0}]", "maxSkew"},

		"good override": {override, deployments + `
rules:
- clusters: {names: [gondor]}
  images: [{registry: "registry.example.com:5000", tag: v1}]
  args: [{container: web, remove: [-v], append: [-q]}]
  env: [{container: web, set: [{name: A, value: b}]}]
  jsonPatch: [{op: replace, path: /spec/paused, value: true}]`, ""},
		"no rule":         {override, deployments + "rules: []", "spec.rules"},
		"empty image":     {override, deployments + "rules: [{images: [{containers: [web]}]}]", "needs registry, repository, tag or digest"},
		"tag and digest":  {override, deployments + "rules: [{images: [{tag: a, digest: 'sha256:00000000000000000000000000000000'}]}]", "exclude each other"},
		"replace and add": {override, deployments + "rules: [{args: [{container: web, replace: [a], append: [b]}]}]", "either replace, or remove and append"},
		"unknown op":      {override, deployments + "rules: [{jsonPatch: [{op: change, path: /spec}]}]", "jsonPatch[0].op"},
		"no pointer":      {override, deployments + "rules: [{jsonPatch: [{op: remove, path: spec}]}]", "jsonPatch[0].path"},
		"move from where": {override, deployments + "rules: [{jsonPatch: [{op: move, path: /spec/a}]}]", "move and copy need from"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte("spec:\n  "+strings.ReplaceAll(c.spec, "\n", "\n  ")), &obj.Object); err != nil {
				t.Fatal(err)
			}
			obj.SetGroupVersionKind(federation.GroupVersion.WithKind(c.kind))
			obj.SetGenerateName("policy-")
			resource := map[string]string{propagation: "propagationpolicies", override: "overridepolicies"}[c.kind]
			_, err := api.Resource(schema.GroupVersionResource{Group: federation.GroupName, Version: "v1alpha1", Resource: resource}).
				Namespace("default").Create(t.Context(), obj, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
