package override

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/policy"
)

// Apply makes of an object, as it would be sent to a cluster, what the policies that select it make of it there. They
// apply in the order of the slice (see Set.Select), their rules in order, and a rule's fields in the order in which they
// are documented. The result shares what did not change with obj, and is obj itself where no rule means the cluster. On
// an error, which is an *Error, nothing of any policy is applied.
//
// Containers, list elements, variables and keys that a policy names and the object lacks are passed over: one policy may
// be for many objects. A JSON patch is exact, and says so where it does not fit.
func Apply(policies []*Policy, k kind.Kind, obj *unstructured.Unstructured, c *policy.Cluster) (*unstructured.Unstructured, error) {
	work := obj.Object
	for _, p := range policies {
		if p.broken != nil {
			return nil, p.broken
		}
		for i := range p.rules {
			if !p.Means(i, c) {
				continue
			}
			next, field, err := p.rules[i].apply(k, work)
			if err != nil {
				return nil, p.wrong(err, "spec.rules[%d].%s", i, field)
			}
			work = next
		}
	}
	return &unstructured.Unstructured{Object: work}, nil
}

// apply applies one rule to a tree that it does not change. An error comes with the field of the rule.
func (r *rule) apply(k kind.Kind, in map[string]any) (out map[string]any, field string, err error) {
	out = maps.Clone(in)
	if field, err = r.applyToPods(k, out); err != nil {
		return nil, field, err
	}
	changeMap(out, r.from.Labels, "metadata", "labels")
	changeMap(out, r.from.Annotations, "metadata", "annotations")
	if len(r.patch) > 0 {
		return patched(k, out, r.patch)
	}
	return out, "", nil
}

// own returns the map at path below root, with every map on the way cloned, so that it may be changed; nil where there
// is none.
func own(root map[string]any, path ...string) map[string]any {
	for _, key := range path {
		child, ok := root[key].(map[string]any)
		if !ok {
			return nil
		}
		child = maps.Clone(child)
		root[key], root = child, child
	}
	return root
}

// changeMap changes the labels or annotations at path: Remove goes before Set.
func changeMap(root map[string]any, o *federation.MapOverride, path ...string) {
	if o == nil {
		return
	}
	at := own(root, path...)
	if at == nil {
		if at = own(root, path[:len(path)-1]...); at == nil || len(o.Set) == 0 {
			return
		}
		made := map[string]any{}
		at[path[len(path)-1]], at = made, made
	}
	for _, key := range o.Remove {
		delete(at, key)
	}
	for key, value := range o.Set {
		at[key] = value
	}
}

// containerLists are where a pod has containers.
var containerLists = []string{"initContainers", "containers", "ephemeralContainers"}

// applyToPods changes the containers of a kind's pod template. A kind without one is left alone: a policy that selects
// by labels is for a Deployment and its Service alike.
func (r *rule) applyToPods(k kind.Kind, root map[string]any) (field string, err error) {
	from := r.from
	if k.PodTemplate == nil || len(from.Images)+len(from.Command)+len(from.Args)+len(from.Env) == 0 {
		return "", nil
	}
	pod := own(root, append(slices.Clone(k.PodTemplate), "spec")...)
	for _, key := range containerLists {
		list, ok := pod[key].([]any)
		if !ok {
			continue
		}
		list = slices.Clone(list)
		pod[key] = list
		for i := range list {
			container, ok := list[i].(map[string]any)
			if !ok {
				continue
			}
			container = maps.Clone(container)
			list[i] = container
			if field, err := r.applyToContainer(container); err != nil {
				return field, err
			}
		}
	}
	return "", nil
}

func (r *rule) applyToContainer(container map[string]any) (field string, err error) {
	name, _ := container["name"].(string)
	for i := range r.from.Images {
		o := &r.from.Images[i]
		if len(o.Containers) > 0 && !slices.Contains(o.Containers, name) {
			continue
		}
		image, _ := container["image"].(string)
		if container["image"], err = replaceImage(image, o); err != nil {
			return fmt.Sprintf("images[%d]", i), fmt.Errorf("container %q: %w", name, err)
		}
	}
	changeLists(container, "command", name, r.from.Command)
	changeLists(container, "args", name, r.from.Args)
	for i := range r.from.Env {
		if o := &r.from.Env[i]; o.Container == name {
			changeEnv(container, o.Remove, r.env[i])
		}
	}
	return "", nil
}

// changeLists changes the command or the arguments of a container. A list that has become empty is left out: so the
// image's own counts again, as where it was never there.
func changeLists(container map[string]any, key, name string, overrides []federation.ListOverride) {
	for i := range overrides {
		o := &overrides[i]
		if o.Container != name {
			continue
		}
		before, _ := container[key].([]any)
		after := make([]any, 0, len(before)+len(o.Append)+len(o.Replace))
		add := func(words []string) {
			for _, word := range words {
				after = append(after, word)
			}
		}
		if o.Replace != nil {
			add(o.Replace)
		} else {
			for _, word := range before {
				if text, _ := word.(string); !slices.Contains(o.Remove, text) {
					after = append(after, word)
				}
			}
			add(o.Append)
		}
		if len(after) == 0 {
			delete(container, key)
			continue
		}
		container[key] = after
	}
}

// changeEnv changes the environment of a container: first variables are removed, then set, each in its former place.
func changeEnv(container map[string]any, remove []string, set []any) {
	before, _ := container["env"].([]any)
	after := make([]any, 0, len(before)+len(set))
	at := map[string]int{}
	for _, variable := range before {
		if name := nameOf(variable); !slices.Contains(remove, name) {
			at[name] = len(after)
			after = append(after, variable)
		}
	}
	for _, variable := range set {
		name := nameOf(variable)
		if i, ok := at[name]; ok {
			after[i] = variable
			continue
		}
		at[name] = len(after)
		after = append(after, variable)
	}
	if len(after) == 0 {
		delete(container, "env")
		return
	}
	container["env"] = after
}

func nameOf(element any) string {
	m, _ := element.(map[string]any)
	name, _ := m["name"].(string)
	return name
}
