package localcluster

import (
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/profile"
)

// runScheduler runs the default scheduler until ctx ends, without leader election and without a port.
func runScheduler(ctx context.Context, config *rest.Config) error {
	member, err := kubernetes.NewForConfig(rest.AddUserAgent(rest.CopyConfig(config), "kube-scheduler"))
	if err != nil {
		return err
	}
	defaults, err := latest.Default()
	if err != nil {
		return fmt.Errorf("configuring kube-scheduler: %w", err)
	}
	informers := scheduler.NewInformerFactory(member, 0)
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: member.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return fmt.Errorf("starting events of kube-scheduler: %w", err)
	}
	defer broadcaster.Shutdown()
	s, err := scheduler.New(ctx, member, informers, nil, profile.NewRecorderFactory(broadcaster),
		scheduler.WithKubeConfig(config),
		scheduler.WithProfiles(defaults.Profiles...),
		scheduler.WithPercentageOfNodesToScore(defaults.PercentageOfNodesToScore),
		scheduler.WithPodInitialBackoffSeconds(defaults.PodInitialBackoffSeconds),
		scheduler.WithPodMaxBackoffSeconds(defaults.PodMaxBackoffSeconds),
		scheduler.WithParallelism(2),
	)
	if err != nil {
		return fmt.Errorf("building kube-scheduler: %w", err)
	}
	informers.StartWithContext(ctx)
	informers.WaitForCacheSyncWithContext(ctx)
	if err := s.WaitForHandlersSync(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("starting kube-scheduler: %w", err)
	}
	s.Run(ctx)
	return nil
}
