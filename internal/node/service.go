package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// services is the data path of Services: it forwards their node ports on all nodes, and gives those of type LoadBalancer
// an address, on which it forwards their ports; TCP and UDP. Session affinity, traffic policies and source ranges have
// no effect.
type services struct {
	client kubernetes.Interface
	nodes  []netip.Addr
	// addresses are those of load balancers; nil for a cluster without load balancers.
	addresses *addressPool
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	queue     *queue

	// mu guards forwarders; what a service has there is used by the one worker that has its name.
	mu         sync.Mutex
	forwarders map[cache.ObjectName]map[door]forwarder
}

func newServices(client kubernetes.Interface, nodes []netip.Addr, addresses *addressPool, f informers.SharedInformerFactory) *services {
	return &services{
		client: client, nodes: nodes, addresses: addresses, queue: newQueue("services"),
		services:   f.Core().V1().Services().Lister(),
		slices:     f.Discovery().V1().EndpointSlices().Lister(),
		forwarders: map[cache.ObjectName]map[door]forwarder{},
	}
}

func (s *services) subscriptions(f informers.SharedInformerFactory) []subscription {
	serviceOf := func(obj any) (cache.ObjectName, bool) {
		slice, ok := obj.(*discoveryv1.EndpointSlice)
		if !ok || slice.Labels[discoveryv1.LabelServiceName] == "" {
			return cache.ObjectName{}, false
		}
		return cache.NewObjectName(slice.Namespace, slice.Labels[discoveryv1.LabelServiceName]), true
	}
	return []subscription{
		{f.Core().V1().Services().Informer(), s.queue.handler()},
		{f.Discovery().V1().EndpointSlices().Informer(), s.queue.handlerBy(serviceOf)},
	}
}

// run forwards until ctx ends; then all listeners and connections are closed.
func (s *services) run(ctx context.Context) {
	s.queue.run(ctx, 2, s.reconcile)
	for name := range s.forwarders {
		s.closeAll(name)
	}
}

func (s *services) reconcile(ctx context.Context, key cache.ObjectName) error {
	service, err := s.services.Services(key.Namespace).Get(key.Name)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err != nil || service.DeletionTimestamp != nil {
		s.closeAll(key)
		s.release(key)
		return nil
	}
	if !s.balanced(service) {
		s.release(key)
		return s.forward(ctx, key, service, netip.Addr{}) // the API server itself clears the status of a service that changes its type
	}
	address, err := s.addressOf(key, service)
	if err := errors.Join(err, s.forward(ctx, key, service, address)); err != nil {
		return err
	}
	return s.post(ctx, service, address)
}

// forward brings the listeners of a service in line with its ports and endpoints.
func (s *services) forward(ctx context.Context, key cache.ObjectName, service *v1.Service, balancer netip.Addr) error {
	slices, err := s.slices.EndpointSlices(service.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name}))
	if err != nil {
		return err
	}
	wanted := routes(service, balancer, s.nodes, slices)
	current := s.forwardersOf(key)
	for from, f := range current {
		if _, ok := wanted[from]; !ok {
			f.close()
			delete(current, from)
		}
	}
	var errs []error
	for from, to := range wanted {
		f, ok := current[from]
		if !ok {
			f = newForwarder(ctx, from)
			current[from] = f
		}
		if err := f.set(to); err != nil {
			errs = append(errs, fmt.Errorf("forwarding for service %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

func (s *services) forwardersOf(key cache.ObjectName) map[door]forwarder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forwarders[key] == nil {
		s.forwarders[key] = map[door]forwarder{}
	}
	return s.forwarders[key]
}

func (s *services) closeAll(key cache.ObjectName) {
	s.mu.Lock()
	forwarders := s.forwarders[key]
	delete(s.forwarders, key)
	s.mu.Unlock()
	for _, f := range forwarders {
		f.close()
	}
}
