package route53

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"kubefed.dev/kubefed/pkg/cloud/aws/places"
	"kubefed.dev/kubefed/pkg/dns"
)

// api is what is asked of Route 53.
type api interface {
	ListHostedZonesByName(context.Context, *route53.ListHostedZonesByNameInput, ...func(*route53.Options)) (*route53.ListHostedZonesByNameOutput, error)
	GetHostedZone(context.Context, *route53.GetHostedZoneInput, ...func(*route53.Options)) (*route53.GetHostedZoneOutput, error)
	ListResourceRecordSets(context.Context, *route53.ListResourceRecordSetsInput, ...func(*route53.Options)) (*route53.ListResourceRecordSetsOutput, error)
	ChangeResourceRecordSets(context.Context, *route53.ChangeResourceRecordSetsInput, ...func(*route53.Options)) (*route53.ChangeResourceRecordSetsOutput, error)
	ListHealthChecks(context.Context, *route53.ListHealthChecksInput, ...func(*route53.Options)) (*route53.ListHealthChecksOutput, error)
	CreateHealthCheck(context.Context, *route53.CreateHealthCheckInput, ...func(*route53.Options)) (*route53.CreateHealthCheckOutput, error)
	DeleteHealthCheck(context.Context, *route53.DeleteHealthCheckInput, ...func(*route53.Options)) (*route53.DeleteHealthCheckOutput, error)
	ChangeTagsForResource(context.Context, *route53.ChangeTagsForResourceInput, ...func(*route53.Options)) (*route53.ChangeTagsForResourceOutput, error)
	GetChange(context.Context, *route53.GetChangeInput, ...func(*route53.Options)) (*route53.GetChangeOutput, error)
}

// Options say which zones, and as whom.
type Options struct {
	// Federation is part of the identifiers of routed sets, so that two federations in one zone do not meet there.
	Federation string
	// Zones to publish to by name, with the hosted zone's ID; without one it is found by name.
	Zones map[string]string
	// Private looks for private hosted zones instead of public ones.
	Private bool
	// PollInterval is the time between two questions whether a change is in effect; 2 s by default.
	PollInterval time.Duration
	// HealthChecks has Route 53 ask endpoints itself. Then Keep is to run.
	HealthChecks bool
}

// Provider publishes to hosted zones.
type Provider struct {
	api     api
	options Options
	zones   map[string]*zone
}

var (
	_ dns.Provider = (*Provider)(nil)
	_ dns.Waiter   = (*Provider)(nil)
	_ dns.Noter    = (*Provider)(nil)
)

// zone is one hosted zone. One Apply at a time goes to it, as Route 53 itself makes them.
type zone struct {
	name   string
	checks *checks

	writing sync.Mutex
	// lease is the lease record of the federation as it was last seen, nil if there is none; known says that it was looked for.
	lease      *types.ResourceRecordSet
	known      bool
	federation string

	finding sync.Mutex
	// given is the ID of the configuration; id is the one that was found to be this zone's.
	given, id string
}

// New is a provider that asks through a client of the SDK.
func New(client *route53.Client, options Options) *Provider { return newProvider(client, options) }

func newProvider(client api, options Options) *Provider {
	if options.PollInterval == 0 {
		options.PollInterval = 2 * time.Second
	}
	p := &Provider{api: client, options: options, zones: map[string]*zone{}}
	for name, id := range options.Zones {
		name = dns.Absolute(name)
		p.zones[name] = &zone{name: name, checks: newChecks(), given: strings.TrimPrefix(id, "/hostedzone/")}
	}
	return p
}

// limits: calls are divided here, by what Route 53 counts, so there are none for who calls.
var limits = dns.Limits{Routing: true, OnlyWeighted: true, Spread: true, MaxWeight: 255, Sparse: true,
	Region: places.Nearest, LoadBalancer: places.LoadBalancer}

// Zones implements dns.Provider.
func (p *Provider) Zones(ctx context.Context) ([]dns.Zone, error) {
	limits := limits
	if p.options.HealthChecks {
		limits.HealthChecks = places.Checkable
	}
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

// zone is the named one and its ID.
func (p *Provider) zone(ctx context.Context, name string) (*zone, string, error) {
	z, ok := p.zones[name]
	if !ok {
		return nil, "", &dns.Error{Kind: dns.NotFound, Subject: name, Err: errors.New("the zone is not among those of this provider; add it to the DNS configuration")}
	}
	id, err := p.find(ctx, z)
	return z, id, err
}

// find gives a zone's ID, which it asks for once.
func (p *Provider) find(ctx context.Context, z *zone) (string, error) {
	z.finding.Lock()
	defer z.finding.Unlock()
	if z.id != "" {
		return z.id, nil
	}
	if z.given != "" {
		out, err := p.api.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &z.given})
		if err != nil {
			return "", z.classify(err)
		}
		if found := name(aws.ToString(out.HostedZone.Name)); found != z.name {
			return "", &dns.Error{Kind: dns.NotFound, Subject: z.name, Err: fmt.Errorf("hosted zone %s is %s; correct zoneID", z.given, found)}
		}
		z.id = z.given
		return z.id, nil
	}
	var found []string
	next := &route53.ListHostedZonesByNameInput{DNSName: &z.name}
	for {
		page, err := p.api.ListHostedZonesByName(ctx, next)
		if err != nil {
			return "", z.classify(err)
		}
		for _, h := range page.HostedZones {
			private := h.Config != nil && h.Config.PrivateZone
			if name(aws.ToString(h.Name)) == z.name && private == p.options.Private {
				found = append(found, strings.TrimPrefix(aws.ToString(h.Id), "/hostedzone/"))
			}
		}
		// The list is sorted by name: another name is the end of ours.
		if !page.IsTruncated || name(aws.ToString(page.NextDNSName)) != z.name {
			break
		}
		if aws.ToString(page.NextHostedZoneId) == aws.ToString(next.HostedZoneId) {
			return "", z.stuck()
		}
		next = &route53.ListHostedZonesByNameInput{DNSName: page.NextDNSName, HostedZoneId: page.NextHostedZoneId}
	}
	visibility := "public"
	if p.options.Private {
		visibility = "private"
	}
	switch len(found) {
	case 1:
		z.id = found[0]
		return z.id, nil
	case 0:
		return "", &dns.Error{Kind: dns.NotFound, Subject: z.name, Err: fmt.Errorf("the account has no %s hosted zone of this name; create one, or check the credentials' account", visibility)}
	}
	slices.Sort(found)
	return "", &dns.Error{Kind: dns.NotFound, Subject: z.name,
		Err: fmt.Errorf("%d %s hosted zones have this name: %s; set zoneID to the one that is delegated to", len(found), visibility, strings.Join(found, ", "))}
}

