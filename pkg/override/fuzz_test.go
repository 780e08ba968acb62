package override

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

func selectorFor(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

// FuzzJSONPatch: no patch brings the program down, changes the object that comes in, or gets at what is protected.
func FuzzJSONPatch(f *testing.F) {
	f.Add("add", "/spec/template/spec/containers/0/image", "", `"x"`)
	f.Add("add", "/spec/template/spec/containers/-", "", `{"name":"d"}`)
	f.Add("remove", "/spec/template/spec/containers/99999999999999999999", "", ``)
	f.Add("replace", "/metadata/labels", "", `null`)
	f.Add("replace", "/spec", "", `[{"replicas":3}]`)
	f.Add("move", "/spec/template", "/spec", ``)
	f.Add("copy", "/spec/template/spec/containers/0/x", "/spec/template", ``)
	f.Add("test", "/spec/replicas", "", `{`)
	f.Add("add", "/a~1b~0c", "", `1e400`)
	f.Fuzz(func(t *testing.T, op, path, from, value string) {
		operation := federation.JSONPatchOperation{Op: op, Path: path, From: from}
		if json.Valid([]byte(value)) { // the API server takes nothing else
			operation.Value = &apiextensionsv1.JSON{Raw: []byte(value)}
		}
		p := policyOf(t, `[]`)
		p.Spec.Rules = []federation.OverrideRule{
			{JSONPatch: []federation.JSONPatchOperation{operation}},
			{Images: []federation.ImageOverride{{Tag: "9"}}, Labels: &federation.MapOverride{Set: map[string]string{"a": "b"}},
				Env: []federation.EnvOverride{{Container: "c", Remove: []string{"A"}}}, Args: []federation.ListOverride{{Container: "c", Append: []string{"x"}}}},
		}
		compiled, _ := OfNamespace(p)
		in := object(t, web)
		got, err := Apply([]*Policy{compiled}, kindOf(in), in, &policy.Cluster{})
		if diff := cmp.Diff(object(t, web).Object, in.Object); diff != "" {
			t.Fatalf("the object that came in was changed:\n%s", diff)
		}
		if err != nil {
			return
		}
		for _, field := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"}, {"metadata", "uid"}, {"status"}, {"spec", "replicas"},
			{"metadata", "labels", federation.LabelFederation}, {"metadata", "annotations", federation.AnnotationOriginUID}} {
			if diff := cmp.Diff(at(in.Object, field...), at(got.Object, field...)); diff != "" {
				t.Errorf("%v changed:\n%s", field, diff)
			}
		}
	})
}

// FuzzImage: what is read is written again as it was, and what is replaced can be read.
func FuzzImage(f *testing.F) {
	for _, s := range []string{"nginx", "nginx:1", "a.b:5000/c/d:e@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "[::1]:5000/x", "localhost/x", "Host/x", "index.docker.io/x", "", "@", ":", "/"} {
		f.Add(s, "r.example.com", "team/app", "v1")
	}
	f.Fuzz(func(t *testing.T, text, registry, repository, tag string) {
		i, err := parseImage(text)
		if err != nil {
			return
		}
		if got := i.String(); got != text {
			t.Errorf("%q became %q", text, got)
		}
		out, err := replaceImage(text, &federation.ImageOverride{Registry: registry, Repository: repository, Tag: tag})
		if err != nil {
			return
		}
		if _, err := parseImage(out); err != nil {
			t.Errorf("%q became %q: %v", text, out, err)
		}
	})
}
