package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// PropagationPolicy says to which clusters objects of its namespace go, and how their replicas are divided and moved.
//
// Of the policies that select an object one is in force, the most specific one; the object's PlacementDecision names
// it: a PropagationPolicy goes before a ClusterPropagationPolicy, a selector with a name before one with labels before
// one with a kind only before one without, then the older policy, then the name that sorts first. An object whose
// policy was deleted stays where it is until a policy selects it or it is rebalanced.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=pp
// +kubebuilder:printcolumn:name="Division",type=string,JSONPath=`.spec.replicaDivision.mode`
// +kubebuilder:printcolumn:name="Strategy",type=string,JSONPath=`.spec.replicaDivision.strategy`
// +kubebuilder:printcolumn:name="Groups",type=string,JSONPath=`.spec.clusterGroups[*].name`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PropagationPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec PropagationPolicySpec `json:"spec"`
}

// PropagationPolicySpec is a selection and a rule.
type PropagationPolicySpec struct {
	// ResourceSelectors say which objects the policy is for: those that any of them matches. Secrets only those with a
	// kind match: without a policy of their own Secrets go only where something uses them.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ResourceSelectors []ResourceSelector `json:"resourceSelectors"`

	Propagation `json:",inline"`
}

// ClusterPropagationPolicy is a PropagationPolicy for objects of all namespaces and for cluster-scoped objects.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=cpp
// +kubebuilder:printcolumn:name="Division",type=string,JSONPath=`.spec.replicaDivision.mode`
// +kubebuilder:printcolumn:name="Strategy",type=string,JSONPath=`.spec.replicaDivision.strategy`
// +kubebuilder:printcolumn:name="Groups",type=string,JSONPath=`.spec.clusterGroups[*].name`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterPropagationPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ClusterPropagationPolicySpec `json:"spec"`
}

// ClusterPropagationPolicySpec is a selection and a rule.
type ClusterPropagationPolicySpec struct {
	// ResourceSelectors say which objects the policy is for: those that any of them matches. Secrets only those with a
	// kind match: without a policy of their own Secrets go only where something uses them.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ResourceSelectors []ScopedResourceSelector `json:"resourceSelectors"`

	Propagation `json:",inline"`
}

// Propagation is the rule of a policy. The empty rule is Federation v1's: every ready cluster, replicas divided evenly.
type Propagation struct {
	// ClusterGroups are where the objects may go, the preferred group first. Replicas go to a later group only as far as
	// the earlier ones can't take them (full, down, at their maximum), and go back when those are well again, as moves
	// says. An object without replicas goes to all clusters of the first group that has a usable one. A cluster belongs
	// to the first group that selects it. Absent: one group of all clusters.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	ClusterGroups []ClusterGroup `json:"clusterGroups,omitempty"`
	// Tolerations let objects go to clusters with these taints, with Kubernetes' meaning for pods: a NoSchedule taint
	// keeps new placements away, NoExecute takes what is there away too, after tolerationSeconds where that is given.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// TopologySpreadConstraints spread replicas (of an object without replicas: its copies) over domains, with
	// Kubernetes' meaning for pods. All of them hold together.
	// +optional
	// +listType=map
	// +listMapKey=topologyKey
	// +kubebuilder:validation:MaxItems=8
	TopologySpreadConstraints []TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	// ReplicaDivision says how replicas are divided over clusters.
	// +optional
	ReplicaDivision *ReplicaDivision `json:"replicaDivision,omitempty"`
	// Moves bounds how replicas move between clusters.
	// +optional
	Moves *Moves `json:"moves,omitempty"`
	// DNS says how the names of the selected Services, Ingresses and Gateways answer. Annotations on an object win over it.
	// +optional
	DNS *DNSSettings `json:"dns,omitempty"`
}

// ClusterGroup is one step of an ordered preference.
type ClusterGroup struct {
	// Name appears in reasons and tables.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	ClusterSelector `json:",inline"`
}

