package sync

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// Rendering says what Render needs beside the object.
type Rendering struct {
	Federation string
	Placement  federation.ClusterPlacement
	// KeepReplicas leaves the number of replicas out, for a member where an autoscaler owns it.
	KeepReplicas bool
}

// Render makes the server-side apply configuration of a federated object for one member: what the user wrote, with the
// member's share of replicas, without what a member or the federation API fills in itself. It shares what it did not
// change with obj, and changes nothing of it.
func Render(k kind.Kind, obj *unstructured.Unstructured, r Rendering) *unstructured.Unstructured {
	out := map[string]any{"apiVersion": k.GroupVersion().String(), "kind": k.Kind, "metadata": renderMetadata(obj, r.Federation)}
	for key, value := range obj.Object {
		if key != "apiVersion" && key != "kind" && key != "metadata" && key != "status" {
			out[key] = value
		}
	}
	for _, p := range k.MemberOwned {
		if headless(k.GroupKind(), p, obj) {
			continue
		}
		out = without(out, p)
	}
	if k.Replicas != nil {
		switch {
		case r.KeepReplicas:
			out = without(out, k.Replicas)
		case r.Placement.Replicas != nil:
			out = with(out, k.Replicas, int64(*r.Placement.Replicas))
		}
	}
	if k.Completions != nil && r.Placement.Completions != nil {
		out = with(out, k.Completions, int64(*r.Placement.Completions))
	}
	if k.GroupKind() == jobs {
		out = withoutJobSelector(out)
	}
	return &unstructured.Unstructured{Object: out}
}

// headless says whether p is the cluster IP of a headless Service: "None" is a wish, any other value the member's.
func headless(gk schema.GroupKind, p []string, obj *unstructured.Unstructured) bool {
	if gk.Kind != "Service" || p[len(p)-1] != "clusterIP" {
		return false
	}
	ip, _, _ := unstructured.NestedString(obj.Object, p...)
	return ip == "None"
}

func renderMetadata(obj *unstructured.Unstructured, name string) map[string]any {
	labels := map[string]any{federation.LabelFederation: name}
	for key, value := range nested(obj.Object, "metadata", "labels") {
		if key != federation.LabelFederation {
			labels[key] = value
		}
	}
	annotations := map[string]any{federation.AnnotationOriginUID: string(obj.GetUID())}
	for key, value := range nested(obj.Object, "metadata", "annotations") {
		if !federationOnly(key) {
			annotations[key] = value
		}
	}
	metadata := map[string]any{"name": obj.GetName(), "labels": labels, "annotations": annotations}
	if ns := obj.GetNamespace(); ns != "" {
		metadata["namespace"] = ns
	}
	return metadata
}

// federationOnly says whether an annotation means something to the federation API only.
func federationOnly(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	switch domain {
	case federation.GroupName, "federation.kubernetes.io", "federation.alpha.kubernetes.io":
		return true
	}
	return key == "kubectl.kubernetes.io/last-applied-configuration" || key == "deployment.kubernetes.io/revision" ||
		key == "deprecated.daemonset.template.generation"
}

// jobLabels are what a Job controller's API server puts on a Job's pods to tell them from others' (batch/v1
// JobSpec.manualSelector).
var jobLabels = []string{"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"}

// withoutJobSelector removes the selector that the federation API generated from the federated Job's UID; each member
// generates its own.
func withoutJobSelector(out map[string]any) map[string]any {
	if manual, _, _ := unstructured.NestedBool(out, "spec", "manualSelector"); manual {
		return out
	}
	out = without(out, []string{"spec", "selector"})
	for _, label := range jobLabels {
		out = without(out, []string{"spec", "template", "metadata", "labels", label})
	}
	// An empty map that is applied owns all that the member puts into it.
	for _, path := range [][]string{{"spec", "template", "metadata", "labels"}, {"spec", "template", "metadata"}} {
		if m := nested(out, path...); m != nil && len(m) == 0 {
			out = without(out, path)
		}
	}
	return out
}

// without returns m without the value at path, copying only the maps on the way.
func without(m map[string]any, path []string) map[string]any {
	value, ok := m[path[0]]
	if !ok {
		return m
	}
	out := maps.Clone(m)
	if len(path) == 1 {
		delete(out, path[0])
		return out
	}
	if child, ok := value.(map[string]any); ok {
		out[path[0]] = without(child, path[1:])
	}
	return out
}

// with returns m with value at path, copying only the maps on the way.
func with(m map[string]any, path []string, value any) map[string]any {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]any{}
	}
	if len(path) == 1 {
		out[path[0]] = value
		return out
	}
	child, _ := out[path[0]].(map[string]any)
	out[path[0]] = with(child, path[1:], value)
	return out
}

// nested returns the map at path, nil where there is none.
func nested(m map[string]any, path ...string) map[string]any {
	for _, key := range path {
		m, _ = m[key].(map[string]any)
	}
	return m
}

// placementIn finds a cluster's share in a decision.
func placementIn(d *federation.PlacementDecision, cluster string) (federation.ClusterPlacement, bool) {
	i, ok := slices.BinarySearchFunc(d.Spec.Clusters, cluster, func(p federation.ClusterPlacement, name string) int {
		return strings.Compare(p.Name, name)
	})
	if !ok {
		return federation.ClusterPlacement{}, false
	}
	return d.Spec.Clusters[i], true
}
