package sync

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/override"
	"kubefed.dev/kubefed/pkg/policy"
	"kubefed.dev/kubefed/pkg/render"
)

// whereAgain is when to ask again where a cluster is.
const whereAgain = 2 * time.Second

// render makes what the member is to hold. Where that can't be told, it returns the outcome instead, and when to try
// again: the copy in the member stays as it is.
func (m *member) render(ctx context.Context, in reading, live *Copy) (config *unstructured.Unstructured, instead outcome, again time.Duration) {
	target, _ := render.TargetIn(in.decision, m.Name)
	target.Federation, target.KeepReplicas = m.view.federation, m.keepReplicas(ctx, in, live)
	if target.Overrides = m.view.overrides.current().Select(in.kind.GroupKind(), in.object); len(target.Overrides) > 0 {
		cl, err := m.view.anyCluster(ctx, m.Name)
		if err != nil || cl == nil || whereaboutsUnknown(cl) && asksWhere(target.Overrides) {
			return nil, outcome{State: federation.StateWaiting, Message: fmt.Sprintf(
				"%s tells clusters apart by provider, region or zone, and where this one is is not known yet: if this stays, name it by `kubefed join %s --provider --region --zones`",
				target.Overrides[0], m.Name)}, whereAgain
		}
		target.Cluster = policy.ClusterOf(cl)
	}
	config, err := render.Object(in.kind, in.object, target)
	if err != nil {
		return nil, outcome{State: federation.StateNotRendered, Message: err.Error()}, 0
	}
	return config, outcome{}, 0
}

func asksWhere(policies []*override.Policy) bool {
	for _, p := range policies {
		if p.AsksWhere() {
			return true
		}
	}
	return false
}

// whereaboutsUnknown says whether a cluster's nodes have not been read yet, and nobody said where it is.
func whereaboutsUnknown(c *federation.Cluster) bool {
	return c.Status.Provider == "" && c.Status.Region == "" && len(c.Status.Zones) == 0 && c.Status.Allocatable == nil
}
