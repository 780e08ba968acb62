package node

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// agent is the nodes of one cluster.
type agent struct {
	Config
	client  kubernetes.Interface
	hostIP  string
	logPort int32
	// zones has the zone of each of our nodes; it does not change after registration.
	zones map[string]string

	nodes corelisters.NodeLister
	pods  corelisters.PodLister

	podAddresses      *addressPool
	balancerAddresses *addressPool
	podQueue          *queue
	// names has the UID of the pod that bears a name now.
	names sync.Map
}

// Run registers the nodes and runs their pods and services until ctx ends. When it returns, no process that it started
// is left. It may be called again, in this process or another, with the same Dir: it takes over what it finds.
func Run(ctx context.Context, c Config) error {
	if err := c.complete(); err != nil {
		return err
	}
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("cluster", c.Cluster))
	config := rest.CopyConfig(c.REST)
	config.QPS = -1 // the API server is ours and has its own limits
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.UserAgent = "kubefed-node"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting nodes to cluster %s: %w", c.Cluster, err)
	}
	a := &agent{Config: c, client: client, hostIP: "127.0.0.1", zones: map[string]string{}, podQueue: newQueue("pods")}
	a.podAddresses, a.balancerAddresses = splitRange(c.IPRange)
	return a.run(ctx)
}

func (a *agent) run(ctx context.Context) error {
	logs, err := a.listenForLogs()
	if err != nil {
		return err
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	parts.Go(func() { logs.serve(ctx) })

	if err := a.registerPatiently(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	factory, podFactory := a.informers()
	defer factory.Shutdown()
	defer podFactory.Shutdown()
	nodeQueue := newQueue("nodes")
	if err := a.watch(factory, podFactory, nodeQueue); err != nil {
		return err
	}
	factory.StartWithContext(ctx)
	podFactory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return ignoreEnd(ctx, err)
	}
	if err := podFactory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return ignoreEnd(ctx, err)
	}
	if err := a.adoptAddresses(); err != nil {
		return err
	}
	parts.Go(func() { a.beat(ctx) })
	parts.Go(func() { nodeQueue.run(ctx, 1, a.reconcileNode) })
	parts.Go(func() { a.podQueue.run(ctx, 8, a.reconcilePod) })
	<-ctx.Done()
	return nil
}

// registerPatiently waits for an API server that is still starting.
func (a *agent) registerPatiently(ctx context.Context) error {
	return wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := a.register(ctx)
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).V(1).Info("registering nodes will be tried again", "error", err.Error())
		}
		return err == nil, nil
	})
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// informers makes one factory for what is watched whole, and one for pods that are bound to a node.
func (a *agent) informers() (all, bound informers.SharedInformerFactory) {
	all = informers.NewSharedInformerFactoryWithOptions(a.client, 0, informers.WithTransform(trim))
	bound = informers.NewSharedInformerFactoryWithOptions(a.client, 0, informers.WithTransform(trim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
		}))
	return all, bound
}

// trim drops what nobody here reads.
func trim(obj any) (any, error) {
	if m, err := meta.Accessor(obj); err == nil {
		m.SetManagedFields(nil)
	}
	return obj, nil
}

func (a *agent) watch(all, bound informers.SharedInformerFactory, nodeQueue *queue) error {
	nodes, pods := all.Core().V1().Nodes(), bound.Core().V1().Pods()
	a.nodes, a.pods = nodes.Lister(), pods.Lister()
	for _, w := range []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{nodes.Informer(), nodeQueue.handler()},
		{pods.Informer(), a.podQueue.handler()},
	} {
		if _, err := w.informer.AddEventHandler(w.handler); err != nil {
			return fmt.Errorf("watching cluster %s: %w", a.Cluster, err)
		}
	}
	return nil
}

// adoptAddresses keeps the addresses that pods had before a restart.
func (a *agent) adoptAddresses() error {
	pods, err := a.pods.List(everything)
	if err != nil {
		return err
	}
	for _, p := range pods {
		if addr, err := netip.ParseAddr(p.Status.PodIP); err == nil && a.ours(p) {
			a.podAddresses.claim(string(p.UID), local(addr))
		}
	}
	return nil
}

func (a *agent) ours(p *v1.Pod) bool {
	_, ok := a.zones[p.Spec.NodeName]
	return ok
}
