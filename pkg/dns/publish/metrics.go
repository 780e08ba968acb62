package publish

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	changesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_dns_changes_total",
		Help: "Names changed in a zone. At rest it does not grow.",
	}, []string{"zone"})
	readsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_dns_zone_reads_total",
		Help: "Times a zone was read as a whole: at the start, after a conflict or an error, and every five minutes.",
	}, []string{"zone"})
	providerErrors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_dns_provider_errors_total",
		Help: "Errors of a zone's provider, by kind.",
	}, []string{"zone", "kind"})
	applySeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubefed_dns_apply_duration_seconds",
		Help:    "Time of one call that changes a zone.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
	}, []string{"zone"})
	visibleSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubefed_dns_visible_duration_seconds",
		Help:    "Time from a change to every server of the zone answering with it, where the provider can tell.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
	}, []string{"zone"})
	ownedNames = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kubefed_dns_names_count",
		Help: "Names that the federation owns in a zone.",
	}, []string{"zone"})
	conflictingNames = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kubefed_dns_conflicts_count",
		Help: "Names that the federation wants in a zone and that belong to someone else.",
	}, []string{"zone"})
	suspicious = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kubefed_dns_removals_held_count",
		Help: "Endpoints that stay published although they do not answer, because so many at once look like a fault of the control plane's own network.",
	})
	statusWrites = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kubefed_dns_status_writes_total",
		Help: "Writes of GlobalEndpoints and of the Federation's zones.",
	})
)

func init() {
	metrics.Registry.MustRegister(changesTotal, readsTotal, providerErrors, applySeconds, visibleSeconds, ownedNames, conflictingNames, suspicious, statusWrites)
}
