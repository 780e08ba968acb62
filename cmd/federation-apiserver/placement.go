package main

import (
	"context"

	"kubefed.dev/kubefed/pkg/placement"
)

// startPlacement decides where objects go.
func startPlacement(_ context.Context, env *Environment) error {
	return placement.Add(env.Manager, env.Catalog)
}