// TopologySpreadConstraint bounds how unevenly replicas may be spread.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minDomains) || !has(self.maxDomains) || self.minDomains <= self.maxDomains",message="minDomains must not be greater than maxDomains"
// +kubebuilder:validation:XValidation:rule="has(self.maxSkew) || has(self.minDomains) || has(self.maxDomains)",message="a constraint needs maxSkew, minDomains or maxDomains"
type TopologySpreadConstraint struct {
	// TopologyKey is "cluster", "provider", "region", "zone" or a label of Clusters. Clusters without a value for it take
	// nothing. A cluster of several zones is a zone domain of its own: within it the member spreads.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	TopologyKey string `json:"topologyKey"`
	// MaxSkew is how many more replicas one domain may have than another one that could take some.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxSkew *int32 `json:"maxSkew,omitempty"`
	// MinDomains is over how many domains replicas are spread at least.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinDomains *int32 `json:"minDomains,omitempty"`
	// MaxDomains is over how many domains replicas are spread at most.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxDomains *int32 `json:"maxDomains,omitempty"`
	// WhenUnsatisfiable says what goes before: DoNotSchedule leaves replicas unplaced rather than to break the
	// constraint, ScheduleAnyway places them as evenly as can be.
	// +optional
	// +kubebuilder:default=DoNotSchedule
	// +kubebuilder:validation:Enum=DoNotSchedule;ScheduleAnyway
	WhenUnsatisfiable corev1.UnsatisfiableConstraintAction `json:"whenUnsatisfiable,omitempty"`
}

// TopologyCluster is the topology key by which every cluster is a domain of its own.
const TopologyCluster = "cluster"

// ReplicaDivision says how the replicas of Deployments, ReplicaSets, StatefulSets, Jobs, and of custom resources with a
// scale subresource, are divided over clusters.
//
// +kubebuilder:validation:XValidation:rule="!has(self.price) || has(self.strategy) && self.strategy == 'Price'",message="price goes with strategy Price"
// +kubebuilder:validation:XValidation:rule="!has(self.price) || !(has(self.price.minSavings) || has(self.price.stableFor) || has(self.price.overlap)) || has(self.rebalance) && self.rebalance",message="price.minSavings, price.stableFor and price.overlap are for replicas that follow prices: set rebalance to true"
type ReplicaDivision struct {
	// Mode is Divided (the clusters' shares add up to the object's replicas) or Duplicated (each cluster has them all).
	// +optional
	// +kubebuilder:default=Divided
	// +kubebuilder:validation:Enum=Divided;Duplicated
	Mode string `json:"mode,omitempty"`
	// Strategy is how shares are found:
	// Weighted: in proportion to the weights of Clusters, evenly where there are none.
	// FreeCapacity: in proportion to how many replicas still fit.
	// Packed: as few clusters as can take them all.
	// Price: where a replica costs least by the prices of Clusters (spec.price, else status.price).
	// +optional
	// +kubebuilder:default=Weighted
	// +kubebuilder:validation:Enum=Weighted;FreeCapacity;Packed;Price
	Strategy string `json:"strategy,omitempty"`
	// Clusters are weights and bounds. The first entry that selects a cluster counts; a cluster that none selects takes
	// no replicas, unless the list is empty.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Clusters []ReplicaRule `json:"clusters,omitempty"`
	// Rebalance moves running replicas whenever the shares by Strategy change. By default only new replicas follow the
	// strategy, and nothing moves without need; "kubefed rebalance" does it once.
	// +optional
	Rebalance bool `json:"rebalance,omitempty"`
	// Price bounds what strategy Price does.
	// +optional
	Price *PriceDivision `json:"price,omitempty"`
}

