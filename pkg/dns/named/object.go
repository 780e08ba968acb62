// Package named says what federated Services, Ingresses and Gateways want of DNS: which of them have names, with which hosts and
// settings, and what is wrong with that. It is pure: admission and the publisher read objects by the same rules.
package named

import (
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/kind"
)

// Key names a federated object.
type Key struct{ Group, Kind, Namespace, Name string }

// Kinds that have names.
var (
	ServiceKind = schema.GroupKind{Kind: "Service"}
	IngressKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	GatewayKind = schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "Gateway"}
)

// Kinds are all of them.
var Kinds = []schema.GroupKind{ServiceKind, IngressKind, GatewayKind}

// refs are the short kinds in owner references.
var refs = map[schema.GroupKind]string{ServiceKind: "svc", IngressKind: "ing", GatewayKind: "gw"}

// Named says whether objects of a kind can have names.
func Named(gk schema.GroupKind) bool { return refs[gk] != "" }

// GroupKind is the kind of the object.
func (k Key) GroupKind() schema.GroupKind { return schema.GroupKind{Group: k.Group, Kind: k.Kind} }

// Ref is how ownership records name the object.
func (k Key) Ref() string { return refs[k.GroupKind()] + "/" + k.Namespace + "/" + k.Name }

// KeyOfRef is the inverse of Key.Ref.
func KeyOfRef(ref string) (Key, bool) {
	parts := strings.Split(ref, "/")
	for gk, short := range refs {
		if len(parts) == 3 && parts[0] == short {
			return Key{gk.Group, gk.Kind, parts[1], parts[2]}, true
		}
	}
	return Key{}, false
}

// Object is what a federated object says of its names.
type Object struct {
	Key
	UID         string
	Generation  int64
	Labels      map[string]string
	Annotations map[string]string
	// Names are wanted for a Service that can be reached from outside.
	Names bool
	// Hosts are an Ingress' or Gateway's, absolute, sorted.
	Hosts []string
}

// ObjectOf reads an object. It is false for one that has no names: one that is not federated, is being deleted, is not of a kind
// that has names, or can't be reached from outside a cluster.
func ObjectOf(gk schema.GroupKind, obj *unstructured.Unstructured) (Object, bool) {
	if !Named(gk) || !kind.Federated(gk, obj) || obj.GetDeletionTimestamp() != nil {
		return Object{}, false
	}
	o := Object{
		Key: Key{gk.Group, gk.Kind, obj.GetNamespace(), obj.GetName()}, UID: string(obj.GetUID()), Generation: obj.GetGeneration(),
		Labels: obj.GetLabels(), Annotations: obj.GetAnnotations(),
	}
	switch gk {
	case ServiceKind:
		o.Names = reachable(obj)
		return o, o.Names
	case IngressKind:
		o.Hosts = hosts(obj, "host", "spec", "rules")
	case GatewayKind:
		o.Hosts = hosts(obj, "hostname", "spec", "listeners")
	}
	return o, len(o.Hosts) > 0
}

// reachable says whether a Service can be reached from outside a cluster.
func reachable(service *unstructured.Unstructured) bool {
	switch kind, _, _ := unstructured.NestedString(service.Object, "spec", "type"); kind {
	case "LoadBalancer", "NodePort":
		return true
	case "ExternalName":
		return false
	}
	external, _, _ := unstructured.NestedFieldNoCopy(service.Object, "spec", "externalIPs")
	list, _ := external.([]any)
	return len(list) > 0
}

// hosts gathers one field of the entries of a list.
func hosts(obj *unstructured.Unstructured, field string, path ...string) (found []string) {
	value, _, _ := unstructured.NestedFieldNoCopy(obj.Object, path...)
	list, _ := value.([]any)
	for _, item := range list {
		entry, _ := item.(map[string]any)
		host, _ := entry[field].(string)
		if _, err := netip.ParseAddr(host); host == "" || err == nil {
			continue
		}
		found = append(found, dns.Absolute(host))
	}
	slices.Sort(found)
	return slices.Compact(found)
}
