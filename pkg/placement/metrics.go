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
	failoverSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubefed_failover_duration_seconds",
		Help:    "Time until the replicas of a workload that died with a cluster were ready elsewhere, from the cluster's verdict Down, and from when its API fell silent.",
		Buckets: prometheus.ExponentialBuckets(5, 2, 10),
	}, []string{"since"})
	movedWorkloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_failover_workloads_total",
		Help: "Workloads whose replicas have left a cluster, by reason: Down, Drained or Tainted.",
	}, []string{"reason"})
	waitingWorkloads = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kubefed_failover_waiting_count",
		Help: "Workloads that wait for the federation's budget to leave a cluster that is down.",
	})
)

func init() {
	metrics.Registry.MustRegister(decisionsTotal, decideSeconds, failoverSeconds, movedWorkloads, waitingWorkloads)
}
