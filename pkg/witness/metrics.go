package witness

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var pollSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "kubefed_witness_poll_duration_seconds",
	Help:    "Time of one poll of the witness in a member, by result.",
	Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 3},
}, []string{"cluster", "result"})

func init() { metrics.Registry.MustRegister(pollSeconds) }

func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case apierrors.IsNotFound(err):
		return "absent"
	case apierrors.IsForbidden(err):
		return "forbidden"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "failed"
}

// forget drops what metrics say of a member that left.
func forget(name string) { pollSeconds.DeletePartialMatch(prometheus.Labels{"cluster": name}) }
