package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Aggregated discovery, on by default since Kubernetes 1.27: one document for all groups, with an ETag.
const acceptDiscovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"

const (
	// relookup is how long an answer "not served" is believed before discovery is asked again.
	relookup = 3 * time.Second
	// refreshTimeout bounds one discovery.
	refreshTimeout = 10 * time.Second
)

// discoveryMapper is a ResourceMapper over a member's aggregated discovery. A refresh costs one or two small requests
// that are answered 304 while nothing changed.
type discoveryMapper struct {
	do  func(*http.Request) (*http.Response, error)
	now func() time.Time

	turn chan struct{} // holds one token: guards what follows, and lets waiters give up with their context
	docs [2]document   // of /api and /apis
	at   time.Time     // last refresh, good or not
	err  error         // of the last refresh
}

type document struct {
	etag  string
	kinds map[schema.GroupVersionKind]served
	// stale group versions are those whose backend did not answer the member: their kinds are unknown, not absent.
	stale    map[schema.GroupVersion]bool
	versions []string
}

type served struct {
	gvr        schema.GroupVersionResource
	namespaced bool
}

var discoveryPaths = [2]string{"/api", "/apis"}

// newMapper makes a mapper that asks by do, which resolves the path of its request against the member.
func newMapper(do func(*http.Request) (*http.Response, error)) *discoveryMapper {
	m := &discoveryMapper{do: do, now: time.Now, turn: make(chan struct{}, 1)}
	m.turn <- struct{}{}
	return m
}

// Resource implements ResourceMapper.
func (m *discoveryMapper) Resource(ctx context.Context, gvk schema.GroupVersionKind) (schema.GroupVersionResource, bool, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return schema.GroupVersionResource{}, false, err
	}
	defer unlock()
	found, err := m.lookup(gvk)
	if err == nil {
		return found.gvr, found.namespaced, nil
	}
	if m.now().Sub(m.at) >= relookup {
		m.refresh(ctx)
		if found, err = m.lookup(gvk); err == nil {
			return found.gvr, found.namespaced, nil
		}
	}
	return schema.GroupVersionResource{}, false, err
}

// Refresh asks the member whether what it serves has changed and returns its group versions, sorted.
func (m *discoveryMapper) Refresh(ctx context.Context) ([]string, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	m.refresh(ctx)
	if m.err != nil {
		return nil, m.err
	}
	versions := slices.Concat(m.docs[0].versions, m.docs[1].versions)
	slices.Sort(versions)
	return versions, nil
}

func (m *discoveryMapper) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case <-m.turn:
		return func() { m.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for discovery: %w", context.Cause(ctx))
	}
}

func (m *discoveryMapper) lookup(gvk schema.GroupVersionKind) (served, error) {
	for _, doc := range m.docs {
		if found, ok := doc.kinds[gvk]; ok {
			return found, nil
		}
		if doc.stale[gvk.GroupVersion()] {
			return served{}, fmt.Errorf("discovering %s: the member's backend for %s does not answer", gvk.Kind, gvk.GroupVersion())
		}
	}
	if m.err != nil {
		return served{}, m.err
	}
	return served{}, &meta.NoKindMatchError{GroupKind: gvk.GroupKind(), SearchedVersions: []string{gvk.Version}}
}

func (m *discoveryMapper) refresh(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	var failed error
	for i, path := range discoveryPaths {
		doc, err := m.fetch(bounded, path, m.docs[i])
		if err != nil {
			failed = fmt.Errorf("discovering what the member serves at %s: %w", path, err)
			break
		}
		m.docs[i] = doc
	}
	if ctx.Err() != nil {
		return // the asker gave up: that says nothing about the member
	}
	m.at, m.err = m.now(), failed
}

func (m *discoveryMapper) fetch(ctx context.Context, path string, have document) (document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return document{}, err
	}
	req.Header.Set("Accept", acceptDiscovery)
	if have.etag != "" {
		req.Header.Set("If-None-Match", have.etag)
	}
	resp, err := m.do(req)
	if err != nil {
		return document{}, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified:
		return have, nil
	case resp.StatusCode != http.StatusOK:
		return document{}, fmt.Errorf("answered %s", resp.Status)
	case !strings.Contains(resp.Header.Get("Content-Type"), "as=APIGroupDiscoveryList"):
		return document{}, fmt.Errorf("no aggregated discovery there: turn on the feature gate AggregatedDiscoveryEndpoint")
	}
	var list v2.APIGroupDiscoveryList
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return document{}, err
	}
	doc := parseDiscovery(&list)
	doc.etag = resp.Header.Get("ETag")
	return doc, nil
}

// parseDiscovery reads one discovery document.
func parseDiscovery(list *v2.APIGroupDiscoveryList) document {
	doc := document{kinds: map[schema.GroupVersionKind]served{}, stale: map[schema.GroupVersion]bool{}}
	for _, group := range list.Items {
		for _, version := range group.Versions {
			gv := schema.GroupVersion{Group: group.Name, Version: version.Version}
			doc.versions = append(doc.versions, gv.String())
			if version.Freshness == v2.DiscoveryFreshnessStale {
				doc.stale[gv] = true
			}
			for _, r := range version.Resources {
				if r.ResponseKind == nil || r.ResponseKind.Kind == "" {
					continue
				}
				gvk := gv.WithKind(r.ResponseKind.Kind)
				if _, taken := doc.kinds[gvk]; taken && !slices.Contains(r.Verbs, "list") {
					continue
				}
				doc.kinds[gvk] = served{gvr: gv.WithResource(r.Resource), namespaced: r.Scope == v2.ScopeNamespace}
			}
		}
	}
	return doc
}
