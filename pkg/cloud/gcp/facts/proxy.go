package facts

import (
	"context"
	"maps"
	"slices"
	"strings"

	compute1 "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/option"
)

// services are the URLs of the backend services behind an HTTP(S) proxy, as Ingresses and Gateways have one. The service that
// answers what no rule names counts only where it is alone: that of an Ingress is there to say "not found".
func (f *Facts) services(ctx context.Context, region, address, proxy string) ([]string, error) {
	secure, regional := strings.Contains(proxy, "/targetHttpsProxies/"), strings.Contains(proxy, "/regions/")
	permission := map[[2]bool]string{{false, false}: "compute.targetHttpProxies.get", {true, false}: "compute.targetHttpsProxies.get",
		{false, true}: "compute.regionTargetHttpProxies.get", {true, true}: "compute.regionTargetHttpsProxies.get"}[[2]bool{secure, regional}]
	var link string
	err := f.session.Do(ctx, compute(permission, "targets of "+address), func(ctx context.Context, options []option.ClientOption) (err error) {
		switch {
		case secure && regional:
			link, err = f.regionalHTTPS(ctx, options, region, nameOf(proxy))
		case secure:
			link, err = f.globalHTTPS(ctx, options, nameOf(proxy))
		case regional:
			link, err = f.regionalHTTP(ctx, options, region, nameOf(proxy))
		default:
			link, err = f.globalHTTP(ctx, options, nameOf(proxy))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var urls *computepb.UrlMap
	permission = "compute.urlMaps.get"
	if regional {
		permission = "compute.regionUrlMaps.get"
	}
	err = f.session.Do(ctx, compute(permission, "targets of "+address), func(ctx context.Context, options []option.ClientOption) (err error) {
		urls, err = f.urlMap(ctx, options, regional, region, nameOf(link))
		return err
	})
	if err != nil {
		return nil, err
	}
	return servicesOf(urls), nil
}

func servicesOf(urls *computepb.UrlMap) []string {
	found := map[string]bool{}
	for _, m := range urls.GetPathMatchers() {
		if m.GetDefaultService() != urls.GetDefaultService() {
			found[m.GetDefaultService()] = true
		}
		for _, r := range m.GetPathRules() {
			found[r.GetService()] = true
			take(found, r.GetRouteAction())
		}
		for _, r := range m.GetRouteRules() {
			found[r.GetService()] = true
			take(found, r.GetRouteAction())
		}
	}
	delete(found, "")
	if len(found) == 0 && urls.GetDefaultService() != "" {
		return []string{urls.GetDefaultService()}
	}
	return slices.Sorted(maps.Keys(found))
}

// take adds services among which a rule divides.
func take(found map[string]bool, action *computepb.HttpRouteAction) {
	for _, w := range action.GetWeightedBackendServices() {
		found[w.GetBackendService()] = true
	}
}

func (f *Facts) globalHTTP(ctx context.Context, options []option.ClientOption, name string) (string, error) {
	client, err := compute1.NewTargetHttpProxiesRESTClient(ctx, options...)
	if err != nil {
		return "", err
	}
	*client.CallOptions = compute1.TargetHttpProxiesCallOptions{}
	p, err := client.Get(ctx, &computepb.GetTargetHttpProxyRequest{Project: f.project, TargetHttpProxy: name})
	return p.GetUrlMap(), err
}

func (f *Facts) globalHTTPS(ctx context.Context, options []option.ClientOption, name string) (string, error) {
	client, err := compute1.NewTargetHttpsProxiesRESTClient(ctx, options...)
	if err != nil {
		return "", err
	}
	*client.CallOptions = compute1.TargetHttpsProxiesCallOptions{}
	p, err := client.Get(ctx, &computepb.GetTargetHttpsProxyRequest{Project: f.project, TargetHttpsProxy: name})
	return p.GetUrlMap(), err
}

func (f *Facts) regionalHTTP(ctx context.Context, options []option.ClientOption, region, name string) (string, error) {
	client, err := compute1.NewRegionTargetHttpProxiesRESTClient(ctx, options...)
	if err != nil {
		return "", err
	}
	*client.CallOptions = compute1.RegionTargetHttpProxiesCallOptions{}
	p, err := client.Get(ctx, &computepb.GetRegionTargetHttpProxyRequest{Project: f.project, Region: region, TargetHttpProxy: name})
	return p.GetUrlMap(), err
}

func (f *Facts) regionalHTTPS(ctx context.Context, options []option.ClientOption, region, name string) (string, error) {
	client, err := compute1.NewRegionTargetHttpsProxiesRESTClient(ctx, options...)
	if err != nil {
		return "", err
	}
	*client.CallOptions = compute1.RegionTargetHttpsProxiesCallOptions{}
	p, err := client.Get(ctx, &computepb.GetRegionTargetHttpsProxyRequest{Project: f.project, Region: region, TargetHttpsProxy: name})
	return p.GetUrlMap(), err
}

func (f *Facts) urlMap(ctx context.Context, options []option.ClientOption, regional bool, region, name string) (*computepb.UrlMap, error) {
	if regional {
		client, err := compute1.NewRegionUrlMapsRESTClient(ctx, options...)
		if err != nil {
			return nil, err
		}
		*client.CallOptions = compute1.RegionUrlMapsCallOptions{}
		return client.Get(ctx, &computepb.GetRegionUrlMapRequest{Project: f.project, Region: region, UrlMap: name})
	}
	client, err := compute1.NewUrlMapsRESTClient(ctx, options...)
	if err != nil {
		return nil, err
	}
	*client.CallOptions = compute1.UrlMapsCallOptions{}
	return client.Get(ctx, &computepb.GetUrlMapRequest{Project: f.project, UrlMap: name})
}
