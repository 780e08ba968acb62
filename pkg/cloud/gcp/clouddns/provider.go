package clouddns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	gdns "google.golang.org/api/dns/v1"

	"kubefed.dev/kubefed/pkg/cloud/gcp/places"
	"kubefed.dev/kubefed/pkg/dns"
)

// Options say which zones.
type Options struct {
	Project string
	// Zones to publish to by DNS name, with the name of the managed zone; without one it is found by the DNS name.
	Zones map[string]string
	// PollInterval is the time between two questions whether a change is done; 1 s by default.
	PollInterval time.Duration
	// RetryInterval is the time before a request that was turned away is made a second time; then it grows. 1 s by default.
	RetryInterval time.Duration
}

// Provider publishes to managed zones.
type Provider struct {
	service *gdns.Service
	options Options
	zones   map[string]*zone
}

var (
	_ dns.Provider = (*Provider)(nil)
	_ dns.Waiter   = (*Provider)(nil)
)

// zone is one managed zone. One Apply at a time goes to it.
type zone struct {
	name string

	writing sync.Mutex
	// lease is the lease record of the federation as it was last seen, nil if there is none; known says that it was looked for.
	lease      *gdns.ResourceRecordSet
	known      bool
	federation string

	finding sync.Mutex
	// given is the managed zone of the configuration; id is the one that was found to be this zone's.
	given, id string
}

// New is a provider that asks through a client.
func New(service *gdns.Service, options Options) *Provider {
	options.PollInterval = cmp.Or(options.PollInterval, time.Second)
	options.RetryInterval = cmp.Or(options.RetryInterval, time.Second)
	p := &Provider{service: service, options: options, zones: map[string]*zone{}}
	for name, id := range options.Zones {
		name = dns.Absolute(name)
		p.zones[name] = &zone{name: name, given: id}
	}
	return p
}

var limits = dns.Limits{Routing: true, OnlyWeighted: true, MaxWeight: maxWeight, Region: places.Nearest}

// Zones implements dns.Provider. Calls are divided here, so there are no limits to their size for who calls.
func (p *Provider) Zones(ctx context.Context) ([]dns.Zone, error) {
	var zones []dns.Zone
	for name, z := range p.zones {
		if _, err := p.find(ctx, z); err != nil {
			return nil, err
		}
		zones = append(zones, dns.Zone{Name: name, Limits: limits})
	}
	slices.SortFunc(zones, func(a, b dns.Zone) int { return strings.Compare(a.Name, b.Name) })
	return zones, nil
}

// zone is the named one and its managed zone.
func (p *Provider) zone(ctx context.Context, name string) (*zone, string, error) {
	z, ok := p.zones[name]
	if !ok {
		return nil, "", &dns.Error{Kind: dns.NotFound, Subject: name, Err: errors.New("the zone is not among those of this provider; add it to the DNS configuration")}
	}
	id, err := p.find(ctx, z)
	return z, id, err
}

