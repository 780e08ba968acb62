package drill

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// timelineLimit bounds the timeline; the last lines are kept for how a drill ends.
const (
	timelineLimit = 100
	timelineTail  = 15
)

// event adds a line to the timeline, in the order of time.
func (s *step) event(e federation.DrillEvent) {
	if e.Time.IsZero() {
		e.Time = *s.micro()
	}
	passing := e.Event == federation.DrillEventVerdict || e.Event == federation.DrillEventFailing || e.Event == federation.DrillEventRecovered
	if n := len(s.status.Timeline); n >= timelineLimit || passing && n >= timelineLimit-timelineTail {
		return
	}
	s.status.Timeline = append(s.status.Timeline, e)
	slices.SortStableFunc(s.status.Timeline, func(a, b federation.DrillEvent) int { return a.Time.Compare(b.Time.Time) })
}

// observe writes down what happens by itself while something fails.
func (s *step) observe() {
	s.measure()
	for i := range s.status.Clusters {
		s.observeCluster(&s.status.Clusters[i])
	}
	if s.status.Times.Injected == nil {
		return
	}
	s.observeDNS()
	s.observeReplicas()
}

func (s *step) observeCluster(t *federation.DrillCluster) {
	c := s.cluster(t.Name)
	if c.Name == "" {
		return
	}
	injected := s.status.Times.Injected != nil
	if injected && !t.Detected && !c.healthy() {
		t.Detected = true
		s.event(federation.DrillEvent{Event: federation.DrillEventDetected, Cluster: t.Name, Message: c.Why})
	}
	if c.Verdict != t.Verdict {
		t.Verdict = c.Verdict
		s.event(federation.DrillEvent{Event: federation.DrillEventVerdict, Cluster: t.Name, Message: c.Verdict})
	}
	if s.status.Phase == federation.DrillRestoring && t.Detected && !t.Returned && c.healthy() {
		t.Returned = true
		s.event(federation.DrillEvent{Event: federation.DrillEventReturned, Cluster: t.Name})
	}
}

func (s *step) observeDNS() {
	failing := s.status.Phase != federation.DrillRestoring
	all, any := true, false
	for i := range s.status.Clusters {
		t := &s.status.Clusters[i]
		if !t.Published {
			continue
		}
		any = true
		named := s.cluster(t.Name).Published
		switch {
		case failing && !t.Withdrawn && !named:
			t.Withdrawn = true
			s.event(federation.DrillEvent{Event: federation.DrillEventWithdrawn, Cluster: t.Name})
		case t.Withdrawn && named:
			t.Withdrawn = false
			s.event(federation.DrillEvent{Event: federation.DrillEventDNSBack, Cluster: t.Name})
		}
		all = all && t.Withdrawn
	}
	if any && all && failing && s.status.Times.Withdrawn == nil {
		s.status.Times.Withdrawn = s.micro()
	}
}

func (s *step) observeReplicas() {
	r, before := &s.seen.Replicas, s.status.Before
	s.status.Moved = max(s.status.Moved, before.Replicas-r.Failed)
	s.status.NotFitting = max(s.status.NotFitting, r.NotFitting-before.NotFitting)
	ready := before.Replicas > 0
	if int(before.Objects) > len(s.status.Moves) {
		ready = ready && r.ReadyElsewhere >= before.Ready
	}
	for i := range s.status.Moves {
		move := &s.status.Moves[i]
		if i < len(r.Moves) && r.Moves[i].Name == move.Name {
			move.Moved, move.NotFitting = max(move.Moved, move.Lost-r.Moves[i].Lost), max(move.NotFitting, r.Moves[i].NotFitting)
			ready = ready && r.Elsewhere[i] >= move.Ready
		}
	}
	if ready && s.status.Times.Replaced == nil && s.status.Phase == federation.DrillRunning {
		s.status.Times.Replaced = s.micro()
		s.event(federation.DrillEvent{Event: federation.DrillEventReplaced})
	}
}

// measure takes over what requests met with, and tells when Services begin and cease to fail.
func (s *step) measure() {
	results := make([]federation.DrillServiceResult, 0, len(s.seen.Services))
	for i := range s.seen.Services {
		service := &s.seen.Services[i]
		r := service.Result
		r.Namespace, r.Name = s.spec.Services[i].Namespace, s.spec.Services[i].Name
		if i < len(s.status.Services) {
			r.Failing, r.RecoveryTime = s.status.Services[i].Failing, s.status.Services[i].RecoveryTime
		}
		s.measureOne(service.Key, &r)
		results = append(results, r)
	}
	s.status.Services = results
}

func (s *step) measureOne(key string, r *federation.DrillServiceResult) {
	if injected := s.status.Times.Injected; injected != nil && s.status.Times.Restoring == nil {
		recovery := metav1.Duration{}
		if r.LastFailure != nil && r.LastFailure.After(injected.Time) {
			recovery.Duration = r.LastFailure.Sub(injected.Time).Round(time.Millisecond)
		}
		r.RecoveryTime = &recovery
	}
	fails := r.LastFailure != nil && since(s.now, r.LastFailure.Time) < quiet
	switch {
	case fails && !r.Failing:
		e := federation.DrillEvent{Event: federation.DrillEventFailing, Service: key, Message: r.LastError, Time: *r.LastFailure}
		if n := len(r.Outages); n > 0 {
			e.Time = r.Outages[n-1].From
		}
		s.event(e)
	case !fails && r.Failing:
		s.event(federation.DrillEvent{Event: federation.DrillEventRecovered, Service: key, Time: *r.LastFailure})
	}
	r.Failing = fails
}
