package tracing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var web = Object{Kind: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Namespace: "shop", Name: "web", UID: "u1", Generation: 3, Cluster: "gondor"}

// record has spans kept for a test.
func record(t *testing.T) *tracetest.SpanRecorder {
	recorder := tracetest.NewSpanRecorder()
	Use(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	t.Cleanup(func() { Use(nil); writes = memory{} })
	return recorder
}

func TestSpan(t *testing.T) {
	recorder := record(t)
	_, span := Start(t.Context(), "sync apply", web)
	span.End("Synced", nil)
	ended := recorder.Ended()
	if len(ended) != 1 || ended[0].Name() != "sync apply" {
		t.Fatalf("ended spans: %v", ended)
	}
	got := map[attribute.Key]string{}
	for _, a := range ended[0].Attributes() {
		got[a.Key] = a.Value.Emit()
	}
	want := map[attribute.Key]string{"kubefed.kind": "Deployment.apps", "kubefed.namespace": "shop", "kubefed.name": "web",
		"kubefed.uid": "u1", "kubefed.generation": "3", "kubefed.cluster": "gondor", "kubefed.result": "Synced"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestErrorsTellTheirReasonAlone(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"of the API":     {fmt.Errorf("applying: %w", apierrors.NewBadRequest("password hunter2 is too short")), "BadRequest"},
		"of anyone else": {errors.New("password hunter2 is too short"), "Error"},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := record(t)
			_, span := Start(t.Context(), "sync apply", web)
			span.End("Rejected", c.err)
			got := recorder.Ended()[0]
			if got.Status().Description != c.want || strings.Contains(fmt.Sprint(got.Attributes(), got.Events()), "hunter2") {
				t.Errorf("status %v, attributes %v, events %v, want status %s and nothing of the text", got.Status(), got.Attributes(), got.Events(), c.want)
			}
		})
	}
}

func TestSpanBelongsToTheWrite(t *testing.T) {
	recorder := record(t)
	requestCtx, request := (*tracer.Load()).Start(t.Context(), "POST")
	Wrote(requestCtx, web.UID)
	request.End()
	_, ofWrite := Start(context.Background(), "sync apply", web)
	ofWrite.End("", nil)
	other := web
	other.UID = "u2"
	_, ofOther := Start(context.Background(), "sync apply", other)
	ofOther.End("", nil)
	ended := recorder.Ended()
	if got, want := ended[1].Parent().SpanID(), ended[0].SpanContext().SpanID(); got != want {
		t.Errorf("the span's parent is %s, want the write's %s", got, want)
	}
	if parent := ended[2].Parent(); parent.IsValid() {
		t.Errorf("the span about another object has the parent %v", parent)
	}
}

func TestMemory(t *testing.T) {
	now := time.Unix(1000, 0)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}})
	var m memory
	m.add("old", span, now.Add(-recent))
	m.add("new", span, now)
	if _, ok := m.at("old", now); ok {
		t.Error("a write of a minute ago is remembered")
	}
	for i := range 10 * atMost {
		m.add(types.UID(fmt.Sprint(i)), span, now)
	}
	if held := len(m.young) + len(m.aged); held > atMost {
		t.Errorf("%d writes are remembered, at most %d may be", held, atMost)
	}
	if _, ok := m.at(types.UID(fmt.Sprint(10*atMost-1)), now); !ok {
		t.Error("the last write is forgotten")
	}
	if _, ok := m.at("new", now); ok {
		t.Error("a write before thousands of others is remembered")
	}
}

// TestEndWithoutCollector: a process ends soon where nobody takes its spans.
func TestEndWithoutCollector(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // answers nobody
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	provider, err := Export{Endpoint: listener.Addr().String(), Ratio: 1}.NewProvider(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	_, span := provider.Tracer(scope).Start(t.Context(), "unsent")
	span.End()
	started := time.Now()
	if err := provider.Shutdown(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the first end: %v, want a deadline", err)
	}
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Errorf("the second end: %v", err)
	}
	if took := time.Since(started); took > 2*flushLimit {
		t.Errorf("ending took %s", took)
	}
}

func TestNoCostWhileOff(t *testing.T) {
	ctx, err := t.Context(), errors.New("some")
	if n := testing.AllocsPerRun(100, func() {
		Wrote(ctx, web.UID)
		_, span := Start(ctx, "sync apply", web)
		span.End("Failed", err)
	}); n != 0 {
		t.Errorf("a span that nobody asked for costs %v allocations", n)
	}
}

func BenchmarkOff(b *testing.B) {
	ctx := b.Context()
	for b.Loop() {
		_, span := Start(ctx, "sync apply", web)
		span.End("Synced", nil)
	}
}

func BenchmarkOn(b *testing.B) {
	Use(sdktrace.NewTracerProvider())
	b.Cleanup(func() { Use(nil) })
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, span := Start(ctx, "sync apply", web)
		span.End("Synced", nil)
	}
}

func TestFromEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env     map[string]string
		want    Export
		wantErr string
	}{
		"nothing":          {nil, Export{}, ""},
		"general":          {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317/"}, Export{Endpoint: "collector:4317", Ratio: 1}, ""},
		"without scheme":   {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, Export{Endpoint: "collector:4317", Ratio: 1}, ""},
		"traces win":       {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:2"}, Export{Endpoint: "b:2", Ratio: 1}, ""},
		"a part":           {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "a:1", "OTEL_TRACES_SAMPLER_ARG": "0.01"}, Export{Endpoint: "a:1", Ratio: 0.01}, ""},
		"TLS":              {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://a:1"}, Export{}, "OTEL_EXPORTER_OTLP_ENDPOINT"},
		"not a number":     {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "a:1", "OTEL_TRACES_SAMPLER_ARG": "some"}, Export{}, "OTEL_TRACES_SAMPLER_ARG"},
		"more than all":    {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "a:1", "OTEL_TRACES_SAMPLER_ARG": "2"}, Export{}, "OTEL_TRACES_SAMPLER_ARG"},
		"no number at all": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "a:1", "OTEL_TRACES_SAMPLER_ARG": "NaN"}, Export{}, "OTEL_TRACES_SAMPLER_ARG"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FromEnvironment(func(name string) string { return c.env[name] })
			if (err != nil) != (c.wantErr != "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
				t.Fatalf("error %v, want one that names %q", err, c.wantErr)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("export (-want +got):\n%s", diff)
			}
		})
	}
}
