package apiserver

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const decisionsPlugin = "FederationDecisions"

// decisions is the admission plugin that has nobody keep account of who owns which field of a PlacementDecision: they are
// written by the federation alone, never applied, and there is one for each object. An object that is created without
// such an account is given none by updates (managedfields, NewSkipNonAppliedManager). The account was a third of what
// a decision takes in the memory of the watch cache.
type decisions struct{ *admission.Handler }

var _ admission.MutationInterface = decisions{}

func newDecisions() decisions { return decisions{admission.NewHandler(admission.Create)} }

// Admit implements admission.MutationInterface.
func (decisions) Admit(_ context.Context, attr admission.Attributes, _ admission.ObjectInterfaces) error {
	if attr.GetSubresource() != "" || attr.GetKind().GroupKind() != (schema.GroupKind{Group: federation.GroupName, Kind: "PlacementDecision"}) {
		return nil
	}
	if object, err := meta.Accessor(attr.GetObject()); err == nil {
		object.SetManagedFields(nil)
	}
	return nil
}
