package apiserver

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"

	"kubefed.dev/kubefed/internal/tracing"
	"kubefed.dev/kubefed/pkg/kind"
)

const tracesPlugin = "FederationTraces"

// traces is the admission plugin that remembers, while spans are made, which request wrote a federated object last, so
// that what controllers in this process do about it belongs to the user's trace. It is a validating one, because an
// object has its UID by then, and refuses nothing.
type traces struct{ *admission.Handler }

var _ admission.ValidationInterface = traces{}

func newTraces() traces {
	return traces{admission.NewHandler(admission.Create, admission.Update, admission.Delete)}
}

// Validate implements admission.ValidationInterface.
func (traces) Validate(ctx context.Context, attr admission.Attributes, _ admission.ObjectInterfaces) error {
	// Subresources are written by controllers, but for scale, which comes here as an update of the object itself too.
	if !tracing.On() || attr.GetSubresource() != "" || attr.IsDryRun() || !kind.Federatable(attr.GetKind().GroupKind()) {
		return nil
	}
	written := attr.GetObject()
	if attr.GetOperation() == admission.Delete {
		written = attr.GetOldObject()
	}
	if object, err := meta.Accessor(written); err == nil {
		tracing.Wrote(ctx, object.GetUID())
	}
	return nil
}
