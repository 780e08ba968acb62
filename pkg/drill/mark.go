package drill

import (
	"slices"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Mark is what one Cluster is to carry, or not any more.
type Mark struct {
	Cluster string
	// Owner is the drill whose mark it is.
	Owner string
	// Drill is the annotation's value; empty takes the annotation away.
	Drill string
	// Drain adds the drill's own taint, else it is taken away.
	Drain bool
}

// Value of AnnotationDrill for a drill.
func Value(name, mode string) string { return name + "/" + mode }

// Marks says what has to change in clusters for a status that is stored. It is the same for the same status, whatever
// happened before: nothing that acts needs a memory.
func Marks(name, mode string, status *federation.FailoverDrillStatus, clusters []Cluster) []Mark {
	var marks []Mark
	failing := status.Phase == federation.DrillInjecting || status.Phase == federation.DrillRunning
	for i := range clusters {
		c := &clusters[i]
		target := slices.ContainsFunc(status.Clusters, func(t federation.DrillCluster) bool { return t.Name == c.Name })
		wanted := failing && target
		switch {
		case wanted && !marked(c, name, mode):
			marks = append(marks, Mark{Cluster: c.Name, Owner: name, Drill: Value(name, mode), Drain: mode == federation.DrillDrain})
		case !wanted && left(c, name, mode, target):
			marks = append(marks, Mark{Cluster: c.Name, Owner: name})
		}
	}
	return marks
}

// marked says that a cluster carries all that a drill puts on it.
func marked(c *Cluster, name, mode string) bool {
	return c.Mark == Value(name, mode) && (mode != federation.DrillDrain || c.Drained != nil)
}

// left says that something of a drill is on a cluster: its annotation, or its taint where someone took the annotation away.
func left(c *Cluster, name, mode string, target bool) bool {
	return c.Mark == Value(name, mode) || target && c.Mark == "" && mode == federation.DrillDrain && c.Drained != nil && *c.Drained == federation.DrillTaintValue
}
