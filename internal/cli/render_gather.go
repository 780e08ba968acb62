package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/override"
	"kubefed.dev/kubefed/pkg/policy"
	"kubefed.dev/kubefed/pkg/render"
)

// renderer knows what of a federation objects are rendered by.
type renderer struct {
	federation string
	namespace  string // of objects that do not say
	clusters   []federation.Cluster
	overrides  *override.Set

	reader client.Reader
	asker  discovery.DiscoveryInterface
	finder *finder
}

// source is an object to render.
type source struct {
	kind     kind.Kind
	object   *unstructured.Unstructured
	decision *federation.PlacementDecision // nil: not decided yet
}

func (s source) String() string {
	return qualified(s.kind.Kind, s.object.GetNamespace(), s.object.GetName())
}

func newRenderer(ctx context.Context, found Federation) (*renderer, error) {
	r := &renderer{federation: found.Name, namespace: contextNamespace(found)}
	var err error
	if r.reader, err = newReader(found.Config); err != nil {
		return nil, err
	}
	if r.asker, err = discovery.NewDiscoveryClientForConfig(found.Config); err != nil {
		return nil, err
	}
	if r.finder, err = newFinder(found.Config); err != nil {
		return nil, err
	}
	var clusters federation.ClusterList
	var inNamespaces federation.OverridePolicyList
	var anywhere federation.ClusterOverridePolicyList
	for _, list := range []client.ObjectList{&clusters, &inNamespaces, &anywhere} {
		if err := r.reader.List(ctx, list); err != nil {
			return nil, fmt.Errorf("reading clusters and override policies: %w", err)
		}
	}
	r.clusters = clusters.Items
	slices.SortFunc(r.clusters, func(a, b federation.Cluster) int { return strings.Compare(a.Name, b.Name) })
	r.overrides = compileOverrides(inNamespaces.Items, anywhere.Items)
	return r, nil
}

// compileOverrides leaves out what the controller leaves out: policies of which it can't be told whom they are for.
func compileOverrides(inNamespaces []federation.OverridePolicy, anywhere []federation.ClusterOverridePolicy) *override.Set {
	var policies []*override.Policy
	for i := range inNamespaces {
		if p, _ := override.OfNamespace(&inNamespaces[i]); p != nil {
			policies = append(policies, p)
		}
	}
	for i := range anywhere {
		if p, _ := override.OfCluster(&anywhere[i]); p != nil {
			policies = append(policies, p)
		}
	}
	return override.NewSet(policies...)
}

// fromName reads the object that the arguments name.
func (r *renderer) fromName(ctx context.Context, args []string) ([]source, error) {
	typed, name, err := splitObject(args)
	if err != nil {
		return nil, err
	}
	mapping, err := r.finder.mapping(typed)
	if err != nil {
		return nil, err
	}
	k, err := r.kind(ctx, mapping.GroupVersionKind.GroupKind())
	if err != nil {
		return nil, err
	}
	obj, err := r.finder.get(ctx, k.Resource+"."+k.Version+"."+k.Group, r.namespace, name)
	if err != nil {
		return nil, err
	}
	one, err := r.source(ctx, k, obj)
	return []source{one}, err
}

