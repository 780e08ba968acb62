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

// Zones implements cloud.Regions.
func (f *Facts) Zones(ctx context.Context, region string) ([]cloud.Zone, error) {
	var whole *computepb.Region
	err := f.session.Do(ctx, compute("compute.regions.get", "region "+region), func(ctx context.Context, options []option.ClientOption) error {
		client, err := compute1.NewRegionsRESTClient(ctx, options...)
		if err != nil {
			return err
		}
		*client.CallOptions = compute1.RegionsCallOptions{}
		whole, err = client.Get(ctx, &computepb.GetRegionRequest{Project: f.project, Region: region})
		return err
	})
	if err != nil {
		return nil, err
	}
	var list []*computepb.Zone
	err = f.session.Do(ctx, compute("compute.zones.list", "project "+f.project), func(ctx context.Context, options []option.ClientOption) error {
		client, err := compute1.NewZonesRESTClient(ctx, options...)
		if err != nil {
			return err
		}
		*client.CallOptions = compute1.ZonesCallOptions{}
		list, err = all(client.List(ctx, &computepb.ListZonesRequest{Project: f.project}).Next)
		return err
	})
	if err != nil {
		return nil, err
	}
	var zones []cloud.Zone
	for _, z := range list {
		if nameOf(z.GetRegion()) == region {
			zones = append(zones, zoneOf(whole, z))
		}
	}
	slices.SortFunc(zones, func(a, b cloud.Zone) int { return strings.Compare(a.Name, b.Name) })
	return zones, nil
}

// zoneOf is how a zone is: as bad as the worse of itself and its region.
func zoneOf(region *computepb.Region, z *computepb.Zone) cloud.Zone {
	out := cloud.Zone{Name: z.GetName(), ID: z.GetName()}
	out.State, out.Message = stateOf("zone "+z.GetName(), z.GetStatus(), z.GetDeprecated())
	if state, message := stateOf("region "+region.GetName(), region.GetStatus(), region.GetDeprecated()); badness[state] > badness[out.State] {
		out.State, out.Message = state, message
	}
	return out
}

var badness = map[cloud.ZoneState]int{cloud.ZoneUnknown: 1, cloud.ZoneImpaired: 2, cloud.ZoneUnavailable: 3}

// stateOf reads status and deprecation as the API documents them: UP or DOWN; DEPRECATED can be used, OBSOLETE gets nothing new.
func stateOf(what, status string, deprecated *computepb.DeprecationStatus) (cloud.ZoneState, string) {
	gone := deprecated.GetState()
	switch {
	case status == "DOWN":
		return cloud.ZoneUnavailable, what + " is DOWN"
	case gone == "DELETED":
		return cloud.ZoneUnavailable, what + " was deleted"
	case status != "UP":
		return cloud.ZoneUnknown, what + " is " + status
	case gone == "OBSOLETE":
		return cloud.ZoneImpaired, what + " is obsolete: nothing new can be made there"
	case gone == "DEPRECATED":
		message := what + " is deprecated"
		if at := deprecated.GetDeleted(); at != "" {
			message += ", and will be deleted at " + at
		}
		return cloud.ZoneAvailable, message
	}
	return cloud.ZoneAvailable, ""
}
