package drill

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/plan"
)

// Seen is what a step is decided on, beside the object itself.
type Seen struct {
	Clusters []Cluster
	// Isolated says, where it is not empty, that the control plane is cut off.
	Isolated string
	// Other is another drill that is under way.
	Other string
	// World is needed for the checks of phase Pending alone.
	World *plan.World
	// Services and Workloads are in the order of the spec.
	Services  []Service
	Workloads []Workload
	// Replicas are those in the clusters that fail, and elsewhere.
	Replicas Replicas
	// Resumed says that requests were interrupted because the process was started again.
	Resumed bool
}

// Cluster is what a drill looks at in a Cluster.
type Cluster struct {
	Name string
	// Ready is its condition; Why says why it is not.
	Ready bool
	Why   string
	// Verdict is its state, empty where there is none yet.
	Verdict string
	// Mark is its AnnotationDrill.
	Mark string
	// Drained is the value of its TaintDrain.
	Drained *string
	// Published says that DNS answers name it, for one of the measured Services or, where none is measured, for any object.
	Published bool
}

// healthy is how other clusters have to be, and how a target has to be before and after.
func (c *Cluster) healthy() bool {
	return c.Ready && c.Verdict != federation.VerdictUnreachable && c.Verdict != federation.VerdictDown
}

// ClusterOf reads a Cluster; published has the clusters that DNS answers name.
func ClusterOf(c *federation.Cluster, published map[string]bool) Cluster {
	seen := Cluster{Name: c.Name, Mark: c.Annotations[federation.AnnotationDrill], Published: published[c.Name], Why: "not probed yet"}
	if ready := meta.FindStatusCondition(c.Status.Conditions, federation.ClusterReady); ready != nil {
		seen.Ready, seen.Why = ready.Status == "True", strings.TrimSuffix(ready.Reason+": "+ready.Message, ": ")
	}
	if c.Status.Verdict != nil {
		seen.Verdict = c.Status.Verdict.State
		if seen.Ready && !seen.healthy() {
			seen.Why = "verdict " + seen.Verdict
		}
	}
	for _, t := range c.Spec.Taints {
		if t.Key == federation.TaintDrain && t.Effect == corev1.TaintEffectNoExecute {
			seen.Drained = &t.Value
		}
	}
	return seen
}

// Service is what a drill looks at in a Service that it asks.
type Service struct {
	// Key is NAMESPACE/NAME.
	Key string
	// Problem says why it can't be asked.
	Problem string
	// In are the clusters that DNS answers name, sorted.
	In []string
	// Result is what requests of this run met with so far.
	Result               federation.DrillServiceResult
	Recent, RecentFailed int64
}

// Workload is what a drill looks at in a workload of a guardrail.
type Workload struct {
	// Key is KIND NAMESPACE/NAME.
	Key     string
	Problem string
	// Ready replicas in clusters that have not failed.
	Ready int32
}

// Replicas count what is in the clusters that fail.
type Replicas struct {
	// Objects with replicas there, and those replicas.
	Objects, Failed int32
	// Ready replicas in all clusters, and in those that have not failed.
	Ready, ReadyElsewhere int32
	// NotFitting are unplaced and unschedulable.
	NotFitting int32
	// Moves is one entry for each object of the status's list or, before there is one, for the objects with most replicas there.
	// Elsewhere has the same order: ready replicas of the object in clusters that have not failed.
	Moves     []federation.DrillMove
	Elsewhere []int32
}

// active are the phases in which something may have to be taken back, or requests are sent.
func active(phase string) bool {
	switch phase {
	case federation.DrillMeasuring, federation.DrillInjecting, federation.DrillRunning, federation.DrillRestoring:
		return true
	}
	return false
}

// Active says whether a drill is under way.
func Active(d *federation.FailoverDrill) bool { return active(d.Status.Phase) }

// since is the time that has passed, never less than none: clocks step.
func since(now, then time.Time) time.Duration { return max(now.Sub(then), 0) }
