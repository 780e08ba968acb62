package placement

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Reasons of events on Clusters.
const (
	ReasonFailoverStarted   = "FailoverStarted"   // replicas began to move away from a cluster that is down
	ReasonFailoverCompleted = "FailoverCompleted" // all that could have been replaced
	ReasonDrainStarted      = "DrainStarted"      // replicas began to move away from a cluster that is drained
	ReasonDrainCompleted    = "DrainCompleted"
	ReasonBudgetHeld        = "BudgetHeld" // workloads wait for the federation's budget
)

// storm is from how many workloads on a cluster's events speak for those of all its objects.
const storm = 20

// failovers follows which workloads are leaving which clusters. It is a cache: after a restart it is filled by the first
// look at each object. The zero value is ready to use.
type failovers struct {
	mu       sync.Mutex
	clusters map[string]*departure
	waiting  map[Key]bool // for the budget
	pass     Pass
	counted  time.Time // when workloads were counted
	count    int
}

// departure is what is leaving one cluster.
type departure struct {
	reason    string
	began     time.Time
	leaving   map[Key]int32 // replicas that each workload had there
	workloads int           // that have left
	replicas  int32
}

// note is something to tell of a cluster.
type note struct {
	cluster, kind, reason, text string
}

// see takes a decision on an object into account, and returns what is to be told.
func (f *failovers) see(key Key, d *Decision, clusters []Cluster, now time.Time) (notes []note) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(d.Displaced) == 0 && len(f.clusters) == 0 {
		return nil
	}
	for i := range clusters {
		c := &clusters[i]
		share := displacedBefore(d, c.Name)
		moving := share != nil && share.Reason != federation.DisplacedUnhealthy && Repels(c)
		has := false
		for _, p := range d.Clusters {
			has = has || p.Name == c.Name && ptr.Deref(p.Replicas, 1) > 0
		}
		dep := f.clusters[c.Name]
		tracked := false
		if dep != nil {
			_, tracked = dep.leaving[key]
		}
		switch {
		case moving && has && !tracked:
			if dep == nil {
				dep = &departure{reason: share.Reason, began: now, leaving: map[Key]int32{}}
				if f.clusters == nil {
					f.clusters = map[string]*departure{}
				}
				f.clusters[c.Name] = dep
				notes = append(notes, dep.started(c.Name))
			}
			dep.leaving[key] = share.Replicas
		case tracked && !(moving && has):
			if moving { // it is gone from there, and replaced
				dep.workloads++
				dep.replicas += dep.leaving[key]
				f.pass.Finish()
				observeFailover(dep.reason, c, now)
			}
			if delete(dep.leaving, key); len(dep.leaving) == 0 {
				delete(f.clusters, c.Name)
				if dep.workloads > 0 {
					notes = append(notes, dep.completed(c.Name, now))
				}
			}
		}
	}
	return notes
}

// forget drops an object that is gone.
func (f *failovers) forget(key Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waiting, key)
	for name, dep := range f.clusters {
		if delete(dep.leaving, key); len(dep.leaving) == 0 {
			delete(f.clusters, name)
		}
	}
	waitingWorkloads.Set(float64(len(f.waiting)))
}

// storming says whether so many workloads move that each tells nothing of its own.
func (f *failovers) storming() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, dep := range f.clusters {
		if len(dep.leaving)+dep.workloads > storm {
			return true
		}
	}
	return false
}

// may asks the budget whether one more workload may begin to move. first says that it is the first one that may not.
func (f *failovers) may(key Key, now time.Time, base func() int) (ok, first bool, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.counted) > time.Minute {
		f.counted, f.count = now, base()
	}
	if ok, wait = f.pass.Take(now, f.count); ok {
		delete(f.waiting, key)
	} else {
		if f.waiting == nil {
			f.waiting = map[Key]bool{}
		}
		first = len(f.waiting) == 0
		f.waiting[key] = true
	}
	waitingWorkloads.Set(float64(len(f.waiting)))
	return ok, first, wait
}

func (d *departure) started(cluster string) note {
	if d.reason == federation.DisplacedDrained {
		return note{cluster, corev1.EventTypeNormal, ReasonDrainStarted, "replicas move away: the cluster is drained"}
	}
	return note{cluster, corev1.EventTypeWarning, ReasonFailoverStarted, "replicas move away: the cluster is down, or tainted NoExecute"}
}

func (d *departure) completed(cluster string, now time.Time) note {
	text := fmt.Sprintf("%d workloads with %d replicas run elsewhere, %s after the first began to move", d.workloads, d.replicas, now.Sub(d.began).Round(time.Second))
	if d.reason == federation.DisplacedDrained {
		return note{cluster, corev1.EventTypeNormal, ReasonDrainCompleted, text}
	}
	return note{cluster, corev1.EventTypeNormal, ReasonFailoverCompleted, text}
}

// observeFailover measures how long a workload was short of what died with a cluster.
func observeFailover(reason string, c *Cluster, now time.Time) {
	movedWorkloads.WithLabelValues(reason).Inc()
	if reason != federation.DisplacedDown {
		return
	}
	if !c.DownSince.IsZero() {
		failoverSeconds.WithLabelValues("verdict").Observe(now.Sub(c.DownSince).Seconds())
	}
	if !c.SilentSince.IsZero() {
		failoverSeconds.WithLabelValues("silence").Observe(now.Sub(c.SilentSince).Seconds())
	}
}

// Begins lists the clusters that a decision begins to leave though only the control plane takes them for dead.
func Begins(before, after *Decision, clusters []Cluster) (alone []string) {
	for i := range clusters {
		c := &clusters[i]
		if c.Down && !c.Confirmed && displacedBefore(after, c.Name) != nil && displacedBefore(before, c.Name) == nil {
			alone = append(alone, c.Name)
		}
	}
	return alone
}

// workloads counts the objects whose replicas are divided.
func (c *Controller) workloads(ctx context.Context) int {
	var all federation.PlacementDecisionList
	if err := c.cache.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return 0
	}
	n := 0
	for i := range all.Items {
		if d := &all.Items[i].Spec; len(d.Clusters) > 0 && d.Clusters[0].Replicas != nil {
			n++
		}
	}
	return n
}

// report tells notes as events on Clusters.
func (c *Controller) report(ctx context.Context, notes []note) {
	for _, n := range notes {
		var cluster federation.Cluster
		if err := c.cache.Get(ctx, types.NamespacedName{Name: n.cluster}, &cluster); err != nil {
			continue // it has left
		}
		c.events.Eventf(&cluster, nil, n.kind, n.reason, "Failover", "%s", n.text)
	}
}
