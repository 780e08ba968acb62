package dns

import (
	"fmt"
	"slices"
)

// brakePercent is the share of the federation's endpoints that may leave DNS on the evidence of reachability alone.
const brakePercent = 34

// Suspicion says that the federation's own eyes are in doubt.
type Suspicion struct {
	// Clusters are those whose endpoints would leave.
	Clusters []string
	// Endpoints would leave, of Of.
	Endpoints, Of int
	// Confirm is how an operator says that they are gone; empty where there is no way.
	Confirm string
}

// String is a message for a condition.
func (s Suspicion) String() string {
	message := fmt.Sprintf("%d of %d endpoints, in %d clusters, do not answer, and nothing but reachability from here says so: they stay published. "+
		"Check the network of the control plane", s.Endpoints, s.Of, len(s.Clusters))
	if s.Confirm != "" {
		message += ". If they are gone, drain or delete the clusters, or confirm it: " + s.Confirm
	}
	return message
}

// Brake holds back removals when too many endpoints vanish at once from the view of the control plane alone: more than one
// cluster and more than 34 % of the endpoints. Then those in doubt become Unknown, which keeps what is published, and
// answers get a short TTL. Additions are never held back. Endpoints that left in doubt before count as long as they are in
// doubt, so that clusters which vanish one after the other do not get past it.
func Brake(subjects []Subject) ([]Subject, *Suspicion) {
	var s Suspicion
	inDoubt := func(e Endpoint) bool {
		return e.Doubtful && (e.State == Unhealthy || e.State == Unknown) && len(e.Addresses) > 0
	}
	for _, subject := range subjects {
		for _, e := range subject.Endpoints {
			switch {
			case inDoubt(e):
				s.Endpoints++
				s.Of++
				if !slices.Contains(s.Clusters, e.Cluster) {
					s.Clusters = append(s.Clusters, e.Cluster)
				}
			case len(e.Addresses) > 0 && e.State != Unhealthy:
				s.Of++
			}
		}
	}
	if len(s.Clusters) <= 1 || s.Endpoints*100 <= brakePercent*s.Of {
		return subjects, nil
	}
	slices.Sort(s.Clusters)
	held := slices.Clone(subjects)
	for i := range held {
		if !slices.ContainsFunc(held[i].Endpoints, inDoubt) {
			continue
		}
		held[i].Urgent = true
		held[i].Endpoints = slices.Clone(held[i].Endpoints)
		for j, e := range held[i].Endpoints {
			if inDoubt(e) {
				held[i].Endpoints[j].State = Unknown
			}
		}
	}
	return held, &s
}
