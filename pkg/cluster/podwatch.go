package cluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	resourcehelper "k8s.io/component-helpers/resource"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// runningPods are the pods that take room on nodes; the member leaves the others out itself.
const runningPods = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"

// podWatch follows what a member's pods request on each node. Of a pod it keeps 24 octets: which one it is, where, and
// how much; equal requests are kept once. It is a cache.ReflectorStore. Safe for concurrent use.
type podWatch struct {
	answered chan struct{} // closed once the member has listed its pods, or refused to
	once     sync.Once

	mu       sync.Mutex
	synced   bool
	refused  bool
	revision int // of used
	pods     map[podKey]podRoom
	nodes    names
	requests requests
	used     map[int32]amount // by node
}

// podKey digests namespace and name.
type podKey [16]byte

// podRoom is where a pod takes how much: indexes of nodes and requests.
type podRoom struct{ node, request int32 }

func newPodWatch() *podWatch {
	return &podWatch{
		answered: make(chan struct{}), pods: map[podKey]podRoom{}, used: map[int32]amount{},
		nodes: names{of: map[string]int32{}}, requests: requests{of: map[string]int32{}},
	}
}

// askAgain is the longest pause between two questions whether the federation may list a member's pods by now. The first are short,
// since an API server that has just started refuses what it allows a moment later.
const (
	askAgain     = time.Minute
	askAgainSoon = time.Second
)

// watchPods starts to follow the pods until the connection or ctx ends.
func watchPods(ctx context.Context, c *connection, running *sync.WaitGroup) *podWatch {
	w := newPodWatch()
	lister := cache.NewFilteredListWatchFromClient(c.core.RESTClient(), "pods", "", func(o *metav1.ListOptions) { o.FieldSelector = runningPods })
	reflector := cache.NewReflectorWithOptions(lister, &corev1.Pod{}, w, cache.ReflectorOptions{Name: "pods of " + c.name})
	running.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		// A reflector would report at every try what is a right that a member joined long ago has not.
		for pause := askAgainSoon; !w.allowed(ctx, c); pause = min(2*pause, askAgain) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
		reflector.RunWithContext(ctx)
	})
	return w
}

// allowed says whether the member shows its pods. Where it does not, what is free there is unknown, which is no error.
func (w *podWatch) allowed(ctx context.Context, c *connection) bool {
	_, err := c.core.Pods("").List(ctx, metav1.ListOptions{Limit: 1, FieldSelector: runningPods})
	if !apierrors.IsForbidden(err) {
		return true // other failures are the reflector's to try again
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.refused {
		log.FromContext(ctx).Info("free capacity is unknown: the federation may not list pods there; join the cluster again", "cause", err.Error())
	}
	w.refused = true
	w.once.Do(func() { close(w.answered) })
	return false
}

// Used returns how much is requested on each node, nil while that is not known yet, and a number that differs when it
// changed. refused says that the member does not tell.
func (w *podWatch) Used() (used map[string]amount, revision int, refused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.synced {
		return nil, w.revision, w.refused
	}
	used = make(map[string]amount, len(w.used))
	for node, a := range w.used {
		used[w.nodes.names[node]] = a
	}
	return used, w.revision, false
}

// Add implements cache.ReflectorStore.
func (w *podWatch) Add(obj any) error { return w.Update(obj) }

// Update implements cache.ReflectorStore.
func (w *podWatch) Update(obj any) error {
	pod, err := podOf(obj)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(pod)
	return nil
}

// Delete implements cache.ReflectorStore.
func (w *podWatch) Delete(obj any) error {
	pod, err := podOf(obj)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(keyOfPod(pod))
	return nil
}

// Replace implements cache.ReflectorStore.
func (w *podWatch) Replace(list []any, _ string) error {
	fresh := newPodWatch()
	for _, obj := range list {
		pod, err := podOf(obj)
		if err != nil {
			return err
		}
		fresh.put(pod)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pods, w.nodes, w.requests, w.used = fresh.pods, fresh.nodes, fresh.requests, fresh.used
	w.synced, w.refused = true, false
	w.revision++
	w.once.Do(func() { close(w.answered) })
	return nil
}

// Resync implements cache.ReflectorStore: there is nobody to tell.
func (*podWatch) Resync() error { return nil }

// Transformer implements cache.TransformingStore, so that a long first list is trimmed as it comes in.
func (*podWatch) Transformer() cache.TransformFunc { return trimPod }

func podOf(obj any) (*corev1.Pod, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return nil, fmt.Errorf("following pods: got a %T", obj)
	}
	return pod, nil
}

func keyOfPod(pod *corev1.Pod) podKey {
	sum := sha256.Sum256([]byte(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}.String()))
	return podKey(sum[:16])
}

func (w *podWatch) put(pod *corev1.Pod) {
	key := keyOfPod(pod)
	if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		w.drop(key)
		return
	}
	request := amountOf(effectiveRequest(pod))
	request.pods = 1
	now := podRoom{w.nodes.index(pod.Spec.NodeName), w.requests.index(request)}
	if was, has := w.pods[key]; has && was == now {
		return
	}
	w.drop(key)
	w.pods[key] = now
	w.used[now.node] = w.used[now.node].plus(request, 1)
	w.revision++
}

func (w *podWatch) drop(key podKey) {
	was, has := w.pods[key]
	if !has {
		return
	}
	delete(w.pods, key)
	if w.used[was.node] = w.used[was.node].plus(w.requests.amounts[was.request], -1); w.used[was.node].pods == 0 {
		delete(w.used, was.node)
	}
	w.revision++
}

// effectiveRequest is what the scheduler counts for a pod: resized pods by what they have where that is more.
func effectiveRequest(pod *corev1.Pod) corev1.ResourceList {
	return resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{UseStatusResources: true})
}

// trimPod keeps of a pod what effectiveRequest and put read.
func trimPod(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	trimmed := &corev1.Pod{}
	trimmed.Namespace, trimmed.Name, trimmed.ResourceVersion = pod.Namespace, pod.Name, pod.ResourceVersion
	trimmed.Spec.NodeName, trimmed.Status.Phase = pod.Spec.NodeName, pod.Status.Phase
	// One container stands for all: the request is worked out here.
	trimmed.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: effectiveRequest(pod)}}}
	return trimmed, nil
}

// names numbers strings.
type names struct {
	of    map[string]int32
	names []string
}

func (n *names) index(name string) int32 {
	i, known := n.of[name]
	if !known {
		i = int32(len(n.names))
		n.of[name], n.names = i, append(n.names, name)
	}
	return i
}

// requests numbers amounts. They are few: pods of one workload request the same. They go when the pods are listed anew.
type requests struct {
	of      map[string]int32
	amounts []amount
}

func (r *requests) index(a amount) int32 {
	key := a.key()
	i, known := r.of[key]
	if !known {
		i = int32(len(r.amounts))
		r.of[key], r.amounts = i, append(r.amounts, a)
	}
	return i
}
