package endpoint

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"kubefed.dev/kubefed/pkg/dns"
)

var (
	endpointCount = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kubefed_endpoint_count",
		Help: "Federated Services, Ingresses and Gateways by cluster and the state of their endpoint there.",
	}, []string{"cluster", "state"})
	transitions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_endpoint_transitions_total",
		Help: "Changes of endpoints' states, by cluster and new state.",
	}, []string{"cluster", "state"})
	probeSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubefed_endpoint_probe_duration_seconds",
		Help:    "Time of one probe of an endpoint's address, by cluster and result.",
		Buckets: []float64{.001, .005, .025, .1, .25, .5, 1, 2, 5},
	}, []string{"cluster", "result"})
)

func init() { metrics.Registry.MustRegister(endpointCount, transitions, probeSeconds) }

// tally counts a change of state; empty is before it came and after it went.
func (c *Collector) tally(cluster string, was, now dns.State) {
	if was != "" {
		endpointCount.WithLabelValues(cluster, string(was)).Dec()
	}
	if now != "" {
		endpointCount.WithLabelValues(cluster, string(now)).Inc()
	}
	if was != "" && now != "" {
		transitions.WithLabelValues(cluster, string(now)).Inc()
	}
}

// forget drops what metrics say of a cluster that left.
func forget(cluster string) {
	labels := prometheus.Labels{"cluster": cluster}
	endpointCount.DeletePartialMatch(labels)
	transitions.DeletePartialMatch(labels)
	probeSeconds.DeletePartialMatch(labels)
}
