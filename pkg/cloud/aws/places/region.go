package places

import "strings"

// elsewhere are regions of other clouds, and the region of AWS that is in the same town, or is the nearest by the usual cables.
var elsewhere = map[string]map[string]string{
	"gcp": {
		"africa-south1": "af-south-1", "asia-east1": "ap-east-1", "asia-east2": "ap-east-1", "asia-northeast1": "ap-northeast-1",
		"asia-northeast2": "ap-northeast-3", "asia-northeast3": "ap-northeast-2", "asia-south1": "ap-south-1", "asia-south2": "ap-south-1",
		"asia-southeast1": "ap-southeast-1", "asia-southeast2": "ap-southeast-3", "australia-southeast1": "ap-southeast-2",
		"australia-southeast2": "ap-southeast-4", "europe-central2": "eu-central-1", "europe-north1": "eu-north-1", "europe-north2": "eu-north-1",
		"europe-southwest1": "eu-south-2", "europe-west1": "eu-west-3", "europe-west2": "eu-west-2", "europe-west3": "eu-central-1",
		"europe-west4": "eu-central-1", "europe-west6": "eu-central-2", "europe-west8": "eu-south-1", "europe-west9": "eu-west-3",
		"europe-west10": "eu-central-1", "europe-west12": "eu-south-1", "me-central1": "me-central-1", "me-central2": "me-south-1",
		"me-west1": "il-central-1", "northamerica-northeast1": "ca-central-1", "northamerica-northeast2": "ca-central-1",
		"northamerica-south1": "mx-central-1", "southamerica-east1": "sa-east-1", "southamerica-west1": "sa-east-1",
		"us-central1": "us-east-2", "us-east1": "us-east-1", "us-east4": "us-east-1", "us-east5": "us-east-2", "us-south1": "us-east-2",
		"us-west1": "us-west-2", "us-west2": "us-west-1", "us-west3": "us-west-1", "us-west4": "us-west-1",
	},
	"azure": {
		"australiacentral": "ap-southeast-2", "australiaeast": "ap-southeast-2", "australiasoutheast": "ap-southeast-4", "brazilsouth": "sa-east-1",
		"canadacentral": "ca-central-1", "canadaeast": "ca-central-1", "centralindia": "ap-south-1", "centralus": "us-east-2",
		"eastasia": "ap-east-1", "eastus": "us-east-1", "eastus2": "us-east-1", "francecentral": "eu-west-3", "germanywestcentral": "eu-central-1",
		"israelcentral": "il-central-1", "italynorth": "eu-south-1", "japaneast": "ap-northeast-1", "japanwest": "ap-northeast-3",
		"koreacentral": "ap-northeast-2", "mexicocentral": "mx-central-1", "northcentralus": "us-east-2", "northeurope": "eu-west-1",
		"norwayeast": "eu-north-1", "polandcentral": "eu-central-1", "qatarcentral": "me-south-1", "southafricanorth": "af-south-1",
		"southcentralus": "us-east-2", "southeastasia": "ap-southeast-1", "southindia": "ap-south-2", "spaincentral": "eu-south-2",
		"swedencentral": "eu-north-1", "switzerlandnorth": "eu-central-2", "uaenorth": "me-central-1", "uksouth": "eu-west-2",
		"ukwest": "eu-west-2", "westcentralus": "us-west-2", "westeurope": "eu-central-1", "westus": "us-west-1", "westus2": "us-west-2",
		"westus3": "us-west-1",
	},
}

// aliases of providers, as they call themselves in the names of nodes.
var aliases = map[string]string{"gce": "gcp", "google": "gcp"}

// Nearest is the region of AWS for which Route 53 is to answer with a cluster in a region, empty where none is known. A region of
// AWS is its own, also for a cluster that only says to be there: that is how one elsewhere is given a place.
func Nearest(provider, region string) string {
	provider, region = strings.ToLower(provider), strings.ToLower(region)
	if _, own := balancers[region]; own {
		return region
	}
	if alias := aliases[provider]; alias != "" {
		provider = alias
	}
	return elsewhere[provider][region]
}
