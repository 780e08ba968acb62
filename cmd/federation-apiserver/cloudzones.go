package main

import (
	"context"
	"fmt"

	"kubefed.dev/kubefed/pkg/cloud/aws/route53"
	"kubefed.dev/kubefed/pkg/cloud/gcp/clouddns"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/config"
)

// newRoute53 makes the provider of a hosted zone of AWS, for a federation of a name.
func newRoute53(federation string) config.Constructor {
	return func(ctx context.Context, zone config.Zone) (dns.Provider, error) {
		o := zone.Route53
		client, err := route53.NewClient(ctx, route53.Account{Region: o.Region, Endpoint: o.Endpoint, CredentialsFile: o.CredentialsFile,
			Profile: o.Profile, RoleARN: o.RoleARN, RequestsPerSecond: o.RequestsPerSecond})
		if err != nil {
			return nil, fmt.Errorf("aws-route53: %w", err)
		}
		p := route53.New(client, route53.Options{Federation: federation, Zones: map[string]string{zone.Name: o.ZoneID}, HealthChecks: o.HealthChecks})
		if o.HealthChecks {
			go p.Keep(ctx)
		}
		return p, nil
	}
}

// newCloudDNS makes the provider of a managed zone of Google Cloud.
func newCloudDNS(ctx context.Context, zone config.Zone) (dns.Provider, error) {
	o := zone.CloudDNS
	service, err := clouddns.NewService(ctx, clouddns.Account{Endpoint: o.Endpoint, CredentialsFile: o.CredentialsFile})
	if err != nil {
		return nil, fmt.Errorf("google-clouddns: %w", err)
	}
	return clouddns.New(service, clouddns.Options{Project: o.Project, Zones: map[string]string{zone.Name: o.ManagedZone}}), nil
}
