package facts

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/api/cloudbilling/v1"
	"google.golang.org/api/option"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp"
)

const (
	// computeEngine is the service whose SKUs machines and traffic are.
	computeEngine = "services/6F81-5844-456A"
	currency      = "USD"
	// fresh is how long a price list is good: the catalog changes once a day at most. pause is how long after a failure it is not
	// asked for again.
	fresh = 24 * time.Hour
	pause = 5 * time.Minute
)

// priceList is what the catalog says of all regions.
type priceList struct {
	currency string
	rates    map[rateKey]rate
	egress   map[string]float64
	at       time.Time
	source   string
}

func newPriceList(at time.Time, source string) *priceList {
	return &priceList{currency: currency, rates: map[rateKey]rate{}, egress: map[string]float64{}, at: at, source: source}
}

// Machines implements cloud.Prices. Where the catalog can't be reached and never was, the prices are of the snapshot that the
// program has in it.
func (f *Facts) Machines(ctx context.Context, region string, machines []cloud.Machine) (map[cloud.Machine]cloud.Price, error) {
	list, err := f.prices.get(ctx)
	if err != nil {
		return nil, err
	}
	prices := map[cloud.Machine]cloud.Price{}
	for _, m := range machines {
		if p, ok := list.price(region, m); ok {
			prices[m] = p
		}
	}
	return prices, nil
}

// Egress implements cloud.Prices: in the premium tier, to where it is cheapest.
func (f *Facts) Egress(ctx context.Context, region string) (string, float64, error) {
	list, err := f.prices.get(ctx)
	if err != nil {
		return "", 0, err
	}
	perGiB, ok := list.egress[region]
	if !ok {
		return "", 0, &cloud.Error{Kind: cloud.NotFound, Operation: "cloudbilling.skus.list of " + computeEngine,
			Err: fmt.Errorf("%s has no price of traffic from region %s", list.source, region)}
	}
	return list.currency, perGiB, nil
}

// price is what a machine costs, if both halves of its rate are known.
func (p *priceList) price(region string, m cloud.Machine) (cloud.Price, bool) {
	s, ok := shapeOf(m.Type)
	if !ok {
		return cloud.Price{}, false
	}
	r := p.rates[rateKey{region, s.family, s.custom, m.Spot}]
	if s.custom && s.family == "e2" && (r.CPU == 0 || r.GiB == 0) {
		r = p.rates[rateKey{region, s.family, false, m.Spot}] // of E2, custom types cost the same
	}
	if r.CPU == 0 || r.GiB == 0 {
		return cloud.Price{}, false
	}
	return cloud.Price{Currency: p.currency, Hour: s.billed*r.CPU + s.gib*r.GiB, CPUs: s.cpus, GiB: s.gib, At: p.at, Source: p.source}, true
}

// readCatalog reads all SKUs of Compute Engine.
func (f *Facts) readCatalog(ctx context.Context) (*priceList, error) {
	list := newPriceList(time.Now(), "api")
	call := gcp.Call{Family: config.FamilyBilling, Permission: "cloudbilling.skus.list", On: computeEngine, Within: 3 * time.Minute}
	err := f.session.Do(ctx, call, func(ctx context.Context, options []option.ClientOption) error {
		service, err := cloudbilling.NewService(ctx, options...)
		if err != nil {
			return err
		}
		return service.Services.Skus.List(computeEngine).CurrencyCode(currency).PageSize(5000).
			Fields("skus(description,category,serviceRegions,pricingInfo(pricingExpression))", "nextPageToken").
			Pages(ctx, func(page *cloudbilling.ListSkusResponse) error {
				for _, sku := range page.Skus {
					list.take(sku)
				}
				return nil
			})
	})
	if err == nil && len(list.rates) == 0 {
		err = &cloud.Error{Kind: cloud.Unavailable, Operation: call.Permission + " of " + call.On, Err: fmt.Errorf("there is no price of a machine in the answer")}
	}
	return list, err
}

// catalogue keeps the price list. One at a time reads it; who comes meanwhile waits.
type catalogue struct {
	read func(context.Context) (*priceList, error)
	now  func() time.Time
	// fresh is how long a price list is good, pause how long after a failure it is not asked for again.
	fresh, pause time.Duration
	turn         chan struct{}

	mu     sync.Mutex
	list   *priceList
	failed error
	tried  time.Time
}

func newCatalogue(read func(context.Context) (*priceList, error)) *catalogue {
	c := &catalogue{read: read, now: time.Now, fresh: fresh, pause: pause, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// get is the price list: one of the last day, else one that is read now. If that fails the error is returned, for who asks keeps what
// it got before; but without anything before, and where the API can't be reached, the snapshot is returned.
func (c *catalogue) get(ctx context.Context) (*priceList, error) {
	if list, known, err := c.known(); known {
		return list, err
	}
	select {
	case <-ctx.Done():
		return nil, &cloud.Error{Kind: cloud.Unavailable, Operation: "cloudbilling.skus.list of " + computeEngine, Err: ctx.Err()}
	case <-c.turn:
	}
	defer func() { c.turn <- struct{}{} }()
	if list, known, err := c.known(); known {
		return list, err
	}
	list, err := c.read(ctx)
	c.mu.Lock()
	c.tried, c.failed = c.now(), err
	if err == nil {
		c.list = list
	}
	c.mu.Unlock()
	list, _, err = c.known()
	return list, err
}

// known is what is to be answered without asking, if anything is.
func (c *catalogue) known() (list *priceList, is bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	switch {
	case c.list != nil && now.Sub(c.list.at) < c.fresh:
		return c.list, true, nil
	case c.failed == nil || now.Sub(c.tried) >= c.pause:
		return nil, false, nil
	case c.list == nil && (cloud.KindOf(c.failed) == cloud.Unavailable || cloud.KindOf(c.failed) == cloud.Throttled):
		return snapshot(), true, nil
	}
	return nil, true, c.failed
}