func (z *zone) stuck() error {
	return &dns.Error{Kind: dns.Unavailable, Subject: z.name, Err: errors.New("the list does not get on: the same place came twice")}
}

// Records implements dns.Provider.
func (p *Provider) Records(ctx context.Context, name string) (dns.Snapshot, error) {
	z, id, err := p.zone(ctx, name)
	if err != nil {
		return dns.Snapshot{}, err
	}
	named, err := p.listChecks(ctx, z, id)
	if err != nil {
		return dns.Snapshot{}, err
	}
	z.checks.promote()
	var s dns.Snapshot
	err = p.list(ctx, z, &route53.ListResourceRecordSetsInput{HostedZoneId: &id, MaxItems: aws.Int32(pageSize)}, func(raw types.ResourceRecordSet) bool {
		set := p.read(z, raw)
		if id := aws.ToString(raw.HealthCheckId); id != "" && named != nil {
			named[id] = true
		}
		if set.Type != "SOA" && (set.Type != "NS" || set.Name != z.name) {
			s.Sets = append(s.Sets, set)
		}
		return true
	})
	if err != nil {
		return dns.Snapshot{}, err
	}
	if named != nil {
		z.checks.used(named)
		z.checks.poke()
	}
	return s, nil
}

// pageSize is the most that Route 53 gives at once.
const pageSize = 300

// list reads record sets from a place on, until take has enough.
func (p *Provider) list(ctx context.Context, z *zone, from *route53.ListResourceRecordSetsInput, take func(types.ResourceRecordSet) bool) error {
	for {
		page, err := p.api.ListResourceRecordSets(ctx, from)
		if err != nil {
			return z.classify(err)
		}
		for _, raw := range page.ResourceRecordSets {
			if !take(raw) {
				return nil
			}
		}
		if !page.IsTruncated {
			return nil
		}
		if aws.ToString(page.NextRecordName) == aws.ToString(from.StartRecordName) && page.NextRecordType == from.StartRecordType &&
			aws.ToString(page.NextRecordIdentifier) == aws.ToString(from.StartRecordIdentifier) {
			return z.stuck()
		}
		from = &route53.ListResourceRecordSetsInput{HostedZoneId: from.HostedZoneId, MaxItems: from.MaxItems,
			StartRecordName: page.NextRecordName, StartRecordType: page.NextRecordType, StartRecordIdentifier: page.NextRecordIdentifier}
	}
}

// at reads the sets at one name.
func (p *Provider) at(ctx context.Context, z *zone, id, at string) ([]types.ResourceRecordSet, error) {
	var sets []types.ResourceRecordSet
	err := p.list(ctx, z, &route53.ListResourceRecordSetsInput{HostedZoneId: &id, StartRecordName: &at, MaxItems: aws.Int32(20)}, func(raw types.ResourceRecordSet) bool {
		if name(aws.ToString(raw.Name)) != at {
			return false
		}
		sets = append(sets, raw)
		return true
	})
	return sets, err
}

// Await implements dns.Waiter: it asks until Route 53 has the receipt's changes on all of its servers.
func (p *Provider) Await(ctx context.Context, name string, r dns.Receipt) error {
	z, ok := p.zones[name]
	if !ok {
		return &dns.Error{Kind: dns.NotFound, Subject: name}
	}
	for _, id := range strings.Fields(r.Version) {
		for {
			out, err := p.api.GetChange(ctx, &route53.GetChangeInput{Id: &id})
			if err != nil {
				return z.classify(err)
			}
			if out.ChangeInfo != nil && out.ChangeInfo.Status == types.ChangeStatusInsync {
				break
			}
			select {
			case <-ctx.Done():
				return &dns.Error{Kind: dns.Unavailable, Subject: name, Err: fmt.Errorf("change %s is not yet on all servers of Route 53: %w", id, ctx.Err())}
			case <-time.After(p.options.PollInterval):
			}
		}
	}
	return nil
}
