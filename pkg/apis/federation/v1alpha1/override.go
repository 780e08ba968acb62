package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OverridePolicy says how objects of its namespace differ from cluster to cluster.
//
// All policies that select an object apply: first each ClusterOverridePolicy, then each OverridePolicy, by name; in a
// policy each rule that selects the cluster, in the order of the list; in a rule its fields in the order in which they
// are documented. Later ones see what earlier ones made. Containers, list elements, variables and keys that an object lacks
// are passed over. Where a policy can't be applied, the cluster keeps what it has (state NotRendered).
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=op
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type OverridePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec OverridePolicySpec `json:"spec"`
}

// OverridePolicySpec is a selection and rules.
type OverridePolicySpec struct {
	// ResourceSelectors say which objects the policy is for: those that any of them matches.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ResourceSelectors []ResourceSelector `json:"resourceSelectors"`
	// Rules apply in order.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Rules []OverrideRule `json:"rules"`
}

// ClusterOverridePolicy is an OverridePolicy for objects of all namespaces and for cluster-scoped objects.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=cop
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterOverridePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ClusterOverridePolicySpec `json:"spec"`
}

// ClusterOverridePolicySpec is a selection and rules.
type ClusterOverridePolicySpec struct {
	// ResourceSelectors say which objects the policy is for: those that any of them matches.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ResourceSelectors []ScopedResourceSelector `json:"resourceSelectors"`
	// Rules apply in order.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Rules []OverrideRule `json:"rules"`
}

// OverrideRule is what differs in some clusters.
type OverrideRule struct {
	// Clusters in which the rule applies; absent for all.
	// +optional
	Clusters *ClusterSelector `json:"clusters,omitempty"`
	// Images changes parts of container images.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Images []ImageOverride `json:"images,omitempty"`
	// Command changes containers' commands.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Command []ListOverride `json:"command,omitempty"`
	// Args changes containers' arguments.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Args []ListOverride `json:"args,omitempty"`
	// Env changes containers' environment variables.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Env []EnvOverride `json:"env,omitempty"`
	// Labels of the object.
	// +optional
	Labels *MapOverride `json:"labels,omitempty"`
	// Annotations of the object.
	// +optional
	Annotations *MapOverride `json:"annotations,omitempty"`
	// JSONPatch is a JSON patch (RFC 6902) of the whole object as it would be sent to the cluster. It can't change
	// apiVersion, kind, status, the number of replicas and completions, ordinals, or anything of metadata but labels and
	// annotations, and not the federation's own among these.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	JSONPatch []JSONPatchOperation `json:"jsonPatch,omitempty"`
}

// ImageOverride replaces parts of images; parts that are absent stay as they were written: "nginx:1" with another
// registry is REGISTRY/nginx:1.
//
// +kubebuilder:validation:XValidation:rule="has(self.registry) || has(self.repository) || has(self.tag) || has(self.digest)",message="an image override needs registry, repository, tag or digest"
// +kubebuilder:validation:XValidation:rule="!has(self.tag) || !has(self.digest)",message="tag and digest exclude each other"
type ImageOverride struct {
	// Containers by name, init containers too; absent for all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Containers []string `json:"containers,omitempty"`
	// Registry is a host with an optional port, such as "registry.example.com:5000".
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]+)?$`
	Registry string `json:"registry,omitempty"`
	// Repository is the path on the registry, such as "library/nginx".
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z0-9]+([._/-]+[a-z0-9]+)*$`
	Repository string `json:"repository,omitempty"`
	// Tag replaces tag and digest.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}$`
	Tag string `json:"tag,omitempty"`
	// Digest replaces tag and digest, such as "sha256:...".
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$`
	Digest string `json:"digest,omitempty"`
}

// ListOverride changes a container's command or arguments. Remove goes before Append.
//
// +kubebuilder:validation:XValidation:rule="has(self.replace) != (has(self.remove) || has(self.append))",message="give either replace, or remove and append"
type ListOverride struct {
	// Container by name.
	// +kubebuilder:validation:MinLength=1
	Container string `json:"container"`
	// Replace is the whole list.
	// +optional
	// +listType=atomic
	Replace []string `json:"replace,omitempty"`
	// Remove takes elements away that are equal to one of these.
	// +optional
	// +listType=atomic
	Remove []string `json:"remove,omitempty"`
	// Append adds elements at the end.
	// +optional
	// +listType=atomic
	Append []string `json:"append,omitempty"`
}

// EnvOverride changes a container's environment. Remove goes before Set.
//
// +kubebuilder:validation:XValidation:rule="has(self.set) || has(self.remove)",message="an env override needs set or remove"
type EnvOverride struct {
	// Container by name.
	// +kubebuilder:validation:MinLength=1
	Container string `json:"container"`
	// Set adds variables or replaces those of the same name.
	// +optional
	// +listType=map
	// +listMapKey=name
	Set []corev1.EnvVar `json:"set,omitempty"`
	// Remove takes variables away by name.
	// +optional
	// +listType=set
	Remove []string `json:"remove,omitempty"`
}

// MapOverride changes labels or annotations. Remove goes before Set.
//
// +kubebuilder:validation:XValidation:rule="has(self.set) || has(self.remove)",message="an override needs set or remove"
type MapOverride struct {
	// Set adds or replaces.
	// +optional
	Set map[string]string `json:"set,omitempty"`
	// Remove takes away by key.
	// +optional
	// +listType=set
	Remove []string `json:"remove,omitempty"`
}

// JSONPatchOperation is one operation of a JSON patch (RFC 6902).
//
// +kubebuilder:validation:XValidation:rule="self.op in ['move', 'copy'] ? has(self.from) : !has(self.from)",message="move and copy need from, the others take none"
type JSONPatchOperation struct {
	// Op is add, remove, replace, move, copy or test.
	// +kubebuilder:validation:Enum=add;remove;replace;move;copy;test
	Op string `json:"op"`
	// Path is a JSON pointer (RFC 6901).
	// +kubebuilder:validation:Pattern=`^/`
	Path string `json:"path"`
	// From is a JSON pointer.
	// +optional
	// +kubebuilder:validation:Pattern=`^/`
	From string `json:"from,omitempty"`
	// Value is any JSON value; add, replace and test need one. (CEL can't see it: admission checks it.)
	// +optional
	Value *apiextensionsv1.JSON `json:"value,omitempty"`
}

// OverridePolicyList is a list of OverridePolicies.
//
// +kubebuilder:object:root=true
type OverridePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OverridePolicy `json:"items"`
}

// ClusterOverridePolicyList is a list of ClusterOverridePolicies.
//
// +kubebuilder:object:root=true
type ClusterOverridePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterOverridePolicy `json:"items"`
}
