package override

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// operation is one operation of a JSON patch.
type operation struct {
	op, path, from string
	writes         [][]string // the pointers that it changes, unescaped
	patch          jsonpatch.Patch
}

// maxPatched bounds what copy operations may add up to: no API server takes a larger object.
const maxPatched = 3 << 20

// compileOperation reads an operation, and refuses it where no object could take it.
func compileOperation(from *federation.JSONPatchOperation) (operation, error) {
	o := operation{op: from.Op, path: from.Path, from: from.From}
	wire := map[string]any{"op": from.Op, "path": from.Path}
	pointers := []string{from.Path}
	switch from.Op {
	case "add", "replace", "test":
		wire["value"] = json.RawMessage("null")
		if from.Value != nil && len(from.Value.Raw) > 0 {
			wire["value"] = json.RawMessage(from.Value.Raw)
		}
	case "move", "copy":
		wire["from"] = from.From
		pointers = append(pointers, from.From)
	case "remove":
	default:
		return o, fmt.Errorf("op %q: use add, remove, replace, move, copy or test", from.Op)
	}
	for i, pointer := range pointers {
		tokens, err := parsePointer(pointer)
		if err != nil {
			return o, err
		}
		if from.Op == "test" || i > 0 && from.Op == "copy" {
			continue // only reads it
		}
		if reason := protected(tokens); reason != "" {
			return o, fmt.Errorf("%s %s: %s", from.Op, pointer, reason)
		}
		o.writes = append(o.writes, tokens)
	}
	data, err := json.Marshal([]any{wire})
	if err != nil {
		return o, fmt.Errorf("%s %s: value: %w", from.Op, from.Path, err)
	}
	if o.patch, err = jsonpatch.DecodePatch(data); err != nil {
		return o, fmt.Errorf("%s %s: %w", from.Op, from.Path, err)
	}
	return o, nil
}

// parsePointer splits a JSON pointer (RFC 6901).
func parsePointer(pointer string) ([]string, error) {
	if !strings.HasPrefix(pointer, "/") {
		return nil, fmt.Errorf("%q is not a JSON pointer below the object: begin with /, as in /metadata/labels/app", pointer)
	}
	tokens := strings.Split(pointer[1:], "/")
	for i, token := range tokens {
		if rest := strings.NewReplacer("~0", "", "~1", "").Replace(token); strings.Contains(rest, "~") {
			return nil, fmt.Errorf("%q is not a JSON pointer: write ~0 for ~ and ~1 for /", pointer)
		}
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	}
	return tokens, nil
}

// protected says why a pointer may not be changed in objects of any kind, "" where it may.
func protected(tokens []string) string {
	switch tokens[0] {
	case "apiVersion", "kind":
		return "what an object is can't differ between clusters"
	case "status":
		return "the status is the cluster's own"
	case "metadata":
		if len(tokens) == 1 || tokens[1] != "labels" && tokens[1] != "annotations" {
			return "of metadata only labels and annotations may differ between clusters"
		}
		if len(tokens) > 2 && ours(tokens[2]) {
			return tokens[2] + " is the federation's own"
		}
	}
	return ""
}

var statefulSets = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}

// divided are the paths whose values pkg/placement decides on for each cluster.
func divided(k kind.Kind) [][]string {
	var paths [][]string
	for _, path := range [][]string{k.Replicas, k.Completions} {
		if path != nil {
			paths = append(paths, path)
		}
	}
	if k.GroupKind() == statefulSets {
		paths = append(paths, []string{"spec", "ordinals"})
	}
	return paths
}

func within(tokens, path []string) bool {
	if len(tokens) < len(path) {
		return false
	}
	for i := range path {
		if tokens[i] != path[i] {
			return false
		}
	}
	return true
}

// forKind says why an operation may not be applied to objects of a kind.
func (o *operation) forKind(k kind.Kind) error {
	for _, tokens := range o.writes {
		for _, path := range divided(k) {
			if within(tokens, path) {
				return fmt.Errorf("%s %s: .%s is decided by placement: say in a PropagationPolicy how replicas are divided", o.op, o.path, strings.Join(path, "."))
			}
		}
	}
	return nil
}

// patched applies a JSON patch, all of it or nothing. An error comes with the field of the rule.
func patched(k kind.Kind, in map[string]any, patch []operation) (out map[string]any, field string, err error) {
	doc, err := json.Marshal(in)
	if err != nil {
		return nil, "jsonPatch", fmt.Errorf("encoding the object: %w", err)
	}
	options := jsonpatch.NewApplyOptions()
	options.SupportNegativeIndices, options.AccumulatedCopySizeLimit = false, maxPatched
	for i := range patch {
		o, field := &patch[i], fmt.Sprintf("jsonPatch[%d]", i)
		if err := o.forKind(k); err != nil {
			return nil, field, err
		}
		if doc, err = o.patch.ApplyWithOptions(doc, options); err != nil {
			return nil, field, fmt.Errorf("%s %s: %w: correct the patch, or select only objects that it fits", o.op, o.path, err)
		}
		if len(doc) > maxPatched {
			return nil, field, fmt.Errorf("%s %s: the object would become larger than %d MiB", o.op, o.path, maxPatched>>20)
		}
	}
	if err := utiljson.Unmarshal(doc, &out); err != nil {
		return nil, "jsonPatch", fmt.Errorf("reading what the patch made: %w", err)
	}
	if err := kept(k, in, out); err != nil {
		return nil, "jsonPatch", err
	}
	return out, "", nil
}

// kept checks that a patch which changed a whole branch, such as /metadata/labels, left alone what is protected in it.
func kept(k kind.Kind, before, after map[string]any) error {
	if metadata, _ := after["metadata"].(map[string]any); metadata == nil {
		return errors.New("the object would lose its metadata")
	}
	for _, branch := range []string{"labels", "annotations"} {
		was, is := at(before, "metadata", branch), at(after, "metadata", branch)
		had, _ := was.(map[string]any)
		has, isMap := is.(map[string]any)
		if is != nil && !isMap {
			return fmt.Errorf("metadata.%s would no longer be a map of strings", branch)
		}
		for key, value := range had {
			if ours(key) && has[key] != value {
				return fmt.Errorf("metadata.%s would lose %s, which is the federation's own: change single keys instead of the whole map", branch, key)
			}
		}
		for key, value := range has {
			if _, text := value.(string); !text {
				return fmt.Errorf("metadata.%s would no longer be a map of strings: %s is not one", branch, key)
			}
			if ours(key) && had[key] != value {
				return fmt.Errorf("metadata.%s would get %s, which is the federation's own", branch, key)
			}
		}
	}
	for _, path := range divided(k) {
		if !equality.Semantic.DeepEqual(at(before, path...), at(after, path...)) {
			return fmt.Errorf(".%s would change, which is decided by placement: change single fields instead of what they are in", strings.Join(path, "."))
		}
	}
	return nil
}

// at is the value at path, nil where there is none.
func at(root map[string]any, path ...string) any {
	var value any = root
	for _, key := range path {
		m, _ := value.(map[string]any)
		value = m[key]
	}
	return value
}
