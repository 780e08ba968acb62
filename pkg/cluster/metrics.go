package cluster

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	probeSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubefed_cluster_probe_duration_seconds",
		Help:    "Time of one probe of a member's API server, by its answer.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 5},
	}, []string{"cluster", "answer"})
	clusterReady = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kubefed_cluster_ready",
		Help: "1 while the cluster's condition Ready is True, else 0.",
	}, []string{"cluster"})
	clusterVerdict = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kubefed_cluster_verdict_info",
		Help: "1 for the verdict in force on the cluster: Ready, Degraded, Unreachable or Down.",
	}, []string{"cluster", "verdict"})
	verdictSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubefed_cluster_time_to_verdict_seconds",
		Help:    "Time from a member's last answer to the verdict that it is Unreachable or Down.",
		Buckets: []float64{1, 2, 4, 6, 8, 10, 12, 15, 20, 30, 60, 300},
	}, []string{"verdict"})
	federationIsolated = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kubefed_federation_isolated",
		Help: "1 while so many members turned silent together that the control plane takes itself to be cut off, and moves nothing.",
	})
	tokenRenewals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_cluster_token_renewals_total",
		Help: "Renewals of members' tokens, by result.",
	}, []string{"cluster", "result"})
)

func init() {
	metrics.Registry.MustRegister(probeSeconds, clusterReady, clusterVerdict, verdictSeconds, federationIsolated, tokenRenewals)
}

var answerLabels = map[Answer]string{
	AnswerOK: "ok", AnswerNotReady: "not_ready", AnswerNone: "none", AnswerUnauthorized: "unauthorized",
	AnswerForbidden: "forbidden", AnswerWrongCluster: "wrong_cluster", AnswerSecretInvalid: "secret_invalid",
}

// forget drops what metrics say of a cluster that left.
func forget(name string) {
	labels := prometheus.Labels{"cluster": name}
	probeSeconds.DeletePartialMatch(labels)
	clusterReady.DeletePartialMatch(labels)
	clusterVerdict.DeletePartialMatch(labels)
	tokenRenewals.DeletePartialMatch(labels)
}
