// Package cloud says what clouds know of clusters: which there are, in which state their zones are, what running pods costs there,
// and how their load balancers fare. It declares the facts and the interfaces through which they come; pkg/cloud/aws,
// pkg/cloud/gcp and pkg/cloud/static fill them, and hide their SDKs. A cloud that does not answer makes facts old, never
// empty.
package cloud

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Reference names a managed cluster: "eks:REGION/NAME" or "gke:PROJECT/LOCATION/NAME".
type Reference struct {
	// Service is EKS or GKE.
	Service string
	// Project of Google Cloud; empty for EKS, where the credentials say which account it is.
	Project string
	// Location is a region, for GKE also a zone.
	Location string
	Name     string
}

// Services that manage clusters.
const (
	EKS = "eks"
	GKE = "gke"
)

// IsReference says whether text is meant as a Reference: no name of a kubeconfig context begins so.
func IsReference(text string) bool {
	return strings.HasPrefix(text, EKS+":") || strings.HasPrefix(text, GKE+":")
}

// ParseReference reads a Reference.
func ParseReference(text string) (Reference, error) {
	service, rest, _ := strings.Cut(text, ":")
	parts := strings.Split(rest, "/")
	for _, p := range parts {
		if p == "" {
			parts = nil
		}
	}
	switch {
	case service == EKS && len(parts) == 2:
		return Reference{Service: EKS, Location: parts[0], Name: parts[1]}, nil
	case service == GKE && len(parts) == 3:
		return Reference{Service: GKE, Project: parts[0], Location: parts[1], Name: parts[2]}, nil
	}
	return Reference{}, fmt.Errorf("cluster %q: write eks:REGION/NAME or gke:PROJECT/LOCATION/NAME, as `kubefed discover` lists them", text)
}

// String is what ParseReference reads.
func (r Reference) String() string {
	if r.Service == GKE {
		return r.Service + ":" + r.Project + "/" + r.Location + "/" + r.Name
	}
	return r.Service + ":" + r.Location + "/" + r.Name
}

// Cluster is a managed cluster.
type Cluster struct {
	Reference Reference
	// Version of Kubernetes, such as "1.36".
	Version string
	// Endpoint is the https URL of its API server, CA (PEM) its certificate authority; empty while it has none.
	Endpoint string
	CA       []byte
	// Region and Zones are where it is.
	Region string
	Zones  []string
	// State is the cloud's own word, such as "ACTIVE"; Usable says that it can be joined.
	State  string
	Usable bool
}

// Finder finds managed clusters, and proves to them who asks.
type Finder interface {
	// Clusters lists those that the credentials can see, in some regions, or in all without any. What could be listed is
	// returned beside the errors of regions that could not.
	Clusters(ctx context.Context, regions []string) ([]Cluster, error)
	// Cluster reads one; the error is of kind NotFound where there is none.
	Cluster(ctx context.Context, r Reference) (Cluster, error)
	// Token is a bearer token for the cluster's API, and until when it is good: minutes, not days. It is for joining alone.
	Token(ctx context.Context, c Cluster) (token string, until time.Time, err error)
}

// Identifier is what a Finder may be besides: it says as whom the cloud is asked.
type Identifier interface {
	// Identity is an ARN of AWS or a mail address of Google Cloud, as the cloud itself says it.
	Identity(ctx context.Context) (string, error)
}

// ZoneState is how a zone is by its cloud's word.
type ZoneState string

// Zone states.
const (
	ZoneAvailable   ZoneState = "Available"
	ZoneImpaired    ZoneState = "Impaired"
	ZoneUnavailable ZoneState = "Unavailable"
	ZoneUnknown     ZoneState = "Unknown"
)

// Zone is one zone of a region.
type Zone struct {
	// Name is what nodes' labels say; ID is the zone's own, where names differ from account to account.
	Name, ID string
	State    ZoneState
	Message  string
}

// Regions tells how regions and their zones are.
type Regions interface {
	// Zones of a region. A region that is impaired as a whole shows as all of its zones.
	Zones(ctx context.Context, region string) ([]Zone, error)
}

// Machine is a kind of node, by what its labels say.
type Machine struct {
	// Type is the cloud's name, such as "m7i.large" or "n2-standard-4".
	Type string
	Zone string
	Spot bool
}

// Price is what one machine costs.
type Price struct {
	// Currency is an ISO 4217 code; Hour is the price of the machine for one hour.
	Currency string
	Hour     float64
	// CPUs and GiB (2^30 octets) of memory that the machine has.
	CPUs, GiB float64
	// CPUHour and GiBHour are the prices of one CPU and one GiB where the source knows them apart; else both are 0.
	CPUHour, GiBHour float64
	// At is when the price was read; Source says where, such as "api" or "snapshot 2026-11-01".
	At     time.Time
	Source string
}

// Prices tells what machines cost.
type Prices interface {
	// Machines returns the prices of those that are known; what is missing is unknown. Beside an error that IsPartial is what is
	// known all the same.
	Machines(ctx context.Context, region string, machines []Machine) (map[Machine]Price, error)
	// Egress is the price of a GiB that leaves the region for the internet or another cloud. Of its errors the same is true.
	Egress(ctx context.Context, region string) (currency string, perGiB float64, err error)
}

// Balancer is a load balancer as its cloud knows it.
type Balancer struct {
	// Hostname and Addresses by which it is known.
	Hostname  string
	Addresses []string
	// AliasZone is the hosted zone of Hostname, for alias records of the same cloud.
	AliasZone string
	// Healthy of Targets are so by the cloud's own checks.
	Healthy, Targets int
}

// Balancers tells how load balancers fare.
type Balancers interface {
	// Find returns those that have one of the host names or addresses.
	Find(ctx context.Context, region string, names []string) ([]Balancer, error)
}
