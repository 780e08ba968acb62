package facts

import (
	"context"
	"strings"

	compute1 "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/option"

	"kubefed.dev/kubefed/pkg/cloud"
)

// health is how the targets fare behind the URL of a backend service or a target pool; empty for anything else. One that was removed
// since the rule was read has none.
func (f *Facts) health(ctx context.Context, region, address, backend string) (health []*computepb.HealthStatus, err error) {
	name := nameOf(backend)
	switch {
	case strings.Contains(backend, "/targetPools/"):
		err = f.session.Do(ctx, compute("compute.targetPools.get", "targets of "+address), func(ctx context.Context, options []option.ClientOption) (err error) {
			health, err = f.pool(ctx, options, region, name)
			return err
		})
	case strings.Contains(backend, "/regions/") && strings.Contains(backend, "/backendServices/"):
		err = f.session.Do(ctx, compute("compute.regionBackendServices.get", "targets of "+address), func(ctx context.Context, options []option.ClientOption) (err error) {
			health, err = f.regional(ctx, options, region, name)
			return err
		})
	case strings.Contains(backend, "/backendServices/"):
		err = f.session.Do(ctx, compute("compute.backendServices.get", "targets of "+address), func(ctx context.Context, options []option.ClientOption) (err error) {
			health, err = f.global(ctx, options, name)
			return err
		})
	}
	if err != nil && cloud.KindOf(err) == cloud.NotFound {
		return nil, nil
	}
	return health, err
}

func (f *Facts) regional(ctx context.Context, options []option.ClientOption, region, name string) (health []*computepb.HealthStatus, err error) {
	client, err := compute1.NewRegionBackendServicesRESTClient(ctx, options...)
	if err != nil {
		return nil, err
	}
	*client.CallOptions = compute1.RegionBackendServicesCallOptions{}
	service, err := client.Get(ctx, &computepb.GetRegionBackendServiceRequest{Project: f.project, Region: region, BackendService: name})
	if err != nil {
		return nil, err
	}
	for _, b := range service.GetBackends() {
		group, err := client.GetHealth(ctx, &computepb.GetHealthRegionBackendServiceRequest{Project: f.project, Region: region, BackendService: name,
			ResourceGroupReferenceResource: &computepb.ResourceGroupReference{Group: b.Group}})
		if err != nil {
			return nil, err
		}
		health = append(health, group.GetHealthStatus()...)
	}
	return health, nil
}

func (f *Facts) global(ctx context.Context, options []option.ClientOption, name string) (health []*computepb.HealthStatus, err error) {
	client, err := compute1.NewBackendServicesRESTClient(ctx, options...)
	if err != nil {
		return nil, err
	}
	*client.CallOptions = compute1.BackendServicesCallOptions{}
	service, err := client.Get(ctx, &computepb.GetBackendServiceRequest{Project: f.project, BackendService: name})
	if err != nil {
		return nil, err
	}
	for _, b := range service.GetBackends() {
		group, err := client.GetHealth(ctx, &computepb.GetHealthBackendServiceRequest{Project: f.project, BackendService: name,
			ResourceGroupReferenceResource: &computepb.ResourceGroupReference{Group: b.Group}})
		if err != nil {
			return nil, err
		}
		health = append(health, group.GetHealthStatus()...)
	}
	return health, nil
}

func (f *Facts) pool(ctx context.Context, options []option.ClientOption, region, name string) (health []*computepb.HealthStatus, err error) {
	client, err := compute1.NewTargetPoolsRESTClient(ctx, options...)
	if err != nil {
		return nil, err
	}
	*client.CallOptions = compute1.TargetPoolsCallOptions{}
	pool, err := client.Get(ctx, &computepb.GetTargetPoolRequest{Project: f.project, Region: region, TargetPool: name})
	if err != nil {
		return nil, err
	}
	for _, instance := range pool.GetInstances() {
		one, err := client.GetHealth(ctx, &computepb.GetHealthTargetPoolRequest{Project: f.project, Region: region, TargetPool: name,
			InstanceReferenceResource: &computepb.InstanceReference{Instance: &instance}})
		if err != nil {
			return nil, err
		}
		health = append(health, one.GetHealthStatus()...)
	}
	return health, nil
}
