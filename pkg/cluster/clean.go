package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// Workloads says what becomes of the objects that the federation made in a cluster that leaves.
type Workloads string

// Choices.
const (
	// WorkloadsKeep leaves them there as the user's own: without the federation's label, annotation and fields.
	WorkloadsKeep Workloads = "keep"
	// WorkloadsRemove deletes them, namespaces last.
	WorkloadsRemove Workloads = "remove"
)

// Cleaning is what cleaning a member did.
type Cleaning struct {
	Workloads Workloads
	// Objects is how many were released or deleted.
	Objects int
	// Remains says in words what could not be dealt with, and why.
	Remains []string
}

// cleaner deals with what one federation left in one cluster.
type cleaner struct {
	*site
	owner    owner
	metadata metadata.Interface
	report   Cleaning
	timeout  time.Duration
	progress func(string, ...any)
}

func newCleaner(s *site, o owner, workloads Workloads, timeout time.Duration, progress func(string, ...any)) (*cleaner, error) {
	m, err := metadata.NewForConfig(s.config)
	if err != nil {
		return nil, err
	}
	return &cleaner{site: s, owner: o, metadata: m, report: Cleaning{Workloads: workloads}, timeout: timeout, progress: progress}, nil
}

// copies are the federation's objects of one kind.
type copies struct {
	gvr   schema.GroupVersionResource
	gk    schema.GroupKind
	items []metav1.PartialObjectMetadata
}

// workloads releases or deletes every object of the federation.
func (c *cleaner) workloads(ctx context.Context) error {
	all, err := c.find(ctx)
	if err != nil {
		return err
	}
	if c.report.Workloads == WorkloadsKeep {
		for _, kind := range all {
			for i := range kind.items {
				c.note(kind, &kind.items[i], c.release(ctx, kind, &kind.items[i]))
			}
		}
		return nil
	}
	// What depends on another goes first: custom resources before their definitions, everything before namespaces.
	slices.SortStableFunc(all, func(a, b copies) int { return deleteOrder(a.gk) - deleteOrder(b.gk) })
	for _, kind := range all {
		for i := range kind.items {
			c.note(kind, &kind.items[i], c.delete(ctx, kind, &kind.items[i]))
		}
	}
	if len(all) == 0 || len(c.report.Remains) > 0 {
		return nil
	}
	err = await(ctx, c.timeout, "the federation's objects in "+c.what+" to be gone", c.progress, func(ctx context.Context) (string, error) {
		left, err := c.find(ctx)
		if err != nil || len(left) == 0 {
			return "", err
		}
		item := left[0].items[0]
		return fmt.Sprintf("%s %s is still there", left[0].gvr.Resource, types.NamespacedName{Namespace: item.Namespace, Name: item.Name}), nil
	})
	if err != nil && ctx.Err() == nil {
		c.report.Remains = append(c.report.Remains, err.Error())
		return nil
	}
	return err
}

func deleteOrder(gk schema.GroupKind) int {
	switch gk.Kind {
	case "CustomResourceDefinition":
		return 1
	case "Namespace":
		return 2
	}
	return 0
}

func (c *cleaner) note(kind copies, item *metav1.PartialObjectMetadata, err error) {
	if err != nil && !apierrors.IsNotFound(err) {
		c.report.Remains = append(c.report.Remains,
			fmt.Sprintf("%s %s: %v", kind.gvr.Resource, types.NamespacedName{Namespace: item.Namespace, Name: item.Name}, err))
		return
	}
	c.report.Objects++
}

// find lists the federation's objects of all kinds that the member serves.
func (c *cleaner) find(ctx context.Context) ([]copies, error) {
	d, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return nil, err
	}
	lists, err := d.ServerPreferredResources()
	var partial *discovery.ErrGroupDiscoveryFailed
	if errors.As(err, &partial) {
		for gv := range partial.Groups {
			c.remainOnce(fmt.Sprintf("objects of %s, if there are any: the cluster's backend for it does not answer", gv))
		}
	} else if err != nil {
		return nil, fmt.Errorf("discovering what %s serves: %w", c.what, err)
	}
	var all []copies
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			gk := schema.GroupKind{Group: gv.Group, Kind: r.Kind}
			if !kind.Federatable(gk) || !slices.Contains(r.Verbs, "list") || !slices.Contains(r.Verbs, "delete") {
				continue
			}
			found, err := c.list(ctx, gv.WithResource(r.Name))
			if err != nil {
				c.remainOnce(fmt.Sprintf("objects of %s.%s, if there are any: %v", r.Name, gv.Group, err))
				continue
			}
			if len(found) > 0 {
				all = append(all, copies{gvr: gv.WithResource(r.Name), gk: gk, items: found})
			}
		}
	}
	return all, ctx.Err()
}

