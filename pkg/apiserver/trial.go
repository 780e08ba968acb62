package apiserver

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/override"
	"kubefed.dev/kubefed/pkg/policy"
	"kubefed.dev/kubefed/pkg/render"
)

// What a policy is tried on is bounded, so that writing one stays quick however much it selects.
const (
	trialObjects = 500 // of each kind
	trialShapes  = 32  // of clusters that differ in which rules apply there
)

// trial is an override policy with what it would be applied to now.
type trial struct {
	policy   *override.Policy
	others   []*override.Policy
	objects  []candidate
	complete bool // objects are all that the policy selects
	clusters []policy.Cluster
	idle     []int // rules that apply in no cluster
}

type candidate struct {
	kind   kind.Kind
	object *unstructured.Unstructured
}

func (c candidate) String() string {
	if ns := c.object.GetNamespace(); ns != "" {
		return c.kind.Kind + " " + ns + "/" + c.object.GetName()
	}
	return c.kind.Kind + " " + c.object.GetName()
}

// trial reads what a policy is to be tried on.
func (o *overrides) trial(ctx context.Context, p *override.Policy) (*trial, error) {
	t := &trial{policy: p, complete: true}
	if err := o.readClusters(ctx, t); err != nil {
		return nil, err
	}
	if err := o.readOthers(ctx, t); err != nil {
		return nil, err
	}
	named, any := p.Kinds()
	if any {
		named = append(named, usual...)
	}
	seen := map[schema.GroupKind]bool{}
	for _, gk := range named {
		if seen[gk] || gk == secrets {
			continue
		}
		seen[gk] = true
		if err := o.readObjects(ctx, gk, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// secrets are never looked at: whether a patch fits one would tell what is in it.
var secrets = schema.GroupKind{Kind: "Secret"}

// usual are the kinds that a policy for all kinds is tried on.
var usual = []schema.GroupKind{
	{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "StatefulSet"}, {Group: "apps", Kind: "DaemonSet"},
	{Group: "apps", Kind: "ReplicaSet"}, {Group: "batch", Kind: "Job"}, {Group: "batch", Kind: "CronJob"},
	{Kind: "Service"}, {Kind: "ConfigMap"},
}

// readClusters finds one cluster for each way in which the policy's rules apply.
func (o *overrides) readClusters(ctx context.Context, t *trial) error {
	list, err := o.reader.Resource(federation.GroupVersion.WithResource("clusters")).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("reading clusters: %w", err)
	}
	shapes, used := map[string]bool{}, make([]bool, t.policy.Rules())
	for i := range list.Items {
		var c federation.Cluster
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &c); err != nil {
			return fmt.Errorf("reading cluster %s: %w", list.Items[i].GetName(), err)
		}
		at := policy.ClusterOf(&c)
		shape := make([]byte, t.policy.Rules())
		for r := range shape {
			if t.policy.Means(r, &at) {
				shape[r], used[r] = 1, true
			}
		}
		if !shapes[string(shape)] && len(shapes) < trialShapes {
			shapes[string(shape)] = true
			t.clusters = append(t.clusters, at)
		}
	}
	for r, is := range used {
		if !is {
			t.idle = append(t.idle, r)
		}
	}
	return nil
}

// readOthers reads the policies that apply beside this one.
func (o *overrides) readOthers(ctx context.Context, t *trial) error {
	for _, resource := range []string{"overridepolicies", "clusteroverridepolicies"} {
		namespace := ""
		if resource == "overridepolicies" {
			namespace = t.policy.Namespace
		}
		list, err := o.reader.Resource(federation.GroupVersion.WithResource(resource)).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("reading override policies: %w", err)
		}
		for i := range list.Items {
			if p, _ := compileOverride(&list.Items[i]); p != nil && p.String() != t.policy.String() {
				t.others = append(t.others, p)
			}
		}
	}
	return nil
}

// readObjects reads the federated objects of a kind that the policy selects.
func (o *overrides) readObjects(ctx context.Context, gk schema.GroupKind, t *trial) error {
	mapping, err := o.mapper.RESTMapping(gk)
	if meta.IsNoMatchError(err) {
		return nil // its CRD may come later
	} else if err != nil {
		return fmt.Errorf("finding kind %s: %w", gk, err)
	}
	k := kind.Kind{GroupVersionKind: mapping.GroupVersionKind, Resource: mapping.Resource.Resource,
		Namespaced: mapping.Scope.Name() == meta.RESTScopeNameNamespace, Rule: kind.RuleOf(gk)}
	namespace := t.policy.Namespace
	if namespace != "" && !k.Namespaced {
		return nil
	}
	list, err := o.reader.Resource(mapping.Resource).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: trialObjects})
	if err != nil {
		return fmt.Errorf("reading %s: %w", k.Resource, err)
	}
	t.complete = t.complete && list.GetContinue() == ""
	for i := range list.Items {
		if obj := &list.Items[i]; kind.Federated(gk, obj) && t.policy.Selects(gk, obj) {
			t.objects = append(t.objects, candidate{k, obj})
		}
	}
	return nil
}

// run applies the policy, among the others, to each object in each shape of cluster. What fails without it as well is
// not its fault.
func (t *trial) run() error {
	with, without := override.NewSet(append([]*override.Policy{t.policy}, t.others...)...), override.NewSet(t.others...)
	for _, c := range t.objects {
		for i := range t.clusters {
			err := c.renderedBy(with, &t.clusters[i])
			var failed *override.Error
			if err == nil {
				continue
			}
			if !errors.As(err, &failed) || failed.Policy != t.policy.String() {
				if c.renderedBy(without, &t.clusters[i]) != nil {
					continue
				}
				return fmt.Errorf("with this policy, %s could not be rendered for cluster %s any more: %w", c, t.clusters[i].Name, err)
			}
			return &override.Error{Policy: failed.Policy, Field: failed.Field,
				Message: fmt.Sprintf("does not fit %s in cluster %s: %s", c, t.clusters[i].Name, failed.Message)}
		}
	}
	return nil
}

func (c candidate) renderedBy(set *override.Set, cluster *policy.Cluster) error {
	_, err := render.Object(c.kind, c.object, render.Target{
		Federation: "federation", Overrides: set.Select(c.kind.GroupKind(), c.object), Cluster: *cluster,
	})
	return err
}

// warnings are what may be a mistake.
func (t *trial) warnings() (texts []string) {
	for _, r := range t.idle {
		texts = append(texts, fmt.Sprintf("spec.rules[%d].clusters: no cluster of the federation is meant now", r))
	}
	if !t.complete || len(t.objects) == 0 {
		return texts
	}
	t.policy.Containers(func(field, container string) {
		for _, c := range t.objects {
			if override.HasContainer(c.kind, c.object, container) {
				return
			}
		}
		texts = append(texts, fmt.Sprintf("%s: no object that is selected now has a container %q", field, container))
	})
	return texts
}
