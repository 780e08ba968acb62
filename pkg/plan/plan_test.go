package plan_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/plan"
	"kubefed.dev/kubefed/pkg/policy"
)

var (
	now        = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	deployment = kindOf("apps/v1", "Deployment", "deployments")
	configMap  = kindOf("v1", "ConfigMap", "configmaps")
	secret     = kindOf("v1", "Secret", "secrets")
)

func kindOf(version, name, resource string) kind.Kind {
	gvk := schema.FromAPIVersionAndKind(version, name)
	return kind.Kind{GroupVersionKind: gvk, Resource: resource, Namespaced: true, Rule: kind.RuleOf(gvk.GroupKind())}
}

// middleEarth is three clusters: two regions of aws, one of them with two zones, and one of gcp.
func middleEarth() *plan.World {
	cluster := func(name, provider, region string, zones ...string) placement.Cluster {
		return placement.Cluster{
			Cluster: policy.Cluster{Name: name, Provider: provider, Region: region, Zones: zones},
			Ready:   true, Since: now.Add(-24 * time.Hour),
		}
	}
	return &plan.World{Now: now, Objects: map[plan.Key]plan.Object{}, Clusters: []placement.Cluster{
		cluster("gondor", "aws", "us-east-1", "us-east-1a", "us-east-1b"),
		cluster("rohan", "aws", "us-west-2", "us-west-2a"),
		cluster("shire", "gcp", "europe-west1", "europe-west1-b"),
	}}
}

// put adds an object with what was decided on it by a policy: "gondor 2, rohan 1", or "gondor, rohan" for whole copies.
func put(t *testing.T, w *plan.World, k kind.Kind, name, manifest, placed, by string) plan.Key {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte("metadata: {namespace: shop}\n"+manifest), &obj.Object); err != nil {
		t.Fatal(err)
	}
	obj.SetGroupVersionKind(k.GroupVersionKind)
	obj.SetName(name)
	obj.SetUID(types.UID(k.Kind + name))
	o := plan.Object{Kind: k, Unstructured: obj}
	if placed != "" {
		version, kindName := k.ToAPIVersionAndKind()
		d := &federation.PlacementDecision{Spec: federation.PlacementDecisionSpec{Object: federation.ObjectReference{
			APIVersion: version, Kind: kindName, Namespace: "shop", Name: name, UID: obj.GetUID(),
		}}}
		if by != "" {
			d.Spec.Policy = &federation.PolicyReference{Kind: "PropagationPolicy", Name: by}
		}
		for _, word := range strings.Split(placed, ", ") {
			cluster, replicas, divided := strings.Cut(word, " ")
			p, s := federation.ClusterPlacement{Name: cluster}, federation.ClusterState{Name: cluster, State: federation.StateSynced}
			if n, err := strconv.Atoi(replicas); divided && err == nil {
				p.Replicas, s.ReadyReplicas = ptr.To(int32(n)), ptr.To(int32(n))
			}
			d.Spec.Clusters, d.Status.Clusters = append(d.Spec.Clusters, p), append(d.Status.Clusters, s)
		}
		o.Decision = d
	}
	key := plan.KeyOf(k, obj)
	w.Objects[key] = o
	return key
}

