package placement

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

// Decision is the spec of a PlacementDecision.
type Decision = federation.PlacementDecisionSpec

// Input is everything that a decision depends on.
type Input struct {
	Object Object
	// Policy is the policy in force, nil where none selects the object.
	Policy *policy.Propagation
	// Scope is what Policy says of each of Clusters, where the caller keeps it (Scopes). Its clusters must be these, but
	// for Reserved. Place works it out where it is nil or of another policy.
	Scope *Scope
	// Clusters are all Clusters of the federation, in any order.
	Clusters []Cluster
	// Current is the decision in force, nil where there is none. One on an object with another UID counts as none.
	Current *Decision
	// Copies is what is known of the object's copies in clusters, in any order.
	Copies []Copy
	// DownToleration is how long a cluster is Down before replicas move, where the policy does not say; nil for
	// DefaultDownToleration.
	DownToleration *time.Duration
	// Now is the time of the question.
	Now time.Time
	// Explain asks for Answer.Candidates.
	Explain bool
}

// Answer is what Place answers.
type Answer struct {
	Decision Decision
	// Wake is when the answer to the same question is another one, because a timer has run out; zero for never.
	Wake time.Time
	// Candidates say of every cluster why it has what it has, by name; only where Input.Explain asks for it.
	Candidates []Candidate
}

// Candidate is the record of one cluster in one decision.
type Candidate struct {
	Cluster string `json:"cluster"`
	// Group is the name of the policy's cluster group that selects the cluster.
	Group string `json:"group,omitempty"`
	// Out is the reason why the cluster takes nothing new (federation.Reason constants); empty where it may. Detail says
	// more, for a person: the taint, the selector, what is missing.
	Out    string `json:"out,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Weight, Min and Max are the policy's, Max nil for no limit. Fits is how many more replicas fit into what is free,
	// nil where that is unknown. Price is the price of one replica for one hour in Currency, which is empty where it is unknown. Spot is
	// the percentage of CPUs on spot machines.
	Weight   int32   `json:"weight"`
	Min      int32   `json:"min,omitempty"`
	Max      *int32  `json:"max,omitempty"`
	Fits     *int32  `json:"fits,omitempty"`
	Price    float64 `json:"price,omitempty"`
	Currency string  `json:"currency,omitempty"`
	Spot     int32   `json:"spot,omitempty"`
	// Has are the replicas by the current decision, Ready how many of them are ready, Target what the cluster is to have
	// in the end, Gets what the decision gives it now (they differ while replicas move). nil for what is copied whole.
	Has    *int32 `json:"has,omitempty"`
	Ready  *int32 `json:"ready,omitempty"`
	Target *int32 `json:"target,omitempty"`
	Gets   *int32 `json:"gets,omitempty"`
	// Holds and Given say of what is copied whole whether the cluster has it by the current decision, and by this one.
	Holds bool `json:"holds,omitempty"`
	Given bool `json:"given,omitempty"`
	// Timers that hold something back, such as "goes back to gondor at ... (stableFor)".
	Timers []Timer `json:"timers,omitempty"`
}

// Timer is what a decision waits for.
type Timer struct {
	What  string    `json:"what"`
	Until time.Time `json:"until"`
}

// Object is what is to be known of an object in order to place it.
type Object struct {
	Reference federation.ObjectReference
	// Unfederated objects go nowhere.
	Unfederated bool
	// Custom objects are of a kind that a CRD defines, which is federated beside them: what a cluster does not serve yet
	// it may serve in a moment.
	Custom bool
	// Divided objects have replicas that can be divided over clusters; others are copied whole.
	Divided bool
	// Divisible are those of them that are divided only where a policy says how (custom resources).
	Divisible bool
	// Replicas to divide; nil counts as 1, which is Kubernetes' own default.
	Replicas *int32
	// Completions of a Job, divided beside its parallelism; nil stays nil.
	Completions *int32
	// Ordered objects number their pods (StatefulSet), from FirstOrdinal.
	Ordered      bool
	FirstOrdinal int32
	// Request is what one replica requests: the effective request of its pod, "pods" included; nil where it has no pods.
	Request corev1.ResourceList
	// Traffic is what one replica sends and fetches, by the object's annotations.
	Traffic Traffic
	// Use says where an object runs that needs this one; nil for an object that nothing can need. The object goes there
	// as well. OnlyUse says that it goes nowhere else, unless a policy selects it (a Secret).
	Use     *Use
	OnlyUse bool
	// Disruptions are the disruption budgets that select its pods. Serving are clusters that are drained and whose addresses
	// clients may still hold from DNS: nothing leaves them yet.
	Disruptions []Disruption
	Serving     []string
	// Rebalance is the value of AnnotationRebalance.
	Rebalance string
	// Preferences and ClusterSelector are Federation v1's annotations, empty where there is none.
	Preferences, ClusterSelector string
}

// Traffic is what one replica sends and fetches, in GiB.
type Traffic struct {
	// EgressHour leaves its region in an hour, Fetch comes from where it was when it moves.
	EgressHour, Fetch float64
	// Invalid says which annotations can't be read, nil where all can.
	Invalid error
}

// Use is where the users of an object are that follows its users.
type Use struct {
	// Users counts them.
	Users int
	// Undecided says that not all users have a decision: the object stays where it is until they have.
	Undecided bool
	// Wanted are clusters in which users are to be, Leaving those in which copies of users are still to be removed.
	Wanted, Leaving []string
}

// Cluster is what is to be known of a cluster in order to place objects.
type Cluster struct {
	policy.Cluster
	// Ready says that its condition Ready is True. False includes unknown.
	Ready bool
	// Since is when Ready changed last.
	Since time.Time
	// Deleted clusters are about to leave the federation.
	Deleted bool
	// Taints are those that people set and those that follow from the verdict. Down says that one of them is for a cluster
	// that is down.
	Taints []corev1.Taint
	Down   bool
	// Confirmed says that others than the control plane see so, too. DownSince is when the taint was added, SilentSince when
	// its API fell silent; zero for unknown.
	Confirmed              bool
	DownSince, SilentSince time.Time
	// Held says, in a sentence, why nothing is to begin to move away from it for now; empty where it may.
	Held string
	// APIs are the group versions that it serves, nil for unknown.
	APIs map[string]bool
	// Free is what is free on groups of nodes, nil for unknown. What was placed a moment ago, and is not in it yet, is
	// Reserved.
	Free     []federation.FreeNodes
	Reserved corev1.ResourceList
	// Price is nil where it is unknown. EgressGiB is the price, in the same currency, of a GiB that leaves the region, nil for
	// unknown. Spot is the percentage of CPUs that are on spot machines.
	Price     *federation.Price
	EgressGiB *resource.Quantity
	Spot      int32
}

// Copy is what is known of an object's copy in one cluster.
type Copy struct {
	Cluster string
	// Synced says that the cluster holds the copy as decided.
	Synced bool
	// Ready replicas, as the member reported last; nil for unknown.
	Ready *int32
	// Unschedulable replicas have been so for a while.
	Unschedulable int32
	// UnreadySince is since when fewer replicas are ready than its share; zero while all are, or unknown.
	UnreadySince time.Time
	// Finished is a Job's share that is complete or has failed.
	Finished bool
	// Leaving copies are to be removed, and are still there.
	Leaving bool
}
