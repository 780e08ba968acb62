package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	cloudconfig "kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/observe"
	"kubefed.dev/kubefed/pkg/cloud/static"
)

// cloudOptions say which clouds are asked, as whom, and how often. Without a file none is.
type cloudOptions struct {
	config                              string
	zonePeriod, pricePeriod, listPeriod time.Duration
}

func (o *cloudOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.config, "cloud-config", "", "File that lists the accounts of clouds to ask about members' zones, prices and load balancers, and sites that have no cloud to ask. Without it no cloud is asked.")
	fs.DurationVar(&o.zonePeriod, "cloud-zone-period", 30*time.Second, "Time between two questions to a cloud for the state of a region's zones and load balancers.")
	fs.DurationVar(&o.listPeriod, "cloud-price-list-period", 24*time.Hour, "Time for which the price list of a cloud is taken without reading it again. Spot prices of AWS are read at least every 5 minutes that they are asked for.")
	fs.DurationVar(&o.pricePeriod, "cloud-price-period", 10*time.Minute, "Time between two questions to a cloud for the prices of a region.")
}

func (o *cloudOptions) validate() error {
	var errs []error
	if min(o.zonePeriod, o.pricePeriod, o.listPeriod) < time.Second {
		errs = append(errs, fmt.Errorf("--cloud-zone-period=%s --cloud-price-period=%s --cloud-price-list-period=%s: write 1s or more", o.zonePeriod, o.pricePeriod, o.listPeriod))
	}
	if _, err := o.load(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// load reads the file; nil for none.
func (o *cloudOptions) load() (*cloudconfig.Config, error) {
	if o.config == "" {
		return nil, nil
	}
	c, err := cloudconfig.Load(o.config)
	if err != nil {
		return nil, fmt.Errorf("--cloud-config: %w", err)
	}
	return c, nil
}

// openers make the clients of an account, by its provider.
var openers = map[string]func(context.Context, cloudconfig.Account, *cloudOptions) (observe.Clients, error){
	cloudconfig.AWS: openAWS,
	cloudconfig.GCP: openGCP,
}

// sources are the accounts and sites of the file. Nobody is asked yet.
func (o *cloudOptions) sources() ([]observe.Source, error) {
	file, err := o.load()
	if file == nil {
		return nil, err
	}
	var sources []observe.Source
	for _, a := range file.Accounts {
		sources = append(sources, observe.Source{Name: a.Name, Provider: a.Provider, Regions: a.Regions, Clusters: a.Clusters,
			Open: func(ctx context.Context) (observe.Clients, error) { return openers[a.Provider](ctx, a, o) }})
	}
	if len(file.Sites) == 0 {
		return sources, nil
	}
	sites, err := static.Open(o.config)
	if err != nil {
		return nil, fmt.Errorf("--cloud-config: %w", err)
	}
	for _, s := range file.Sites {
		provider := sites.Provider(s.Provider)
		source := observe.Source{Name: s.Name, Provider: s.Provider, Site: true,
			Open: func(context.Context) (observe.Clients, error) {
				return observe.Clients{Regions: provider, Prices: provider}, nil
			}}
		if s.Region != "" {
			source.Regions = []string{s.Region}
		}
		sources = append(sources, source)
	}
	return sources, nil
}
