package observe

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func (o *Observer) zones(p *place) family[[]cloud.Zone] {
	return family[[]cloud.Zone]{
		name: zones, period: o.options.Period, timeout: o.options.Timeout, record: func(p *place) *record[[]cloud.Zone] { return &p.zones },
		call: func(ctx context.Context, c Clients) ([]cloud.Zone, error) {
			if c.Regions == nil {
				return nil, errNothing
			}
			return c.Regions.Zones(ctx, p.region)
		},
	}
}

func (o *Observer) prices(p *place) family[offers] {
	return family[offers]{
		name: prices, period: o.options.PricePeriod, timeout: priceTimeouts * o.options.Timeout, record: func(p *place) *record[offers] { return &p.prices },
		call: func(ctx context.Context, c Clients) (offers, error) {
			if c.Prices == nil {
				return offers{}, errNothing
			}
			o.mu.Lock()
			kinds := p.kinds()
			o.mu.Unlock()
			var found offers
			var partial, err error
			if len(kinds) > 0 {
				if found.machines, partial = c.Prices.Machines(ctx, p.region, kinds); partial != nil && !cloud.IsPartial(partial) {
					return offers{}, partial
				}
			}
			found.currency, found.egressPerGiB, err = c.Prices.Egress(ctx, p.region)
			if err != nil && cloud.KindOf(err) != cloud.NotFound && !cloud.IsPartial(err) {
				return offers{}, err
			}
			if partial == nil && cloud.IsPartial(err) {
				partial = err
			}
			return found, partial
		},
	}
}

func (o *Observer) balancers(p *place) family[map[string]cloud.Balancer] {
	return family[map[string]cloud.Balancer]{
		name: balancers, period: o.options.Period, timeout: o.options.Timeout, record: func(p *place) *record[map[string]cloud.Balancer] { return &p.balancers },
		call: func(ctx context.Context, c Clients) (map[string]cloud.Balancer, error) {
			if c.Balancers == nil {
				return nil, errNothing
			}
			wanted := o.published(p)
			if len(wanted) == 0 {
				return nil, nil
			}
			found, err := c.Balancers.Find(ctx, p.region, wanted)
			if err != nil {
				return nil, err
			}
			return byName(found), nil
		},
		kept: func(p *place) { o.count(p) },
	}
}

// published are the names of the load balancers of all clusters in a place, each once, sorted.
func (o *Observer) published(p *place) []string {
	if o.options.Published == nil {
		return nil
	}
	o.mu.Lock()
	clusters := slices.Collect(maps.Keys(p.machines))
	o.mu.Unlock()
	byCluster, all := map[string][]string{}, sets.New[string]()
	for _, name := range clusters {
		byCluster[name] = o.options.Published(name)
		all.Insert(byCluster[name]...)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range clusters {
		if _, here := p.machines[name]; here {
			p.names[name] = byCluster[name]
		}
	}
	return sets.List(all)
}

// byName finds load balancers by all of their names.
func byName(list []cloud.Balancer) map[string]cloud.Balancer {
	found := map[string]cloud.Balancer{}
	for _, b := range list {
		if b.Hostname != "" {
			found[canonical(b.Hostname)] = b
		}
		for _, address := range b.Addresses {
			found[address] = b
		}
	}
	return found
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// count notes for how many reads in a row targets of a balancer have failed: what is over with the next is no news.
func (o *Observer) count(p *place) {
	for name := range p.ailing {
		if b, has := p.balancers.Value[name]; !has || b.Healthy >= b.Targets {
			delete(p.ailing, name)
		}
	}
	for name, b := range p.balancers.Value {
		if b.Healthy < b.Targets {
			p.ailing[name] = min(p.ailing[name]+1, settleAfter)
		}
	}
}

// failing are a cluster's load balancers that had failing targets more than once in a row, by name.
func (p *place) failing(cluster string) []federation.CloudBalancer {
	var list []federation.CloudBalancer
	for _, name := range slices.Sorted(slices.Values(p.names[cluster])) {
		if b := p.balancers.Value[canonical(name)]; p.ailing[canonical(name)] == settleAfter {
			list = append(list, federation.CloudBalancer{Name: name, Healthy: int32(b.Healthy), Targets: int32(b.Targets)})
		}
	}
	return list
}

// Balancer is how a cluster's load balancer fares by its cloud's checks; known is false where the cloud did not say lately.
func (o *Observer) Balancer(cluster, name string) (healthy, targets int, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.places[o.clusters[cluster]]
	if p == nil || !p.balancers.Known(time.Now(), balancersOld*o.options.Period) {
		return 0, 0, false
	}
	b, has := p.balancers.Value[canonical(name)]
	return b.Healthy, b.Targets, has
}
