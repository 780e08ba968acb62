// Package static answers for sites that have no cloud to ask from the file of pkg/cloud/config, which it reads again each time: who
// edits the file changes zones and prices. A file that can't be read makes facts old, as a cloud that does not answer does.
package static

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// Sites are those of a file. Safe for concurrent use.
type Sites struct {
	path string

	mu    sync.Mutex
	data  []byte // what sites and err are of
	sites []config.Site
	err   error
}

// Open reads a file's sites.
func Open(path string) (*Sites, error) {
	s := &Sites{path: path}
	_, err := s.read()
	return s, err
}

// read is what the file says now.
func (s *Sites) read() ([]config.Site, error) {
	data, err := os.ReadFile(s.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		return nil, &cloud.Error{Kind: cloud.Unavailable, Operation: "reading sites", Advice: "put the file back", Err: err}
	}
	if s.data != nil && bytes.Equal(data, s.data) {
		return s.sites, s.err
	}
	s.data, s.sites, s.err = data, nil, nil
	c, err := config.Parse(data)
	if err != nil {
		s.err = &cloud.Error{Kind: cloud.Invalid, Operation: "reading sites of " + s.path, Advice: "correct the file", Err: err}
		return nil, s.err
	}
	s.sites = c.Sites
	return s.sites, nil
}

// Find is the site of a provider's region: the one that names it, else the one of the whole provider.
func (s *Sites) Find(provider, region string) (config.Site, bool, error) {
	sites, err := s.read()
	if err != nil {
		return config.Site{}, false, err
	}
	for _, wanted := range []string{region, ""} {
		i := slices.IndexFunc(sites, func(site config.Site) bool { return site.Provider == provider && site.Region == wanted })
		if i >= 0 {
			return sites[i], true, nil
		}
	}
	return config.Site{}, false, nil
}

// Provider answers for the sites of one provider, as cloud.Regions and cloud.Prices.
func (s *Sites) Provider(provider string) Provider { return Provider{sites: s, name: provider} }

// Provider is one provider of Sites.
type Provider struct {
	sites *Sites
	name  string
}

var (
	_ cloud.Regions = Provider{}
	_ cloud.Prices  = Provider{}
)

func (p Provider) find(region string) (config.Site, error) {
	site, found, err := p.sites.Find(p.name, region)
	if err == nil && !found {
		err = &cloud.Error{Kind: cloud.NotFound, Operation: fmt.Sprintf("looking for a site of %s in region %q", p.name, region), Advice: "add it to sites of the cloud configuration"}
	}
	return site, err
}

// Zones are those that the site names; of others nothing bad is known.
func (p Provider) Zones(_ context.Context, region string) ([]cloud.Zone, error) {
	site, err := p.find(region)
	if err != nil {
		return nil, err
	}
	zones := make([]cloud.Zone, 0, len(site.Zones))
	for _, z := range site.Zones {
		state := cloud.ZoneState(z.State)
		if state == "" {
			state = cloud.ZoneAvailable
		}
		zones = append(zones, cloud.Zone{Name: z.Name, ID: z.Name, State: state, Message: z.Message})
	}
	return zones, nil
}

// Machines all cost what their CPUs and memory cost: the prices of one CPU and of one GiB are known apart, and the machine of the
// answer has one of each.
func (p Provider) Machines(_ context.Context, region string, machines []cloud.Machine) (map[cloud.Machine]cloud.Price, error) {
	site, err := p.find(region)
	if err != nil {
		return nil, err
	}
	prices := make(map[cloud.Machine]cloud.Price, len(machines))
	if site.Price == nil {
		return prices, nil
	}
	cpu, cpuErr := strconv.ParseFloat(site.Price.CPUHour, 64)
	gib, gibErr := strconv.ParseFloat(site.Price.GiBHour, 64)
	if err := errors.Join(cpuErr, gibErr); err != nil {
		return nil, fmt.Errorf("prices of site %s: %w", site.Name, err)
	}
	for _, m := range machines {
		prices[m] = cloud.Price{Currency: site.Price.Currency, Hour: cpu + gib, CPUs: 1, GiB: 1, CPUHour: cpu, GiBHour: gib, At: time.Now(), Source: "file"}
	}
	return prices, nil
}

// Egress is the price of the site; of kind NotFound where it says none.
func (p Provider) Egress(_ context.Context, region string) (currency string, perGiB float64, err error) {
	site, err := p.find(region)
	if err != nil {
		return "", 0, err
	}
	if site.Price == nil || site.Price.EgressGiB == "" {
		return "", 0, &cloud.Error{Kind: cloud.NotFound, Operation: "egress of site " + site.Name, Advice: "give price.egressGiB"}
	}
	perGiB, err = strconv.ParseFloat(site.Price.EgressGiB, 64)
	return site.Price.Currency, perGiB, err
}
