package mcs

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	mcsv1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const (
	// LabelImport on an object in a member says which federation made it for a ServiceImport. It is not LabelFederation: nothing
	// in the federation API is its origin.
	LabelImport = federation.GroupName + "/mcs-import"
	// managedBy tells whose EndpointSlices they are.
	managedBy = "mcs." + federation.GroupName
	// AnnotationDerivedService on a ServiceImport in a member names the Service through which it is reached.
	AnnotationDerivedService = "multicluster.kubernetes.io/derived-service"
	// maxEndpoints of a slice is the default of Kubernetes' own controller.
	maxEndpoints = 100
)

// derivedName is the name of the Service that carries an import's address in members.
func derivedName(name string) string { return "imported-" + digest(name) }

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:5])
}

// derived is the Service without a selector that carries the import's address in a member; kube-proxy knows it as any other.
func derived(federationName, namespace, name string, spec mcsv1.ServiceImportSpec) *corev1.Service {
	s := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: derivedName(name),
			Labels: map[string]string{LabelImport: federationName, mcsv1.LabelServiceName: name}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ExternalIPs: spec.IPs,
			SessionAffinity: cmp.Or(spec.SessionAffinity, corev1.ServiceAffinityNone), SessionAffinityConfig: spec.SessionAffinityConfig,
			TrafficDistribution: spec.TrafficDistribution,
		},
	}
	for _, p := range spec.Ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: p.Name, Protocol: p.Protocol, AppProtocol: p.AppProtocol, Port: p.Port})
	}
	return s
}

// imported are the EndpointSlices that one member gets for the endpoints of one cluster.
func imported(federationName, namespace, name, member string, headless bool, e export) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for _, part := range reachable(e, member, headless) {
		for chunk := range slices.Chunk(part.of, maxEndpoints) {
			s := &discoveryv1.EndpointSlice{
				TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace,
					Name: fmt.Sprintf("%s-%s-%d", derivedName(name), digest(e.cluster), len(out)),
					Labels: map[string]string{LabelImport: federationName, discoveryv1.LabelManagedBy: managedBy,
						mcsv1.LabelServiceName: name, mcsv1.LabelSourceCluster: e.cluster}},
				AddressType: discoveryv1.AddressType(part.family),
			}
			if headless {
				s.Labels[corev1.IsHeadlessService] = ""
			} else {
				s.Labels[discoveryv1.LabelServiceName] = derivedName(name)
			}
			for _, p := range part.ports {
				s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: ptr.To(p.name), Protocol: ptr.To(p.protocol), Port: ptr.To(p.port), AppProtocol: p.app})
			}
			for _, point := range chunk {
				d := discoveryv1.Endpoint{Addresses: point.addresses, Conditions: discoveryv1.EndpointConditions{
					Ready: ptr.To(point.ready), Serving: ptr.To(point.serving), Terminating: ptr.To(point.leaving)}}
				if point.hostname != "" {
					d.Hostname = ptr.To(point.hostname)
				}
				if point.zone != "" {
					d.Zone = ptr.To(point.zone)
				}
				s.Endpoints = append(s.Endpoints, d)
			}
			out = append(out, s)
		}
	}
	return out
}

// reachable is where a member reaches the endpoints of a cluster: its own pods by their addresses; those of another cluster by
// its load balancer, where the Service has one, else by their addresses too, which needs a network in which pods of
// different clusters reach each other.
func reachable(e export, member string, headless bool) []endpoints {
	if headless || member == e.cluster || len(e.balancer) == 0 {
		return bySlice(e.endpoints)
	}
	ready := slices.ContainsFunc(e.endpoints, func(s endpoints) bool {
		return slices.ContainsFunc(s.of, func(p endpoint) bool { return p.ready })
	})
	var out []endpoints
	for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
		part := endpoints{family: string(family)}
		for _, p := range e.spec.Ports {
			part.ports = append(part.ports, endpointPort{p.Name, cmp.Or(p.Protocol, corev1.ProtocolTCP), p.AppProtocol, p.Port})
		}
		for _, text := range e.balancer {
			if a, err := netip.ParseAddr(text); err == nil && a.Is4() == (family == discoveryv1.AddressTypeIPv4) {
				part.of = append(part.of, endpoint{addresses: []string{text}, ready: ready, serving: ready})
			}
		}
		if len(part.of) > 0 {
			out = append(out, part)
		}
	}
	return out
}

// bySlice puts endpoints in an order that does not depend on how they were read.
func bySlice(parts []endpoints) []endpoints {
	parts = slices.Clone(parts)
	for i := range parts {
		parts[i].of = slices.SortedFunc(slices.Values(parts[i].of), func(a, b endpoint) int {
			return cmp.Or(slices.Compare(a.addresses, b.addresses), cmp.Compare(a.hostname, b.hostname))
		})
		parts[i].ports = slices.SortedFunc(slices.Values(parts[i].ports), func(a, b endpointPort) int { return cmp.Compare(a.name, b.name) })
	}
	parts = slices.DeleteFunc(parts, func(p endpoints) bool { return len(p.of) == 0 })
	slices.SortStableFunc(parts, func(a, b endpoints) int {
		return cmp.Or(cmp.Compare(a.family, b.family), slices.Compare(a.of[0].addresses, b.of[0].addresses))
	})
	return parts
}
