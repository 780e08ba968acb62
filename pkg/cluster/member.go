// Package cluster knows which member clusters exist and how they are: it joins and unjoins them, keeps their
// credentials fresh, probes them, writes Cluster.status, and holds the one registry of live connections that everything
// else uses. It does not know what is synced to them.
package cluster

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// ErrUnknown says that the registry holds no connection to a cluster: it has not joined, or its credentials can't be
// used yet.
var ErrUnknown = errors.New("no connection to cluster")

// Member is a live connection to one member cluster. Token rotation happens below it: it stays valid until its context
// ends. Safe for concurrent use.
type Member struct {
	// Name of the Cluster object.
	Name string
	// ID is the UID of the member's namespace kube-system.
	ID string
	// Config authenticates with the token in use at the time of each request. Do not change it; copy it.
	Config *rest.Config
	// Dynamic is a client without client-side rate limit.
	Dynamic dynamic.Interface
	// Resources maps kinds to resources by the member's own discovery.
	Resources ResourceMapper
}

// ResourceMapper tells which kinds a member serves. Safe for concurrent use.
type ResourceMapper interface {
	// Resource returns the member's resource for a kind in this version. The error is a meta.NoKindMatchError where the
	// member does not serve it; any other error means unknown. Discovery is cached; a kind that is missing is looked
	// up again at most every few seconds.
	Resource(ctx context.Context, gvk schema.GroupVersionKind) (gvr schema.GroupVersionResource, namespaced bool, err error)
}

// Engager is told of live members. Engage is called once for each connection and must return at once; ctx ends when
// the member leaves or its connection is replaced, and everything started for it must then stop.
type Engager interface {
	Engage(ctx context.Context, m *Member)
}
