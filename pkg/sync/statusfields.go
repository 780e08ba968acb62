package sync

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Trim is the transform of the cache that sync reads the federation API through: it drops who owns which field, but for
// what sync itself wrote to the status of objects of custom kinds.
func Trim() toolscache.TransformFunc {
	strip := cache.TransformStripManagedFields()
	return func(obj any) (any, error) {
		u, ok := obj.(*unstructured.Unstructured)
		if !ok {
			return strip(obj)
		}
		// Not by accessors, which decode and encode all entries.
		metadata := nested(u.Object, "metadata")
		entries, _ := metadata["managedFields"].([]any)
		kept := slices.DeleteFunc(entries, func(entry any) bool {
			e, _ := entry.(map[string]any)
			return !ownStatusEntry(e)
		})
		if len(kept) == 0 || folds(u.GroupVersionKind().GroupKind()) {
			delete(metadata, "managedFields")
		} else {
			metadata["managedFields"] = kept
		}
		return u, nil
	}
}

func ownStatusEntry(e map[string]any) bool {
	return e["manager"] == federation.FieldManager && e["subresource"] == "status"
}

// ownStatus is the set of fields of an object's status that the federation wrote.
func ownStatus(obj *unstructured.Unstructured) map[string]any {
	entries, _ := nested(obj.Object, "metadata")["managedFields"].([]any)
	for _, entry := range entries {
		e, _ := entry.(map[string]any)
		if ownStatusEntry(e) {
			return nested(e, "fieldsV1", "f:status")
		}
	}
	return nil
}

// unowned is value without what a FieldsV1 set names (see owned); nil where nothing is left.
func unowned(fields map[string]any, value any) any {
	if len(fields) == 0 {
		return value
	}
	switch v := value.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for f, sub := range fields {
			name, isField := strings.CutPrefix(f, "f:")
			child, has := v[name]
			if !isField || !has {
				continue
			}
			set, _ := sub.(map[string]any)
			if rest := unowned(set, child); len(set) == 0 || rest == nil {
				delete(out, name)
			} else {
				out[name] = rest
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		mine := ownedElements(wholly(fields), v)
		rest := slices.DeleteFunc(slices.Clone(v), func(element any) bool {
			return slices.ContainsFunc(mine, func(m any) bool { return equality.Semantic.DeepEqual(m, element) })
		})
		if len(rest) == 0 {
			return nil
		}
		return rest
	}
	return value
}

// wholly is a set of list elements without their fields: whose any field is owned is owned.
func wholly(fields map[string]any) map[string]any {
	out := map[string]any{}
	for f := range fields {
		out[f] = map[string]any{}
	}
	return out
}

// others are the conditions in previous that members do not tell of and that may be someone else's. In a list that can
// only be owned as a whole nobody can tell, so they stay as long as members tell of any.
func others(ours, rest, previous, told map[string]any) (out []any) {
	list := conditionsOf(rest)
	if set, owned := ours["f:conditions"].(map[string]any); owned && len(set) == 0 {
		list = conditionsOf(previous)
	}
	for _, entry := range list {
		c, _ := entry.(map[string]any)
		if condition(told, text(c, "type")) == nil {
			out = append(out, entry)
		}
	}
	return out
}

// overlay puts what members tell over what is left of someone else's.
func overlay(rest, told map[string]any) map[string]any {
	out := maps.Clone(rest)
	if out == nil {
		out = map[string]any{}
	}
	for field, value := range told {
		above, a := value.(map[string]any)
		under, b := out[field].(map[string]any)
		if a && b {
			value = overlay(under, above)
		}
		out[field] = value
	}
	return out
}

// mergePatch is the JSON merge patch (RFC 7386) that makes now of before.
func mergePatch(before, now map[string]any) map[string]any {
	patch := map[string]any{}
	for key := range before {
		if _, ok := now[key]; !ok {
			patch[key] = nil
		}
	}
	for key, value := range now {
		old, had := before[key]
		if had && equality.Semantic.DeepEqual(old, value) {
			continue
		}
		oldMap, a := old.(map[string]any)
		newMap, b := value.(map[string]any)
		if a && b {
			patch[key] = mergePatch(oldMap, newMap)
		} else {
			patch[key] = value
		}
	}
	return patch
}
