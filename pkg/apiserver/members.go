package apiserver

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	core "k8s.io/kubernetes/pkg/apis/core"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

const membersPlugin = "FederationMembers"

// members is the admission plugin that puts federation.FinalizerMembers on every federated object as it is created, so
// that none can vanish before its copies are dealt with, and without a second write. It puts the finalizer back where an
// update drops it, which `kubectl replace` does. It comes off only while the object is being deleted, or once the object
// was no longer federated before the update that takes it off: pkg/sync does both.
type members struct{ *admission.Handler }

var _ admission.MutationInterface = members{}

func newMembers() members { return members{admission.NewHandler(admission.Create, admission.Update)} }

// Admit implements admission.MutationInterface.
func (members) Admit(_ context.Context, attr admission.Attributes, _ admission.ObjectInterfaces) error {
	gk := attr.GetKind().GroupKind()
	if attr.GetSubresource() != "" || !kind.Federatable(gk) {
		return nil
	}
	object, err := meta.Accessor(attr.GetObject())
	if err != nil {
		return nil // not an object with metadata: nothing that is federated
	}
	if object.GetDeletionTimestamp() != nil || slices.Contains(object.GetFinalizers(), federation.FinalizerMembers) {
		return nil
	}
	if federated(gk, object, attr.GetObject()) || keeps(gk, attr.GetOldObject()) {
		object.SetFinalizers(append(slices.Clone(object.GetFinalizers()), federation.FinalizerMembers))
	}
	return nil
}

// keeps says whether the object as it was before an update was federated and held the finalizer: its copies may still be
// in members, so one update must not both end the federation of an object and drop the finalizer.
func keeps(gk schema.GroupKind, old runtime.Object) bool {
	if old == nil {
		return false
	}
	object, err := meta.Accessor(old)
	return err == nil && slices.Contains(object.GetFinalizers(), federation.FinalizerMembers) && federated(gk, object, old)
}

func federated(gk schema.GroupKind, object metav1.Object, obj runtime.Object) bool {
	var secretType corev1.SecretType
	switch o := obj.(type) {
	case *core.Secret:
		secretType = corev1.SecretType(o.Type)
	case *unstructured.Unstructured:
		return kind.Federated(gk, o)
	}
	return kind.FederatedObject(gk, object, secretType)
}
