package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Federation is the federation itself. There is one, with its name; the control plane makes it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=fed
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Isolated",type=string,JSONPath=`.status.conditions[?(@.type=="Isolated")].status`
// +kubebuilder:printcolumn:name="Paused",type=boolean,JSONPath=`.spec.failover.paused`
// +kubebuilder:printcolumn:name="Zones",type=string,JSONPath=`.status.zones[*].name`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Federation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec FederationSpec `json:"spec,omitzero"`
	// +optional
	Status FederationStatus `json:"status,omitzero"`
}

// FederationSpec is what its operators want of the federation as a whole.
type FederationSpec struct {
	// Failover bounds what the federation does by itself.
	// +optional
	Failover FailoverBounds `json:"failover,omitzero"`
}

// FailoverBounds is the blast radius of automatic moves.
type FailoverBounds struct {
	// Paused stops moves because of verdicts and drains from beginning, until it is taken away. What has begun is finished,
	// and DNS goes on.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// MaxClusters is how many clusters at a time may lose replicas because of a verdict on reachability alone: a number, or a share
	// of all clusters, at least one. Clusters whose failure traffic and witnesses confirm do not count. Default 34%.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^([0-9][0-9]?|100)%$')",message="maxClusters must be at least 0, or a percentage from 0% to 100%"
	MaxClusters *intstr.IntOrString `json:"maxClusters,omitempty"`
	// MaxWorkloadsPerMinute is how many workloads may begin to move in a minute because of verdicts: a number, or a share of all
	// workloads, at least ten. It doubles each minute in which replacements became ready, and does not hold for confirmed
	// failures. Default 20%.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^([0-9][0-9]?|100)%$')",message="maxWorkloadsPerMinute must be at least 0, or a percentage from 0% to 100%"
	MaxWorkloadsPerMinute *intstr.IntOrString `json:"maxWorkloadsPerMinute,omitempty"`
}

// FederationStatus is how the federation is as a whole.
type FederationStatus struct {
	// Conditions: Isolated is True while so many members turned silent together that the control plane takes itself to be
	// cut off, and moves nothing.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Zones are the DNS zones that the federation writes to.
	// +optional
	// +listType=map
	// +listMapKey=name
	Zones []ZoneStatus `json:"zones,omitempty"`
}

// ZoneStatus is how one DNS zone is.
type ZoneStatus struct {
	// Name of the zone, with a trailing dot.
	Name string `json:"name"`
	// Provider is "embedded", "rfc2136", "aws-route53", "google-clouddns" or "coredns".
	Provider string `json:"provider"`
	// State is Ready, Unavailable, Denied, NotFound, Throttled, Fenced or Held (removals wait).
	State string `json:"state"`
	// Message explains a state other than Ready, or what is missing in one that is, and what to do.
	// +optional
	Message string `json:"message,omitempty"`
	// Since is when the state became so.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Servers are the zone's authoritative servers as ADDRESS:PORT or host names, where they are known.
	// +optional
	// +listType=atomic
	Servers []string `json:"servers,omitempty"`
	// Names counts the names that the federation owns there.
	// +optional
	Names int32 `json:"names,omitempty"`
	// Conflicts counts names that belong to someone else.
	// +optional
	Conflicts int32 `json:"conflicts,omitempty"`
	// HealthChecks: the provider asks endpoints itself, and answers by that also while the control plane is down.
	// +optional
	HealthChecks bool `json:"healthChecks,omitempty"`
	// DS is the record that the zone's parent is to publish, where the zone is signed by the federation.
	// +optional
	DS string `json:"ds,omitempty"`
}

// Condition types of a Federation.
const (
	FederationIsolated = "Isolated"

	ReasonMembersSilent = "MembersSilent" // Isolated=True
	ReasonMembersAnswer = "MembersAnswer" // Isolated=False
)

// FederationList is a list of Federations.
//
// +kubebuilder:object:root=true
type FederationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Federation `json:"items"`
}
