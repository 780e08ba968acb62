package apiserver

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/apiserver/pkg/server/routes"
	"k8s.io/component-base/metrics/legacyregistry"
	controllermetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// installMetrics serves /metrics: what Kubernetes' packages count, and what is in controller-runtime's registry, where
// the federation's controllers count.
func installMetrics(served *mux.PathRecorderMux) {
	// Registers the server's own metrics, which is otherwise internal; its handler is not used.
	routes.DefaultMetrics{}.Install(mux.NewPathRecorderMux("unused"))
	served.Handle("/metrics", MetricsHandler())
}

// MetricsHandler serves the metrics of everything in this process, without asking who reads them.
func MetricsHandler() http.Handler {
	gatherer := inOrder{legacyregistry.DefaultGatherer, controllermetrics.Registry}
	return promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// inOrder gathers from several registries. Where two have a metric of one name (both libraries count work queues and the
// Go runtime), the first one's is served: mixing them fails where their help texts differ.
type inOrder []prometheus.Gatherer

func (gatherers inOrder) Gather() ([]*dto.MetricFamily, error) {
	var all []*dto.MetricFamily
	seen := map[string]bool{}
	for _, g := range gatherers {
		families, err := g.Gather()
		if err != nil {
			return nil, err
		}
		for _, family := range families {
			if !seen[family.GetName()] {
				all = append(all, family)
			}
			seen[family.GetName()] = true
		}
	}
	return all, nil
}
