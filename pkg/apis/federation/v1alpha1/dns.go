package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DNSSettings say how the names of a Service, Ingress or Gateway answer.
//
// +kubebuilder:validation:XValidation:rule="!has(self.whenDead) || self.whenDead != 'Sorry' || has(self.sorryAddresses) && size(self.sorryAddresses) > 0",message="whenDead Sorry needs sorryAddresses"
type DNSSettings struct {
	// Publish is whether there are names at all. Default true.
	// +optional
	Publish *bool `json:"publish,omitempty"`
	// Routing says which usable endpoints answer: All of them; Weighted by ready pods; Nearest to the client, by region, then by
	// provider; or Ordered, those in the first of the policy's clusterGroups in which one is usable. Default All.
	// +optional
	// +kubebuilder:validation:Enum=All;Weighted;Nearest;Ordered
	Routing string `json:"routing,omitempty"`
	// TTLSeconds is how long answers may be kept. Default 20; 5 is served while something moves or is in doubt.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	TTLSeconds *int32 `json:"ttlSeconds,omitempty"`
	// Fallback says what a region's or zone's name answers without endpoints of its own: Flatten, the wider name's addresses;
	// CNAME, an alias to it as in Federation v1; None, nothing. Default Flatten.
	// +optional
	// +kubebuilder:validation:Enum=Flatten;CNAME;None
	Fallback string `json:"fallback,omitempty"`
	// WhenDead says what is answered when no endpoint is usable: Static, the last known answer; Open, all endpoints; Closed,
	// nothing; Sorry, the sorryAddresses. Default Static.
	// +optional
	// +kubebuilder:validation:Enum=Static;Open;Closed;Sorry
	WhenDead string `json:"whenDead,omitempty"`
	// SorryAddresses are IP addresses, for whenDead Sorry.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	SorryAddresses []string `json:"sorryAddresses,omitempty"`
	// Probe says how published addresses are asked whether they answer. Default: a TCP connection to the first port.
	// +optional
	Probe *EndpointProbe `json:"probe,omitempty"`
}

// EndpointProbe is a question to a published address.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.path) || has(self.host) || has(self.expectedStatus)) || has(self.type) && self.type in ['HTTP', 'HTTPS']",message="path, host and expectedStatus are for HTTP and HTTPS"
type EndpointProbe struct {
	// Type is TCP, HTTP, HTTPS (certificates are not verified, as kubelet does) or None. Default TCP.
	// +optional
	// +kubebuilder:validation:Enum=TCP;HTTP;HTTPS;None
	Type string `json:"type,omitempty"`
	// Port of the Service; the first one by default.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
	// Host is the Host header and the TLS server name; by default the address, for an Ingress its first host.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`
	// Path asked for, "/" by default.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`
	// ExpectedStatus is an HTTP status or a range, such as "200" or "200-399", which is the default.
	// +optional
	// +kubebuilder:validation:Pattern=`^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$`
	ExpectedStatus string `json:"expectedStatus,omitempty"`
	// PeriodSeconds is the time between two probes. Default 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	PeriodSeconds *int32 `json:"periodSeconds,omitempty"`
	// TimeoutSeconds is the time that an address has to answer. Default 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`
}

// Values of DNSSettings and EndpointProbe.
const (
	RoutingAll      = "All"
	RoutingWeighted = "Weighted"
	RoutingNearest  = "Nearest"
	RoutingOrdered  = "Ordered"

	FallbackFlatten = "Flatten"
	FallbackCNAME   = "CNAME"
	FallbackNone    = "None"

	WhenDeadStatic = "Static"
	WhenDeadOpen   = "Open"
	WhenDeadClosed = "Closed"
	WhenDeadSorry  = "Sorry"

	ProbeTCP   = "TCP"
	ProbeHTTP  = "HTTP"
	ProbeHTTPS = "HTTPS"
	ProbeNone  = "None"
)

