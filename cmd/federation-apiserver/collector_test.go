package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
)

// collector receives spans as any collector does: OTLP over gRPC.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	mu    sync.Mutex
	raw   strings.Builder
	spans []map[string]string
}

// collect runs a collector, and has the programs that this test starts send their spans there.
func collect(t *testing.T) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "200") // milliseconds between batches
	return c
}

// Export implements the collector's one call. A span is kept as its attributes and those of its resource, with its name
// as "span", its trace and its status beside them.
func (c *collector) Export(_ context.Context, request *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.WriteString(request.String())
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				span := map[string]string{"span": s.Name, "trace": hex.EncodeToString(s.TraceId), "status": s.Status.GetMessage()}
				for _, attribute := range append(resource.Resource.GetAttributes(), s.Attributes...) {
					span[attribute.Key] = text(attribute.Value)
				}
				c.spans = append(c.spans, span)
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func text(v *commonv1.AnyValue) string {
	switch v.GetValue().(type) {
	case *commonv1.AnyValue_StringValue:
		return v.GetStringValue()
	case *commonv1.AnyValue_IntValue:
		return fmt.Sprint(v.GetIntValue())
	}
	return v.String()
}

// find returns the first span that says everything that want says, else what there is of that name.
func (c *collector) find(want map[string]string) (found map[string]string, others []map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
spans:
	for _, span := range c.spans {
		for key, value := range want {
			if span[key] != value {
				if span["span"] == want["span"] {
					others = append(others, span)
				}
				continue spans
			}
		}
		return span, nil
	}
	return nil, others
}

func (c *collector) await(t *testing.T, want map[string]string) {
	t.Helper()
	mustAwait(t, 30*time.Second, func() string {
		if found, others := c.find(want); found == nil {
			return fmt.Sprintf("no span %v among those of its name:\n%v", want, others)
		}
		return ""
	})
}

func (c *collector) one(t *testing.T, want map[string]string) map[string]string {
	t.Helper()
	found, others := c.find(want)
	if found == nil {
		t.Fatalf("no span %v among those of its name:\n%v", want, others)
	}
	return found
}

// without looks for words in everything that was ever received.
func (c *collector) without(t *testing.T, words ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, word := range words {
		if strings.Contains(c.raw.String(), word) {
			t.Errorf("%q is in the spans received", word)
		}
	}
}
