package observe

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"kubefed.dev/kubefed/pkg/cloud"
)

var (
	factRead = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kubefed_cloud_fact_read_timestamp_seconds",
		Help: "When what is known of a region was read last, by account, region and family: zones, prices, balancers.",
	}, []string{"account", "region", "family"})
	callSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubefed_cloud_call_duration_seconds",
		Help:    "Time of one question to an account of a cloud with all of its pages and retries, by family and result.",
		Buckets: []float64{.01, .05, .1, .25, .5, 1, 2, 5, 10, 20},
	}, []string{"account", "family", "result"})
)

func init() { metrics.Registry.MustRegister(factRead, callSeconds) }

func resultOf(err error) string {
	if err == nil {
		return "ok"
	}
	return strings.ToLower(string(cloud.KindOf(err)))
}
