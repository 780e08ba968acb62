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
// the same address are one load balancer. One whose targets are not behind a backend service or a target pool, such as that of an
// Ingress, has none here: nothing is known of them.
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
	type behind struct{ address, backend string }
	balancers, seen := map[string]*cloud.Balancer{}, map[behind]bool{}
	for _, r := range found {
		address := r.GetIPAddress()
		b := balancers[address]
		if b == nil {
			b = &cloud.Balancer{Addresses: []string{address}}
			balancers[address] = b
		}
		backend := r.GetBackendService()
		if backend == "" {
			backend = r.GetTarget()
		}
		if seen[behind{address, backend}] {
			continue
		}
		seen[behind{address, backend}] = true
		health, err := f.health(ctx, region, address, backend)
		if err != nil {
			return nil, err
		}
		for _, h := range health {
			b.Targets++
			if h.GetHealthState() == "HEALTHY" {
				b.Healthy++
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
