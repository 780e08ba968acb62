// Package tracing owns the spans of the federation's controllers, and the answer to where spans go. In: OpenTelemetry's
// environment variables, the object that is worked at. Out: spans by OTLP. While nobody asked for spans it costs one
// atomic load and allocates nothing. The API server's own spans are Kubernetes' business.
//
// A span carries who and where (kind, namespace, name, UID, generation, cluster) and how it ended, never a part of an
// object or an error's text: a member's refusal may quote what it refuses.
package tracing

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const scope = "kubefed.dev/kubefed"

var tracer atomic.Pointer[trace.Tracer]

// Use has spans made by provider from now on; by nil none are made. Safe for concurrent use.
func Use(provider trace.TracerProvider) {
	if provider == nil {
		tracer.Store(nil)
		return
	}
	t := provider.Tracer(scope)
	tracer.Store(&t)
}

// On says whether spans are made.
func On() bool { return tracer.Load() != nil }

// Object is what a span is about.
type Object struct {
	Kind            schema.GroupKind
	Namespace, Name string
	UID             types.UID
	Generation      int64
	// Cluster is the member that is worked at, if it is one.
	Cluster string
}

// Span is a piece of work that goes on. The zero value is one that nobody asked for.
type Span struct{ span trace.Span }

// Start begins a span about an object. It belongs to the trace of the object's last write where this process has
// admitted that a moment ago, else to that of ctx, else to its own. The context's logger names the trace.
func Start(ctx context.Context, name string, about Object) (context.Context, Span) {
	t := tracer.Load()
	if t == nil {
		return ctx, Span{}
	}
	return start(ctx, *t, name, about)
}

func start(ctx context.Context, t trace.Tracer, name string, about Object) (context.Context, Span) {
	if write, ok := writes.of(about.UID); ok {
		ctx = trace.ContextWithSpanContext(ctx, write)
	}
	ctx, span := t.Start(ctx, name)
	if !span.IsRecording() {
		return ctx, Span{}
	}
	span.SetAttributes(
		attribute.String("kubefed.kind", about.Kind.String()),
		attribute.String("kubefed.namespace", about.Namespace),
		attribute.String("kubefed.name", about.Name),
		attribute.String("kubefed.uid", string(about.UID)),
		attribute.Int64("kubefed.generation", about.Generation),
	)
	if about.Cluster != "" {
		span.SetAttributes(attribute.String("kubefed.cluster", about.Cluster))
	}
	logger := log.FromContext(ctx).WithValues("traceID", span.SpanContext().TraceID().String())
	return log.IntoContext(ctx, logger), Span{span}
}

// End ends the span with a result, one of few words, or with an error, of which it tells the reason alone.
func (s Span) End(result string, err error) {
	if s.span == nil {
		return
	}
	if result != "" {
		s.span.SetAttributes(attribute.String("kubefed.result", result))
	}
	if err != nil {
		reason := apierrors.ReasonForError(err)
		if reason == metav1.StatusReasonUnknown {
			reason = "Error"
		}
		s.span.SetStatus(codes.Error, string(reason))
	}
	s.span.End()
}
