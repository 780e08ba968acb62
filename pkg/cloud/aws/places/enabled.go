package places

import (
	"maps"
	"slices"
)

// byDefault are the regions that every account has; the others it has to opt in to.
var byDefault = map[string]bool{
	"ap-northeast-1": true, "ap-northeast-2": true, "ap-northeast-3": true, "ap-south-1": true, "ap-southeast-1": true, "ap-southeast-2": true,
	"ca-central-1": true, "eu-central-1": true, "eu-north-1": true, "eu-west-1": true, "eu-west-2": true, "eu-west-3": true, "sa-east-1": true,
	"us-east-1": true, "us-east-2": true, "us-west-1": true, "us-west-2": true,
}

// Regions of AWS, in order.
func Regions() []string { return slices.Sorted(maps.Keys(balancers)) }

// OptIn says that an account may be without a region.
func OptIn(region string) bool { return !byDefault[region] }
