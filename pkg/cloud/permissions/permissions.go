// Package permissions lists what a federation asks of clouds, and which feature needs it: the least that an account must be
// allowed. A test compares it with what pkg/cloud/aws and pkg/cloud/gcp ask. Prices of Google Cloud and who asks are told to everybody:
// they are in no policy. It links no SDK.
package permissions

import (
	"slices"

	"kubefed.dev/kubefed/pkg/cloud/config"
)

// Features that need permissions.
const (
	Discover  = "discover"
	Join      = "join"
	Facts     = "facts"
	Prices    = "prices"
	Balancers = "balancers"
	DNS       = "dns"
	// HealthChecks are those of Route 53, for zones with healthChecks: true.
	HealthChecks = "health-checks"
)

// Features are all of them.
var Features = []string{Discover, Join, Facts, Prices, Balancers, DNS, HealthChecks}

// Permission is one, such as "eks:ListClusters" or "container.clusters.list".
type Permission struct {
	Name     string   `json:"permission"`
	Features []string `json:"features"`
	// Resource that a policy of AWS may be confined to; "*" where AWS has no smaller one.
	Resource string `json:"resource,omitempty"`
	// Why it is asked for.
	Why string `json:"why"`
}

var all = map[string][]Permission{
	config.AWS: {
		{"eks:ListClusters", []string{Discover, Join}, "*", "which clusters there are; for join, those that are meant by a name that is not there"},
		{"eks:DescribeCluster", []string{Discover, Join}, "arn:*:eks:*:*:cluster/*", "endpoint, certificate authority and state of a cluster"},
		{"ec2:DescribeAvailabilityZones", []string{Facts}, "*", "states of zones, and their ids"},
		{"pricing:GetProducts", []string{Prices}, "*", "prices on demand, and of egress"},
		{"ec2:DescribeSpotPriceHistory", []string{Prices}, "*", "prices of spot machines"},
		{"elasticloadbalancing:DescribeLoadBalancers", []string{Balancers}, "*", "load balancers by their names, and their zones for aliases"},
		{"elasticloadbalancing:DescribeTargetGroups", []string{Balancers}, "*", "what is behind a load balancer"},
		{"elasticloadbalancing:DescribeTargetHealth", []string{Balancers}, "*", "whether that is healthy"},
		{"route53:ListHostedZonesByName", []string{DNS}, "*", "the hosted zone of a name"},
		{"route53:GetHostedZone", []string{DNS}, "arn:*:route53:::hostedzone/*", "the hosted zone"},
		{"route53:ListResourceRecordSets", []string{DNS}, "arn:*:route53:::hostedzone/*", "what is published"},
		{"route53:ChangeResourceRecordSets", []string{DNS}, "arn:*:route53:::hostedzone/*", "publishing"},
		{"route53:GetChange", []string{DNS}, "arn:*:route53:::change/*", "whether it is published"},
		{"route53:ListHealthChecks", []string{HealthChecks}, "*", "which health checks there are"},
		{"route53:CreateHealthCheck", []string{HealthChecks}, "*", "a health check for a record"},
		{"route53:DeleteHealthCheck", []string{HealthChecks}, "arn:*:route53:::healthcheck/*", "one that no record uses any more"},
		{"route53:ChangeTagsForResource", []string{HealthChecks}, "arn:*:route53:::healthcheck/*", "whose it is, for people"},
	},
	config.GCP: {
		{"container.clusters.list", []string{Discover, Join}, "", "which clusters there are; for join, those that are meant by a name that is not there"},
		{"container.clusters.get", []string{Discover, Join}, "", "endpoint, certificate authority and state of a cluster"},
		{"container.clusters.connect", []string{Join}, "", "reaching a cluster by its DNS name"},
		{"compute.zones.list", []string{Facts}, "", "states of zones"},
		{"compute.regions.get", []string{Facts}, "", "the state of a region"},
		{"compute.forwardingRules.list", []string{Balancers}, "", "load balancers by their addresses"},
		{"compute.globalForwardingRules.list", []string{Balancers}, "", "the same of global ones"},
		{"compute.targetHttpProxies.get", []string{Balancers}, "", "the way from an Ingress or Gateway to what is behind it"},
		{"compute.targetHttpsProxies.get", []string{Balancers}, "", "the same with TLS"},
		{"compute.regionTargetHttpProxies.get", []string{Balancers}, "", "the same in one region"},
		{"compute.regionTargetHttpsProxies.get", []string{Balancers}, "", "the same in one region, with TLS"},
		{"compute.urlMaps.get", []string{Balancers}, "", "the rest of the way"},
		{"compute.regionUrlMaps.get", []string{Balancers}, "", "the same in one region"},
		{"compute.backendServices.get", []string{Balancers}, "", "what is behind a load balancer, and whether that is healthy"},
		{"compute.regionBackendServices.get", []string{Balancers}, "", "the same in one region"},
		{"compute.targetPools.get", []string{Balancers}, "", "the same of older load balancers"},
		{"dns.managedZones.get", []string{DNS}, "", "the managed zone"},
		{"dns.managedZones.list", []string{DNS}, "", "the managed zone of a name"},
		{"dns.resourceRecordSets.list", []string{DNS}, "", "what is published"},
		{"dns.resourceRecordSets.create", []string{DNS}, "", "publishing"},
		{"dns.resourceRecordSets.delete", []string{DNS}, "", "taking names away"},
		{"dns.resourceRecordSets.update", []string{DNS}, "", "changing names"},
		{"dns.changes.create", []string{DNS}, "", "publishing"},
		{"dns.changes.get", []string{DNS}, "", "whether it is published"},
	},
}

// Of are the permissions that some features need of a provider; all without any.
func Of(provider string, features ...string) []Permission {
	var needed []Permission
	for _, p := range all[provider] {
		if len(features) == 0 || slices.ContainsFunc(p.Features, func(f string) bool { return slices.Contains(features, f) }) {
			needed = append(needed, p)
		}
	}
	return needed
}
