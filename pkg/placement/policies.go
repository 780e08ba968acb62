package placement

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/policy"
)

// policies holds all policies, compiled, and read anew from the cache after one of them changed. A policy is compiled
// once per generation.
type policies struct {
	mu       sync.Mutex
	fresh    bool
	compiled map[types.UID]*policy.Propagation
	index    *index
}

// get returns all policies; what it returns is shared and immutable.
func (all *policies) get(ctx context.Context, from client.Reader) (*index, error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.fresh {
		return all.index, nil
	}
	var namespaced federation.PropagationPolicyList
	if err := from.List(ctx, &namespaced, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing propagation policies: %w", err)
	}
	var anywhere federation.ClusterPropagationPolicyList
	if err := from.List(ctx, &anywhere, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing cluster propagation policies: %w", err)
	}
	before := all.compiled
	all.compiled, all.index = make(map[types.UID]*policy.Propagation, len(namespaced.Items)+len(anywhere.Items)), newIndex()
	for i := range namespaced.Items {
		p := &namespaced.Items[i]
		all.add(p, before, func() (*policy.Propagation, error) { return policy.OfNamespace(p) })
	}
	for i := range anywhere.Items {
		p := &anywhere.Items[i]
		all.add(p, before, func() (*policy.Propagation, error) { return policy.OfCluster(p) })
	}
	all.fresh = true
	return all.index, nil
}

// add takes a policy in. One that can't be compiled, which admission refuses, selects nothing.
func (all *policies) add(p client.Object, before map[types.UID]*policy.Propagation, compile func() (*policy.Propagation, error)) {
	compiled := before[p.GetUID()]
	if compiled == nil || compiled.Generation != p.GetGeneration() {
		var err error
		if compiled, err = compile(); err != nil {
			return
		}
	}
	all.compiled[p.GetUID()] = compiled
	all.index.add(compiled)
}

// outdate makes the next reader read the cache.
func (all *policies) outdate() {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.fresh = false
}

// index finds the policies that may select an object without asking all of them. It does not change once it is made.
type index struct {
	byKind map[place][]*policy.Propagation
	byName map[name]*policy.Propagation
}

// place is where policies look: in a namespace ("" for cluster-scoped policies) for a kind, the zero kind for any.
type place struct {
	namespace string
	kind      schema.GroupKind
}

// name names one policy; namespace is "" for a cluster-scoped one.
type name struct{ namespace, name string }

func newIndex() *index {
	return &index{byKind: map[place][]*policy.Propagation{}, byName: map[name]*policy.Propagation{}}
}

func (x *index) add(p *policy.Propagation) {
	x.byName[name{p.Namespace, p.Reference.Name}] = p
	kinds, any := p.Kinds()
	if any {
		kinds = []schema.GroupKind{{}}
	}
	for _, k := range kinds {
		at := place{p.Namespace, k}
		x.byKind[at] = append(x.byKind[at], p)
	}
}

// inForce is the policy in force for an object, nil where none selects it.
func (x *index) inForce(k kind.Kind, obj *unstructured.Unstructured) *policy.Propagation {
	o := policy.Object{GroupKind: k.GroupKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
	for _, namespace := range slices.Compact([]string{o.Namespace, ""}) { // a namespace's policies go before cluster-scoped ones
		candidates := slices.Concat(x.byKind[place{namespace, o.GroupKind}], x.byKind[place{namespace, schema.GroupKind{}}])
		if len(candidates) == 0 {
			continue
		}
		if o.Labels == nil {
			o.Labels = obj.GetLabels()
		}
		if p := policy.Choose(candidates, o); p != nil {
			return p
		}
	}
	return nil
}

// named is the policy that a decision names, nil where there is none any more.
func (x *index) named(namespace string, ref *federation.PolicyReference) *policy.Propagation {
	switch {
	case ref == nil || ref.Kind == federation.PolicyAnnotations:
		return nil
	case ref.Kind == "ClusterPropagationPolicy":
		namespace = ""
	}
	return x.byName[name{namespace, ref.Name}]
}

// policyEvents are the handlers of one kind of policies. Objects all come up by themselves at the start.
func policyEvents[P client.Object](c *Controller, compile func(P) (*policy.Propagation, error)) handler.TypedFuncs[P, Key] {
	changed := func(ctx context.Context, q queue, policies ...P) {
		c.policies.outdate()
		for _, p := range policies {
			if compiled, err := compile(p); err == nil {
				c.takeUpSelected(ctx, compiled, q)
			} else {
				log.FromContext(ctx).Error(err, "policy left out", "policy", p.GetName(), "namespace", p.GetNamespace())
			}
		}
	}
	return handler.TypedFuncs[P, Key]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[P], q queue) {
			if e.IsInInitialList {
				c.policies.outdate()
				return
			}
			changed(ctx, q, e.Object)
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[P], q queue) {
			if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				changed(ctx, q, e.ObjectOld, e.ObjectNew)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[P], q queue) { changed(ctx, q, e.Object) },
	}
}

// takeUpSelected adds the objects that a policy selects, behind what users do meanwhile.
func (c *Controller) takeUpSelected(ctx context.Context, p *policy.Propagation, q queue) {
	for _, scope := range p.Scopes() {
		for _, k := range c.kindsIn(scope, p.Namespace) {
			if err := c.visit(ctx, k, scope, func(obj *unstructured.Unstructured) {
				o := policy.Object{GroupKind: k.GroupKind(), Namespace: obj.GetNamespace(), Name: obj.GetName(), Labels: obj.GetLabels()}
				if _, selected := p.Matches(o); selected {
					addBehind(q, keyOf(k, obj))
				}
			}); err != nil {
				log.FromContext(ctx).Error(err, "taking up what a policy selects", "policy", p.Reference.Name, "namespace", p.Namespace)
			}
		}
	}
}

// kindsIn are the federated kinds that a scope of a policy of a namespace means.
func (c *Controller) kindsIn(scope policy.Scope, namespace string) []kind.Kind {
	if scope.Kind != "" {
		if k, known := c.catalog.Lookup(scope.GroupKind); known {
			return []kind.Kind{k}
		}
		return nil
	}
	return slices.DeleteFunc(c.catalog.Kinds(), func(k kind.Kind) bool { return namespace != "" && !k.Namespaced })
}

// visit visits the objects of a kind in a scope. What has not been read yet comes up by itself.
func (c *Controller) visit(ctx context.Context, k kind.Kind, scope policy.Scope, f func(*unstructured.Unstructured)) error {
	if !c.catalog.KindSynced(k.GroupKind()) {
		return nil
	}
	namespaces := scope.Namespaces
	if namespaces == nil {
		namespaces = []string{""}
	}
	for _, namespace := range namespaces {
		if scope.Name != "" && (namespace != "" || !k.Namespaced) {
			if obj, err := c.catalog.Get(ctx, k.GroupKind(), namespace, scope.Name); err == nil {
				f(obj)
			}
			continue
		}
		if err := c.catalog.Each(ctx, k, namespace, f); err != nil {
			return err
		}
	}
	return nil
}
