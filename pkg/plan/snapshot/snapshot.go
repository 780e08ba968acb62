// Package snapshot reads from a federation what decisions depend on, as one plan.World. It writes nothing and decides nothing.
package snapshot

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/plan"
	"kubefed.dev/kubefed/pkg/policy"
)

// pageSize bounds one answer: a federation may hold ten thousands of objects.
const pageSize = 500

// Read reads a World in pages, and the kinds that the federation serves.
func Read(ctx context.Context, reader client.Reader, asker discovery.DiscoveryInterface) (*plan.World, map[schema.GroupKind]kind.Kind, error) {
	w := &plan.World{Now: time.Now(), Objects: map[plan.Key]plan.Object{}, Members: map[string]*federation.Cluster{}}
	decisions := map[client.ObjectKey]*federation.PlacementDecision{}
	kinds := map[schema.GroupKind]kind.Kind{}
	for _, step := range []struct {
		what string
		read func() error
	}{
		{"clusters", func() error { return readPlacementClusters(ctx, reader, w) }},
		{"policies", func() error { return readPolicies(ctx, reader, w) }},
		{"placement decisions", func() error {
			var list federation.PlacementDecisionList
			return EachPage(ctx, reader, &list, func() {
				for i := range list.Items {
					d := list.Items[i]
					decisions[client.ObjectKeyFromObject(&d)] = &d
				}
			})
		}},
		{"the federation's kinds", func() error { return readKinds(ctx, asker, reader, kinds) }},
		{"federated objects", func() error {
			for _, k := range kinds {
				if err := readObjectsOf(ctx, reader, k, decisions, w); err != nil {
					return fmt.Errorf("%s: %w", k.Resource, err)
				}
			}
			return nil
		}},
	} {
		if err := step.read(); err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", step.what, err)
		}
	}
	return w, kinds, nil
}

// EachPage lists page by page into list.
func EachPage(ctx context.Context, reader client.Reader, list client.ObjectList, page func(), options ...client.ListOption) error {
	for next := ""; ; {
		if err := reader.List(ctx, list, append(options, client.Limit(pageSize), client.Continue(next))...); err != nil {
			return err
		}
		page()
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}

func readPlacementClusters(ctx context.Context, reader client.Reader, w *plan.World) error {
	var list federation.ClusterList
	return EachPage(ctx, reader, &list, func() {
		for i := range list.Items {
			c := list.Items[i].DeepCopy()
			w.Members[c.Name], w.Clusters = c, append(w.Clusters, placement.ClusterFacts(c))
		}
	})
}

// readPolicies reads the policies that can be compiled; the controller leaves the others out as well.
func readPolicies(ctx context.Context, reader client.Reader, w *plan.World) error {
	var namespaced federation.PropagationPolicyList
	if err := EachPage(ctx, reader, &namespaced, func() {
		for i := range namespaced.Items {
			p := namespaced.Items[i]
			if compiled, err := policy.OfNamespace(&p); err == nil {
				w.Policies = append(w.Policies, compiled)
			}
		}
	}); err != nil {
		return err
	}
	var scoped federation.ClusterPropagationPolicyList
	return EachPage(ctx, reader, &scoped, func() {
		for i := range scoped.Items {
			p := scoped.Items[i]
			if compiled, err := policy.OfCluster(&p); err == nil {
				w.Policies = append(w.Policies, compiled)
			}
		}
	})
}

func readKinds(ctx context.Context, asker discovery.DiscoveryInterface, reader client.Reader, kinds map[schema.GroupKind]kind.Kind) error {
	natives, err := kind.Natives(asker)
	if err != nil {
		return err
	}
	for _, k := range natives {
		kinds[k.GroupKind()] = k
	}
	definitions := &unstructured.UnstructuredList{}
	definitions.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinitionList"})
	return EachPage(ctx, reader, definitions, func() {
		for i := range definitions.Items {
			if k, served := kind.OfDefinition(&definitions.Items[i]); served && kind.Federatable(k.GroupKind()) {
				kinds[k.GroupKind()] = k
			}
		}
	})
}

// readObjectsOf reads the objects of a kind that are federated, or were and still have copies.
func readObjectsOf(ctx context.Context, reader client.Reader, k kind.Kind, decisions map[client.ObjectKey]*federation.PlacementDecision, w *plan.World) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(k.GroupVersion().WithKind(k.Kind + "List"))
	return EachPage(ctx, reader, list, func() {
		for i := range list.Items {
			obj := list.Items[i].DeepCopy()
			obj.SetGroupVersionKind(k.GroupVersionKind)
			d := decisions[k.DecisionKey(obj.GetNamespace(), obj.GetName())]
			if d != nil && d.Spec.Object.UID != obj.GetUID() {
				d = nil
			}
			if obj.GetDeletionTimestamp() == nil && (d != nil || kind.Federated(k.GroupKind(), obj)) {
				w.Objects[plan.KeyOf(k, obj)] = plan.Object{Kind: k, Unstructured: obj, Decision: d}
			}
		}
	})
}
