package cli

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/plan"
	"kubefed.dev/kubefed/pkg/plan/snapshot"
)

// readWorld reads what decisions depend on, in pages. It writes nothing.
func readWorld(ctx context.Context, config *rest.Config) (*plan.World, map[schema.GroupKind]kind.Kind, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	reader, err := newReader(config)
	if err != nil {
		return nil, nil, err
	}
	asker, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	return snapshot.Read(ctx, reader, asker)
}

// eachPage lists page by page into list.
func eachPage(ctx context.Context, reader client.Reader, list client.ObjectList, page func(), options ...client.ListOption) error {
	return snapshot.EachPage(ctx, reader, list, page, options...)
}
