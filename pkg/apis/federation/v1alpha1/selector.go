package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ResourceSelector selects federated objects. All of its fields have to match; an empty selector matches every object
// that its policy can see.
//
// +kubebuilder:validation:XValidation:rule="!has(self.name) || has(self.kind)",message="name needs a kind beside it: names are unique only within one kind"
// +kubebuilder:validation:XValidation:rule="!has(self.name) || !has(self.labelSelector)",message="name and labelSelector exclude each other: a name selects one object already"
// +kubebuilder:validation:XValidation:rule="has(self.apiVersion) == has(self.kind)",message="apiVersion and kind go together, such as apps/v1 and Deployment"
type ResourceSelector struct {
	// APIVersion of the objects, such as "apps/v1". The version does not matter: objects are the same in all of them.
	// +optional
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+[a-z0-9]*$`
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the objects, such as "Deployment"; absent for all kinds.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// Name of the object; absent for all names.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// LabelSelector selects objects by their labels.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
}

// ScopedResourceSelector is the ResourceSelector of cluster-scoped policies.
type ScopedResourceSelector struct {
	ResourceSelector `json:",inline"`
	// Namespaces whose objects are meant; absent for all namespaces and for cluster-scoped objects.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Namespaces []string `json:"namespaces,omitempty"`
}

// ClusterSelector selects clusters. All of its fields have to match; an empty selector matches every cluster.
type ClusterSelector struct {
	// Names of clusters, any of them. A cluster that does not exist may join later.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	Names []string `json:"names,omitempty"`
	// MatchLabels are labels of the Cluster, all of them.
	// +optional
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// MatchExpressions are requirements on labels of the Cluster.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	MatchExpressions []ClusterRequirement `json:"matchExpressions,omitempty"`
	// MatchFields are requirements on what the federation knows of the cluster. The key is "name", "provider", "region"
	// or "zone" (any of the cluster's zones; for NotIn and DoesNotExist none of them).
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="self.key in ['name', 'provider', 'region', 'zone']",message="key must be name, provider, region or zone; labels belong in matchExpressions"
	MatchFields []ClusterRequirement `json:"matchFields,omitempty"`
	// Exclude names clusters that are not meant, whatever else matches.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	Exclude []string `json:"exclude,omitempty"`
}

// ClusterRequirement is one requirement on a label or a field, with the meaning of Kubernetes' NodeSelectorRequirement.
//
// +kubebuilder:validation:XValidation:rule="self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : true",message="In and NotIn need values"
// +kubebuilder:validation:XValidation:rule="self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 : true",message="Exists and DoesNotExist take no values"
// +kubebuilder:validation:XValidation:rule="self.operator in ['Gt', 'Lt'] ? has(self.values) && size(self.values) == 1 && self.values[0].matches('^-?[0-9]{1,18}$') : true",message="Gt and Lt need one whole number"
type ClusterRequirement struct {
	// Key is the label or field.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key"`
	// Operator is In, NotIn, Exists, DoesNotExist, Gt or Lt.
	// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist;Gt;Lt
	Operator string `json:"operator"`
	// Values of In and NotIn; the one number of Gt and Lt.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Values []string `json:"values,omitempty"`
}

// Operators of a ClusterRequirement.
const (
	OperatorIn           = "In"
	OperatorNotIn        = "NotIn"
	OperatorExists       = "Exists"
	OperatorDoesNotExist = "DoesNotExist"
	OperatorGt           = "Gt"
	OperatorLt           = "Lt"
)

// Fields of a cluster that MatchFields and topology keys name.
const (
	FieldName     = "name"
	FieldProvider = "provider"
	FieldRegion   = "region"
	FieldZone     = "zone"
)
