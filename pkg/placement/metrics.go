package placement

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Results of deciding on an object once.
const (
	resultCreated   = "created"
	resultChanged   = "changed"
	resultUnchanged = "unchanged"
	resultDeferred  = "deferred" // in spans alone: nothing was decided yet
)

var (
	decisionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_placement_decisions_total",
		Help: "Decisions made, by what became of them: created and changed cost one write each, unchanged costs none.",
	}, []string{"result"})
	decideSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "kubefed_placement_decide_duration_seconds",
		Help:    "Time to decide on one object from caches, without the write.",
		Buckets: prometheus.ExponentialBuckets(10e-6, 4, 9),
	})
)

func init() { metrics.Registry.MustRegister(decisionsTotal, decideSeconds) }
