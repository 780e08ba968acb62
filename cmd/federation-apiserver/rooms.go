package main

import (
	"context"
	"net/netip"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/dns/publish"
	"kubefed.dev/kubefed/pkg/drill"
	"kubefed.dev/kubefed/pkg/endpoint"
	"kubefed.dev/kubefed/pkg/mcs"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/probe"
	"kubefed.dev/kubefed/pkg/sync"
)

// startCluster probes members, asks the witnesses in them, judges members' health, writes Cluster.status and keeps members' tokens
// fresh. Only who leads asks.
func startCluster(_ context.Context, env *Environment) error {
	federationClient, err := env.ClientFor("cluster")
	if err != nil {
		return err
	}
	options := env.options.cluster
	options.Federation, options.Sources = env.Federation, &cluster.Sources{Traffic: env.Endpoints.Traffic, Sightings: env.Witnesses.Of, Cloud: env.Clouds.Signal}
	env.Witnesses.SetTargets(func() []probe.Target { return append(env.Registry.Targets(), env.Endpoints.Targets()...) })
	env.Endpoints.Heed(env.Witnesses.Sightings)
	env.Endpoints.HeedBalancers(env.Clouds.Balancer)
	if err := env.Manager.Add(manager.RunnableFunc(func(context.Context) error { env.Registry.Add(env.Witnesses); return nil })); err != nil {
		return err
	}
	return cluster.NewController(env.Registry, options).SetupWithManager(env.Manager, federationClient)
}

// startEndpoint follows where members serve federated objects, and whether they answer. Only who leads watches and asks.
func startEndpoint(_ context.Context, env *Environment) error {
	if err := env.Endpoints.SetupWithManager(env.Manager); err != nil {
		return err
	}
	return env.Manager.Add(manager.RunnableFunc(func(context.Context) error { env.Registry.Add(env.Endpoints); return nil }))
}

// startCloud asks clouds how the places are where members are. Only who leads asks.
func startCloud(_ context.Context, env *Environment) error {
	federationClient, err := env.ClientFor("cloud")
	if err != nil {
		return err
	}
	return env.Clouds.SetupWithManager(env.Manager, federationClient)
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
		Zone: env.options.zones.clusterSet(), Fence: env.Fence.Current, Current: env.options.zones.clusterSetServed,
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

// startDNS publishes the names of Services, Ingresses and Gateways.
func startDNS(_ context.Context, env *Environment) error {
	federationClient, err := env.ClientFor("dns")
	if err != nil {
		return err
	}
	zones, err := env.options.zones.of(env.Federation)
	if err != nil {
		return err
	}
	if env.options.leaderElect {
		rival := publish.NewRival(env.Manager.GetAPIReader(), env.options.identity, func() error { return env.options.zones.standBy(false) })
		if err := env.Manager.Add(rival); err != nil {
			return err
		}
	}
	return env.Manager.Add(publish.New(
		publish.Options{Federation: env.Federation, Zones: zones, Fence: env.Fence},
		publish.Clients{Cache: env.Cache, Client: federationClient, Direct: env.Manager.GetAPIReader(), Events: env.Manager.GetEventRecorder("dns")},
		env.Catalog, collected{env.Endpoints}))
}

// collected are the endpoints that the collector knows, as the publisher asks for them.
type collected struct{ *endpoint.Collector }

func (c collected) OnChange(f func(publish.Key)) {
	c.Collector.OnChange(func(k endpoint.Key) { f(publish.Key(k)) })
}

func (c collected) Endpoints(key publish.Key) []publish.Observed {
	found := c.Collector.Endpoints(endpoint.Key(key))
	out := make([]publish.Observed, len(found))
	for i := range found {
		out[i] = publish.Observed(found[i])
	}
	return out
}

func (c collected) Read(key publish.Key, cluster string) bool {
	return c.Collector.Read(endpoint.Key(key), cluster)
}

func (c collected) Ask(key publish.Key, p *federation.EndpointProbe) {
	c.Collector.Ask(endpoint.Key(key), p)
}

func (c collected) Remember(key publish.Key, before []publish.Observed) {
	known := make([]endpoint.Observed, len(before))
	for i := range before {
		known[i] = endpoint.Observed(before[i])
	}
	c.Collector.Remember(endpoint.Key(key), known)
}
