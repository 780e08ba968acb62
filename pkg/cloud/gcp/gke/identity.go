package gke

import (
	"context"

	"kubefed.dev/kubefed/pkg/cloud"
)

var _ cloud.Identifier = (*Finder)(nil)

// Identity implements cloud.Identifier.
func (f *Finder) Identity(ctx context.Context) (string, error) { return f.session.Identity(ctx) }
