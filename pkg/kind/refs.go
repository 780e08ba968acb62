package kind

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	ingressKind        = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	serviceAccountKind = schema.GroupKind{Kind: "ServiceAccount"}
)

// RefersToSecrets says whether objects of a kind can need Secrets of their namespace.
func RefersToSecrets(k Kind) bool {
	return k.PodTemplate != nil || k.GroupKind() == ingressKind || k.GroupKind() == serviceAccountKind
}

// SecretRefs lists the names of the Secrets, in the object's own namespace, that an object needs where it runs: those of
// its pod template (env, envFrom, volumes, image pull secrets; containers of all three sorts), of an Ingress's TLS and of
// a ServiceAccount. The list is sorted and has no doubles. Malformed parts of an object name nothing. It is pure.
func SecretRefs(k Kind, obj *unstructured.Unstructured) []string {
	if obj == nil || !RefersToSecrets(k) {
		return nil
	}
	var found names
	switch {
	case k.PodTemplate != nil:
		template := object(obj.Object)
		for _, field := range k.PodTemplate {
			template = template.object(field)
		}
		found.podSpec(template.object("spec"))
	case k.GroupKind() == ingressKind:
		for _, tls := range object(obj.Object).object("spec").list("tls") {
			found.add(tls, "secretName")
		}
	default:
		for _, ref := range slices.Concat(object(obj.Object).list("secrets"), object(obj.Object).list("imagePullSecrets")) {
			found.add(ref, "name")
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// names collects names of Secrets.
type names []string

func (n *names) add(o object, field string) {
	if name, _ := o[field].(string); name != "" {
		*n = append(*n, name)
	}
}

func (n *names) podSpec(spec object) {
	for _, ref := range spec.list("imagePullSecrets") {
		n.add(ref, "name")
	}
	for _, sort := range []string{"containers", "initContainers", "ephemeralContainers"} {
		for _, container := range spec.list(sort) {
			for _, env := range container.list("env") {
				n.add(env.object("valueFrom").object("secretKeyRef"), "name")
			}
			for _, source := range container.list("envFrom") {
				n.add(source.object("secretRef"), "name")
			}
		}
	}
	for _, volume := range spec.list("volumes") {
		for _, source := range volume.object("projected").list("sources") {
			n.add(source.object("secret"), "name")
		}
		// Secret and Azure File volumes name a Secret directly; those of other drivers hold a reference.
		for source := range volume {
			n.add(volume.object(source), "secretName")
			n.add(volume.object(source).object("secretRef"), "name")
			n.add(volume.object(source).object("nodePublishSecretRef"), "name")
		}
	}
}

// object reads JSON that may be of any shape: what is not there or not of the type asked for is empty.
type object map[string]any

func (o object) object(field string) object {
	m, _ := o[field].(map[string]any)
	return m
}

func (o object) list(field string) []object {
	items, _ := o[field].([]any)
	objects := make([]object, 0, len(items))
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			objects = append(objects, m)
		}
	}
	return objects
}
