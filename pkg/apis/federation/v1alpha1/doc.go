// Package v1alpha1 holds the federation's own kinds, group federation.kubefed.dev, with the names that outlive a
// release: labels, annotations, finalizers, condition types and reasons. It imports nothing else of the project.
//
// +kubebuilder:object:generate=true
// +groupName=federation.kubefed.dev
package v1alpha1
