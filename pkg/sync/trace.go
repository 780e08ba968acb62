package sync

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"kubefed.dev/kubefed/internal/tracing"
)

// span begins the span of a call to the member about the object whose UID in the federation is origin.
func (m *member) span(ctx context.Context, name string, key Key, in reading, origin types.UID) (context.Context, tracing.Span) {
	about := tracing.Object{Kind: key.GroupKind, Namespace: key.Namespace, Name: key.Name, UID: origin, Cluster: m.Name}
	if in.object != nil && in.object.GetUID() == origin {
		about.Generation = in.object.GetGeneration()
	}
	return tracing.Start(ctx, name, about)
}
