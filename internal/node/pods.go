package node

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

var everything = labels.Everything()

// reconcilePod brings one pod nearer to what its spec says.
func (a *agent) reconcilePod(ctx context.Context, key cache.ObjectName) error {
	pod, err := a.pods.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		a.forget(ctx, key)
		return nil
	}
	if err != nil || !a.ours(pod) {
		return err
	}
	a.remember(ctx, key, pod.UID)
	if a.runsProcess(pod) {
		return a.reconcileProcess(ctx, key, pod)
	}
	return a.reconcileSimulated(ctx, key, pod)
}

func (a *agent) reconcileSimulated(ctx context.Context, key cache.ObjectName, pod *v1.Pod) error {
	address, err := a.podAddresses.get(string(pod.UID))
	if err != nil {
		return fmt.Errorf("giving pod %s an address: %w", key, err)
	}
	at := place{hostIP: a.hostIP(pod), podIP: published(address).String()}
	status, again := simulate(pod, at, time.Now())
	if err := a.postPodStatus(ctx, pod, status); err != nil {
		return err
	}
	if pod.DeletionTimestamp != nil {
		return a.confirmDeletion(ctx, pod)
	}
	if again > 0 {
		a.podQueue.AddAfter(key, again)
	}
	return nil
}

// remember notes which pod has a name now; the one that had it before is gone.
func (a *agent) remember(ctx context.Context, key cache.ObjectName, uid types.UID) {
	before, had := a.names.Swap(key, uid)
	if had && before != uid {
		a.bury(ctx, string(before.(types.UID)))
	}
}

func (a *agent) forget(ctx context.Context, key cache.ObjectName) {
	if uid, had := a.names.LoadAndDelete(key); had {
		a.bury(ctx, string(uid.(types.UID)))
	}
}

// postPodStatus writes status unless the API server has it. Conditions are merged by type, so what others wrote stays.
func (a *agent) postPodStatus(ctx context.Context, pod *v1.Pod, status v1.PodStatus) error {
	if equality.Semantic.DeepEqual(pod.Status, status) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = a.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return a.unlessGone(ctx, err, "posting the status", pod)
}

// confirmDeletion tells the API server that nothing of the pod runs any more. A pod that only finalizers keep is left
// to them.
func (a *agent) confirmDeletion(ctx context.Context, pod *v1.Pod) error {
	if ptr.Deref(pod.DeletionGracePeriodSeconds, 1) == 0 {
		return nil
	}
	err := a.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0),
		Preconditions:      metav1.NewUIDPreconditions(string(pod.UID)),
	})
	return a.unlessGone(ctx, err, "confirming the deletion", pod)
}

// unlessGone forgives that the pod, or the pod of this UID, does not exist any more.
func (a *agent) unlessGone(ctx context.Context, err error, doing string, pod *v1.Pod) error {
	if err == nil || ctx.Err() != nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("%s of pod %s/%s: %w", doing, pod.Namespace, pod.Name, err)
}
