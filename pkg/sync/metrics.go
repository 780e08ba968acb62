package sync

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	propagation = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubefed_sync_propagation_seconds",
		Help:    "Time from a user's write, as the control plane saw it, to its presence in a member.",
		Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
	}, []string{"cluster"})
	memberWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_sync_member_writes_total",
		Help: "Writes sent to members, by verb and resulting state.",
	}, []string{"cluster", "verb", "state"})
	controlPlaneWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_sync_federation_writes_total",
		Help: "Writes of pkg/sync to the federation API, by what was written.",
	}, []string{"target"})
)

func init() { metrics.Registry.MustRegister(propagation, memberWrites, controlPlaneWrites) }
