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

import (
	gojson "encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

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
	// RequestsPerSecond is the limit for each region and API family; DefaultRequestsPerSecond after Parse where it is left out.
	RequestsPerSecond float64 `json:"requestsPerSecond,omitempty"`
	// Endpoints are other URLs of APIs, by family (FamilyEKS, ...), or under "*" of all. https, but at this machine itself.
	Endpoints map[string]string `json:"endpoints,omitempty"`
}

// DefaultRequestsPerSecond is the limit where an account names none.
const DefaultRequestsPerSecond = 5

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

// Credentials has exactly one field. Anonymous sends no credentials at all, to a simulated cloud: it needs the endpoint "*".
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

// WebIdentity is a role of AWS that a service account's token may assume (IRSA). There if the token file is. TokenFile
// is absolute: it is where the kubelet puts the token, and is not brought along as other files are.
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

// Load reads a file. Paths in it that are not absolute are from where it is.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the cloud configuration: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("cloud configuration %s: %w", path, err)
	}
	for _, file := range c.Files() {
		if !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(path), *file)
		}
	}
	return c, nil
}

// Parse reads YAML or JSON, fills in defaults, and reports every field that is wrong. No error holds a secret.
func Parse(data []byte) (*Config, error) {
	c := &Config{}
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, err
	}
	unknown, err := json.UnmarshalStrict(asJSON, c)
	if wrong, ok := errors.AsType[*gojson.UnmarshalTypeError](err); ok {
		err = fmt.Errorf("%s: is a %s; %s", wrong.Field, wrong.Value, expected(wrong.Type.Kind()))
	}
	if err := errors.Join(append(unknown, err)...); err != nil {
		return nil, err
	}
	for i := range c.Accounts {
		if a := &c.Accounts[i]; a.RequestsPerSecond == 0 {
			a.RequestsPerSecond = DefaultRequestsPerSecond
		}
	}
	return c, c.check()
}

// Files are the places of all paths that the configuration names and that can be brought along: what reads it somewhere else takes
// the files with it and puts other paths there.
func (c *Config) Files() []*string {
	var all []*string
	for i := range c.Accounts {
		for _, credentials := range c.Accounts[i].Credentials {
			if s := credentials.Static; s != nil && s.File != "" {
				all = append(all, &s.File)
			}
			if p := credentials.Profile; p != nil && p.File != "" {
				all = append(all, &p.File)
			}
		}
	}
	return all
}

// Account is the one of a name.
func (c *Config) Account(name string) (Account, bool) {
	for _, a := range c.Accounts {
		if a.Name == name {
			return a, true
		}
	}
	return Account{}, false
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
