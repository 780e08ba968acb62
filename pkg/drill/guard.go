package drill

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const (
	defaultDuration = 5 * time.Minute
	defaultWindow   = 10 * time.Second
	// leastRequests of a window before a share of them says anything.
	leastRequests = 5
)

// guardrail says which guardrail is broken; empty for none.
func guardrail(spec *federation.FailoverDrillSpec, status *federation.FailoverDrillStatus, seen *Seen, now time.Time) string {
	g := &spec.Guardrails
	if seen.Isolated != "" {
		return "the control plane takes itself to be cut off: " + seen.Isolated
	}
	for i := range seen.Clusters {
		c := &seen.Clusters[i]
		target := slices.ContainsFunc(status.Clusters, func(t federation.DrillCluster) bool { return t.Name == c.Name })
		if !target && !c.healthy() && !g.IgnoreOtherClusters {
			return fmt.Sprintf("cluster %s, which is no target, is not healthy: %s", c.Name, c.Why)
		}
	}
	if g.MinAvailability != nil {
		for i := range seen.Services {
			s := &seen.Services[i]
			if s.Recent >= leastRequests && (s.Recent-s.RecentFailed)*100 < s.Recent*int64(*g.MinAvailability) {
				return fmt.Sprintf("Service %s: %d of the %d latest requests failed, at least %d%% have to succeed", s.Key, s.RecentFailed, s.Recent, *g.MinAvailability)
			}
		}
	}
	for i := range seen.Workloads {
		w, least := &seen.Workloads[i], g.Workloads[i].MinReady
		if w.Problem == "" && w.Ready < least {
			return fmt.Sprintf("%s has %d ready replicas, needs %d", w.Key, w.Ready, least)
		}
	}
	if g.MaxMoved != nil && status.Moved > *g.MaxMoved {
		return fmt.Sprintf("%d replicas have moved, at most %d may", status.Moved, *g.MaxMoved)
	}
	if g.MaxDuration != nil && status.Times.Injecting != nil && since(now, status.Times.Injecting.Time) > g.MaxDuration.Duration {
		return fmt.Sprintf("it takes longer than %s", g.MaxDuration.Duration)
	}
	return ""
}

// Window over which the availability is taken.
func Window(spec *federation.FailoverDrillSpec) time.Duration {
	if w := spec.Guardrails.AvailabilityWindow; w != nil {
		return w.Duration
	}
	return defaultWindow
}

func durationOf(spec *federation.FailoverDrillSpec) time.Duration {
	if spec.Duration != nil {
		return spec.Duration.Duration
	}
	return defaultDuration
}

// answers says whether a Service answers well enough to begin.
func answers(spec *federation.FailoverDrillSpec, s *Service) bool {
	least := int64(ptr.Deref(spec.Guardrails.MinAvailability, 90))
	return s.Recent > 0 && (s.Recent-s.RecentFailed)*100 >= s.Recent*least
}
