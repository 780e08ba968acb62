// Package render makes of a federated object what one member is to hold: the server-side apply configuration that
// pkg/sync sends there, that admission tries policies on, and that `kubefed render` prints.
//
//	object, decision, override policies, cluster -> Object -> what the cluster gets
//
// It is pure: values in, values out, and the objects that come in are never changed.
package render

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/override"
	"kubefed.dev/kubefed/pkg/policy"
)

// Target is the cluster that an object is rendered for, and what is decided of the object there.
type Target struct {
	// Federation is the federation's name.
	Federation string
	Placement  federation.ClusterPlacement
	// OrdinalStart is where the ordinals of a StatefulSet's pods start; nil where the object's own counts.
	OrdinalStart *int32
	// KeepReplicas leaves the number of replicas out, for a member where an autoscaler owns it.
	KeepReplicas bool
	// Overrides are the policies that select the object, in the order in which they apply.
	Overrides []*override.Policy
	// Cluster is looked at only where there are Overrides.
	Cluster policy.Cluster
}

// TargetIn reads from a decision what concerns one cluster; ok is false where the object is not to be there.
func TargetIn(d *federation.PlacementDecision, cluster string) (t Target, ok bool) {
	i := slices.IndexFunc(d.Spec.Clusters, func(p federation.ClusterPlacement) bool { return p.Name == cluster })
	if i < 0 {
		return Target{}, false
	}
	t.Placement = d.Spec.Clusters[i]
	for _, o := range d.Spec.Ordinals {
		if o.Name == cluster {
			t.OrdinalStart = &o.Start
		}
	}
	return t, true
}

// Object makes the server-side apply configuration of a federated object for one member: what the user wrote, with the
// member's share of replicas, without what a member or the federation API fills in itself, and as override policies
// have it there. It shares what it did not change with obj, and changes nothing of it. An error is an *override.Error.
func Object(k kind.Kind, obj *unstructured.Unstructured, t Target) (*unstructured.Unstructured, error) {
	out := map[string]any{"apiVersion": k.GroupVersion().String(), "kind": k.Kind, "metadata": renderMetadata(obj, t.Federation)}
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
	out = withShare(out, k, t)
	if k.GroupKind() == jobs {
		out = withoutJobSelector(out)
	}
	config := &unstructured.Unstructured{Object: out}
	if len(t.Overrides) == 0 {
		return config, nil
	}
	return override.Apply(t.Overrides, k, config, &t.Cluster)
}

var (
	jobs         = schema.GroupKind{Group: "batch", Kind: "Job"}
	statefulSets = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
)

// withShare returns out with what is decided for the member.
func withShare(out map[string]any, k kind.Kind, t Target) map[string]any {
	if k.Replicas != nil {
		switch {
		case t.KeepReplicas:
			out = without(out, k.Replicas)
		case t.Placement.Replicas != nil:
			out = with(out, k.Replicas, int64(*t.Placement.Replicas))
		}
	}
	if k.Completions != nil && t.Placement.Completions != nil {
		out = with(out, k.Completions, int64(*t.Placement.Completions))
	}
	// 0 is where ordinals start without being told.
	if start := t.OrdinalStart; start != nil && k.GroupKind() == statefulSets && (*start != 0 || nested(out, "spec", "ordinals") != nil) {
		out = with(out, []string{"spec", "ordinals", "start"}, int64(*start))
	}
	return out
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
