package kind

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The kinds of dependencies, and those beside workloads that have some.
var (
	configMapKind      = schema.GroupKind{Kind: "ConfigMap"}
	secretKind         = schema.GroupKind{Kind: "Secret"}
	serviceAccountKind = schema.GroupKind{Kind: "ServiceAccount"}
	volumeClaimKind    = schema.GroupKind{Kind: "PersistentVolumeClaim"}
	ingressKind        = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
)

// Ref names an object, in the namespace of the one that refers to it.
type Ref struct {
	schema.GroupKind
	Name string
}

func (r Ref) String() string { return r.GroupKind.String() + "/" + r.Name }

// Dependency says whether other objects can need objects of a kind where they run.
func Dependency(gk schema.GroupKind) bool {
	return gk == configMapKind || gk == secretKind || gk == serviceAccountKind || gk == volumeClaimKind
}

// Depends says whether objects of a kind can need other objects where they run.
func Depends(k Kind) bool { return k.PodTemplate != nil || dependsOnSecrets(k) }

func dependsOnSecrets(k Kind) bool {
	return k.GroupKind() == ingressKind || k.GroupKind() == serviceAccountKind
}

// DependsOn says whether objects of a kind can need objects of the kind on.
func DependsOn(k Kind, on schema.GroupKind) bool {
	return k.PodTemplate != nil && Dependency(on) || on == secretKind && dependsOnSecrets(k)
}

// Refs lists what an object needs in its own namespace where it runs: the ConfigMaps, Secrets, ServiceAccount and
// PersistentVolumeClaims of its pod template (env, envFrom, volumes, image pull secrets; containers of all three sorts),
// the Secrets of an Ingress's TLS and those of a ServiceAccount. References that are optional count. Claims made from
// templates don't, and the ServiceAccount "default" doesn't: members make these themselves. The list is sorted and has
// no doubles. Malformed parts of an object name nothing. It is pure.
func Refs(k Kind, obj *unstructured.Unstructured) []Ref {
	if obj == nil || !Depends(k) {
		return nil
	}
	var found refs
	switch {
	case k.PodTemplate != nil:
		template := object(obj.Object)
		for _, field := range k.PodTemplate {
			template = template.object(field)
		}
		found.podSpec(template.object("spec"))
	case k.GroupKind() == ingressKind:
		for _, tls := range object(obj.Object).object("spec").list("tls") {
			found.add(secretKind, tls, "secretName")
		}
	default:
		for _, ref := range slices.Concat(object(obj.Object).list("secrets"), object(obj.Object).list("imagePullSecrets")) {
			found.add(secretKind, ref, "name")
		}
	}
	slices.SortFunc(found, func(a, b Ref) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.Group, b.Group))
	})
	return slices.Clip(slices.Compact(found))
}

// refs collects references.
type refs []Ref

func (r *refs) add(gk schema.GroupKind, o object, field string) {
	if name, _ := o[field].(string); name != "" {
		*r = append(*r, Ref{gk, name})
	}
}

func (r *refs) podSpec(spec object) {
	r.account(spec)
	for _, ref := range spec.list("imagePullSecrets") {
		r.add(secretKind, ref, "name")
	}
	for _, sort := range []string{"containers", "initContainers", "ephemeralContainers"} {
		for _, container := range spec.list(sort) {
			for _, env := range container.list("env") {
				r.add(secretKind, env.object("valueFrom").object("secretKeyRef"), "name")
				r.add(configMapKind, env.object("valueFrom").object("configMapKeyRef"), "name")
			}
			for _, source := range container.list("envFrom") {
				r.add(secretKind, source.object("secretRef"), "name")
				r.add(configMapKind, source.object("configMapRef"), "name")
			}
		}
	}
	for _, volume := range spec.list("volumes") {
		r.volume(volume)
	}
}

// account adds the ServiceAccount that pods run as, also by the field's deprecated name.
func (r *refs) account(spec object) {
	for _, field := range []string{"serviceAccountName", "serviceAccount"} {
		if spec[field] != "default" {
			r.add(serviceAccountKind, spec, field)
		}
	}
}

func (r *refs) volume(volume object) {
	r.add(configMapKind, volume.object("configMap"), "name")
	r.add(volumeClaimKind, volume.object("persistentVolumeClaim"), "claimName")
	for _, source := range volume.object("projected").list("sources") {
		r.add(secretKind, source.object("secret"), "name")
		r.add(configMapKind, source.object("configMap"), "name")
	}
	// Secret and Azure File volumes name a Secret directly; those of other drivers hold a reference.
	for source := range volume {
		r.add(secretKind, volume.object(source), "secretName")
		r.add(secretKind, volume.object(source).object("secretRef"), "name")
		r.add(secretKind, volume.object(source).object("nodePublishSecretRef"), "name")
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
