package dns

import (
	"context"
	"slices"
	"strconv"
	"sync"
)

// Memory is a Provider that keeps its zones in memory.
type Memory struct {
	limits Limits

	mu    sync.Mutex
	zones map[string]*memoryZone
}

type memoryZone struct {
	content *Content
	version int
}

// NewMemory is a provider with empty zones.
func NewMemory(limits Limits, zones ...string) *Memory {
	m := &Memory{limits: limits, zones: map[string]*memoryZone{}}
	for _, zone := range zones {
		m.zones[Absolute(zone)] = &memoryZone{content: NewContent(Absolute(zone), nil)}
	}
	return m
}

// Zones implements Provider.
func (m *Memory) Zones(context.Context) ([]Zone, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var zones []Zone
	for name := range m.zones {
		zones = append(zones, Zone{name, m.limits})
	}
	slices.SortFunc(zones, func(a, b Zone) int { return len(a.Name) - len(b.Name) })
	return zones, nil
}

// Records implements Provider.
func (m *Memory) Records(_ context.Context, zone string) (Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	z, ok := m.zones[zone]
	if !ok {
		return Snapshot{}, &Error{Kind: NotFound, Subject: zone}
	}
	return Snapshot{Version: strconv.Itoa(z.version), Sets: z.content.Sets()}, nil
}

// Apply implements Provider.
func (m *Memory) Apply(_ context.Context, zone string, fence Fence, changes []Change) (Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	z, ok := m.zones[zone]
	if !ok {
		return Receipt{}, &Error{Kind: NotFound, Subject: zone}
	}
	removed, added, failed, err := z.content.Apply(fence, changes)
	if err != nil {
		return Receipt{}, err
	}
	if len(removed)+len(added) > 0 {
		z.version++
	}
	return Receipt{Version: strconv.Itoa(z.version), Failed: failed}, nil
}
