// Package places knows which region of Google Cloud is nearest to a cluster that is elsewhere. It asks nobody, and links no SDK.
package places

import (
	"maps"
	"slices"
	"strings"
)

// regions are Google Cloud's own, which Cloud DNS takes for the places of a routing policy: see
// https://cloud.google.com/compute/docs/regions-zones.
var regions = set(
	"africa-south1", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3", "asia-south1", "asia-south2",
	"asia-southeast1", "asia-southeast2", "australia-southeast1", "australia-southeast2", "europe-central2", "europe-north1",
	"europe-north2", "europe-southwest1", "europe-west1", "europe-west2", "europe-west3", "europe-west4", "europe-west6", "europe-west8",
	"europe-west9", "europe-west10", "europe-west12", "me-central1", "me-central2", "me-west1", "northamerica-northeast1",
	"northamerica-northeast2", "northamerica-south1", "southamerica-east1", "southamerica-west1", "us-central1", "us-east1", "us-east4",
	"us-east5", "us-south1", "us-west1", "us-west2", "us-west3", "us-west4",
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// elsewhere are regions of other clouds, and the region of Google Cloud that is in the same town, or is the nearest by the usual cables.
var elsewhere = map[string]map[string]string{
	"aws": {
		"af-south-1": "africa-south1", "ap-east-1": "asia-east2", "ap-east-2": "asia-east1", "ap-northeast-1": "asia-northeast1",
		"ap-northeast-2": "asia-northeast3", "ap-northeast-3": "asia-northeast2", "ap-south-1": "asia-south1", "ap-south-2": "asia-south1",
		"ap-southeast-1": "asia-southeast1", "ap-southeast-2": "australia-southeast1", "ap-southeast-3": "asia-southeast2",
		"ap-southeast-4": "australia-southeast2", "ap-southeast-5": "asia-southeast1", "ap-southeast-7": "asia-southeast1",
		"ca-central-1": "northamerica-northeast1", "ca-west-1": "us-west1", "eu-central-1": "europe-west3", "eu-central-2": "europe-west6",
		"eu-north-1": "europe-north2", "eu-south-1": "europe-west8", "eu-south-2": "europe-southwest1", "eu-west-1": "europe-west2",
		"eu-west-2": "europe-west2", "eu-west-3": "europe-west9", "il-central-1": "me-west1", "me-central-1": "me-central1",
		"me-south-1": "me-central1", "mx-central-1": "northamerica-south1", "sa-east-1": "southamerica-east1", "us-east-1": "us-east4",
		"us-east-2": "us-east5", "us-west-1": "us-west2", "us-west-2": "us-west1",
	},
	"azure": {
		"australiacentral": "australia-southeast1", "australiaeast": "australia-southeast1", "australiasoutheast": "australia-southeast2",
		"brazilsouth": "southamerica-east1", "canadacentral": "northamerica-northeast2", "canadaeast": "northamerica-northeast1",
		"centralindia": "asia-south1", "centralus": "us-central1", "chilecentral": "southamerica-west1", "eastasia": "asia-east2",
		"eastus": "us-east4", "eastus2": "us-east4", "francecentral": "europe-west9", "germanywestcentral": "europe-west3",
		"israelcentral": "me-west1", "italynorth": "europe-west8", "japaneast": "asia-northeast1", "japanwest": "asia-northeast2",
		"koreacentral": "asia-northeast3", "mexicocentral": "northamerica-south1", "northcentralus": "us-central1",
		"northeurope": "europe-west2", "norwayeast": "europe-north2", "polandcentral": "europe-central2", "qatarcentral": "me-central1",
		"southafricanorth": "africa-south1", "southcentralus": "us-south1", "southeastasia": "asia-southeast1", "southindia": "asia-south1",
		"spaincentral": "europe-southwest1", "swedencentral": "europe-north2", "switzerlandnorth": "europe-west6", "uaenorth": "me-central1",
		"uksouth": "europe-west2", "ukwest": "europe-west2", "westcentralus": "us-west3", "westeurope": "europe-west4", "westus": "us-west2",
		"westus2": "us-west1", "westus3": "us-west4",
	},
}

// Regions are Google Cloud's own, sorted.
func Regions() []string { return slices.Sorted(maps.Keys(regions)) }

// Nearest is the region of Google Cloud for which Cloud DNS is to answer with a cluster in a region, empty where none is known. A region
// of Google Cloud is its own, also for a cluster that only says to be there: that is how one elsewhere is given a place.
func Nearest(provider, region string) string {
	provider, region = strings.ToLower(provider), strings.ToLower(region)
	if regions[region] {
		return region
	}
	return elsewhere[provider][region]
}
