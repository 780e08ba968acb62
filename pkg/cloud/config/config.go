// Package config reads which accounts of clouds a federation asks, as whom, and the sites that have no cloud to ask. It opens
// nothing and links no SDK: clients are made from what is read here by pkg/cloud/aws, pkg/cloud/gcp and pkg/cloud/static.
//
//	accounts:
//	- name: prod
//	  provider: aws
//	  regions: [us-east-1, eu-west-1]
//	  credentials:                             # the first that applies is used, and no other
//	  - webIdentity: {roleARN: "arn:aws:iam::123456789012:role/kubefed", tokenFile: /var/run/secrets/aws/token}
//	  - static: {file: aws-keys}
//	- name: earth
//	  provider: gcp
//	  project: earth-1
//	  credentials: [{workloadIdentity: {}}]
//	sites:
//	- name: basement
//	  provider: on-premises
//	  region: lab
//	  zones: [{name: rack-1}, {name: rack-2, state: Impaired, message: "cooling until Friday"}]
//	  price: {currency: EUR, cpuHour: "0.011", gibHour: "0.0014", egressGiB: "0"}
package config

// Names of providers, as in Cluster.status.provider.
const (
	AWS = "aws"
	GCP = "gcp"
)

// Config is the file.
type Config struct {
	Accounts []Account `json:"accounts,omitempty"`
	Sites    []Site    `json:"sites,omitempty"`
}

// Account is one account of a cloud.
type Account struct {
	// Name is a DNS label, unique.
	Name string `json:"name"`
	// Provider is AWS or GCP.
	Provider string `json:"provider"`
	// Project of Google Cloud; required there.
	Project string `json:"project,omitempty"`
	// Regions that are asked; by default those that the credentials can see.
	Regions []string `json:"regions,omitempty"`
	// Clusters, by name in the federation, that are in the account; by default those of its provider that no other account names.
	Clusters []string `json:"clusters,omitempty"`
	// Credentials are tried in this order, and the first that is there is used: one that is there and refused is an error, never a
	// reason to try the next. Nothing is taken from the environment that is not named here.
	Credentials []Credentials `json:"credentials"`
	// RequestsPerSecond is the limit for each region and API family; 5 by default.
	RequestsPerSecond float64 `json:"requestsPerSecond,omitempty"`
	// Endpoints are other URLs of APIs, by family (FamilyEKS, ...), or under "*" of all.
	Endpoints map[string]string `json:"endpoints,omitempty"`
}

// Families of APIs: what an endpoint and a rate limit are for.
const (
	FamilyEKS       = "eks"
	FamilySTS       = "sts"
	FamilyEC2       = "ec2"
	FamilyELB       = "elasticloadbalancing"
	FamilyPricing   = "pricing"
	FamilyContainer = "container"
	FamilyCompute   = "compute"
	FamilyBilling   = "cloudbilling"
)

// Credentials has exactly one field.
type Credentials struct {
	Static           *StaticCredentials  `json:"static,omitempty"`
	WebIdentity      *WebIdentity        `json:"webIdentity,omitempty"`
	WorkloadIdentity *WorkloadIdentity   `json:"workloadIdentity,omitempty"`
	Profile          *ProfileCredentials `json:"profile,omitempty"`
	Anonymous        *struct{}           `json:"anonymous,omitempty"`
}

// StaticCredentials are in a file: for AWS a shared credentials file, for Google Cloud a service account key or an external
// account configuration (JSON). There if the file is.
type StaticCredentials struct {
	File string `json:"file"`
}

// WebIdentity is a role of AWS that a service account's token may assume (IRSA). There if the token file is.
type WebIdentity struct {
	RoleARN   string `json:"roleARN"`
	TokenFile string `json:"tokenFile"`
}

// WorkloadIdentity is who the pod is to its cloud: for Google Cloud the metadata server, for AWS EKS Pod Identity. There if the
// metadata server, or AWS_CONTAINER_CREDENTIALS_FULL_URI, is.
type WorkloadIdentity struct{}

// ProfileCredentials are a profile of AWS' shared configuration, or gcloud's application default credentials. There if the
// profile is. File and Profile have the tools' defaults.
type ProfileCredentials struct {
	File    string `json:"file,omitempty"`
	Profile string `json:"profile,omitempty"`
}

// Site is where clusters are that no cloud is asked about.
type Site struct {
	Name string `json:"name"`
	// Provider and Region are those of the Clusters that are meant; an empty region means all of the provider.
	Provider string `json:"provider"`
	Region   string `json:"region,omitempty"`
	// Zones whose state is known; others are Available.
	Zones []SiteZone `json:"zones,omitempty"`
	Price *SitePrice `json:"price,omitempty"`
}

// SiteZone is a zone as its operator describes it.
type SiteZone struct {
	Name    string `json:"name"`
	State   string `json:"state,omitempty"`
	Message string `json:"message,omitempty"`
}

// SitePrice is what running pods costs at a site; decimals.
type SitePrice struct {
	Currency  string `json:"currency"`
	CPUHour   string `json:"cpuHour"`
	GiBHour   string `json:"gibHour"`
	EgressGiB string `json:"egressGiB,omitempty"`
}
