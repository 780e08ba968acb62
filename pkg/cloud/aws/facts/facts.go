// Package facts asks AWS how zones fare, what machines cost, and how load balancers are. It implements cloud.Regions, cloud.Prices
// and cloud.Balancers for one account, reads only, and links the large SDKs, so few import it.
package facts

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/pricing"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// Facts of an account. It is safe for concurrent use.
type Facts struct {
	session *aws.Session
	now     func() time.Time
	// How long prices are taken without asking again.
	listLife, spotLife time.Duration

	mu        sync.Mutex
	zones     map[string]*ec2.Client
	balancers map[string]*elasticloadbalancingv2.Client
	lists     map[string]*pricing.Client
	offers    map[offerKey]offer
	spots     map[spotKey]spot
	egress    map[string]egress
}

var (
	_ cloud.Regions   = (*Facts)(nil)
	_ cloud.Prices    = (*Facts)(nil)
	_ cloud.Balancers = (*Facts)(nil)
)

// New prepares to ask as an account. It asks nothing yet.
func New(ctx context.Context, account config.Account) (*Facts, error) {
	session, err := aws.Open(ctx, account)
	if err != nil {
		return nil, err
	}
	return of(session), nil
}

func of(session *aws.Session) *Facts {
	return &Facts{
		session: session, now: time.Now, listLife: listLife, spotLife: spotLife,
		zones: map[string]*ec2.Client{}, balancers: map[string]*elasticloadbalancingv2.Client{}, lists: map[string]*pricing.Client{},
		offers: map[offerKey]offer{}, spots: map[spotKey]spot{}, egress: map[string]egress{},
	}
}

// KeepPrices has prices of the list taken for so long without asking again, and spot prices for no longer than that. Call it before
// anything is asked.
func (f *Facts) KeepPrices(life time.Duration) { f.listLife, f.spotLife = life, min(f.spotLife, life) }

// client of a region, made once.
func client[T any](f *Facts, clients map[string]*T, region string, create func() *T) *T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if clients[region] == nil {
		clients[region] = create()
	}
	return clients[region]
}

func (f *Facts) ec2(region string) *ec2.Client {
	return client(f, f.zones, region, func() *ec2.Client { return ec2.NewFromConfig(f.session.Config(config.FamilyEC2, region)) })
}

func (f *Facts) elb(region string) *elasticloadbalancingv2.Client {
	return client(f, f.balancers, region, func() *elasticloadbalancingv2.Client {
		return elasticloadbalancingv2.NewFromConfig(f.session.Config(config.FamilyELB, region))
	})
}

func (f *Facts) pricing(region string) *pricing.Client {
	return client(f, f.lists, region, func() *pricing.Client { return pricing.NewFromConfig(f.session.Config(config.FamilyPricing, region)) })
}

func value[T any](v *T) T {
	if v == nil {
		var none T
		return none
	}
	return *v
}
