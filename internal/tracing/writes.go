package tracing

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// recent is how long what is done about an object counts as done because of its last write.
	recent = time.Minute
	// atMost bounds the writes remembered, at about 100 bytes each.
	atMost = 4096
)

// Wrote notes that the object is being written by the request whose span is in ctx. It is kept in memory alone, for a
// minute and for some thousand objects: whoever reads traces sees the write and what came of it as one, and where that
// is not known, as after a restart or in another process, joins them by UID and generation.
func Wrote(ctx context.Context, object types.UID) {
	if !On() || object == "" {
		return
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		writes.add(object, span, time.Now())
	}
}

var writes memory

// memory holds the last write of objects, in two halves: the older one goes as a whole when the younger one is full.
// The zero value is ready to use.
type memory struct {
	mu          sync.Mutex
	young, aged map[types.UID]write
}

type write struct {
	span trace.SpanContext
	at   time.Time
}

func (m *memory) add(object types.UID, span trace.SpanContext, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= atMost/2 {
		m.young, m.aged = map[types.UID]write{}, m.young
	}
	m.young[object] = write{span: span, at: now}
}

func (m *memory) of(object types.UID) (trace.SpanContext, bool) { return m.at(object, time.Now()) }

func (m *memory) at(object types.UID, now time.Time) (trace.SpanContext, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w, ok := m.young[object]
	if !ok {
		w, ok = m.aged[object]
	}
	return w.span, ok && now.Sub(w.at) < recent
}
