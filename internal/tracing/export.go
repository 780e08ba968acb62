package tracing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.17.0"
	"k8s.io/component-base/tracing"
	tracingapi "k8s.io/component-base/tracing/api/v1"
)

// Export says where spans go.
type Export struct {
	// Endpoint is the host and port of a collector that speaks OTLP over gRPC, in the clear.
	Endpoint string
	// Ratio is the part of traces that are made, between 0 and 1.
	Ratio float64
}

// FromEnvironment reads OpenTelemetry's own variables (OpenTelemetry specification, "OpenTelemetry Protocol Exporter").
// An Export without an endpoint means that spans go nowhere.
func FromEnvironment(getenv func(string) string) (Export, error) {
	variable := "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	endpoint := getenv(variable)
	if endpoint == "" {
		variable = "OTEL_EXPORTER_OTLP_ENDPOINT"
		endpoint = getenv(variable)
	}
	if endpoint == "" {
		return Export{}, nil
	}
	scheme, hostPort, found := strings.Cut(endpoint, "://")
	switch {
	case !found:
		hostPort = endpoint
	case scheme == "https":
		return Export{}, fmt.Errorf("%s %q: spans are sent in the clear: name a collector nearby with http://", variable, endpoint)
	}
	e := Export{Endpoint: strings.TrimSuffix(hostPort, "/"), Ratio: 1}
	if arg := getenv("OTEL_TRACES_SAMPLER_ARG"); arg != "" {
		var err error
		if e.Ratio, err = strconv.ParseFloat(arg, 64); err != nil || !(e.Ratio >= 0 && e.Ratio <= 1) {
			return Export{}, errors.New("OTEL_TRACES_SAMPLER_ARG must be the part of requests to trace, between 0 and 1")
		}
	}
	return e, nil
}

// PerMillion is Ratio as Kubernetes' tracing configuration has it.
func (e Export) PerMillion() int32 { return int32(e.Ratio * 1e6) }

// NewProvider makes spans in the name of a service and sends them. It does not wait for the collector. Shut it down to
// send what is left.
func (e Export) NewProvider(ctx context.Context, service string) (tracing.TracerProvider, error) {
	rate := e.PerMillion()
	provider, err := tracing.NewProvider(ctx, &tracingapi.TracingConfiguration{Endpoint: &e.Endpoint, SamplingRatePerMillion: &rate}, nil,
		[]resource.Option{resource.WithAttributes(semconv.ServiceNameKey.String(service))})
	if err != nil {
		return nil, fmt.Errorf("preparing to send spans to %s: %w", e.Endpoint, err)
	}
	return Impatient(provider), nil
}

// flushLimit is how long the end of a process waits for a collector to take the last spans.
const flushLimit = 3 * time.Second

// Impatient has a provider's Shutdown give up after three seconds: a collector that is away must not hold up the end of
// a process, which its supervisor would kill in the midst of more important things. Further calls do nothing.
func Impatient(provider tracing.TracerProvider) tracing.TracerProvider {
	return &impatient{TracerProvider: provider}
}

type impatient struct {
	tracing.TracerProvider
	once sync.Once
}

func (p *impatient) Shutdown(ctx context.Context) (err error) {
	p.once.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, flushLimit)
		defer cancel()
		err = p.TracerProvider.Shutdown(ctx)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the collector of spans does not take the last of them: %w: is it up?", err)
	}
	return err
}
