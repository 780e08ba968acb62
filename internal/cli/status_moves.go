package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// movesStatus is what is on its way between clusters.
type movesStatus struct {
	// Paused says that the Federation's spec.failover.paused keeps moves from beginning.
	Paused bool `json:"paused,omitempty"`
	// Objects whose replicas are on their way, and of them those that wait for something, by what it is.
	Objects int            `json:"objects"`
	Waiting []waitStatus   `json:"waiting"`
	Away    []clusterMoves `json:"away"`
}

type waitStatus struct {
	For     string `json:"for"`
	Objects int    `json:"objects"`
}

// clusterMoves is what one cluster gave away and has not got back.
type clusterMoves struct {
	Cluster string `json:"cluster"`
	Reason  string `json:"reason"`
	// Objects and Replicas that it had; Left are those replicas that are still to leave.
	Objects  int   `json:"objects"`
	Replicas int32 `json:"replicas"`
	Left     int32 `json:"left"`
}

// add counts a decision.
func (m *movesStatus) add(d *federation.PlacementDecisionSpec) {
	if d.Moving {
		m.Objects++
	}
	if what, waits := strings.CutPrefix(d.Missing, "waits"); waits {
		what = strings.TrimPrefix(strings.TrimPrefix(what, ":"), " ")
		i := slices.IndexFunc(m.Waiting, func(w waitStatus) bool { return w.For == what })
		if i < 0 {
			m.Waiting, i = append(m.Waiting, waitStatus{For: what}), len(m.Waiting)
		}
		m.Waiting[i].Objects++
	}
	for _, s := range d.Displaced {
		i := slices.IndexFunc(m.Away, func(c clusterMoves) bool { return c.Cluster == s.Name && c.Reason == s.Reason })
		if i < 0 {
			m.Away, i = append(m.Away, clusterMoves{Cluster: s.Name, Reason: s.Reason}), len(m.Away)
		}
		m.Away[i].Objects++
		m.Away[i].Replicas += s.Replicas
		for _, p := range d.Clusters {
			if p.Name == s.Name {
				m.Away[i].Left += ptr.Deref(p.Replicas, 0)
			}
		}
	}
}

func (m *movesStatus) sort() {
	slices.SortFunc(m.Away, func(a, b clusterMoves) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Reason, b.Reason))
	})
	slices.SortFunc(m.Waiting, func(a, b waitStatus) int { return strings.Compare(a.For, b.For) })
}

func printMoves(out io.Writer, m movesStatus) {
	if m.Paused {
		fmt.Fprintf(out, "\nMoves are PAUSED: spec.failover.paused of the Federation\n")
	}
	if m.Objects+len(m.Waiting)+len(m.Away) == 0 {
		return
	}
	fmt.Fprintf(out, "\nMoves: replicas of %d objects are on their way\n", m.Objects)
	for _, w := range m.Waiting {
		fmt.Fprintf(out, "  %d objects wait: %s\n", w.Objects, w.For)
	}
	if len(m.Away) == 0 {
		return
	}
	table(out, "FROM", "BECAUSE", "OBJECTS", "REPLICAS", "STILL THERE")(func(row func(...string)) {
		for _, c := range m.Away {
			row(c.Cluster, c.Reason, fmt.Sprint(c.Objects), fmt.Sprint(c.Replicas), count(c.Left))
		}
	})
}

// marksOf are what people and drills have done to a cluster: "cordoned", "draining", "drill NAME/MODE".
func marksOf(c *federation.Cluster) (marks []string) {
	for _, t := range c.Spec.Taints {
		switch {
		case t.Key == federation.TaintCordoned:
			marks = append(marks, "cordoned")
		case t.Key == federation.TaintDrain && t.Effect == corev1.TaintEffectNoExecute && t.Value == "":
			marks = append(marks, "drained")
		}
	}
	if drill := c.Annotations[federation.AnnotationDrill]; drill != "" {
		marks = append(marks, "drill "+drill)
	}
	return marks
}
