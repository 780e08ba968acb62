package node

import (
	"context"
	"errors"
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
	client kubernetes.Interface
	// machines are our nodes by name; they don't change once their endpoint listens.
	machines map[string]machine

	nodes corelisters.NodeLister
	pods  corelisters.PodLister

	podAddresses      *addressPool
	balancerAddresses *addressPool
	podQueue          *queue
	// names has the UID of the pod that bears a name now.
	names sync.Map

	spawner   *spawner
	processes sync.WaitGroup // of process pods
	mu        sync.Mutex
	// processPods by UID, from their start until the API server has forgotten them.
	processPods map[string]*processPod
}

// machine is one of our nodes.
type machine struct {
	zone    string
	address netip.Addr
	port    int32 // of its kubelet endpoint
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
	a := &agent{
		Config: c, client: client, machines: map[string]machine{}, podQueue: newQueue("pods"),
		spawner: newSpawner(), processPods: map[string]*processPod{},
	}
	a.podAddresses, a.balancerAddresses = splitRange(c.IPRange)
	if c.NoBalancers {
		a.balancerAddresses = nil
	}
	return a.run(ctx)
}

func (a *agent) run(ctx context.Context) error {
	kubelet, err := a.listen()
	if err != nil {
		return err
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	parts.Go(func() { kubelet.serve(ctx) })
	// Processes have some time after ctx's end; their parent thread has to outlive them.
	spawning, stopSpawning := context.WithCancel(context.WithoutCancel(ctx))
	parts.Go(func() { a.spawner.run(spawning) })
	defer stopSpawning()
	defer a.processes.Wait()
	var queues sync.WaitGroup
	defer queues.Wait()
	defer stop()

	if err := a.registerPatiently(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	factory, podFactory := a.informers()
	defer factory.Shutdown()
	defer podFactory.Shutdown()
	nodeQueue := newQueue("nodes")
	services := newServices(a.client, Addresses(a.IPRange, a.Nodes), a.balancerAddresses, factory)
	provisioner := newProvisioner(a.client, a.Dir, factory)
	if err := a.watch(factory, podFactory, nodeQueue, services, provisioner); err != nil {
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
	if err := errors.Join(a.sweep(), services.adopt()); err != nil {
		return err
	}
	parts.Go(func() { a.beat(ctx) })
	queues.Go(func() { nodeQueue.run(ctx, 1, a.reconcileNode) })
	queues.Go(func() { a.podQueue.run(ctx, 8, a.reconcilePod) })
	queues.Go(func() { services.run(ctx) })
	queues.Go(func() { provisioner.run(ctx) })
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

// subscription tells a queue what an informer sees.
type subscription struct {
	informer cache.SharedIndexInformer
	handler  cache.ResourceEventHandler
}

func (a *agent) watch(all, bound informers.SharedInformerFactory, nodeQueue *queue, s *services, p *provisioner) error {
	nodes, pods := all.Core().V1().Nodes(), bound.Core().V1().Pods()
	a.nodes, a.pods = nodes.Lister(), pods.Lister()
	subscriptions := []subscription{
		{nodes.Informer(), nodeQueue.handler()},
		{pods.Informer(), a.podQueue.handler()},
	}
	subscriptions = append(subscriptions, s.subscriptions(all)...)
	subscriptions = append(subscriptions, p.subscriptions(all)...)
	for _, w := range subscriptions {
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
	_, ok := a.machines[p.Spec.NodeName]
	return ok
}

func (a *agent) hostIP(p *v1.Pod) string { return a.machines[p.Spec.NodeName].address.String() }
