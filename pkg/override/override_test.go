package override

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/policy"
)

func object(t testing.TB, manifest string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(data, &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func kindOf(u *unstructured.Unstructured) kind.Kind {
	gvk := u.GroupVersionKind()
	return kind.Kind{GroupVersionKind: gvk, Namespaced: true, Rule: kind.RuleOf(gvk.GroupKind())}
}

// everything selects every object of the policy's namespace.
var everything = []federation.ResourceSelector{{}}

func policyOf(t testing.TB, rules string) *federation.OverridePolicy {
	t.Helper()
	p := &federation.OverridePolicy{}
	p.Name, p.Namespace = "regional", "shop"
	if err := yaml.UnmarshalStrict([]byte(rules), &p.Spec.Rules); err != nil {
		t.Fatal(err)
	}
	p.Spec.ResourceSelectors = everything
	return p
}

const web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web, federation.kubefed.dev/federation: f}, annotations: {federation.kubefed.dev/origin-uid: u1, note: mine}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: init, image: "docker.io/library/busybox:1"}]
      containers:
      - {name: c, image: "nginx:1", command: [serve], args: [--quiet, --port=80], env: [{name: A, value: "1"}, {name: B, value: "2"}]}
      - {name: proxy, image: "quay.example.com:5000/mesh/proxy@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
`

func TestApply(t *testing.T) {
	gondor := &policy.Cluster{Name: "gondor", Region: "eu"}
	for _, test := range []struct {
		name, rules string
		// edit turns web into what is wanted.
		edit *strings.Replacer
	}{{
		name:  "no rule means the cluster",
		rules: `[{clusters: {names: [rohan]}, labels: {set: {a: b}}}]`,
		edit:  strings.NewReplacer(),
	}, {
		name:  "a registry for all containers, init containers too",
		rules: `[{images: [{registry: "mirror:5000"}]}]`,
		edit: strings.NewReplacer(`"docker.io/library/busybox:1"`, `"mirror:5000/library/busybox:1"`, `"nginx:1"`, `"mirror:5000/nginx:1"`,
			"quay.example.com:5000/", "mirror:5000/"),
	}, {
		name:  "tag and repository of one container",
		rules: `[{images: [{containers: [c], repository: web/nginx, tag: "2"}]}]`,
		edit:  strings.NewReplacer(`"nginx:1"`, `"web/nginx:2"`),
	}, {
		name:  "a tag takes the digest away",
		rules: `[{images: [{containers: [proxy], tag: v1}]}]`,
		edit:  strings.NewReplacer("@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ":v1"),
	}, {
		name:  "command and arguments",
		rules: `[{command: [{container: c, replace: [run, it]}], args: [{container: c, remove: [--quiet], append: [--loud]}, {container: absent, append: [x]}]}]`,
		edit:  strings.NewReplacer("[serve]", "[run, it]", "[--quiet, --port=80]", "[--port=80, --loud]"),
	}, {
		name:  "a list without elements is none",
		rules: `[{command: [{container: c, replace: []}], args: [{container: c, remove: [--quiet, --port=80]}]}]`,
		edit:  strings.NewReplacer(" command: [serve],", "", " args: [--quiet, --port=80],", ""),
	}, {
		name:  "variables are removed, then set in place or at the end",
		rules: `[{env: [{container: c, remove: [A], set: [{name: B, value: "3"}, {name: C, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]}]}]`,
		edit:  strings.NewReplacer(`[{name: A, value: "1"}, {name: B, value: "2"}]`, `[{name: B, value: "3"}, {name: C, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]`),
	}, {
		name:  "labels and annotations of the object alone",
		rules: `[{labels: {set: {region: eu}, remove: [app]}, annotations: {set: {note: theirs}, remove: [absent]}}]`,
		edit:  strings.NewReplacer("labels: {app: web, fed", "labels: {region: eu, fed", "note: mine", "note: theirs"),
	}, {
		name: "a JSON patch sees what earlier fields and rules made",
		rules: `[{clusters: {matchFields: [{key: region, operator: In, values: [eu]}]}, labels: {set: {region: eu}}},
  {jsonPatch: [{op: test, path: /metadata/labels/region, value: eu}, {op: add, path: /spec/paused, value: true}, {op: remove, path: /spec/template/spec/containers/1},
    {op: copy, from: /spec/replicas, path: /metadata/annotations/x~1y}, {op: replace, path: /metadata/annotations/x~1y, value: "3"}]}]`,
		edit: strings.NewReplacer("app: web, fed", "app: web, region: eu, fed", "replicas: 3", "replicas: 3\n  paused: true", "note: mine", `note: mine, x/y: "3"`,
			"      - {name: proxy, image: \"quay.example.com:5000/mesh/proxy@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}\n", ""),
	}} {
		t.Run(test.name, func(t *testing.T) {
			p, err := OfNamespace(policyOf(t, test.rules))
			if err != nil {
				t.Fatal(err)
			}
			in := object(t, web)
			got, err := Apply([]*Policy{p}, kindOf(in), in, gondor)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, test.edit.Replace(web)).Object, got.Object); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(object(t, web).Object, in.Object); diff != "" {
				t.Errorf("the object that came in was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestLabelsWhereThereAreNone(t *testing.T) {
	p, err := OfNamespace(policyOf(t, `[{labels: {set: {a: b}}, annotations: {remove: [c]}, images: [{tag: "2"}], env: [{container: x, set: [{name: A}]}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	in := object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}}`)
	got, err := Apply([]*Policy{p}, kindOf(in), in, &policy.Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, labels: {a: b}}}`).Object, got.Object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What can't be applied to any object is found when the policy is compiled, what can't be applied to this one when it is
// applied; both name policy, field and what to do.
func TestRefused(t *testing.T) {
	for _, test := range []struct {
		name, rules string
		compiles    bool
		want        []string
	}{
		{"another name", `[{jsonPatch: [{op: replace, path: /metadata/name, value: x}]}]`, false, []string{"OverridePolicy shop/regional: spec.rules[0].jsonPatch[0]: replace /metadata/name", "only labels and annotations"}},
		{"all metadata", `[{jsonPatch: [{op: remove, path: /metadata}]}]`, false, []string{"only labels and annotations"}},
		{"the kind by a move", `[{labels: {set: {a: b}}}, {jsonPatch: [{op: test, path: /kind, value: Deployment}, {op: move, from: /kind, path: /spec/x}]}]`, false, []string{"spec.rules[1].jsonPatch[1]: move /kind"}},
		{"the status", `[{jsonPatch: [{op: add, path: /status, value: {}}]}]`, false, []string{"the cluster's own"}},
		{"the federation's label", `[{jsonPatch: [{op: remove, path: /metadata/labels/federation.kubefed.dev~1federation}]}]`, false, []string{"federation.kubefed.dev/federation is the federation's own"}},
		{"the federation's label as a label", `[{labels: {remove: [federation.kubefed.dev/federation]}}]`, false, []string{"spec.rules[0].labels: federation.kubefed.dev/federation is the federation's own: leave it out"}},
		{"the federation's annotation", `[{annotations: {set: {federation.kubefed.dev/origin-uid: x}}}]`, false, []string{"spec.rules[0].annotations"}},
		{"a label value that is none", `[{labels: {set: {a: "no spaces"}}}]`, false, []string{"value of a: "}},
		{"a pointer that is none", `[{jsonPatch: [{op: remove, path: spec}]}]`, false, []string{"begin with /"}},
		{"a pointer with a bad escape", `[{jsonPatch: [{op: remove, path: /spec/~2}]}]`, false, []string{"write ~0 for ~"}},
		{"an unknown operation", `[{jsonPatch: [{op: merge, path: /spec}]}]`, false, []string{"use add, remove"}},
		{"a tag that is none", `[{images: [{tag: "no spaces"}]}]`, false, []string{"spec.rules[0].images[0]", "correct the override"}},
		{"a digest too short", `[{images: [{digest: "sha256:abcd"}]}]`, false, []string{"correct the override"}},
		{"a variable with two values", `[{env: [{container: c, set: [{name: A, value: x, valueFrom: {fieldRef: {fieldPath: x}}}]}]}]`, false, []string{"spec.rules[0].env[0].set: A: give either"}},
		{"replicas", `[{jsonPatch: [{op: replace, path: /spec/replicas, value: 9}]}]`, true, []string{"jsonPatch[0]: replace /spec/replicas", "PropagationPolicy"}},
		{"replicas with all the spec", `[{jsonPatch: [{op: replace, path: /spec, value: {replicas: 9}}]}]`, true, []string{"rules[0].jsonPatch: .spec.replicas would change"}},
		{"the federation's label with all labels", `[{jsonPatch: [{op: add, path: /metadata/labels, value: {app: web}}]}]`, true, []string{"would lose federation.kubefed.dev/federation"}},
		{"labels that are no map", `[{jsonPatch: [{op: add, path: /metadata/labels, value: [app]}]}]`, true, []string{"map of strings"}},
		{"an annotation that is a number", `[{jsonPatch: [{op: add, path: /metadata/annotations/n, value: 1}]}]`, true, []string{"map of strings: n"}},
		{"a path that is not there", `[{clusters: {names: [rohan]}, labels: {set: {a: b}}}, {jsonPatch: [{op: remove, path: /spec/absent}]}]`, true, []string{"spec.rules[1].jsonPatch[0]: remove /spec/absent", "correct the patch"}},
		{"a test that fails", `[{jsonPatch: [{op: test, path: /spec/replicas, value: 4}]}]`, true, []string{"test /spec/replicas"}},
		{"an index from the end", `[{jsonPatch: [{op: remove, path: /spec/template/spec/containers/-1}]}]`, true, []string{"containers/-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := OfNamespace(policyOf(t, test.rules))
			if (err == nil) != test.compiles {
				t.Fatalf("compiling: %v", err)
			}
			in := object(t, web)
			got, err := Apply([]*Policy{p}, kindOf(in), in, &policy.Cluster{Name: "gondor"})
			var named *Error
			if !errors.As(err, &named) || got != nil {
				t.Fatalf("want an *Error and no object, got %v and %v", err, got)
			}
			for _, want := range append(test.want, "OverridePolicy shop/regional: spec.rules[") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message lacks %q: %v", want, err)
				}
			}
		})
	}
}

func TestUnreadableImage(t *testing.T) {
	p, err := OfNamespace(policyOf(t, `[{images: [{containers: [absent], tag: "1"}]}, {images: [{tag: "2"}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	in := object(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {spec: {containers: [{name: c, image: "UPPER CASE"}]}}}}`)
	_, err = Apply([]*Policy{p}, kindOf(in), in, &policy.Cluster{})
	if err == nil || !strings.Contains(err.Error(), `spec.rules[1].images[0]: container "c": image "UPPER CASE" can't be read`) {
		t.Errorf("got %v", err)
	}
}

func TestReplaceImage(t *testing.T) {
	const sha = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	for _, test := range []struct {
		name, image string
		o           federation.ImageOverride
		want        string
	}{
		{"a short name keeps its repository as written", "nginx", federation.ImageOverride{Registry: "r.example.com"}, "r.example.com/nginx"},
		{"a written library stays", "library/nginx:1", federation.ImageOverride{Registry: "r.example.com"}, "r.example.com/library/nginx:1"},
		{"a port in the registry", "localhost:5000/a/b:1", federation.ImageOverride{Registry: "r.example.com:443"}, "r.example.com:443/a/b:1"},
		{"localhost is a registry", "localhost/a:1", federation.ImageOverride{Tag: "2"}, "localhost/a:2"},
		{"a repository alone keeps the registry", "quay.io/a/b:1", federation.ImageOverride{Repository: "c"}, "quay.io/c:1"},
		{"a repository is never taken for a registry", "nginx:1", federation.ImageOverride{Repository: "a.b/c"}, "docker.io/a.b/c:1"},
		{"a tag replaces tag and digest", "a/b:1@" + sha, federation.ImageOverride{Tag: "2"}, "a/b:2"},
		{"a digest replaces tag and digest", "a/b:1", federation.ImageOverride{Digest: sha}, "a/b@" + sha},
		{"a registry keeps tag and digest", "a/b:1@" + sha, federation.ImageOverride{Registry: "r.io"}, "r.io/a/b:1@" + sha},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := replaceImage(test.image, &test.o)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	set := func(name string) federation.OverrideRule {
		return federation.OverrideRule{Labels: &federation.MapOverride{Set: map[string]string{"last": name}}}
	}
	var policies []*Policy
	for _, name := range []string{"b", "a"} {
		p := &federation.OverridePolicy{Spec: federation.OverridePolicySpec{ResourceSelectors: everything, Rules: []federation.OverrideRule{set(name)}}}
		p.Namespace, p.Name = "shop", name
		compiled, err := OfNamespace(p)
		if err != nil {
			t.Fatal(err)
		}
		c := &federation.ClusterOverridePolicy{Spec: federation.ClusterOverridePolicySpec{
			ResourceSelectors: []federation.ScopedResourceSelector{{Namespaces: []string{"shop"}}}, Rules: []federation.OverrideRule{set("cluster-" + name)}}}
		c.Name = "z" + name
		anywhere, err := OfCluster(c)
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, compiled, anywhere)
	}
	in := object(t, web)
	selected := NewSet(policies...).Select(schema.GroupKind{Group: "apps", Kind: "Deployment"}, in)
	var names []string
	for _, p := range selected {
		names = append(names, p.String())
	}
	want := []string{"ClusterOverridePolicy za", "ClusterOverridePolicy zb", "OverridePolicy shop/a", "OverridePolicy shop/b"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	got, err := Apply(selected, kindOf(in), in, &policy.Cluster{})
	if err != nil || got.GetLabels()["last"] != "b" {
		t.Errorf("the last word is %q, want b's (%v)", got.GetLabels()["last"], err)
	}
	in.SetNamespace("other")
	if selected := NewSet(policies...).Select(schema.GroupKind{Group: "apps", Kind: "Deployment"}, in); len(selected) != 0 {
		t.Errorf("policies for namespace shop select an object of another: %v", selected)
	}
}

func TestMeans(t *testing.T) {
	p, err := OfNamespace(policyOf(t, `[{clusters: {names: [rohan]}}, {clusters: {matchFields: [{key: region, operator: In, values: [eu]}]}}]`))
	if err != nil {
		t.Fatal(err)
	}
	gondor := policy.Cluster{Name: "gondor"}
	moved := gondor
	moved.Region = "eu"
	if p.MeansAny(&gondor) || !p.MeansAny(&moved) || !p.Differs(&gondor, &moved) || p.Differs(&gondor, &gondor) || !p.AsksWhere() {
		t.Error("gondor is meant only once its region is eu, and that makes a difference")
	}
}

// Looking for policies costs nothing but time where none selects the object.
func TestSelectDoesNotAllocate(t *testing.T) {
	p := policyOf(t, `[{labels: {set: {a: b}}}]`)
	p.Spec.ResourceSelectors = []federation.ResourceSelector{{APIVersion: "apps/v1", Kind: "Deployment"}}
	p.Spec.ResourceSelectors[0].LabelSelector = selectorFor("app", "other")
	compiled, err := OfNamespace(p)
	if err != nil {
		t.Fatal(err)
	}
	set, in := NewSet(compiled), object(t, web)
	if n := testing.AllocsPerRun(100, func() {
		if set.Select(schema.GroupKind{Group: "apps", Kind: "Deployment"}, in) != nil {
			t.Fatal("selected")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkApply(b *testing.B) {
	in := object(b, web)
	for name, rules := range map[string]string{
		"image":     `[{images: [{registry: "mirror:5000"}]}]`,
		"jsonPatch": `[{jsonPatch: [{op: add, path: /spec/paused, value: true}]}]`,
	} {
		b.Run(name, func(b *testing.B) {
			p, err := OfNamespace(policyOf(b, rules))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Apply([]*Policy{p}, kindOf(in), in, &policy.Cluster{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
