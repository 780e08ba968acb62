package facts

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

type spotKey struct{ region, kind, zone string }

type spot struct {
	hour float64
	at   time.Time
}

// spot prices of types, in all zones. What can't be asked for is what was last heard.
func (f *Facts) spot(ctx context.Context, region string, kinds []string) (map[spotKey]spot, error) {
	now := f.now()
	var stale []types.InstanceType
	out := map[spotKey]spot{}
	f.mu.Lock()
	for _, kind := range kinds {
		fresh := false
		for key, held := range f.spots {
			if key.region == region && key.kind == kind {
				out[key] = held
				fresh = fresh || now.Sub(held.at) < f.spotLife
			}
		}
		if !fresh {
			stale = append(stale, types.InstanceType(kind))
		}
	}
	f.mu.Unlock()
	if len(stale) == 0 {
		return out, nil
	}
	read, err := f.readSpot(ctx, region, stale, now)
	if err != nil {
		return out, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, s := range read {
		f.spots[key], out[key] = s, s
	}
	return out, nil
}

// readSpot reads the prices at this moment: that is what an empty span of time asks for.
func (f *Facts) readSpot(ctx context.Context, region string, kinds []types.InstanceType, now time.Time) (map[spotKey]spot, error) {
	in := &ec2.DescribeSpotPriceHistoryInput{InstanceTypes: kinds, ProductDescriptions: []string{string(types.RIProductDescriptionLinuxUnix)}, StartTime: &now, EndTime: &now}
	out, since := map[spotKey]spot{}, map[spotKey]time.Time{}
	call := aws.Call{Family: config.FamilyEC2, Operation: "DescribeSpotPriceHistory", Region: region}
	err := aws.Pages(ctx, f.session, call, func(ctx context.Context, from *string) (*string, error) {
		in.NextToken = from
		page, err := f.ec2(region).DescribeSpotPriceHistory(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range page.SpotPriceHistory {
			hour, err := strconv.ParseFloat(value(s.SpotPrice), 64)
			key := spotKey{region, string(s.InstanceType), value(s.AvailabilityZone)}
			if err != nil || !(hour > 0) || value(s.Timestamp).Before(since[key]) {
				continue
			}
			out[key], since[key] = spot{hour: hour, at: now}, value(s.Timestamp)
		}
		return page.NextToken, nil
	})
	return out, err
}