// PriceDivision bounds how replicas go where they cost least, and how they follow prices. Nothing is compared whose price is
// not known, or is in another currency.
type PriceDivision struct {
	// MaxSpot is how many of the object's replicas may be on spot machines, a percentage. A replica counts by how much of its
	// cluster is on spot: 4 replicas in a cluster with 50% of its CPUs on spot count as 2. It is a wall, as maxReplicas is.
	// +optional
	// +kubebuilder:validation:Pattern=`^(100|[1-9]?[0-9])%$`
	MaxSpot string `json:"maxSpot,omitempty"`
	// MinSavings is how much less a running replica must cost elsewhere in order to move there, a percentage of what it costs.
	// What the move itself costs is taken off first, by what is saved in as long a time as stableFor, or in an hour where that
	// is shorter: the replica runs twice during overlap, and fetches what AnnotationFetch says from where it was. Default 10%.
	// +optional
	// +kubebuilder:validation:Pattern=`^(100|[1-9]?[0-9])%$`
	MinSavings string `json:"minSavings,omitempty"`
	// StableFor is how long a cluster must have been so much cheaper, without a break, before running replicas move there.
	// Default 30m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="stableFor must be a duration such as 90s or 1h30m"
	StableFor *metav1.Duration `json:"stableFor,omitempty"`
	// Overlap is for how long a replica that moves runs in both clusters, until the new one is ready and the old one has gone.
	// Default 2m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="overlap must be a duration such as 90s or 1h30m"
	Overlap *metav1.Duration `json:"overlap,omitempty"`
}

// Modes and strategies of a ReplicaDivision.
const (
	DivisionDivided    = "Divided"
	DivisionDuplicated = "Duplicated"

	StrategyWeighted     = "Weighted"
	StrategyFreeCapacity = "FreeCapacity"
	StrategyPacked       = "Packed"
	StrategyPrice        = "Price"
)

// ReplicaRule is the weight and the bounds of some clusters, for each of them.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be greater than maxReplicas"
type ReplicaRule struct {
	ClusterSelector `json:",inline"`
	// Weight of each of these clusters; 0 takes replicas only to reach MinReplicas.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Weight *int32 `json:"weight,omitempty"`
	// MinReplicas go to each of these clusters first, as far as there are replicas and the cluster can take them.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MinReplicas *int32 `json:"minReplicas,omitempty"`
	// MaxReplicas of each of these clusters; absent for no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
}

// Moves bounds how running replicas move between clusters. A replica moves by make before break: the new one is ready
// before the old one goes.
type Moves struct {
	// StableFor is how long a cluster of a better group has to be well before replicas go back to it. Default 5m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="stableFor must be a duration such as 90s or 1h30m"
	StableFor *metav1.Duration `json:"stableFor,omitempty"`
	// MinimumStay is how long replicas stay where they went before they go back to a better group. Default 10m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="minimumStay must be a duration such as 90s or 1h30m"
	MinimumStay *metav1.Duration `json:"minimumStay,omitempty"`
	// MaxMoving is how many replicas move at a time, a number or a percentage of the object's replicas, rounded up.
	// Default 25%.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",message="maxMoving must be at least 1, or a percentage from 1% to 100%"
	MaxMoving *intstr.IntOrString `json:"maxMoving,omitempty"`
	// MaxUnavailable is how many replicas may be missing while others move, a number or a percentage of the object's
	// replicas, rounded down. Default 0.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^([0-9][0-9]?|100)%$')",message="maxUnavailable must be at least 0, or a percentage from 0% to 100%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// UnhealthyAfter moves replicas away from a cluster in which they have not become ready for so long, while others of the
	// workload are ready elsewhere. Absent: they stay.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="unhealthyAfter must be a duration such as 90s or 1h30m"
	UnhealthyAfter *metav1.Duration `json:"unhealthyAfter,omitempty"`
}

// PropagationPolicyList is a list of PropagationPolicies.
//
// +kubebuilder:object:root=true
type PropagationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PropagationPolicy `json:"items"`
}

// ClusterPropagationPolicyList is a list of ClusterPropagationPolicies.
//
// +kubebuilder:object:root=true
type ClusterPropagationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterPropagationPolicy `json:"items"`
}