// rule is a PropagationPolicy in namespace shop for one Deployment.
func rule(t *testing.T, name, propagation string) *policy.Propagation {
	t.Helper()
	p := &federation.PropagationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	if err := yaml.UnmarshalStrict([]byte(propagation), &p.Spec.Propagation); err != nil {
		t.Fatal(err)
	}
	p.Spec.ResourceSelectors = []federation.ResourceSelector{{APIVersion: "apps/v1", Kind: "Deployment", Name: name}}
	compiled, err := policy.OfNamespace(p)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// show writes changes one a line.
func show(changes []plan.Change) string {
	var lines []string
	shares := func(of []plan.Share) string {
		var words []string
		for _, s := range of {
			word := s.Cluster
			if s.Replicas != nil {
				word = fmt.Sprintf("%s %d", word, *s.Replicas)
			}
			words = append(words, word)
		}
		return strings.Join(words, ", ")
	}
	for _, c := range changes {
		line := fmt.Sprintf("%s: %s -> %s", c.Object.Name, shares(c.Now), shares(c.Then))
		if c.Lost > 0 {
			line += fmt.Sprintf("; lost %d", c.Lost)
		}
		if c.Waits.Duration > 0 {
			line += fmt.Sprintf("; waits %s", c.Waits.Duration)
		}
		if c.Problem != "" {
			line += "; " + c.Problem
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestWithout(t *testing.T) {
	const forgiving = `
tolerations: [{key: federation.kubefed.dev/down, operator: Exists, effect: NoExecute, tolerationSeconds: 60}]`
	for _, c := range []struct {
		name     string
		without  []string
		policy   string
		replicas int
		placed   string
		want     string
	}{
		{"replicas move to what is left", []string{"gondor"}, "{}", 6, "gondor 2, rohan 2, shire 2",
			"web: gondor 2, rohan 2, shire 2 -> rohan 3, shire 3; lost 2; waits 30s"},
		{"a provider is all of its clusters", []string{"provider=aws"}, "{}", 6, "gondor 2, rohan 2, shire 2",
			"web: gondor 2, rohan 2, shire 2 -> shire 6; lost 4; waits 30s"},
		{"what is tolerated for a while waits", []string{"rohan"}, forgiving, 6, "gondor 2, rohan 2, shire 2",
			"web: gondor 2, rohan 2, shire 2 -> gondor 3, shire 3; lost 2; waits 1m0s"},
		{"what is tolerated for good stays", []string{"rohan"}, "tolerations: [{key: federation.kubefed.dev/down, operator: Exists}]", 6, "gondor 2, rohan 2, shire 2",
			"web: gondor 2, rohan 2, shire 2 -> gondor 2, rohan 2, shire 2; lost 2; 2 replicas would not be replaced"},
		{"one of two zones", []string{"zone=us-east-1a"}, "{}", 6, "gondor 2, rohan 2, shire 2", ""},
		{"both zones", []string{"zone=us-east-1a", "zone=us-east-1b"}, "{}", 6, "gondor 2, rohan 2, shire 2",
			"web: gondor 2, rohan 2, shire 2 -> rohan 3, shire 3; lost 2; waits 30s"},
		{"nowhere else by policy", []string{"gondor"}, "clusterGroups: [{name: a, names: [gondor]}]", 3, "gondor 3",
			"web: gondor 3 -> gondor 3; lost 3; waits 30s; nothing of it would be left"},
		{"at the others' maximum", []string{"gondor"}, "replicaDivision: {clusters: [{names: [gondor]}, {maxReplicas: 2}]}", 6, "gondor 2, rohan 2, shire 2",
			"web: gondor 2, rohan 2, shire 2 -> gondor 2, rohan 2, shire 2; lost 2; waits 30s; 2 replicas would not be replaced"},
		{"everything", []string{"gondor", "rohan", "shire"}, "{}", 3, "gondor 1, rohan 1, shire 1",
			"web: gondor 1, rohan 1, shire 1 -> gondor 1, rohan 1, shire 1; lost 3; waits 30s; nothing of it would be left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := middleEarth()
			w.SetPolicy(rule(t, "web", c.policy))
			put(t, w, deployment, "web", fmt.Sprintf("spec: {replicas: %d}", c.replicas), c.placed, "web")
			var domains []plan.Domain
			for _, text := range c.without {
				d, err := plan.ParseDomain(text)
				if err != nil {
					t.Fatal(err)
				}
				domains = append(domains, d)
			}
			loss, err := w.LossOf(domains...)
			if err != nil {
				t.Fatal(err)
			}
			after := w.Without(loss.Clusters...)
			if diff := cmp.Diff(c.want, show(plan.Compare(w, after, after.Settle(), false))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWithoutNothing(t *testing.T) {
	w := middleEarth()
	for text, want := range map[string]string{
		"mordor":         "no cluster mordor has joined",
		"region=nowhere": "no cluster has region nowhere",
		"colour=red":     "is no cluster, zone, region or provider",
		"zone=":          "is no cluster, zone, region or provider",
		"":               "is no cluster, zone, region or provider",
	} {
		d, err := plan.ParseDomain(text)
		if err == nil {
			_, err = w.LossOf(d)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// TestApplied: a new object, a changed one, and a policy, against what is there; dependencies come along.
func TestApplied(t *testing.T) {
	const uses = `
spec:
  replicas: 4
  template: {spec: {containers: [{name: web, envFrom: [{secretRef: {name: key}}]}]}}`
	w := middleEarth()
	put(t, w, deployment, "web", uses, "gondor 2, rohan 1, shire 1", "")
	put(t, w, secret, "key", "", "gondor, rohan, shire", "")
	put(t, w, configMap, "config", "", "gondor, rohan, shire", "")

	after := w.Clone()
	after.SetPolicy(rule(t, "web", "clusterGroups: [{name: aws, matchFields: [{key: provider, operator: In, values: [aws]}]}]"))
	put(t, after, deployment, "new", "spec: {replicas: 3}", "", "")
	want := `new:  -> gondor 1, rohan 1, shire 1
web: gondor 2, rohan 1, shire 1 -> gondor 2, rohan 2
key: gondor, rohan, shire -> gondor, rohan`
	if diff := cmp.Diff(want, show(plan.Compare(w, after, after.Settle(), false))); diff != "" {
		t.Error(diff)
	}
	if _, changed := w.Objects[plan.KeyOf(deployment, named("new"))]; changed || len(w.Policies) > 0 {
		t.Error("the world itself changed")
	}
}

func named(name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetNamespace("shop")
	obj.SetName(name)
	return obj
}

// A policy that nothing can meet is a problem once: where it was not met before, the plan does not make it worse.
func TestPolicyThatCantBeMet(t *testing.T) {
	w := middleEarth()
	key := put(t, w, deployment, "web", "spec: {replicas: 3}", "gondor 1, rohan 1, shire 1", "")
	before := *w
	next := w.Without()
	next.SetPolicy(rule(t, "web", "clusterGroups: [{name: a, names: [mordor]}]"))
	changes := plan.Compare(&before, next, next.Settle(), false)
	if len(changes) != 1 || !strings.Contains(changes[0].Problem, "the policy does not want them") {
		t.Fatalf("got %+v", changes)
	}
	next.Objects[key].Decision.Spec.Missing = changes[0].Missing
	if changes := plan.Compare(next, next, next.Settle(), false); len(changes) != 0 {
		t.Errorf("missing already: got %+v", changes)
	}
}

// Why says of what is copied whole which clusters have it.
func TestWhyCopied(t *testing.T) {
	w := middleEarth()
	w.SetPolicy(rule(t, "web", "{replicaDivision: {mode: Duplicated}, clusterGroups: [{name: a, names: [gondor, shire]}]}"))
	r, err := w.Why(put(t, w, deployment, "web", "spec: {replicas: 3}", "gondor", "web"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.Clusters {
		got = append(got, fmt.Sprintf("%s %t %t", c.Cluster, c.Holds, c.Given))
	}
	if diff := cmp.Diff([]string{"gondor true true", "rohan false false", "shire false true"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSurvivability(t *testing.T) {
	w := middleEarth()
	w.SetPolicy(rule(t, "web", "{}"))
	w.SetPolicy(rule(t, "pinned", "clusterGroups: [{name: a, names: [rohan]}]"))
	put(t, w, deployment, "web", "spec: {replicas: 3}", "gondor 1, rohan 1, shire 1", "web")
	put(t, w, deployment, "pinned", "spec: {replicas: 1}", "rohan 1", "pinned")
	var got []string
	for _, s := range w.Survivability() {
		line := fmt.Sprintf("%s: %d objects, %d replicas", s.Domain, s.Affected, s.Replicas)
		for _, dead := range s.Dead {
			line += ", not " + dead.Object.Name
		}
		got = append(got, line)
	}
	want := []string{
		"provider aws: 2 objects, 3 replicas, not pinned",
		"provider gcp: 1 objects, 1 replicas",
		"region europe-west1: 1 objects, 1 replicas",
		"region us-east-1: 1 objects, 1 replicas",
		"region us-west-2: 2 objects, 2 replicas, not pinned",
		"zone europe-west1-b: 1 objects, 1 replicas",
		"zone us-east-1a: 0 objects, 0 replicas",
		"zone us-east-1b: 0 objects, 0 replicas",
		"zone us-west-2a: 2 objects, 2 replicas, not pinned",
		"cluster gondor: 1 objects, 1 replicas",
		"cluster rohan: 2 objects, 2 replicas, not pinned",
		"cluster shire: 1 objects, 1 replicas",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhy(t *testing.T) {
	w := middleEarth()
	w.SetPolicy(rule(t, "web", "clusterGroups: [{name: aws, matchFields: [{key: provider, operator: In, values: [aws]}]}]"))
	key := put(t, w, deployment, "web", "spec: {replicas: 4}", "gondor 2, rohan 2", "web")
	r, err := w.Why(key)
	if err != nil {
		t.Fatal(err)
	}
	if r.Outdated || len(r.Policies) != 1 || r.Policies[0].By != "name" {
		t.Errorf("got %+v", r)
	}
	var got []string
	for _, c := range r.Clusters {
		got = append(got, fmt.Sprintf("%s %s %d %s", c.Cluster, c.Group, ptr.Deref(c.Gets, -1), c.Out))
	}
	want := []string{"gondor aws 2 ", "rohan aws 2 ", "shire  -1 NotSelected"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := w.Why(plan.KeyOf(deployment, named("none"))); err == nil || !strings.Contains(err.Error(), "is not federated") {
		t.Errorf("got %v", err)
	}
}
