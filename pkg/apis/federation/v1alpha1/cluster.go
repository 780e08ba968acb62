package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Cluster stands for one member cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=cl
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Verdict",type=string,JSONPath=`.status.verdict.state`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.status.provider`
// +kubebuilder:printcolumn:name="Region",type=string,JSONPath=`.status.region`
// +kubebuilder:printcolumn:name="Nodes",type=string,JSONPath=`.status.nodes.ready`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Zones",type=string,JSONPath=`.status.zones`,priority=1
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.spec.server`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",message="metadata.name must be a DNS label (RFC 1123): it becomes part of DNS names"
type Cluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ClusterSpec   `json:"spec"`
	Status ClusterStatus `json:"status,omitempty"`
}

// ClusterSpec says how to reach a member and what its users say of it.
type ClusterSpec struct {
	// Server is the https URL of the member's API server.
	// +kubebuilder:validation:XValidation:rule="self.startsWith('https://')",message="server must be an https:// URL"
	Server string `json:"server"`
	// SecretName names a Secret in namespace federation-system of the federation API with the keys "token" and
	// "ca.crt" (PEM; without it the system's roots are trusted).
	// +kubebuilder:validation:MinLength=1
	SecretName string `json:"secretName"`
	// ClusterID is the UID of the member's namespace kube-system. A member answering with another one is not used.
	// +optional
	ClusterID string `json:"clusterID,omitempty"`
	// Provider overrides what nodes' provider IDs say: "aws", "gcp", "azure", "on-premises", ...
	// +optional
	Provider string `json:"provider,omitempty"`
	// Region overrides what nodes' labels say.
	// +optional
	Region string `json:"region,omitempty"`
	// Zones overrides what nodes' labels say.
	// +optional
	// +listType=set
	Zones []string `json:"zones,omitempty"`
	// Taints keep objects away that do not tolerate them.
	// +optional
	// +listType=atomic
	Taints []corev1.Taint `json:"taints,omitempty"`
	// Price is what running pods costs here. It goes before what the cluster's cloud says (see status.price).
	// +optional
	Price *Price `json:"price,omitempty"`
}

// Price is the price of what pods request.
type Price struct {
	// Currency is an ISO 4217 code, such as "USD". Prices in different currencies are not compared.
	// +kubebuilder:validation:Pattern=`^[A-Z]{3}$`
	Currency string `json:"currency"`
	// CPUHour is the price of one CPU for one hour, a decimal such as "0.0416".
	CPUHour resource.Quantity `json:"cpuHour"`
	// GiBHour is the price of one GiB (2^30 octets) of memory for one hour.
	GiBHour resource.Quantity `json:"gibHour"`
}

// ClusterStatus is what the control plane knows of a member.
type ClusterStatus struct {
	// Conditions are Ready and Offline, and CloudKnown where an account of a cloud is configured for the cluster.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Version is the member's Kubernetes version, such as "v1.36.3".
	// +optional
	Version string `json:"version,omitempty"`
	// Provider, Region and Zones say where the member is: from the spec, else from all of its nodes.
	// +optional
	Provider string `json:"provider,omitempty"`
	// +optional
	Region string `json:"region,omitempty"`
	// +optional
	// +listType=set
	Zones []string `json:"zones,omitempty"`
	// APIGroups are the API group versions that the member serves, such as "apps/v1" and "v1", sorted.
	// +optional
	// +listType=atomic
	APIGroups []string `json:"apiGroups,omitempty"`
	// Nodes counts the member's nodes.
	// +optional
	Nodes NodeCount `json:"nodes,omitempty"`
	// Capacity and Allocatable are sums over ready nodes.
	// +optional
	Capacity corev1.ResourceList `json:"capacity,omitempty"`
	// +optional
	Allocatable corev1.ResourceList `json:"allocatable,omitempty"`
	// Free is what pods can still request on nodes that are ready and schedulable, per node, in groups of nodes that are
	// alike, rounded down. Absent while it is unknown.
	// +optional
	// +listType=atomic
	Free []FreeNodes `json:"free,omitempty"`
	// Verdict is what the federation believes of the member's health, and on which evidence.
	// +optional
	Verdict *Verdict `json:"verdict,omitempty"`
	// Taints follow from the verdict. They count as those of the spec do.
	// +optional
	// +listType=atomic
	Taints []corev1.Taint `json:"taints,omitempty"`
	// Machines counts the nodes by what they are, sorted by zone, type and spot.
	// +optional
	// +listType=atomic
	Machines []MachineCount `json:"machines,omitempty"`
	// Cloud is what the cluster's cloud says of where it is. It stays when the cloud does not answer: see the condition CloudKnown.
	// +optional
	Cloud *CloudStatus `json:"cloud,omitempty"`
	// Price is what running pods costs here, averaged over the nodes: the spec's, else by the cloud's prices.
	// +optional
	Price *PriceStatus `json:"price,omitempty"`
	// TokenExpires is when the member's token in use ends.
	// +optional
	TokenExpires *metav1.Time `json:"tokenExpires,omitempty"`
}

// MachineCount is a number of nodes that are of one kind.
type MachineCount struct {
	// Type is the cloud's name, such as "m7i.large", of the label node.kubernetes.io/instance-type; empty without the label.
	// +optional
	Type string `json:"type,omitempty"`
	// +optional
	Zone string `json:"zone,omitempty"`
	// Spot says that the cloud may take the nodes back at any time.
	// +optional
	Spot bool `json:"spot,omitempty"`
	// Nodes counts them; Capacity is the "cpu" and "memory" of all of them together.
	Nodes    int32               `json:"nodes"`
	Capacity corev1.ResourceList `json:"capacity,omitempty"`
}

// CloudStatus is what a cloud says of where a member is.
type CloudStatus struct {
	// Account is the name of the configured account through which the cloud is asked.
	Account string `json:"account"`
	// Zones are those of the member, sorted by name.
	// +optional
	// +listType=map
	// +listMapKey=name
	Zones []CloudZone `json:"zones,omitempty"`
	// Balancers are the load balancers of published endpoints with targets that fail the cloud's own checks; at most 100.
	// +optional
	// +listType=atomic
	Balancers []CloudBalancer `json:"balancers,omitempty"`
}

// CloudZone is a zone as its cloud describes it.
type CloudZone struct {
	// Name is what nodes' labels say; ID is the zone's own, where names differ from account to account.
	Name string `json:"name"`
	// +optional
	ID string `json:"id,omitempty"`
	// State is Available, Impaired, Unavailable or Unknown.
	State string `json:"state"`
	// Since is when it was first seen so.
	Since metav1.Time `json:"since"`
	// +optional
	Message string `json:"message,omitempty"`
}

// CloudBalancer is a load balancer some of whose targets fail.
type CloudBalancer struct {
	// Name is the host name or address by which it is known.
	Name string `json:"name"`
	// Healthy of Targets are so by the cloud's own checks.
	Healthy int32 `json:"healthy"`
	Targets int32 `json:"targets"`
}

// PriceStatus is a Price, and where it is from.
type PriceStatus struct {
	Price `json:",inline"`
	// Spot is the percentage of the nodes' CPUs that are on spot machines.
	// +optional
	Spot int32 `json:"spot,omitempty"`
	// EgressGiB is the price of a GiB (2^30 octets) that leaves the cluster's region; absent while it is unknown.
	// +optional
	EgressGiB *resource.Quantity `json:"egressGiB,omitempty"`
	// Offers are the prices in each zone, on demand and spot, as far as they are known, sorted by zone and spot.
	// +optional
	// +listType=atomic
	Offers []PriceOffer `json:"offers,omitempty"`
	// Unpriced counts the nodes whose price is not known: the average of the others stands for them.
	// +optional
	Unpriced int32 `json:"unpriced,omitempty"`
	// Source is "spec", "api", "file" or "snapshot DATE"; of several the least certain.
	Source string `json:"source"`
	// At is when the oldest of the prices was read; of the spec's, since when it says so.
	At metav1.Time `json:"at"`
}

// PriceOffer is what running pods costs on one kind of machines in one zone.
type PriceOffer struct {
	// +optional
	Zone string `json:"zone,omitempty"`
	// +optional
	Spot bool `json:"spot,omitempty"`
	// CPUHour and GiBHour are as in Price.
	CPUHour resource.Quantity `json:"cpuHour"`
	GiBHour resource.Quantity `json:"gibHour"`
}

// FreeNodes is a number of nodes on each of which so much is free.
type FreeNodes struct {
	// Nodes counts them; 0 in the one entry of a cluster without a ready and schedulable node.
	Nodes int32 `json:"nodes"`
	// Free is what pods can still request on each of them: allocatable without the requests of its pods. It has "cpu",
	// "memory", "pods" and extended resources.
	Free corev1.ResourceList `json:"free,omitempty"`
}

// NodeCount counts nodes.
type NodeCount struct {
	Total int32 `json:"total"`
	Ready int32 `json:"ready"`
}

// Verdict is what the federation believes of a member's health.
type Verdict struct {
	// State is Ready, Degraded, Unreachable or Down.
	State string `json:"state"`
	// Since is when it became so.
	Since metav1.Time `json:"since"`
	// Reason is one word, Message says what was seen and what follows.
	// +optional
	Reason string `json:"reason,omitempty"`
	// +optional
	Message string `json:"message,omitempty"`
	// Evidence is what speaks for and against it, one entry for each source.
	// +optional
	// +listType=map
	// +listMapKey=source
	Evidence []Evidence `json:"evidence,omitempty"`
	// Returns is how often the cluster came back from silence lately, LastReturn when it did last: one that comes and goes has to be
	// well for longer each time. They are as they were when the state changed last.
	// +optional
	Returns int32 `json:"returns,omitempty"`
	// +optional
	LastReturn *metav1.Time `json:"lastReturn,omitempty"`
}

// States of a Verdict.
const (
	VerdictReady       = "Ready"       // the API answers and traffic is served
	VerdictDegraded    = "Degraded"    // the API answers, capacity or traffic is impaired
	VerdictUnreachable = "Unreachable" // the API is silent; traffic or witnesses say alive, or nobody else was asked
	VerdictDown        = "Down"        // the API is silent and traffic is dead, or witnesses agree
)

// Reasons of a Verdict.
const (
	VerdictServing           = "Serving"             // Ready
	VerdictAPIImpaired       = "APIImpaired"         // Degraded: the API answers, but not well, or refuses the federation
	VerdictTrafficImpaired   = "TrafficImpaired"     // Degraded: most of its published endpoints do not answer
	VerdictCloudImpaired     = "CloudImpaired"       // Degraded: its cloud says so
	VerdictReturning         = "Returning"           // Degraded: it was silent, and has not been well for long enough yet
	VerdictSaidAlive         = "SaidAlive"           // Unreachable: traffic or witnesses say alive
	VerdictNobodyElse        = "NobodyElse"          // Unreachable: nobody else can be asked
	VerdictNotAsked          = "NotAsked"            // Unreachable: the federation has nothing to ask with
	VerdictOthersSilent      = "OthersSilent"        // Unreachable: too many others turned silent with it
	VerdictTrafficDead       = "TrafficDead"         // Down: the API is silent and none of its endpoints answers
	VerdictWitnessesAgree    = "WitnessesAgree"      // Down: the API is silent, to witnesses too
	VerdictTrafficAndWitness = "TrafficAndWitnesses" // Down: all three
	VerdictDrill             = "Drill"               // Down, because a drill says so
)

// Evidence is what one source says of a member.
type Evidence struct {
	// Source is "API", "Traffic", "Cloud", "Drill" or "Witness/CLUSTER".
	Source string `json:"source"`
	// Says is Alive, Impaired, Dead or Unknown.
	Says string `json:"says"`
	// Since is when the source began to say so.
	Since metav1.Time `json:"since"`
	// +optional
	Message string `json:"message,omitempty"`
}

// Sources of Evidence.
const (
	SourceAPI     = "API"
	SourceTraffic = "Traffic"
	SourceCloud   = "Cloud"
	SourceDrill   = "Drill"
	// SourceWitness stands before the name of the cluster that the witness looks from.
	SourceWitness = "Witness/"
)

// What an Evidence says.
const (
	SaysAlive    = "Alive"
	SaysImpaired = "Impaired"
	SaysDead     = "Dead"
	SaysUnknown  = "Unknown"
)

// Condition types of a Cluster, as in Federation v1, and their reasons.
const (
	// ClusterReady is True while the member's API answers /readyz and accepts the federation's token.
	ClusterReady = "Ready"
	// ClusterOffline is True while the member's API does not answer at all.
	ClusterOffline = "Offline"

	// ClusterCloudKnown is True while the cloud's facts (status.cloud, status.price) could be read when they were asked for last.
	ClusterCloudKnown = "CloudKnown"

	ReasonCloudAnswers = "CloudAnswers" // CloudKnown=True
	// Reasons of CloudKnown=False are the kinds of errors of pkg/cloud: Denied, Throttled, Unavailable, Invalid, NotFound.

	ReasonClusterReady        = "ClusterReady"        // Ready=True
	ReasonClusterNotReady     = "ClusterNotReady"     // it answers, but not with "ok"
	ReasonClusterReachable    = "ClusterReachable"    // Offline=False
	ReasonClusterNotReachable = "ClusterNotReachable" // Offline=True
	ReasonUnauthorized        = "Unauthorized"        // the token is refused: expired or revoked
	ReasonForbidden           = "Forbidden"           // the token is good, its rights are not
	ReasonWrongCluster        = "WrongCluster"        // another cluster answers at this address
	ReasonSecretInvalid       = "SecretInvalid"       // the Secret is missing or lacks a key
	ReasonDrill               = "Drill"               // a drill treats the member as failed
)

// ClusterList is a list of Clusters.
//
// +kubebuilder:object:root=true
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cluster `json:"items"`
}
