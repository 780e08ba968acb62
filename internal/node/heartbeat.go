package node

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

const (
	// Three renewals fit into the 50 s after which the node lifecycle controller gives a node up.
	leasePeriod   = 15 * time.Second
	leaseDuration = 40
)

// register creates the nodes, or takes over those of an earlier run, and says that they are ready.
func (a *agent) register(ctx context.Context) error {
	for i := range a.Nodes {
		n := nodeObject(a.Config, i)
		if err := a.registerNode(ctx, n); err != nil {
			return fmt.Errorf("registering node %s: %w", n.Name, err)
		}
	}
	return nil
}

func (a *agent) registerNode(ctx context.Context, n *v1.Node) error {
	_, err := a.client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"labels": n.Labels}})
		_, err = a.client.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	}
	if err != nil {
		return err
	}
	if err := a.renewLease(ctx, n.Name); err != nil {
		return err
	}
	return a.postNodeStatus(ctx, n.Name)
}

func (a *agent) postNodeStatus(ctx context.Context, name string) error {
	m := a.machines[name]
	status := nodeStatus(a.Config, name, m.address.String(), m.port, metav1.Now())
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	_, err = a.client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// reconcileNode restores the Ready condition after the node lifecycle controller took the node for dead, as it does
// with a cluster that stood still. A deleted node stays away until the next start, like a machine that was taken out.
func (a *agent) reconcileNode(ctx context.Context, key cache.ObjectName) error {
	n, err := a.nodes.Get(key.Name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if _, ours := a.machines[n.Name]; !ours || isReady(n) {
		return nil
	}
	return a.postNodeStatus(ctx, n.Name)
}

func isReady(n *v1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == v1.NodeReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}

// beat renews all nodes' leases until ctx ends.
func (a *agent) beat(ctx context.Context) {
	tick := time.NewTicker(leasePeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for name := range a.machines {
			if err := a.renewLease(ctx, name); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "renewing the lease will be tried again", "node", name)
			}
		}
	}
}

func (a *agent) renewLease(ctx context.Context, name string) error {
	leases := a.client.CoordinationV1().Leases(v1.NamespaceNodeLease)
	spec := coordinationv1.LeaseSpec{
		HolderIdentity:       ptr.To(name),
		LeaseDurationSeconds: ptr.To[int32](leaseDuration),
		RenewTime:            ptr.To(metav1.NowMicro()),
	}
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return err
	}
	_, err = leases.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	}
	return err
}
