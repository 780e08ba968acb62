// Package kind knows the kinds that a federation federates: a table of what is special about each (where its replicas
// and its pod template are, which fields a member owns), the rule that says which objects are federated at all, and a
// Catalog of the kinds that a federation API serves, CRDs included. It decides nothing about placement and writes
// nothing.
package kind

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Kind is one federated kind as the federation API serves it.
type Kind struct {
	schema.GroupVersionKind
	// Resource is the plural name in URLs, such as "deployments".
	Resource   string
	Namespaced bool
	// Custom kinds are defined by a CustomResourceDefinition.
	Custom bool
	// StatusSubresource says of a custom kind that its objects' status is written apart from the rest.
	StatusSubresource bool
	Rule
}

// GVR is the kind's group, version and resource.
func (k Kind) GVR() schema.GroupVersionResource { return k.GroupVersion().WithResource(k.Resource) }

// DecisionKey is where the PlacementDecision of this kind's object is.
func (k Kind) DecisionKey(namespace, name string) types.NamespacedName {
	return federation.DecisionKey(k.Group, k.Resource, namespace, name)
}

// Rule is what is special about a kind. The zero Rule is right for a kind that is copied as it is.
type Rule struct {
	// Replicas is the path of the number that is divided over clusters, nil for a kind that is copied whole.
	Replicas []string
	// Completions is the path of a second number divided beside Replicas (Job).
	Completions []string
	// PodTemplate is the path of the pod template, nil for a kind without pods.
	PodTemplate []string
	// MemberOwned are paths that the member fills in; they are never sent to it.
	MemberOwned [][]string
}

func path(dotted string) []string { return strings.Split(dotted, ".") }

// rules is the table of kinds that are not simply copied.
var rules = map[schema.GroupKind]Rule{
	{Group: "apps", Kind: "Deployment"}:  {Replicas: path("spec.replicas"), PodTemplate: path("spec.template")},
	{Group: "apps", Kind: "ReplicaSet"}:  {Replicas: path("spec.replicas"), PodTemplate: path("spec.template")},
	{Group: "apps", Kind: "StatefulSet"}: {Replicas: path("spec.replicas"), PodTemplate: path("spec.template")},
	{Group: "apps", Kind: "DaemonSet"}:   {PodTemplate: path("spec.template")},
	{Group: "batch", Kind: "Job"}: {
		Replicas: path("spec.parallelism"), Completions: path("spec.completions"), PodTemplate: path("spec.template"),
	},
	{Group: "batch", Kind: "CronJob"}: {PodTemplate: path("spec.jobTemplate.spec.template")},
	{Kind: "Service"}: {MemberOwned: [][]string{
		path("spec.clusterIP"), path("spec.clusterIPs"), path("spec.ipFamilies"), path("spec.ipFamilyPolicy"), path("spec.healthCheckNodePort"),
	}},
	{Kind: "PersistentVolumeClaim"}: {MemberOwned: [][]string{path("spec.volumeName")}},
	{Kind: "ServiceAccount"}:        {MemberOwned: [][]string{path("secrets")}},
	{Kind: "Namespace"}:             {MemberOwned: [][]string{path("spec")}},
}

// RuleOf returns what is special about a kind.
func RuleOf(gk schema.GroupKind) Rule { return rules[gk] }

// never are groups and kinds of which no object is federated: what is the federation API's own, what is made by
// controllers, and what rules the API server that holds it (RBAC, quotas, admission), which only a policy may spread.
var (
	neverGroup = map[string]bool{
		federation.GroupName: true, "events.k8s.io": true, "coordination.k8s.io": true, "discovery.k8s.io": true,
		"rbac.authorization.k8s.io": true, "admissionregistration.k8s.io": true, "apiregistration.k8s.io": true,
		"authentication.k8s.io": true, "authorization.k8s.io": true, "certificates.k8s.io": true,
		"flowcontrol.apiserver.k8s.io": true, "node.k8s.io": true, "resource.k8s.io": true,
		"internal.apiserver.k8s.io": true, "storagemigration.k8s.io": true,
		// Exports and imports are pkg/mcs' business.
		"multicluster.x-k8s.io": true,
	}
	neverKind = map[schema.GroupKind]bool{
		{Kind: "Event"}: true, {Kind: "Pod"}: true, {Kind: "Node"}: true, {Kind: "Endpoints"}: true, {Kind: "Binding"}: true,
		{Kind: "ResourceQuota"}: true, {Kind: "LimitRange"}: true, {Kind: "PersistentVolume"}: true,
		{Kind: "ReplicationController"}: true, {Kind: "PodTemplate"}: true, {Kind: "ComponentStatus"}: true,
		{Group: "apps", Kind: "ControllerRevision"}:              true,
		{Group: "networking.k8s.io", Kind: "IPAddress"}:          true,
		{Group: "networking.k8s.io", Kind: "ServiceCIDR"}:        true,
		{Group: "storage.k8s.io", Kind: "VolumeAttachment"}:      true,
		{Group: "storage.k8s.io", Kind: "CSINode"}:               true,
		{Group: "storage.k8s.io", Kind: "CSIDriver"}:             true,
		{Group: "storage.k8s.io", Kind: "CSIStorageCapacity"}:    true,
		{Group: "storage.k8s.io", Kind: "VolumeAttributesClass"}: true,
	}
)

// Federatable says whether objects of a kind may be federated without a policy.
func Federatable(gk schema.GroupKind) bool { return !neverGroup[gk.Group] && !neverKind[gk] }

// SystemNamespace says whether nothing in a namespace is ever federated.
func SystemNamespace(namespace string) bool {
	return namespace == federation.SystemNamespace || strings.HasPrefix(namespace, "kube-")
}

// Federated says whether an object is federated. obj is of a Federatable kind.
func Federated(gk schema.GroupKind, obj *unstructured.Unstructured) bool {
	var secretType string
	if gk == (schema.GroupKind{Kind: "Secret"}) {
		secretType, _, _ = unstructured.NestedString(obj.Object, "type")
	}
	return FederatedObject(gk, obj, corev1.SecretType(secretType))
}

// FederatedObject is Federated for an object in any form. secretType matters for Secrets alone.
func FederatedObject(gk schema.GroupKind, obj metav1.Object, secretType corev1.SecretType) bool {
	name := obj.GetName()
	if SystemNamespace(obj.GetNamespace()) || obj.GetAnnotations()[federation.AnnotationPropagate] == "false" {
		return false
	}
	switch gk {
	case schema.GroupKind{Kind: "Namespace"}:
		// Every cluster has its own "default".
		return name != "default" && !SystemNamespace(name)
	case schema.GroupKind{Kind: "ConfigMap"}:
		return name != "kube-root-ca.crt"
	case schema.GroupKind{Kind: "ServiceAccount"}:
		// Every namespace has its own "default"; only a user who says so takes it over.
		return name != "default" || obj.GetAnnotations()[federation.AnnotationOnConflict] != ""
	case schema.GroupKind{Kind: "Service"}:
		return !(name == "kubernetes" && obj.GetNamespace() == "default")
	case schema.GroupKind{Kind: "Secret"}:
		switch secretType {
		case corev1.SecretTypeServiceAccountToken, corev1.SecretTypeBootstrapToken, "helm.sh/release.v1":
			return false
		}
	case schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:
		return !strings.HasPrefix(name, "system-")
	case schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		return !strings.HasSuffix(name, "."+federation.GroupName) && !strings.HasSuffix(name, ".multicluster.x-k8s.io")
	}
	return true
}