// GlobalEndpoints is where clusters serve one Service, Ingress or Gateway, how the endpoints fare, and what of them is in DNS. The
// federation writes it, beside the object and named as its PlacementDecision, and deletes it with the object.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=globalendpoints,singular=globalendpoints,shortName=gep
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.object.kind`
// +kubebuilder:printcolumn:name="Object",type=string,JSONPath=`.spec.object.name`
// +kubebuilder:printcolumn:name="Published",type=string,JSONPath=`.status.conditions[?(@.type=="Published")].status`
// +kubebuilder:printcolumn:name="Endpoints",type=string,JSONPath=`.status.where`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Published")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type GlobalEndpoints struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GlobalEndpointsSpec   `json:"spec"`
	Status GlobalEndpointsStatus `json:"status,omitempty"`
}

// GlobalEndpointsSpec is what the names are for and how they answer.
type GlobalEndpointsSpec struct {
	Object ObjectReference `json:"object"`
	// Settings in force: annotations, then the policy's, then the defaults.
	// +optional
	Settings DNSSettings `json:"settings,omitzero"`
	// Hosts are an Ingress's or Gateway's names in the federation's zones.
	// +optional
	// +listType=set
	Hosts []string `json:"hosts,omitempty"`
	// OtherHosts are those that are in none of them, and so not published.
	// +optional
	// +listType=set
	OtherHosts []string `json:"otherHosts,omitempty"`
}

// GlobalEndpointsStatus is what is seen and published.
type GlobalEndpointsStatus struct {
	// Conditions: Published is True when every zone holds what it should and every server of it answers so.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Where is Clusters for a person to read, such as "gondor Healthy, rohan Unhealthy".
	// +optional
	Where string `json:"where,omitempty"`
	// Clusters is sorted by name.
	// +optional
	// +listType=map
	// +listMapKey=name
	Clusters []ClusterEndpoint `json:"clusters,omitempty"`
	// Published are the addresses that zones hold for the object.
	// +optional
	// +listType=set
	Published []string `json:"published,omitempty"`
	// Zones are those in which the object has names.
	// +optional
	// +listType=map
	// +listMapKey=name
	Zones []PublishedZone `json:"zones,omitempty"`
}

// ClusterEndpoint is where one cluster serves the object.
type ClusterEndpoint struct {
	// Name of the cluster.
	Name string `json:"name"`
	// State is Healthy, Degraded, Unhealthy, Unknown or Draining.
	State string `json:"state"`
	// Published says that answers name this cluster's addresses.
	// +optional
	Published bool `json:"published,omitempty"`
	// Addresses are IP addresses; those of Hostnames are among them.
	// +optional
	// +listType=set
	Addresses []string `json:"addresses,omitempty"`
	// Hostnames by which a load balancer is known.
	// +optional
	// +listType=set
	Hostnames []string `json:"hostnames,omitempty"`
	// +optional
	// +listType=atomic
	Ports []EndpointPort `json:"ports,omitempty"`
	// Ready counts the ready pods behind it, absent where that is unknown.
	// +optional
	Ready *int32 `json:"ready,omitempty"`
	// Order is the rank of the cluster's group in the policy, from 0.
	// +optional
	Order int32 `json:"order,omitempty"`
	// Since is when the state became so.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// ReleasedAt is when no client could hold the cluster's addresses from DNS any more: they had been absent at every server for the
	// highest TTL with which they were published, and a slack. Absent while they are published or may be held.
	// +optional
	ReleasedAt *metav1.Time `json:"releasedAt,omitempty"`
	// Reason is one word, Message says why the state is so, or why the cluster is withheld.
	// +optional
	Reason string `json:"reason,omitempty"`
	// +optional
	Message string `json:"message,omitempty"`
}

// EndpointPort is a port at which the object is served.
type EndpointPort struct {
	// +optional
	Name string `json:"name,omitempty"`
	// Protocol is TCP, UDP or SCTP.
	Protocol string `json:"protocol"`
	Port     int32  `json:"port"`
}

// PublishedZone is one zone in which the object has names.
type PublishedZone struct {
	// Name of the zone, with a trailing dot.
	Name string `json:"name"`
	// Names counts those that are published there.
	Names int32 `json:"names"`
	// FailsOver: with routing Ordered the zone's provider turns to the next group by itself while the first one does not answer its
	// health checks. Otherwise the federation does.
	// +optional
	FailsOver bool `json:"failsOver,omitempty"`
}

// Condition types of GlobalEndpoints and reasons of Published.
const (
	EndpointsPublished = "Published"

	// EndpointHandingOver is the reason of a ClusterEndpoint that drains and answers still: what takes its place is not ready yet.
	EndpointHandingOver = "HandingOver"

	ReasonPublished       = "Published"
	ReasonPending         = "Pending"         // not written, or not seen at every server yet
	ReasonNameConflict    = "Conflict"        // someone else's record is at a name
	ReasonNameInvalid     = "InvalidName"     // a name is longer than DNS allows, or no DNS name
	ReasonInvalidSettings = "InvalidSettings" // an annotation can't be read
	ReasonNoEndpoints     = "NoEndpoints"     // no cluster serves the object
	ReasonAllUnhealthy    = "AllUnhealthy"    // none is usable: whenDead is in force
	ReasonSuspectSelf     = "SuspectSelf"     // so many went silent at once that removals wait
	ReasonZoneUnavailable = "ZoneUnavailable" // a zone can't be read or written
	ReasonNoZone          = "NoZone"          // none of the federation's zones holds its names
)

// GlobalEndpointsList is a list of GlobalEndpoints.
//
// +kubebuilder:object:root=true
type GlobalEndpointsList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GlobalEndpoints `json:"items"`
}
