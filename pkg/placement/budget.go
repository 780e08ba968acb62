package placement

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// The federation's blast radius (Federation.spec.failover): how much may begin to move by itself. A failure that is seen
// from several places is let through; one that the control plane alone sees may be its own. What has begun goes on.

// Sentences for spec.missing.
const (
	heldPaused   = "waits: moves are paused (spec.failover.paused of the Federation)"
	heldClusters = "waits: as many clusters as spec.failover.maxClusters of the Federation allows are being left already, and nobody but the control plane sees that this one is down"
	heldRate     = "waits: as many workloads as spec.failover.maxWorkloadsPerMinute of the Federation allows begin to move, and nobody but the control plane sees that the cluster is down"
)

// Defaults of FailoverBounds.
var (
	defaultMaxClusters  = intstr.FromString("34%")
	defaultMaxWorkloads = intstr.FromString("20%")
)

const leastWorkloads = 10 // that a share of all workloads allows

// Hold says of clusters whether anything may begin to leave them now.
func Hold(bounds federation.FailoverBounds, clusters []Cluster) {
	var alone []*Cluster // down, as the control plane alone sees it
	for i := range clusters {
		c := &clusters[i]
		c.Held = ""
		switch {
		case bounds.Paused:
			c.Held = heldPaused
		case c.Down && !c.Confirmed:
			alone = append(alone, c)
		}
	}
	slices.SortFunc(alone, func(a, b *Cluster) int {
		return cmp.Or(a.DownSince.Compare(b.DownSince), strings.Compare(a.Name, b.Name))
	})
	for _, c := range alone[min(len(alone), maxClusters(bounds, len(clusters))):] {
		c.Held = heldClusters
	}
}

func maxClusters(bounds federation.FailoverBounds, clusters int) int {
	value := defaultMaxClusters
	if bounds.MaxClusters != nil {
		value = *bounds.MaxClusters
	}
	return atLeast(value, clusters, 1)
}

// WorkloadsPerMinute is how many workloads may begin to move in the first minute.
func WorkloadsPerMinute(bounds federation.FailoverBounds, workloads int) int {
	value := defaultMaxWorkloads
	if bounds.MaxWorkloadsPerMinute != nil {
		value = *bounds.MaxWorkloadsPerMinute
	}
	return atLeast(value, workloads, leastWorkloads)
}

// atLeast is a number as it is given, or a share of all, rounded up, and no less than least.
func atLeast(value intstr.IntOrString, all, least int) int {
	if value.Type == intstr.Int {
		return max(value.IntValue(), 0)
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, all, true)
	if err != nil || value.StrVal == "0%" {
		return 0
	}
	return max(n, least)
}

// confirmed says whether a cluster's failure is seen from more than one place. The API's silence and the traffic's are one
// place, the control plane; each witness is another, and so is the cloud. A drill, or a taint that a person set, needs none.
func confirmed(c *federation.Cluster) bool {
	if slices.ContainsFunc(c.Spec.Taints, isDown) {
		return true
	}
	if c.Status.Verdict == nil {
		return false
	}
	here, others := 0, 0
	for _, e := range c.Status.Verdict.Evidence {
		switch {
		case e.Says != federation.SaysDead:
		case e.Source == "Drill":
			return true
		case e.Source == "API" || e.Source == "Traffic":
			here = 1
		default:
			others++
		}
	}
	return here+others >= 2
}

// Pass is the budget of workloads that begin to move: so many in a minute, twice as many after each minute in which
// replacements became ready. The zero value is ready to use; not safe for concurrent use.
type Pass struct {
	minute          time.Time
	allowed         int
	begun, finished int
}

// Take asks for one more workload. base is what the first minute allows. wait is how long to wait where it says no.
func (p *Pass) Take(now time.Time, base int) (ok bool, wait time.Duration) {
	switch age := now.Sub(p.minute); {
	case age >= 2*time.Minute || age < 0:
		*p = Pass{minute: now, allowed: base}
	case age >= time.Minute:
		next := base
		if p.finished > 0 {
			next = max(2*p.allowed, base)
		}
		*p = Pass{minute: now, allowed: min(next, 1<<20)}
	}
	if p.begun >= p.allowed {
		return false, p.minute.Add(time.Minute).Sub(now)
	}
	p.begun++
	return true, 0
}

// Finish notes that the replacements of a workload are ready.
func (p *Pass) Finish() { p.finished++ }
