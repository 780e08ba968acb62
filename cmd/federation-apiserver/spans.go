package main

import (
	"context"

	"k8s.io/client-go/rest"
	componenttracing "k8s.io/component-base/tracing"
	"k8s.io/klog/v2"

	"kubefed.dev/kubefed/internal/tracing"
)

// traceControllers has controllers in a process of their own make spans, if the environment says where they go. Requests
// by config name the span that they are sent for. Call flush at the end.
func traceControllers(ctx context.Context, config *rest.Config, getenv func(string) string) (flush func(), err error) {
	export, err := tracing.FromEnvironment(getenv)
	if err != nil || export.Endpoint == "" {
		return func() {}, err
	}
	provider, err := export.NewProvider(ctx, "federation-controllers")
	if err != nil {
		return nil, err
	}
	tracing.Use(provider)
	config.Wrap(componenttracing.WrapperFor(provider))
	return func() {
		if err := provider.Shutdown(context.WithoutCancel(ctx)); err != nil {
			klog.FromContext(ctx).Error(err, "last spans lost", "endpoint", export.Endpoint)
		}
	}, nil
}
