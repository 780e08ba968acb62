package sync

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// Copy is what is remembered of an object in a member: enough to know whether it is as it should be, and its status.
type Copy struct {
	metav1.ObjectMeta // name, namespace, UID, resourceVersion, generation, deletionTimestamp only
	// OriginUID is the UID of the federated object that it was made from.
	OriginUID types.UID
	// Owned digests what the federation owns of it.
	Owned Digest
	// Replicas is the number at the kind's replica path, 0 for kinds without.
	Replicas int64
	// Autoscaled says that kube-controller-manager owns the number of replicas through the scale subresource, as it
	// does for a HorizontalPodAutoscaler.
	Autoscaled bool
	Status     map[string]any
}

// copyOf trims a live object.
func copyOf(k kind.Kind, obj *unstructured.Unstructured) *Copy {
	c := &Copy{ObjectMeta: metav1.ObjectMeta{
		Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(),
		Generation: obj.GetGeneration(), DeletionTimestamp: obj.GetDeletionTimestamp(),
	}}
	c.OriginUID = types.UID(obj.GetAnnotations()[federation.AnnotationOriginUID])
	c.Owned, _ = OwnedDigest(obj, federation.FieldManager)
	if k.Replicas != nil {
		c.Replicas, _, _ = unstructured.NestedInt64(obj.Object, k.Replicas...)
		c.Autoscaled = autoscaled(obj)
	}
	if folds(k.GroupKind()) || k.Custom {
		c.Status = nested(obj.Object, "status")
	}
	return c
}

func autoscaled(obj *unstructured.Unstructured) bool {
	entries, _ := nested(obj.Object, "metadata")["managedFields"].([]any)
	return slices.ContainsFunc(entries, func(entry any) bool {
		e, _ := entry.(map[string]any)
		return e["manager"] == "kube-controller-manager" && e["subresource"] == "scale"
	})
}

// Key names a federated object of whichever version.
type Key struct {
	schema.GroupKind
	Namespace, Name string
}

func keyOf(ref federation.ObjectReference) Key {
	return Key{
		GroupKind: schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind(),
		Namespace: ref.Namespace, Name: ref.Name,
	}
}

// nested returns the map at path, nil where there is none.
func nested(m map[string]any, path ...string) map[string]any {
	for _, key := range path {
		m, _ = m[key].(map[string]any)
	}
	return m
}

// without returns a copy of m that lacks a key.
func without(m map[string]any, key string) map[string]any {
	out := maps.Clone(m)
	delete(out, key)
	return out
}
