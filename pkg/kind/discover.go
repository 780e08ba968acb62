package kind

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

var nativeGroups = map[string]struct{}{
	"": {}, "apps": {}, "batch": {}, "autoscaling": {}, "networking.k8s.io": {}, "policy": {}, "storage.k8s.io": {},
	"scheduling.k8s.io": {}, "apiextensions.k8s.io": {},
}

// Natives lists the federatable kinds that a federation API serves by itself and that can be listed, watched and
// changed, in their preferred versions. Kinds of CRDs are not among them: see OfDefinition.
func Natives(d discovery.DiscoveryInterface) ([]Kind, error) {
	lists, err := discovery.ServerPreferredResources(d)
	if err != nil {
		return nil, fmt.Errorf("discovering the kinds that the federation API serves: %w", err)
	}
	var kinds []Kind
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("discovering the kinds that the federation API serves: %w", err)
		}
		for _, r := range list.APIResources {
			gk := schema.GroupKind{Group: gv.Group, Kind: r.Kind}
			if !Federatable(gk) || !hasVerbs(r.Verbs, "get", "list", "watch", "create", "delete") {
				continue
			}
			// Kinds of CRDs come with their CRD, which also says when they go.
			if _, served := nativeGroups[gv.Group]; !served {
				continue
			}
			kinds = append(kinds, Kind{GroupVersionKind: gv.WithKind(r.Kind), Resource: r.Name, Namespaced: r.Namespaced, Rule: RuleOf(gk)})
		}
	}
	return kinds, nil
}

func hasVerbs(have []string, want ...string) bool {
	return !slices.ContainsFunc(want, func(v string) bool { return !slices.Contains(have, v) })
}

// OfDefinition reads the kind that a CRD defines, in its storage version where that is served, and whether it is served
// yet. A CRD that is being deleted serves on: its objects have to be finalized first. Replicas are where the scale
// subresource, or before it the annotation AnnotationReplicasPath, says that they are.
func OfDefinition(crd *unstructured.Unstructured) (Kind, bool) {
	get := func(fields ...string) string { s, _, _ := unstructured.NestedString(crd.Object, fields...); return s }
	k := Kind{Resource: get("spec", "names", "plural"), Namespaced: get("spec", "scope") == "Namespaced", Custom: true}
	k.Group, k.Kind = get("spec", "group"), get("spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		m, _ := v.(map[string]any)
		if name, _ := m["name"].(string); m["served"] == true && (k.Version == "" || m["storage"] == true) {
			k.Version = name
			_, k.StatusSubresource, _ = unstructured.NestedMap(m, "subresources", "status")
			scaled, _, _ := unstructured.NestedString(m, "subresources", "scale", "specReplicasPath")
			k.Replicas = pathOf(scaled)
		}
	}
	if declared := pathOf(crd.GetAnnotations()[federation.AnnotationReplicasPath]); declared != nil {
		k.Replicas = declared
	}
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	established := slices.ContainsFunc(conditions, func(c any) bool {
		m, _ := c.(map[string]any)
		return m["type"] == "Established" && m["status"] == "True"
	})
	return k, established && k.Version != ""
}

// pathOf reads a simple JSON path, such as ".spec.replicas"; nil for anything else.
func pathOf(jsonPath string) []string {
	fields := strings.Split(strings.TrimPrefix(jsonPath, "."), ".")
	if len(fields) < 2 || slices.ContainsFunc(fields, func(f string) bool { return f == "" || strings.ContainsAny(f, "[]()'\"@*") }) {
		return nil
	}
	return fields
}
