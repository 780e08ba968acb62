package main

import (
	"context"
	"net/netip"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/drill"
	"kubefed.dev/kubefed/pkg/mcs"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/sync"
)

// startCluster probes members, judges their health, writes Cluster.status and keeps members' tokens fresh.
func startCluster(_ context.Context, env *Environment) error {
	federationClient, err := env.ClientFor("cluster")
	if err != nil {
		return err
	}
	options := env.options.cluster
	options.Federation, options.Sources = env.Federation, &cluster.Sources{Traffic: env.Endpoints.Traffic}
	return cluster.NewController(env.Registry, options).SetupWithManager(env.Manager, federationClient)
}

// startEndpoint follows where members serve federated objects, and whether they answer. Only who leads watches and asks.
func startEndpoint(_ context.Context, env *Environment) error {
	if err := env.Endpoints.SetupWithManager(env.Manager); err != nil {
		return err
	}
	return env.Manager.Add(manager.RunnableFunc(func(context.Context) error { env.Registry.Add(env.Endpoints); return nil }))
}

// startPlacement decides where objects go.
func startPlacement(_ context.Context, env *Environment) error {
	return placement.Add(env.Manager, env.Catalog, env.options.placement)
}

// startSync makes decisions true in members.
func startSync(_ context.Context, env *Environment) error {
	federationClient, err := env.ClientFor("sync")
	if err != nil {
		return err
	}
	engager, err := sync.Add(env.Manager, env.Catalog, federationClient, env.Federation, env.options.sync)
	if err != nil {
		return err
	}
	env.Registry.Add(engager)
	return nil
}

// startMCS makes exported Services usable in all members.
func startMCS(_ context.Context, env *Environment) error {
	federationClient, err := env.ClientFor("mcs")
	if err != nil {
		return err
	}
	engager, err := mcs.Add(env.Manager, federationClient, mcs.Options{
		Federation: env.Federation, Range: netip.MustParsePrefix(env.options.clusterSetRange),
	})
	if err != nil {
		return err
	}
	env.Registry.Add(engager)
	return nil
}

// startDrill carries out FailoverDrills.
func startDrill(_ context.Context, env *Environment) error {
	federationClient, err := env.ClientFor("drill")
	if err != nil {
		return err
	}
	return drill.New(env.Federation, federationClient, env.Discovery).SetupWithManager(env.Manager)
}
