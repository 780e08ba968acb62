package drill

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

var (
	runsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_drill_runs_total",
		Help: "Runs of FailoverDrills that are over, by result.",
	}, []string{"result"})
	recoverySeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubefed_drill_recovery_seconds",
		Help:    "Time from a rehearsed failure to the last failed request to a Service, by mode.",
		Buckets: []float64{0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 120, 300},
	}, []string{"mode"})
)

func init() { metrics.Registry.MustRegister(runsTotal, recoverySeconds) }

// tell tells of what is new in a status that was stored.
func (c *Controller) tell(d, before *federation.FailoverDrill) {
	for _, e := range News(before.Status.Timeline, d.Status.Timeline) {
		kind := corev1.EventTypeNormal
		switch e.Event {
		case federation.DrillEventGuardrail, federation.DrillEventNotBack, federation.DrillEventUnexecuted, federation.DrillEventRefused, federation.DrillEventAborted:
			kind = corev1.EventTypeWarning
		}
		c.events.Eventf(d, nil, kind, e.Event, "Drill", "%s", strings.TrimSpace(strings.TrimPrefix(e.Cluster+e.Service+": ", ": ")+e.Message))
	}
	if len(d.Status.History) == 0 || len(before.Status.History) > 0 && before.Status.History[0].Run == d.Status.History[0].Run {
		return
	}
	runsTotal.WithLabelValues(d.Status.History[0].Result).Inc()
	for _, s := range d.Status.Services {
		if s.RecoveryTime != nil {
			recoverySeconds.WithLabelValues(d.Spec.Mode).Observe(s.RecoveryTime.Seconds())
		}
	}
}

// News are the events of a timeline that an older one has not.
func News(before, after []federation.DrillEvent) []federation.DrillEvent {
	seen := map[federation.DrillEvent]bool{}
	key := func(e federation.DrillEvent) federation.DrillEvent {
		e.Time.Time = e.Time.UTC().Truncate(1000) // as it is stored
		return e
	}
	for _, e := range before {
		seen[key(e)] = true
	}
	var news []federation.DrillEvent
	for _, e := range after {
		if !seen[key(e)] {
			news = append(news, e)
		}
	}
	return news
}
