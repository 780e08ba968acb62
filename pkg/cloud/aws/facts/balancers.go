package facts

import (
	"context"
	"net/netip"
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// Find implements cloud.Balancers for application and network load balancers; classic ones are out of scope. Application ones have no
// addresses of their own: they are known by host name. A target counts once for each target group that it is in; those that take no
// traffic (unused, draining) or are not checked do not count.
func (f *Facts) Find(ctx context.Context, region string, names []string) ([]cloud.Balancer, error) {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[canonical(name)] = true
	}
	var found []cloud.Balancer
	var arns []string
	list := aws.Call{Family: config.FamilyELB, Operation: "DescribeLoadBalancers", Region: region}
	err := aws.Pages(ctx, f.session, list, func(ctx context.Context, from *string) (*string, error) {
		page, err := f.elb(region).DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{Marker: from})
		if err != nil {
			return nil, err
		}
		for _, lb := range page.LoadBalancers {
			if b, is := balancer(lb, wanted); is {
				found, arns = append(found, b), append(arns, value(lb.LoadBalancerArn))
			}
		}
		return page.NextMarker, nil
	})
	for i := range found {
		if err != nil {
			return nil, err
		}
		found[i].Healthy, found[i].Targets, err = f.health(ctx, region, arns[i])
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// balancer as it is known, and whether it is wanted.
func balancer(lb types.LoadBalancer, wanted map[string]bool) (cloud.Balancer, bool) {
	b := cloud.Balancer{Hostname: value(lb.DNSName), AliasZone: value(lb.CanonicalHostedZoneId)}
	is := wanted[canonical(b.Hostname)]
	for _, zone := range lb.AvailabilityZones {
		for _, a := range zone.LoadBalancerAddresses {
			for _, address := range []*string{a.IpAddress, a.IPv6Address, a.PrivateIPv4Address} {
				if address != nil && *address != "" {
					b.Addresses = append(b.Addresses, *address)
					is = is || wanted[canonical(*address)]
				}
			}
		}
	}
	return b, is
}

// canonical is a host name or an address as it is compared. AWS names an internet-facing balancer also with dualstack before it.
func canonical(name string) string {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap().String()
	}
	return strings.TrimPrefix(strings.ToLower(strings.TrimSuffix(name, ".")), "dualstack.")
}

// health of the targets of a load balancer.
func (f *Facts) health(ctx context.Context, region, arn string) (healthy, targets int, err error) {
	var groups []string
	call := aws.Call{Family: config.FamilyELB, Operation: "DescribeTargetGroups", Subject: short(arn), Region: region}
	err = aws.Pages(ctx, f.session, call, func(ctx context.Context, from *string) (*string, error) {
		page, err := f.elb(region).DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{LoadBalancerArn: &arn, Marker: from})
		if err != nil {
			return nil, err
		}
		for _, g := range page.TargetGroups {
			groups = append(groups, value(g.TargetGroupArn))
		}
		return page.NextMarker, nil
	})
	for _, group := range groups {
		if err != nil {
			break
		}
		var h, t int
		h, t, err = f.groupHealth(ctx, region, group)
		healthy, targets = healthy+h, targets+t
	}
	if cloud.KindOf(err) == cloud.NotFound && err != nil {
		return 0, 0, nil // It is gone since it was listed.
	}
	return healthy, targets, err
}

func (f *Facts) groupHealth(ctx context.Context, region, group string) (healthy, targets int, err error) {
	call := aws.Call{Family: config.FamilyELB, Operation: "DescribeTargetHealth", Subject: short(group), Region: region}
	answer, err := aws.Ask(ctx, f.session, call, func(ctx context.Context) (*elb.DescribeTargetHealthOutput, error) {
		return f.elb(region).DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &group})
	})
	if err != nil {
		return 0, 0, err
	}
	for _, d := range answer.TargetHealthDescriptions {
		if d.TargetHealth == nil {
			continue
		}
		switch d.TargetHealth.State {
		case types.TargetHealthStateEnumHealthy:
			healthy, targets = healthy+1, targets+1
		case types.TargetHealthStateEnumUnhealthy, types.TargetHealthStateEnumUnhealthyDraining, types.TargetHealthStateEnumInitial:
			targets++
		}
	}
	return healthy, targets, nil
}

// short is the name in an ARN.
func short(arn string) string {
	parts := strings.Split(arn, "/")
	if len(parts) < 3 {
		return arn
	}
	return parts[len(parts)-2]
}
