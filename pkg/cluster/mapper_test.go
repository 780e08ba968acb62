package cluster

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const coreDiscovery = `{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":""},"versions":[{"version":"v1","freshness":"Current","resources":[
 {"resource":"configmaps","responseKind":{"kind":"ConfigMap"},"scope":"Namespaced","verbs":["list"]},
 {"resource":"nodes","responseKind":{"kind":"Node"},"scope":"Cluster","verbs":["list"]}]}]}]}`

const groupDiscovery = `{"kind":"APIGroupDiscoveryList","items":[
 {"metadata":{"name":"apps"},"versions":[{"version":"v1","freshness":"Current","resources":[
  {"resource":"deployments","responseKind":{"kind":"Deployment"},"scope":"Namespaced","verbs":["list"]}]}]},
 {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1","freshness":"Stale"}]}]}`

func TestMapper(t *testing.T) {
	f := newFakeMember(t)
	c := f.connect(t)
	now := start
	c.mapper.now = func() time.Time { return now }

	gvr, namespaced, err := c.mapper.Resource(t.Context(), schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"})
	if want := (schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}); err != nil || gvr != want || !namespaced {
		t.Errorf("Deployment: got %v, namespaced %t, %v", gvr, namespaced, err)
	}
	if _, namespaced, err := c.mapper.Resource(t.Context(), schema.GroupVersionKind{Version: "v1", Kind: "Node"}); err != nil || namespaced {
		t.Errorf("Node: namespaced %t, %v", namespaced, err)
	}
	for range 5 {
		_, _, err := c.mapper.Resource(t.Context(), schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Gondorian"})
		if !meta.IsNoMatchError(err) {
			t.Fatalf("a kind that is not served: %v", err)
		}
	}
	if got := f.discovery.Load(); got != 2 {
		t.Errorf("%d discovery documents were read, want 2", got)
	}
	_, _, err = c.mapper.Resource(t.Context(), schema.GroupVersionKind{Group: "metrics.k8s.io", Version: "v1", Kind: "NodeMetrics"})
	if err == nil || meta.IsNoMatchError(err) {
		t.Errorf("a kind whose backend is down is unknown, not absent: got %v", err)
	}
	versions, err := c.mapper.Refresh(t.Context())
	if diff := cmp.Diff([]string{"apps/v1", "metrics.k8s.io/v1", "v1"}, versions); err != nil || diff != "" {
		t.Errorf("versions: %v\n%s", err, diff)
	}
	if got := f.discovery.Load(); got != 2 {
		t.Errorf("a refresh without a change read the documents again")
	}
}

func TestMapperOfDeadMember(t *testing.T) {
	f := newFakeMember(t)
	c := f.connect(t)
	deployment := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	if _, _, err := c.mapper.Resource(t.Context(), deployment); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, _, err := c.mapper.Resource(t.Context(), deployment); err != nil {
		t.Errorf("what was known of a member that died is forgotten: %v", err)
	}
	now := start.Add(100 * 365 * 24 * time.Hour)
	c.mapper.now = func() time.Time { return now }
	_, _, err := c.mapper.Resource(t.Context(), schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Gondorian"})
	if err == nil || meta.IsNoMatchError(err) {
		t.Errorf("a dead member's missing kind is unknown, not absent: got %v", err)
	}
}

func TestMapperLooksAgainForMissingKind(t *testing.T) {
	asked := 0
	m := newMapper(func(*http.Request) (*http.Response, error) { asked++; return nil, errors.New("down") })
	now := start
	m.now = func() time.Time { return now }
	ask := func() {
		if _, _, err := m.Resource(t.Context(), schema.GroupVersionKind{Version: "v1", Kind: "X"}); err == nil {
			t.Error("an unreachable member has no kinds")
		}
	}
	ask()
	ask()
	now = now.Add(relookup)
	ask()
	if asked != 2 {
		t.Errorf("asked %d times, want one time for each %s", asked, relookup)
	}
}
