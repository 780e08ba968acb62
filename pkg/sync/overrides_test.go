package sync

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/override"
)

// clusterReader reads Clusters by name.
type clusterReader map[string]*federation.Cluster

func (r clusterReader) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	c, ok := r[key.Name]
	if !ok {
		return apierrors.NewNotFound(federation.GroupVersion.WithResource("clusters").GroupResource(), key.Name)
	}
	c.DeepCopyInto(into.(*federation.Cluster))
	return nil
}

func (clusterReader) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

func overriding(t *testing.T, generation int64, rules string) *override.Policy {
	t.Helper()
	p := &federation.OverridePolicy{}
	p.Namespace, p.Name, p.Generation = "shop", "local", generation
	if err := yaml.UnmarshalStrict([]byte(rules), &p.Spec.Rules); err != nil {
		t.Fatal(err)
	}
	p.Spec.ResourceSelectors = []federation.ResourceSelector{{APIVersion: "apps/v1", Kind: "Deployment"}}
	compiled, _ := override.OfNamespace(p)
	return compiled
}

func webReading(t *testing.T) reading {
	t.Helper()
	in := reading{object: object(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop, uid: u1}, spec: {replicas: 9}}`)}
	in.kind = kind.Kind{GroupVersionKind: in.object.GroupVersionKind(), Rule: kind.RuleOf(deployments)}
	in.decision = &federation.PlacementDecision{}
	in.decision.Spec.Clusters = []federation.ClusterPlacement{{Name: "gondor", Replicas: int32p(2)}}
	return in
}

// TestMemberRender: what a member gets, and what is said where that can't be told.
func TestMemberRender(t *testing.T) {
	where := `[{clusters: {matchFields: [{key: region, operator: NotIn, values: [eu]}]}, labels: {set: {a: b}}}]`
	for _, test := range []struct {
		name, rules string
		cluster     federation.ClusterStatus
		gone        bool
		state, says string
		labels      map[string]string
	}{
		{name: "no policy", rules: "[]", labels: map[string]string{}},
		{name: "by name", rules: `[{clusters: {names: [gondor]}, labels: {set: {a: b}}}]`, labels: map[string]string{"a": "b"}},
		{name: "it is not known yet where the cluster is", rules: where, state: federation.StateWaiting, says: "OverridePolicy shop/local tells clusters apart"},
		{name: "the cluster has no region", rules: where, cluster: federation.ClusterStatus{Allocatable: corev1.ResourceList{}}, labels: map[string]string{"a": "b"}},
		{name: "the cluster is elsewhere", rules: where, cluster: federation.ClusterStatus{Region: "eu"}, labels: map[string]string{}},
		{name: "the cluster left", rules: `[{labels: {set: {a: b}}}]`, gone: true, state: federation.StateWaiting, says: "gondor"},
		{name: "a patch that does not fit", rules: `[{jsonPatch: [{op: remove, path: /spec/absent}]}]`, state: federation.StateNotRendered, says: "OverridePolicy shop/local: spec.rules[0].jsonPatch[0]: remove /spec/absent"},
		{name: "a rule that never compiled", rules: `[{jsonPatch: [{op: remove, path: /metadata/name}]}]`, state: federation.StateNotRendered, says: "spec.rules[0].jsonPatch[0]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reader := clusterReader{"gondor": {Status: test.cluster}}
			reader["gondor"].Name = "gondor"
			if test.gone {
				delete(reader, "gondor")
			}
			v := &view{federation: "f", reader: reader}
			v.overrides.replace(policyKey{"shop", "local"}, overriding(t, 1, test.rules))
			m := &member{Member: &cluster.Member{Name: "gondor"}, view: v}
			config, instead, again := m.render(t.Context(), webReading(t), nil)
			if instead.State != test.state || !strings.Contains(instead.Message, test.says) {
				t.Errorf("instead: %q %q, want %q %q", instead.State, instead.Message, test.state, test.says)
			}
			if (again > 0) != (test.state == federation.StateWaiting) {
				t.Errorf("again after %v", again)
			}
			if test.labels == nil {
				if config != nil {
					t.Errorf("rendered %v", config.Object)
				}
				return
			}
			test.labels[federation.LabelFederation] = "f"
			if diff := cmp.Diff(test.labels, config.GetLabels()); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if n, _, _ := unstructured.NestedInt64(config.Object, "spec", "replicas"); n != 2 {
				t.Errorf("%d replicas, want the cluster's 2", n)
			}
		})
	}
}

// TestMeant: a change of policies concerns the members that they mean, and there what was dealt with and is selected.
func TestMeant(t *testing.T) {
	c := &Controller{members: map[string]*member{}, view: &view{reader: clusterReader{"gondor": {}, "rohan": {}, "shire": {}}}}
	for name, cl := range c.view.reader.(clusterReader) {
		cl.Name = name
		c.members[name] = newMember(t.Context(), &cluster.Member{Name: name}, c.view, func(Key) {})
	}
	in := webReading(t)
	key := Key{GroupKind: deployments, Namespace: "shop", Name: "web"}
	c.members["gondor"].outcomes[key] = outcome{State: federation.StateSynced}
	c.members["shire"].outcomes[key] = outcome{State: federation.StateSynced}
	before := overriding(t, 1, `[{clusters: {names: [gondor]}, labels: {set: {a: b}}}]`)
	after := overriding(t, 2, `[{clusters: {names: [rohan]}, labels: {set: {a: b}}}]`)
	members := c.meant([]*override.Policy{before, after})
	for _, other := range []string{"shop", "elsewhere"} {
		obj := in.object.DeepCopy()
		obj.SetNamespace(other)
		c.rerenderOne(in.kind, obj, []*override.Policy{before, after}, members)
	}
	got := map[string][]Key{}
	for name, m := range c.members {
		if len(m.queue.early) > 0 {
			got[name] = m.queue.early
		}
	}
	// rohan has not dealt with it yet, and will by the policies as they are then; shire is not meant.
	if diff := cmp.Diff(map[string][]Key{"gondor": {key}}, got); diff != "" {
		t.Errorf("to be looked at (-want +got):\n%s", diff)
	}
}

func TestOverridesInForce(t *testing.T) {
	var o overrides
	key, in := policyKey{"shop", "local"}, webReading(t)
	selected := func() int { return len(o.current().Select(deployments, in.object)) }
	if selected() != 0 {
		t.Error("there are policies before there are any")
	}
	first := overriding(t, 1, "[]")
	if former := o.replace(key, first); former != nil || selected() != 1 {
		t.Errorf("the first policy: former %v, %d selected", former, selected())
	}
	if former := o.replace(key, overriding(t, 2, "[]")); former != first || selected() != 1 || o.get(key).Generation != 2 {
		t.Errorf("its successor: former %v, %d selected", former, selected())
	}
	if former := o.replace(key, nil); former.Generation != 2 || selected() != 0 || o.get(key) != nil {
		t.Errorf("none any more: former %v, %d selected", former, selected())
	}
}
