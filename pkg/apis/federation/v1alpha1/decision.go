package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// PlacementDecision says in which clusters one federated object is to be, and how it fares there. The federation
// writes it; pkg/placement owns spec, pkg/sync owns status. The decision of a namespaced object is in its namespace,
// that of a cluster-scoped one in federation-system. It is deleted with its object.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=pd
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.object.kind`
// +kubebuilder:printcolumn:name="Object",type=string,JSONPath=`.spec.object.name`
// +kubebuilder:printcolumn:name="Where",type=string,JSONPath=`.status.where`
// +kubebuilder:printcolumn:name="Synced",type=string,JSONPath=`.status.conditions[?(@.type=="Synced")].status`
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.spec.policy.name`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Synced")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PlacementDecision struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   PlacementDecisionSpec   `json:"spec"`
	Status PlacementDecisionStatus `json:"status,omitempty"`
}

// PlacementDecisionSpec is the decision.
type PlacementDecisionSpec struct {
	// Object is what was decided on.
	Object ObjectReference `json:"object"`
	// Clusters are where the object is to be, sorted by name.
	// +optional
	// +listType=map
	// +listMapKey=name
	Clusters []ClusterPlacement `json:"clusters,omitempty"`
	// Policy is the policy in force; absent for the defaults.
	// +optional
	Policy *PolicyReference `json:"policy,omitempty"`
	// Unplaced counts replicas that no cluster may take.
	// +optional
	Unplaced int32 `json:"unplaced,omitempty"`
	// Missing says in one sentence what keeps the decision from what its policy asks for; empty where nothing does. Where
	// the policy can't be met what runs stays where it runs. pkg/sync shows it as condition Placed.
	// +optional
	Missing string `json:"missing,omitempty"`
	// Moving says that replicas are on their way from cluster to cluster: until the new ones are ready the shares add up
	// to more than the object asks for.
	// +optional
	Moving bool `json:"moving,omitempty"`
	// Rebalanced is the request to rebalance (AnnotationRebalance) that was carried out last.
	// +optional
	Rebalanced string `json:"rebalanced,omitempty"`
	// Full are clusters in which replicas stayed unschedulable, or did not become ready.
	// +optional
	// +listType=map
	// +listMapKey=name
	Full []FullCluster `json:"full,omitempty"`
	// Displaced are shares that clusters gave away for a reason that passes, such as a verdict or a drain. They get them back
	// step by step, once they have been well for the policy's stableFor.
	// +optional
	// +listType=map
	// +listMapKey=name
	Displaced []DisplacedShare `json:"displaced,omitempty"`
	// Cheaper are clusters in which running replicas would cost so much less that they are to move there, once that has lasted for
	// price.stableFor of the policy; at most 8.
	// +optional
	// +listType=map
	// +listMapKey=name
	Cheaper []CheaperCluster `json:"cheaper,omitempty"`
	// Ordinals are where the ordinals of a StatefulSet's pods start in each cluster, so that no two pods have the same
	// one. A cluster stays in the list until its copy is gone.
	// +optional
	// +listType=map
	// +listMapKey=name
	Ordinals []OrdinalStart `json:"ordinals,omitempty"`
	// Excluded says which clusters were left out and why, one entry per reason.
	// +optional
	// +listType=map
	// +listMapKey=reason
	Excluded []Exclusion `json:"excluded,omitempty"`
	// Reason says in one sentence by which rule the clusters were chosen and the replicas divided.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// ObjectReference names one federated object.
type ObjectReference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// UID of the object in the federation API.
	UID types.UID `json:"uid"`
}