// fromFile reads objects from a file and has the federation API say what it would make of them.
func (r *renderer) fromFile(ctx context.Context, path string, in io.Reader) ([]source, error) {
	manifests, err := readManifests(path, in)
	if err != nil {
		return nil, err
	}
	if len(manifests) == 0 {
		return nil, &ExitError{ExitUsage, fmt.Errorf("there is no object in %s", path)}
	}
	var all []source
	for _, obj := range manifests {
		k, err := r.kind(ctx, obj.GroupVersionKind().GroupKind())
		if err != nil {
			return nil, err
		}
		if obj.GetAPIVersion() != k.GroupVersion().String() {
			return nil, &ExitError{ExitUsage, fmt.Errorf("%s %s is in version %s: members get it in %s, give it in that", k.Kind, obj.GetName(), obj.GetAPIVersion(), k.GroupVersion())}
		}
		if k.Namespaced && obj.GetNamespace() == "" {
			obj.SetNamespace(r.namespace)
		}
		stored, err := r.tried(ctx, k, obj)
		if err != nil {
			return nil, fmt.Errorf("the federation would not take %s %s: %w", k.Kind, obj.GetName(), err)
		}
		one, err := r.source(ctx, k, stored)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// notCreated stands for the UID of an object that is not there yet.
const notCreated = "not-created-yet"

// tried is an object as the federation API would store it, by a dry run.
func (r *renderer) tried(ctx context.Context, k kind.Kind, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	var resource = r.finder.api.Resource(k.GVR()).Namespace(obj.GetNamespace())
	dry := []string{metav1.DryRunAll}
	there, err := resource.Get(ctx, obj.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		stored, err := resource.Create(ctx, obj, metav1.CreateOptions{DryRun: dry})
		if err == nil {
			stored.SetUID(notCreated)
		}
		return stored, err
	case err != nil:
		return nil, err
	}
	obj.SetResourceVersion(there.GetResourceVersion())
	return resource.Update(ctx, obj, metav1.UpdateOptions{DryRun: dry})
}

// kind finds out about a kind as the control plane does.
func (r *renderer) kind(ctx context.Context, gk schema.GroupKind) (kind.Kind, error) {
	natives, err := kind.Natives(r.asker)
	if err != nil {
		return kind.Kind{}, err
	}
	if i := slices.IndexFunc(natives, func(k kind.Kind) bool { return k.GroupKind() == gk }); i >= 0 {
		return natives[i], nil
	}
	mapping, err := r.finder.mapper.RESTMapping(gk)
	if meta.IsNoMatchError(err) {
		return kind.Kind{}, &ExitError{ExitUsage, fmt.Errorf("the federation serves no kind %s: see kubectl api-resources", gk)}
	} else if err != nil {
		return kind.Kind{}, err
	}
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	if err := r.reader.Get(ctx, client.ObjectKey{Name: mapping.Resource.Resource + "." + gk.Group}, definition); err == nil {
		if k, served := kind.OfDefinition(definition); served && kind.Federatable(gk) {
			return k, nil
		}
	} else if !apierrors.IsNotFound(err) {
		return kind.Kind{}, err
	}
	return kind.Kind{}, fmt.Errorf("objects of kind %s are not federated", gk.Kind)
}

func (r *renderer) source(ctx context.Context, k kind.Kind, obj *unstructured.Unstructured) (source, error) {
	if !kind.Federated(k.GroupKind(), obj) {
		return source{}, fmt.Errorf("%s is not federated: no cluster gets it", qualified(k.Kind, obj.GetNamespace(), obj.GetName()))
	}
	s := source{kind: k, object: obj}
	var d federation.PlacementDecision
	err := r.reader.Get(ctx, types.NamespacedName(k.DecisionKey(obj.GetNamespace(), obj.GetName())), &d)
	if err == nil && d.Spec.Object.UID == obj.GetUID() {
		s.decision = &d
	}
	return s, client.IgnoreNotFound(err)
}

// targets are the clusters to render for: the one named, or all that the object is placed in.
func (r *renderer) targets(s source, cluster string) ([]string, error) {
	var names []string
	for _, c := range r.clusters {
		names = append(names, c.Name)
	}
	switch {
	case cluster != "" && !slices.Contains(names, cluster):
		return nil, &ExitError{ExitUsage, fmt.Errorf("--cluster=%s: the federation has no such cluster; there are: %s", cluster, strings.Join(names, ", "))}
	case cluster != "":
		return []string{cluster}, nil
	case s.decision == nil:
		return names, nil
	case len(s.decision.Spec.Clusters) == 0:
		return nil, fmt.Errorf("%s is placed in no cluster: its PlacementDecision %s says why", s, s.decision.Name)
	}
	return slices.DeleteFunc(names, func(name string) bool { _, ok := render.TargetIn(s.decision, name); return !ok }), nil
}

// render makes of an object what a cluster gets, by the code of the control plane.
func (r *renderer) render(s source, cluster string) document {
	d := document{cluster: cluster}
	i := slices.IndexFunc(r.clusters, func(c federation.Cluster) bool { return c.Name == cluster })
	if i < 0 {
		d.err = errors.New("it is not there any more")
		return d
	}
	target, placed := render.Target{}, false
	if s.decision != nil {
		target, placed = render.TargetIn(s.decision, cluster)
	}
	if !placed {
		d.note = fmt.Sprintf("%s is not placed in cluster %s: this is what it would get, with undivided replicas", s, cluster)
	}
	target.Federation, target.Cluster = r.federation, policy.ClusterOf(&r.clusters[i])
	target.Overrides = r.overrides.Select(s.kind.GroupKind(), s.object)
	if d.plain, d.err = render.Object(s.kind, s.object, render.Target{Federation: r.federation}); d.err == nil {
		d.object, d.err = render.Object(s.kind, s.object, target)
	}
	return d
}
