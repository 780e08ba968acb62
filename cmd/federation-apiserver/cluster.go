package main

import (
	"context"

	"kubefed.dev/kubefed/pkg/cluster"
)

// startCluster probes members, writes Cluster.status and keeps members' tokens fresh.
func startCluster(_ context.Context, env *Environment) error {
	federationClient, err := env.ClientFor("cluster")
	if err != nil {
		return err
	}
	return cluster.NewController(env.Registry, env.options.cluster).SetupWithManager(env.Manager, federationClient)
}
