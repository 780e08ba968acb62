package server

import (
	miekg "github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	answersTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_dns_server_answers_total",
		Help: "Answers of the embedded DNS server by transport (udp, stream) and code.",
	}, []string{"transport", "code"})
	limitedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_dns_server_limited_total",
		Help: "Answers over UDP that the rate limit held back, by what came instead: nothing (dropped) or a truncated answer.",
	}, []string{"result"})
	transfersTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_dns_server_transfers_total",
		Help: "Requests for a transfer of a zone, by result: full, incremental, refused.",
	}, []string{"result"})
	notificationsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefed_dns_server_notifications_total",
		Help: "Notifications of secondaries, by result: ok, failed.",
	}, []string{"result"})
	versionsTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kubefed_dns_server_zone_versions_total",
		Help: "Versions of zones that were put into service.",
	})

	// Those that answering a question counts are looked up once.
	answeredPackets, answeredStreams = codes("udp"), codes("stream")
	dropped, truncated               = limitedTotal.WithLabelValues("dropped"), limitedTotal.WithLabelValues("truncated")
)

func init() {
	metrics.Registry.MustRegister(answersTotal, limitedTotal, transfersTotal, notificationsTotal, versionsTotal)
}

// maxCode is the number of codes in a header.
const maxCode = 16

func codes(transport string) (c [maxCode]prometheus.Counter) {
	for code := range c {
		name, ok := miekg.RcodeToString[code]
		if !ok || code > miekg.RcodeNotZone {
			name = "other"
		}
		c[code] = answersTotal.WithLabelValues(transport, name)
	}
	return c
}

// counts are answers by code, of one batch.
type counts [maxCode]uint32

func (c *counts) add(answer []byte) { c[answer[3]&(maxCode-1)]++ }

// flush adds them to the metrics.
func (c *counts) flush(to *[maxCode]prometheus.Counter) {
	for code, n := range c {
		if n > 0 {
			to[code].Add(float64(n))
		}
	}
	*c = counts{}
}
