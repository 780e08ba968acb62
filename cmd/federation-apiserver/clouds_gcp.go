package main

import (
	"context"

	cloudconfig "kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp/facts"
	"kubefed.dev/kubefed/pkg/cloud/observe"
)

func openGCP(ctx context.Context, account cloudconfig.Account, o *cloudOptions) (observe.Clients, error) {
	f, err := facts.New(ctx, account)
	if err != nil {
		return observe.Clients{}, err
	}
	f.KeepPrices(o.listPeriod)
	return observe.Clients{Regions: f, Prices: f, Balancers: f}, nil
}
