package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Tombstone remembers that copies of a deleted federated object are still to be removed from members that could not
// be reached when it was deleted. pkg/sync writes it before it lets the object go, and carries it out when a member is
// back: there it deletes the object only while it still carries the origin UID that the tombstone names. Deleting a
// Tombstone by hand leaves the copies where they are.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.object.kind`
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.object.namespace`
// +kubebuilder:printcolumn:name="Object",type=string,JSONPath=`.spec.object.name`
// +kubebuilder:printcolumn:name="Clusters",type=string,JSONPath=`.spec.clusters`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Tombstone struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec TombstoneSpec `json:"spec"`
}

// TombstoneSpec says what is left to do.
type TombstoneSpec struct {
	// Object is the deleted object.
	Object ObjectReference `json:"object"`
	// Clusters still hold a copy, sorted. The tombstone goes with the last of them.
	// +listType=set
	Clusters []string `json:"clusters"`
}

// TombstoneList is a list of Tombstones.
//
// +kubebuilder:object:root=true
type TombstoneList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Tombstone `json:"items"`
}
