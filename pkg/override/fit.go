package override

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// CheckKind says what of the policy can't be applied to any object of a kind that its selectors name.
func (p *Policy) CheckKind(k kind.Kind) error {
	var errs []error
	for i := range p.rules {
		r := &p.rules[i]
		for _, part := range r.podParts() {
			if k.PodTemplate == nil {
				errs = append(errs, p.wrong(fmt.Errorf("a %s has no pod template that the federation knows: use jsonPatch, or select kinds that have one", k.Kind),
					"spec.rules[%d].%s", i, part))
			}
		}
		for j := range r.patch {
			if err := r.patch[j].forKind(k); err != nil {
				errs = append(errs, p.wrong(err, "spec.rules[%d].jsonPatch[%d]", i, j))
			}
		}
	}
	return errors.Join(errs...)
}

// podParts are the fields of a rule that are about containers.
func (r *rule) podParts() (parts []string) {
	for _, part := range []struct {
		name string
		n    int
	}{{"images", len(r.from.Images)}, {"command", len(r.from.Command)}, {"args", len(r.from.Args)}, {"env", len(r.from.Env)}} {
		if part.n > 0 {
			parts = append(parts, part.name)
		}
	}
	return parts
}

// Containers visits the containers that the policy names, with the field that does.
func (p *Policy) Containers(visit func(field, container string)) {
	for i := range p.rules {
		from := p.rules[i].from
		for j := range from.Images {
			for _, name := range from.Images[j].Containers {
				visit(fmt.Sprintf("spec.rules[%d].images[%d].containers", i, j), name)
			}
		}
		lists := func(field string, overrides []federation.ListOverride) {
			for j := range overrides {
				visit(fmt.Sprintf("spec.rules[%d].%s[%d].container", i, field, j), overrides[j].Container)
			}
		}
		lists("command", from.Command)
		lists("args", from.Args)
		for j := range from.Env {
			visit(fmt.Sprintf("spec.rules[%d].env[%d].container", i, j), from.Env[j].Container)
		}
	}
}

// HasContainer says whether an object has a container of a name.
func HasContainer(k kind.Kind, obj *unstructured.Unstructured, name string) bool {
	if k.PodTemplate == nil {
		return false
	}
	pod, _ := at(obj.Object, append(slices.Clone(k.PodTemplate), "spec")...).(map[string]any)
	return slices.ContainsFunc(containerLists, func(list string) bool {
		containers, _ := pod[list].([]any)
		return slices.ContainsFunc(containers, func(c any) bool { return nameOf(c) == name })
	})
}
