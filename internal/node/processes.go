package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// runsProcess says whether a container of the pod is a process here.
func (a *agent) runsProcess(pod *v1.Pod) bool {
	for _, containers := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range containers {
			if _, ok := a.Images[imageRepository(c.Image)]; ok {
				return true
			}
		}
	}
	return false
}

// reconcileProcess starts, updates or ends a pod with processes. A pod's end brings its name back to the queue.
func (a *agent) reconcileProcess(ctx context.Context, key cache.ObjectName, pod *v1.Pod) error {
	p, exists := a.processPodOf(string(pod.UID))
	switch {
	case exists && pod.DeletionTimestamp != nil:
		p.update(pod)
		p.stop(podGrace(pod))
		select {
		case <-p.done:
			return a.confirmDeletion(ctx, pod)
		default:
			return nil
		}
	case exists:
		p.update(pod)
		return nil
	case pod.DeletionTimestamp != nil:
		return a.confirmDeletion(ctx, pod) // of a pod that ended, or that the cluster's end took along
	case terminal(pod.Status.Phase):
		return nil
	}
	address, err := a.podAddresses.get(string(pod.UID))
	if err != nil {
		return fmt.Errorf("giving pod %s an address: %w", key, err)
	}
	p = a.startProcessPod(ctx, key, pod, address)
	a.mu.Lock()
	a.processPods[string(pod.UID)] = p
	a.mu.Unlock()
	return nil
}

func (a *agent) processPodOf(uid string) (*processPod, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.processPods[uid]
	return p, ok
}

// bury ends what runs of a pod that does not exist any more, and removes what it left.
func (a *agent) bury(ctx context.Context, uid string) {
	p, exists := a.processPodOf(uid)
	if exists {
		p.stop(0)
		<-p.done
		a.mu.Lock()
		delete(a.processPods, uid)
		a.mu.Unlock()
		if err := os.RemoveAll(a.podDir(uid)); err != nil {
			klog.FromContext(ctx).Error(err, "removing a pod's directory; remove it by hand", "dir", a.podDir(uid))
		}
	}
	a.podAddresses.release(uid)
}

// sweep removes the directories of pods that went while the cluster was stopped.
func (a *agent) sweep() error {
	pods, err := a.pods.List(everything)
	if err != nil {
		return err
	}
	exists := map[string]bool{}
	for _, p := range pods {
		exists[string(p.UID)] = true
	}
	entries, err := os.ReadDir(filepath.Join(a.Dir, "pods"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for pods of an earlier run: %w", err)
	}
	for _, e := range entries {
		if !exists[e.Name()] {
			if err := os.RemoveAll(a.podDir(e.Name())); err != nil {
				return fmt.Errorf("removing a pod of an earlier run: %w", err)
			}
		}
	}
	return nil
}
