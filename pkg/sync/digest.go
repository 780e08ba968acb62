package sync

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Digest identifies what the federation holds of an object: two trees have one Digest if they are equal, null being
// the same as absent.
type Digest [16]byte

// DigestOf digests an apply configuration, without the fields that server-side apply does not track: apiVersion, kind,
// name and namespace.
func DigestOf(config *unstructured.Unstructured) Digest {
	root, metadata := maps.Clone(config.Object), maps.Clone(nested(config.Object, "metadata"))
	delete(root, "apiVersion")
	delete(root, "kind")
	delete(metadata, "name")
	delete(metadata, "namespace")
	root["metadata"] = metadata
	return digest(root)
}

// OwnedDigest digests the part of a live object that manager owns by server-side apply (metadata.managedFields; see
// "Server-Side Apply" in the Kubernetes documentation). While nobody changed that part it equals DigestOf the
// configuration that was applied: a field that someone else changed is no longer manager's, one that the member added
// never was. ok is false where manager has applied nothing.
func OwnedDigest(obj *unstructured.Unstructured, manager string) (d Digest, ok bool) {
	entries, _ := nested(obj.Object, "metadata")["managedFields"].([]any)
	for _, entry := range entries {
		e, _ := entry.(map[string]any)
		if e["manager"] != manager || e["operation"] != "Apply" {
			continue
		}
		if sub, _ := e["subresource"].(string); sub != "" {
			continue
		}
		fields, _ := e["fieldsV1"].(map[string]any)
		return digest(owned(fields, obj.Object)), true
	}
	return Digest{}, false
}

// owned cuts value down to a FieldsV1 set: "f:name" names a field, "k:{...}" a list element by its keys, "v:..." a set
// element by its value, "i:n" one by its index, "." the value itself (structured-merge-diff, fieldpath). A set without
// members is a leaf: the whole value.
func owned(fields map[string]any, value any) any {
	if len(fields) == 0 {
		return value
	}
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for f, sub := range fields {
			name, isField := strings.CutPrefix(f, "f:")
			if !isField {
				continue
			}
			if child, ok := v[name]; ok {
				set, _ := sub.(map[string]any)
				out[name] = owned(set, child)
			}
		}
		return out
	case []any:
		return ownedElements(fields, v)
	}
	return value
}

func ownedElements(fields map[string]any, list []any) []any {
	type selector struct {
		keys  map[string]any // k:
		value any            // v:
		set   map[string]any
	}
	var selectors []selector
	for f, sub := range fields {
		set, _ := sub.(map[string]any)
		if keys, ok := strings.CutPrefix(f, "k:"); ok {
			var m map[string]any
			if decode(keys, &m) {
				selectors = append(selectors, selector{keys: m, set: set})
			}
		} else if v, ok := strings.CutPrefix(f, "v:"); ok {
			var x any
			if decode(v, &x) {
				selectors = append(selectors, selector{value: x})
			}
		}
	}
	out := make([]any, 0, len(selectors))
	for _, element := range list {
		i := slices.IndexFunc(selectors, func(s selector) bool {
			if s.keys == nil {
				return equalScalar(s.value, element)
			}
			m, ok := element.(map[string]any)
			for key, want := range s.keys {
				ok = ok && equalScalar(want, m[key])
			}
			return ok
		})
		if i >= 0 {
			out = append(out, owned(selectors[i].set, element))
		}
	}
	return out
}

// decode reads JSON with integers as int64, as unstructured objects hold them.
func decode(text string, into any) bool {
	d := json.NewDecoder(bytes.NewBufferString(text))
	d.UseNumber()
	return d.Decode(into) == nil
}

func equalScalar(a, b any) bool {
	if n, ok := a.(json.Number); ok {
		switch v := b.(type) {
		case int64:
			i, err := n.Int64()
			return err == nil && i == v
		case float64:
			f, err := n.Float64()
			return err == nil && f == v
		}
		return false
	}
	switch a.(type) {
	case map[string]any, []any:
		return false
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

func digest(value any) (d Digest) {
	sum := sha256.Sum256(appendTree(make([]byte, 0, 2048), value))
	copy(d[:], sum[:])
	return d
}

// appendTree appends a tree in one unambiguous form.
func appendTree(b []byte, value any) []byte {
	switch v := value.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key, child := range v {
			if child != nil {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		b = appendNumber(b, '{', uint64(len(keys)))
		for _, key := range keys {
			b = appendTree(appendString(b, key), v[key])
		}
		return b
	case []any:
		b = appendNumber(b, '[', uint64(len(v)))
		for _, child := range v {
			b = appendTree(b, child)
		}
		return b
	case string:
		return appendString(b, v)
	case bool:
		if v {
			return append(b, 't')
		}
		return append(b, 'f')
	case int64:
		return appendNumber(b, 'i', uint64(v))
	case float64:
		return appendNumber(b, 'd', math.Float64bits(v))
	}
	return append(b, '0')
}

func appendNumber(b []byte, tag byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, tag), n)
}

func appendString(b []byte, s string) []byte {
	return append(appendNumber(b, 's', uint64(len(s))), s...)
}
