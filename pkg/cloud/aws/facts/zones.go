package facts

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// states of AWS' zones. One with information is in order: AWS has something to say about it. In a constrained one new machines may
// not start.
var states = map[types.AvailabilityZoneState]cloud.ZoneState{
	types.AvailabilityZoneStateAvailable:   cloud.ZoneAvailable,
	types.AvailabilityZoneStateInformation: cloud.ZoneAvailable,
	types.AvailabilityZoneStateImpaired:    cloud.ZoneImpaired,
	types.AvailabilityZoneStateConstrained: cloud.ZoneImpaired,
	types.AvailabilityZoneStateUnavailable: cloud.ZoneUnavailable,
}

var errNoZones = errors.New("the answer has no zones")

// Zones implements cloud.Regions: those that the account can use, by name. IDs such as use1-az6 mean the same in all accounts.
func (f *Facts) Zones(ctx context.Context, region string) ([]cloud.Zone, error) {
	call := aws.Call{Family: config.FamilyEC2, Operation: "DescribeAvailabilityZones", Region: region}
	return aws.Ask(ctx, f.session, call, func(ctx context.Context) ([]cloud.Zone, error) {
		answer, err := f.ec2(region).DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
		if err != nil {
			return nil, err
		}
		var zones []cloud.Zone
		for _, z := range answer.AvailabilityZones {
			zones = append(zones, zone(z))
		}
		if len(zones) == 0 { // Every region has some: that is no fact.
			return nil, errNoZones
		}
		slices.SortFunc(zones, func(a, b cloud.Zone) int { return cmp.Compare(a.Name, b.Name) })
		return zones, nil
	})
}

func zone(z types.AvailabilityZone) cloud.Zone {
	out := cloud.Zone{Name: value(z.ZoneName), ID: value(z.ZoneId), State: cloud.ZoneUnknown}
	if state, known := states[z.State]; known {
		out.State = state
	}
	var messages []string
	for _, m := range z.Messages {
		if text := strings.TrimSpace(value(m.Message)); text != "" {
			messages = append(messages, text)
		}
	}
	out.Message = strings.Join(messages, "; ")
	return out
}
