package facts

import (
	"context"
	"slices"
	"strings"

	compute1 "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/option"

	"kubefed.dev/kubefed/pkg/cloud"
)

// Find implements cloud.Balancers: load balancers of Google Cloud have addresses, and no names. Rules that are for other ports of
// the same address are one load balancer. One whose targets are behind anything but backend services, target pools and HTTP(S)
// proxies has none here: nothing is known of them.
func (f *Facts) Find(ctx context.Context, region string, names []string) ([]cloud.Balancer, error) {
	var found []*computepb.ForwardingRule
	for _, list := range []func(context.Context, string) ([]*computepb.ForwardingRule, error){f.regionalRules, f.globalRules} {
		rules, err := list(ctx, region)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if slices.Contains(names, r.GetIPAddress()) {
				found = append(found, r)
			}
		}
	}
	balancers, behind := map[string]*cloud.Balancer{}, map[string]map[string]bool{}
	for _, r := range found {
		address := r.GetIPAddress()
		if balancers[address] == nil {
			balancers[address], behind[address] = &cloud.Balancer{Addresses: []string{address}}, map[string]bool{}
		}
		backends, err := f.backends(ctx, region, r)
		if err != nil {
			return nil, err
		}
		for _, backend := range backends {
			if behind[address][backend] {
				continue
			}
			behind[address][backend] = true
			if err := f.count(ctx, balancers[address], region, backend); err != nil {
				return nil, err
			}
		}
	}
	var out []cloud.Balancer
	for _, b := range balancers {
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b cloud.Balancer) int { return strings.Compare(a.Addresses[0], b.Addresses[0]) })
	return out, nil
}

// backends are the URLs of backend services and target pools behind a rule; one that was removed meanwhile has none.
func (f *Facts) backends(ctx context.Context, region string, r *computepb.ForwardingRule) ([]string, error) {
	switch target := r.GetTarget(); {
	case r.GetBackendService() != "":
		return []string{r.GetBackendService()}, nil
	case strings.Contains(target, "/targetHttpProxies/"), strings.Contains(target, "/targetHttpsProxies/"):
		services, err := f.services(ctx, region, r.GetIPAddress(), target)
		if err != nil && cloud.KindOf(err) == cloud.NotFound {
			return nil, nil
		}
		return services, err
	default:
		return []string{target}, nil
	}
}

// count adds the targets behind a backend to a load balancer.
func (f *Facts) count(ctx context.Context, b *cloud.Balancer, region, backend string) error {
	health, err := f.health(ctx, region, b.Addresses[0], backend)
	if err != nil {
		return err
	}
	for _, h := range health {
		b.Targets++
		if h.GetHealthState() == "HEALTHY" {
			b.Healthy++
		}
	}
	return nil
}

func (f *Facts) regionalRules(ctx context.Context, region string) (rules []*computepb.ForwardingRule, err error) {
	err = f.session.Do(ctx, compute("compute.forwardingRules.list", "region "+region), func(ctx context.Context, options []option.ClientOption) error {
		client, err := compute1.NewForwardingRulesRESTClient(ctx, options...)
		if err != nil {
			return err
		}
		*client.CallOptions = compute1.ForwardingRulesCallOptions{}
		rules, err = all(client.List(ctx, &computepb.ListForwardingRulesRequest{Project: f.project, Region: region}).Next)
		return err
	})
	return rules, err
}

func (f *Facts) globalRules(ctx context.Context, _ string) (rules []*computepb.ForwardingRule, err error) {
	err = f.session.Do(ctx, compute("compute.globalForwardingRules.list", "project "+f.project), func(ctx context.Context, options []option.ClientOption) error {
		client, err := compute1.NewGlobalForwardingRulesRESTClient(ctx, options...)
		if err != nil {
			return err
		}
		*client.CallOptions = compute1.GlobalForwardingRulesCallOptions{}
		rules, err = all(client.List(ctx, &computepb.ListGlobalForwardingRulesRequest{Project: f.project}).Next)
		return err
	})
	return rules, err
}
