package cli

import (
	"bytes"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

const renderedWeb = `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "generation": 4,
  "finalizers": ["federation.kubefed.dev/members"], "labels": {"app": "web"}},
 "spec": {"replicas": 7, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
  "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}}, "status": {"replicas": 7}}`

// shop is a federation of three clusters, one of which has a policy that does not fit.
func shop(t *testing.T) (*renderer, source) {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON([]byte(renderedWeb)); err != nil {
		t.Fatal(err)
	}
	var p federation.OverridePolicy
	if err := yaml.UnmarshalStrict([]byte(`
metadata: {name: local, namespace: shop}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment}]
  rules:
  - {clusters: {names: [gondor]}, images: [{registry: mirror.example.com}], labels: {set: {place: gondor}}}
  - {clusters: {matchFields: [{key: region, operator: In, values: [mark]}]}, jsonPatch: [{op: remove, path: /spec/paused}]}
`), &p); err != nil {
		t.Fatal(err)
	}
	two, five := int32(2), int32(5)
	d := &federation.PlacementDecision{Spec: federation.PlacementDecisionSpec{
		Clusters: []federation.ClusterPlacement{{Name: "gondor", Replicas: &two}, {Name: "rohan", Replicas: &five}}}}
	d.Name = "web.deployments.apps"
	r := &renderer{federation: "fellowship", namespace: "default", overrides: compileOverrides([]federation.OverridePolicy{p}, nil)}
	for _, name := range []string{"gondor", "rohan", "shire"} {
		c := federation.Cluster{}
		c.Name = name
		if name == "rohan" {
			c.Status.Region = "mark"
		}
		r.clusters = append(r.clusters, c)
	}
	gk := schema.GroupKind{Group: "apps", Kind: "Deployment"}
	k := kind.Kind{GroupVersionKind: gk.WithVersion("v1"), Resource: "deployments", Namespaced: true, Rule: kind.RuleOf(gk)}
	return r, source{kind: k, object: obj, decision: d}
}

func TestRender(t *testing.T) {
	for _, test := range []struct {
		name, cluster string
		flags         renderFlags
		undecided     bool
		wantErr       string
	}{
		{name: "one.yaml", cluster: "gondor", flags: renderFlags{output: "yaml"}},
		{name: "one.json", cluster: "gondor", flags: renderFlags{output: "json"}},
		{name: "one.diff", cluster: "gondor", flags: renderFlags{output: "yaml", diff: true}},
		{name: "all.yaml", flags: renderFlags{output: "yaml", allClusters: true},
			wantErr: "cluster rohan: OverridePolicy shop/local: spec.rules[1].jsonPatch[0]: remove /spec/paused"},
		{name: "elsewhere.yaml", cluster: "shire", flags: renderFlags{output: "yaml"}},
		{name: "undecided.diff", flags: renderFlags{output: "json", allClusters: true, diff: true}, undecided: true, wantErr: "cluster rohan"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, s := shop(t)
			if test.undecided {
				s.decision = nil
			}
			names, err := r.targets(s, test.cluster)
			if err != nil {
				t.Fatal(err)
			}
			var docs []document
			for _, name := range names {
				docs = append(docs, r.render(s, name))
			}
			var out, errs bytes.Buffer
			err = printDocuments(Streams{Out: &out, Err: &errs}, &test.flags, docs)
			if (err != nil) != (test.wantErr != "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("want an error with %q, got %v", test.wantErr, err)
			}
			got := out.String()
			if errs.Len() > 0 {
				got += "=== on standard error\n" + errs.String()
			}
			wantGolden(t, "render/"+test.name, got)
		})
	}
}

func TestRenderTargets(t *testing.T) {
	r, s := shop(t)
	if _, err := r.targets(s, "moria"); err == nil || !strings.Contains(err.Error(), "there are: gondor, rohan, shire") {
		t.Errorf("an unknown cluster: %v", err)
	}
	s.decision.Spec.Clusters = nil
	if _, err := r.targets(s, ""); err == nil || !strings.Contains(err.Error(), "PlacementDecision web.deployments.apps says why") {
		t.Errorf("an object that is placed nowhere: %v", err)
	}
}

func TestRenderWrongCommandLines(t *testing.T) {
	for line, want := range map[string]string{
		"render":                "TYPE/NAME",
		"render deployment/web": "--cluster",
		"render deployment/web --cluster=a --all-clusters":      "--cluster",
		"render deployment/web -f web.yaml --cluster=a":         "--filename",
		"render deployment/web --cluster=gondor --output=wide":  "--output=wide: use json or yaml",
		"render deployment/web --cluster=gondor --context=none": "no such context",
	} {
		t.Run(line, func(t *testing.T) {
			code, _, errs := typed(t, strings.Fields(line)...)
			if code == ExitOK || !strings.Contains(errs, want) {
				t.Errorf("exit code %d, %s", code, errs)
			}
		})
	}
}