// ClusterPlacement is one cluster's share.
type ClusterPlacement struct {
	Name string `json:"name"`
	// Replicas is the cluster's share of the object's replicas (for a Job: of its parallelism); absent where the
	// object has none or all clusters get the whole object.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// Completions is the cluster's share of a Job's completions.
	// +optional
	Completions *int32 `json:"completions,omitempty"`
	// Since is when the share last grew, where a policy with ordered groups needs to know.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// PolicyReference names the policy in force. A PropagationPolicy is in the object's namespace.
type PolicyReference struct {
	// Kind is PropagationPolicy, ClusterPropagationPolicy, or Annotations for Federation v1's annotations on the object
	// itself.
	Kind string `json:"kind"`
	// +optional
	Name string `json:"name,omitempty"`
}

// PolicyAnnotations is the kind of a PolicyReference to Federation v1's annotations on the object.
const PolicyAnnotations = "Annotations"

// FullCluster is a cluster in which replicas stayed unschedulable, or did not become ready.
type FullCluster struct {
	Name string `json:"name"`
	// Replicas is how many fitted, or were ready.
	Replicas int32 `json:"replicas"`
	// Since is when that was seen. It is tried again after the policy's stableFor.
	Since metav1.Time `json:"since"`
	// Tries counts how often in a row replicas did not become ready there (moves.unhealthyAfter). Each time it is tried again
	// after twice as long. 0 for a cluster that is full.
	// +optional
	Tries int32 `json:"tries,omitempty"`
}

// DisplacedShare is what a cluster gave away.
type DisplacedShare struct {
	Name string `json:"name"`
	// Replicas that it had.
	Replicas int32 `json:"replicas"`
	// Reason is Down, Drained, Tainted or Unhealthy.
	Reason string `json:"reason"`
	// Since is when they began to move.
	Since metav1.Time `json:"since"`
}

// Reasons of a DisplacedShare.
const (
	DisplacedDown      = "Down"      // the cluster is down
	DisplacedDrained   = "Drained"   // the cluster is drained
	DisplacedTainted   = "Tainted"   // another NoExecute taint
	DisplacedUnhealthy = "Unhealthy" // replicas did not become ready there
)

// CheaperCluster is a cluster that saves as much as the policy asks for.
type CheaperCluster struct {
	Name string `json:"name"`
	// Since is when that began. It has not ended since.
	Since metav1.Time `json:"since"`
}

// OrdinalStart is where a cluster's ordinals start.
type OrdinalStart struct {
	Name  string `json:"name"`
	Start int32  `json:"start"`
}

// Exclusion names clusters that were left out for one reason.
type Exclusion struct {
	Reason   string   `json:"reason"`
	Clusters []string `json:"clusters"`
}

// Reasons of an Exclusion. A cluster that already has the object is never excluded for one of them: they keep new
// placements away and take nothing back.
const (
	ReasonNotReady   = "NotReady"   // the cluster's condition Ready is not True
	ReasonTainted    = "Tainted"    // the cluster has a NoSchedule or NoExecute taint that is not tolerated
	ReasonAPIMissing = "APIMissing" // the cluster is known not to serve the object's API group and version

	ReasonNotSelected = "NotSelected" // the policy does not select the cluster
	ReasonFull        = "Full"        // no replica fits into what is free there
	ReasonSpread      = "Spread"      // a spread constraint keeps the object out
	ReasonNotNeeded   = "NotNeeded"   // clusters that are preferred take everything
)

// ReasonNotFederated is the whole spec.reason of the decision on an object that is not, or no longer, federated. Such
// a decision has no clusters; it goes when the last copy is gone.
const ReasonNotFederated = "NotFederated"

// PlacementDecisionStatus is how the object fares in its clusters.
type PlacementDecisionStatus struct {
	// Conditions: Synced is True when every chosen cluster holds the object as decided.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Where is Clusters for a person to read, such as "gondor 3/3, rohan 2/3": with ready and decided replicas for kinds
	// that have some, "finished" for a Job's share that has ended, and the state where it is not Synced.
	// +optional
	Where string `json:"where,omitempty"`
	// Clusters is sorted by name. Clusters that were dropped stay in the list until their copy is gone.
	// +optional
	// +listType=map
	// +listMapKey=name
	Clusters []ClusterState `json:"clusters,omitempty"`
}

// ClusterState is how the object fares in one cluster.
type ClusterState struct {
	Name string `json:"name"`
	// State is one of the State constants.
	State string `json:"state"`
	// ReadyReplicas is what the member reports, for kinds with replicas.
	// +optional
	ReadyReplicas *int32 `json:"readyReplicas,omitempty"`
	// UnreadySince is since when fewer replicas are ready there than the cluster's share; absent while all of them are.
	// +optional
	UnreadySince *metav1.Time `json:"unreadySince,omitempty"`
	// Finished says that the cluster's share of a Job has ended there, as Complete or as Failed: it needs no pods any more.
	// +optional
	Finished bool `json:"finished,omitempty"`
	// UnschedulableReplicas is how many of the workload's pods the member's scheduler has found no node for, each for
	// longer than a minute (federation-apiserver --unschedulable-after). Absent where there are none, and where that is
	// not known. It speaks of the share that was in force at the observedGeneration of condition Synced.
	// +optional
	UnschedulableReplicas *int32 `json:"unschedulableReplicas,omitempty"`
	// Message explains a state other than Synced, and what to do.
	// +optional
	Message string `json:"message,omitempty"`
}

// Condition types of a PlacementDecision.
const (
	// DecisionSynced is True when every chosen cluster holds the object as decided. Its reason is one of the State
	// constants.
	DecisionSynced = "Synced"
	// DecisionPlaced is False while replicas are unplaced or the object is kept in a cluster only because no other can
	// take it; the message says what is missing. It is absent while all is well.
	DecisionPlaced = "Placed"
)

// Reasons of DecisionPlaced.
const (
	ReasonUnplaced     = "Unplaced"     // there are replicas that no cluster may take
	ReasonPolicyNotMet = "PolicyNotMet" // all replicas are placed, but not as the policy asks for
)

// States of an object in one cluster.
const (
	StateSynced      = "Synced"      // the member holds the object as decided
	StatePending     = "Pending"     // it is being written
	StateWaiting     = "Waiting"     // the member is offline, or its namespace is terminating: waits, no error
	StateConflict    = "Conflict"    // an object of this name is there that is not the federation's
	StateUnsupported = "Unsupported" // the member does not serve this kind
	StateForbidden   = "Forbidden"   // the federation's role in the member lacks a right
	StateRejected    = "Rejected"    // the member's API server refuses the object
	StateNotRendered = "NotRendered" // an override policy can't be applied: the copy stays as it is until that changes
	StateFailed      = "Failed"      // anything else; retried
	StateDeleting    = "Deleting"    // being removed there
)

// PlacementDecisionList is a list of PlacementDecisions.
//
// +kubebuilder:object:root=true
type PlacementDecisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PlacementDecision `json:"items"`
}

// DecisionKey is the namespace and name of an object's PlacementDecision: NAME.RESOURCE[.GROUP], such as
// "web.deployments.apps". A name that would not be a DNS subdomain of 253 octets (RFC 1123) is cut and ends in a hash.
func DecisionKey(group, resource, namespace, name string) types.NamespacedName {
	if namespace == "" {
		namespace = SystemNamespace
	}
	full := name + "." + resource
	if group != "" {
		full += "." + group
	}
	const limit = 253
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		}
		return '-'
	}, full)
	if clean != full || len(full) > limit {
		sum := sha256.Sum256([]byte(full))
		if len(clean) > limit-13 {
			clean = clean[:limit-13]
		}
		clean = strings.Trim(clean, "-.") + "-" + hex.EncodeToString(sum[:6])
	}
	return types.NamespacedName{Namespace: namespace, Name: clean}
}