func (c *cleaner) remainOnce(what string) {
	if !slices.Contains(c.report.Remains, what) {
		c.report.Remains = append(c.report.Remains, what)
	}
}

func (c *cleaner) list(ctx context.Context, gvr schema.GroupVersionResource) ([]metav1.PartialObjectMetadata, error) {
	options := metav1.ListOptions{LabelSelector: labels.Set{federation.LabelFederation: c.owner.federation}.String(), Limit: 500}
	var items []metav1.PartialObjectMetadata
	for {
		list, err := c.metadata.Resource(gvr).List(ctx, options)
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, item := range list.Items {
			// A kind may copy labels to what it makes (a Service to its EndpointSlices): that is not the federation's.
			if item.Namespace != federation.SystemNamespace && metav1.GetControllerOf(&item) == nil {
				items = append(items, item)
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return items, nil
		}
	}
}

// release makes an object the user's own. Its fields lose the federation as their owner, so that whoever applies next
// meets no conflict.
func (c *cleaner) release(ctx context.Context, kind copies, item *metav1.PartialObjectMetadata) error {
	patch, err := releasePatch(item)
	if err != nil {
		return err
	}
	_, err = c.metadata.Resource(kind.gvr).Namespace(item.Namespace).Patch(ctx, item.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: joinManager})
	return err
}

// releasePatch is the merge patch that makes an object the user's own; the UID keeps it from one that was made anew.
func releasePatch(item *metav1.PartialObjectMetadata) ([]byte, error) {
	managed := []any{}
	for _, entry := range item.ManagedFields {
		if entry.Manager != federation.FieldManager {
			managed = append(managed, entry)
		}
	}
	if len(managed) == 0 {
		managed = append(managed, map[string]any{}) // one empty entry is how all are removed
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":           item.UID,
		"labels":        map[string]any{federation.LabelFederation: nil},
		"annotations":   map[string]any{federation.AnnotationOriginUID: nil},
		"managedFields": managed,
	}})
}

func (c *cleaner) delete(ctx context.Context, kind copies, item *metav1.PartialObjectMetadata) error {
	background := metav1.DeletePropagationBackground
	return c.metadata.Resource(kind.gvr).Namespace(item.Namespace).Delete(ctx, item.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &item.UID}, PropagationPolicy: &background,
	})
}

// membership removes what join made. The namespace of a host stays: the control plane lives there.
func (c *cleaner) membership(ctx context.Context) error {
	namespace, err := c.systemNamespace(ctx)
	if err != nil {
		return err
	}
	if namespace != nil {
		if have := ownerOf(namespace); have.federationID != "" && have.federationID != c.owner.federationID {
			return nil // another federation's by now
		}
	}
	objects := append(memberObjects(c.owner, true), witnessObjects("")...)
	for _, obj := range slices.Backward(objects) {
		if _, isNamespace := obj.(*corev1.Namespace); isNamespace {
			continue
		}
		if err := c.client.Delete(ctx, obj, client.PropagationPolicy(metav1.DeletePropagationBackground)); client.IgnoreNotFound(err) != nil {
			form, _ := applyForm(obj)
			c.report.Remains = append(c.report.Remains, fmt.Sprintf("%s: %v", describe(form), err))
		}
	}
	if namespace == nil || ownerOf(namespace).federationID == "" {
		return nil
	}
	if _, host := namespace.Annotations[annotationHost]; host {
		return c.disown(ctx, namespace)
	}
	return c.removeNamespace(ctx, namespace)
}

func (c *cleaner) disown(ctx context.Context, namespace *corev1.Namespace) error {
	before := namespace.DeepCopy()
	for _, key := range []string{annotationMemberOf, annotationMemberOfID, annotationMemberName} {
		delete(namespace.Annotations, key)
	}
	return c.client.Patch(ctx, namespace, client.MergeFrom(before), client.FieldOwner(joinManager))
}

func (c *cleaner) removeNamespace(ctx context.Context, namespace *corev1.Namespace) error {
	err := c.client.Delete(ctx, namespace, client.Preconditions{UID: &namespace.UID})
	if err == nil {
		err = await(ctx, c.timeout, fmt.Sprintf("namespace %s in %s to be gone", namespace.Name, c.what), c.progress, func(ctx context.Context) (string, error) {
			left, err := c.systemNamespace(ctx)
			if err != nil || left == nil || left.UID != namespace.UID {
				return "", err
			}
			return "it is being deleted", nil
		})
	}
	if client.IgnoreNotFound(err) != nil {
		c.report.Remains = append(c.report.Remains, fmt.Sprintf("namespace %s: %v", namespace.Name, err))
	}
	return ctx.Err()
}