// find gives the managed zone's name, which it asks for once.
func (p *Provider) find(ctx context.Context, z *zone) (string, error) {
	z.finding.Lock()
	defer z.finding.Unlock()
	if z.id != "" {
		return z.id, nil
	}
	if z.given != "" {
		var m *gdns.ManagedZone
		err := p.try(ctx, func() (err error) {
			m, err = p.service.ManagedZones.Get(p.options.Project, z.given).Context(ctx).Do()
			return err
		})
		if err != nil {
			return "", z.classify(err)
		}
		if dns.Absolute(m.DnsName) != z.name {
			return "", &dns.Error{Kind: dns.NotFound, Subject: z.name, Err: fmt.Errorf("managed zone %s is %s; correct managedZone", z.given, m.DnsName)}
		}
		z.id = z.given
		return z.id, nil
	}
	var found []string
	list := p.service.ManagedZones.List(p.options.Project).DnsName(z.name)
	err := p.try(ctx, func() error {
		found = nil
		return list.Pages(ctx, func(page *gdns.ManagedZonesListResponse) error {
			for _, m := range page.ManagedZones {
				if dns.Absolute(m.DnsName) == z.name && m.Visibility != "private" {
					found = append(found, m.Name)
				}
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return "", z.classify(err)
	case len(found) == 1:
		z.id = found[0]
		return z.id, nil
	case len(found) == 0:
		return "", &dns.Error{Kind: dns.NotFound, Subject: z.name,
			Err: fmt.Errorf("project %s has no public managed zone of this name; create one, or name a private one as managedZone", p.options.Project)}
	}
	slices.Sort(found)
	return "", &dns.Error{Kind: dns.NotFound, Subject: z.name,
		Err: fmt.Errorf("%d public managed zones have this name: %s; set managedZone to the one that is delegated to", len(found), strings.Join(found, ", "))}
}

// pageSize is the number of record sets asked for at once.
const pageSize = 1000

// list reads all record sets as they are.
func (p *Provider) list(ctx context.Context, z *zone, id string) ([]*gdns.ResourceRecordSet, error) {
	var raws []*gdns.ResourceRecordSet
	at := map[dns.Key]int{}
	token := ""
	for {
		var page *gdns.ResourceRecordSetsListResponse
		err := p.try(ctx, func() (err error) {
			page, err = p.service.ResourceRecordSets.List(p.options.Project, id).MaxResults(pageSize).PageToken(token).Context(ctx).Do()
			return err
		})
		if err != nil {
			return nil, z.classify(err)
		}
		for _, raw := range page.Rrsets {
			if i, twice := at[keyOf(raw)]; twice {
				raws[i] = raw // it changed while the list was read: the later is the newer
				continue
			}
			at[keyOf(raw)] = len(raws)
			raws = append(raws, raw)
		}
		if page.NextPageToken == "" {
			return raws, nil
		}
		if page.NextPageToken == token {
			return nil, &dns.Error{Kind: dns.Unavailable, Subject: z.name, Err: errors.New("the list does not get on: the same page came twice")}
		}
		token = page.NextPageToken
	}
}

// Records implements dns.Provider.
func (p *Provider) Records(ctx context.Context, name string) (dns.Snapshot, error) {
	z, id, err := p.zone(ctx, name)
	if err != nil {
		return dns.Snapshot{}, err
	}
	raws, err := p.list(ctx, z, id)
	if err != nil {
		return dns.Snapshot{}, err
	}
	var s dns.Snapshot
	for _, l := range understand(raws) {
		for _, set := range l.sets {
			if set.Type != "SOA" && (set.Type != "NS" || set.Name != z.name) {
				s.Sets = append(s.Sets, set)
			}
		}
	}
	return s, nil
}

// read is a record set in canonical form. One with a routing policy, which is another hand's, has its items as data.
func read(raw *gdns.ResourceRecordSet) dns.RecordSet {
	set := dns.RecordSet{Name: raw.Name, Type: dns.Type(raw.Type), TTL: uint32(raw.Ttl), Data: raw.Rrdatas}
	if policy := raw.RoutingPolicy; policy != nil {
		if policy.Wrr != nil {
			for _, item := range policy.Wrr.Items {
				set.Data = append(set.Data, "weighted "+strings.Join(item.Rrdatas, " "))
			}
		}
		if policy.Geo != nil {
			for _, item := range policy.Geo.Items {
				set.Data = append(set.Data, "in "+item.Location+" "+strings.Join(item.Rrdatas, " "))
			}
		}
		if len(set.Data) == 0 {
			set.Data = []string{"by a routing policy"}
		}
	}
	return set.Canonical()
}

// write is a record set as Cloud DNS takes it.
func write(set dns.RecordSet) *gdns.ResourceRecordSet {
	return &gdns.ResourceRecordSet{Name: set.Name, Type: string(set.Type), Ttl: int64(set.TTL), Rrdatas: set.Data, ForceSendFields: []string{"Ttl"}}
}

// Await implements dns.Waiter: it asks until the receipt's changes are done.
func (p *Provider) Await(ctx context.Context, name string, r dns.Receipt) error {
	if r.Version == "" {
		return nil
	}
	z, managed, err := p.zone(ctx, name)
	if err != nil {
		return err
	}
	for _, id := range strings.Fields(r.Version) {
		for {
			var c *gdns.Change
			err := p.try(ctx, func() (err error) {
				c, err = p.service.Changes.Get(p.options.Project, managed, id).Context(ctx).Do()
				return err
			})
			if err != nil {
				return z.classify(err)
			}
			if c.Status == "done" {
				break
			}
			if err := pause(ctx, p.options.PollInterval); err != nil {
				return &dns.Error{Kind: dns.Unavailable, Subject: name, Err: fmt.Errorf("change %s is not yet on all servers of Cloud DNS: %w", id, err)}
			}
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
