package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// balancers gives Services of type LoadBalancer an address and forwards their TCP ports. Session affinity, traffic
// policies, source ranges and UDP have no effect.
type balancers struct {
	client    kubernetes.Interface
	addresses *addressPool
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	queue     *queue

	// mu guards forwarders; a service's ports are used by the one worker that has its name.
	mu         sync.Mutex
	forwarders map[cache.ObjectName]map[int32]*forwarder
}

func newBalancers(client kubernetes.Interface, addresses *addressPool, f informers.SharedInformerFactory) *balancers {
	return &balancers{
		client: client, addresses: addresses, queue: newQueue("services"),
		services:   f.Core().V1().Services().Lister(),
		slices:     f.Discovery().V1().EndpointSlices().Lister(),
		forwarders: map[cache.ObjectName]map[int32]*forwarder{},
	}
}

func (b *balancers) subscriptions(f informers.SharedInformerFactory) []subscription {
	serviceOf := func(obj any) (cache.ObjectName, bool) {
		slice, ok := obj.(*discoveryv1.EndpointSlice)
		if !ok || slice.Labels[discoveryv1.LabelServiceName] == "" {
			return cache.ObjectName{}, false
		}
		return cache.NewObjectName(slice.Namespace, slice.Labels[discoveryv1.LabelServiceName]), true
	}
	return []subscription{
		{f.Core().V1().Services().Informer(), b.queue.handler()},
		{f.Discovery().V1().EndpointSlices().Informer(), b.queue.handlerBy(serviceOf)},
	}
}

// adopt keeps the addresses that services had before a restart.
func (b *balancers) adopt() error {
	services, err := b.services.List(everything)
	if err != nil {
		return fmt.Errorf("looking for load balancers: %w", err)
	}
	for _, s := range services {
		if address, ok := balancerAddress(s); ok && balanced(s) {
			b.addresses.claim(s.Namespace+"/"+s.Name, address)
		}
	}
	return nil
}

// run forwards until ctx ends; then all listeners and connections are closed.
func (b *balancers) run(ctx context.Context) {
	b.queue.run(ctx, 2, b.reconcile)
	for name := range b.forwarders {
		b.closeAll(name)
	}
}

func balanced(s *v1.Service) bool {
	return s.Spec.Type == v1.ServiceTypeLoadBalancer && s.Spec.LoadBalancerClass == nil && s.DeletionTimestamp == nil
}

func balancerAddress(s *v1.Service) (netip.Addr, bool) {
	for _, i := range s.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(i.IP); err == nil {
			return a, true
		}
	}
	return netip.Addr{}, false
}

func (b *balancers) reconcile(ctx context.Context, key cache.ObjectName) error {
	service, err := b.services.Services(key.Namespace).Get(key.Name)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err != nil || !balanced(service) {
		b.closeAll(key)
		b.addresses.release(key.String())
		return nil // the API server itself clears the status of a service that changes its type
	}
	if wish, err := netip.ParseAddr(service.Spec.LoadBalancerIP); err == nil {
		b.addresses.claim(key.String(), wish) // where it can't be had, another one is given
	}
	address, err := b.addresses.get(key.String())
	if err != nil {
		return fmt.Errorf("giving service %s an address: %w", key, err)
	}
	if err := b.forward(ctx, key, service, address); err != nil {
		return err
	}
	return b.post(ctx, service, address)
}

// post writes the address into the service's status unless it is there.
func (b *balancers) post(ctx context.Context, s *v1.Service, address netip.Addr) error {
	if has, ok := balancerAddress(s); ok && has == address {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": s.UID},
		"status":   v1.ServiceStatus{LoadBalancer: v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{IP: address.String()}}}},
	})
	if err != nil {
		return err
	}
	_, err = b.client.CoreV1().Services(s.Namespace).Patch(ctx, s.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// forward brings the listeners of a service in line with its ports and endpoints.
func (b *balancers) forward(ctx context.Context, key cache.ObjectName, s *v1.Service, address netip.Addr) error {
	slices, err := b.slices.EndpointSlices(s.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: s.Name}))
	if err != nil {
		return err
	}
	wanted := map[int32][]string{}
	for _, port := range s.Spec.Ports {
		if port.Protocol == v1.ProtocolTCP || port.Protocol == "" {
			wanted[port.Port] = backends(slices, port.Name)
		}
	}
	current := b.portsOf(key)
	for port, f := range current {
		if _, ok := wanted[port]; !ok || f.address != netip.AddrPortFrom(address, uint16(port)) {
			f.close()
			delete(current, port)
		}
	}
	var errs []error
	for port, to := range wanted {
		f, ok := current[port]
		if !ok {
			f = newForwarder(ctx, netip.AddrPortFrom(address, uint16(port)))
			current[port] = f
		}
		if err := f.set(to); err != nil {
			errs = append(errs, fmt.Errorf("forwarding for service %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

func (b *balancers) portsOf(key cache.ObjectName) map[int32]*forwarder {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forwarders[key] == nil {
		b.forwarders[key] = map[int32]*forwarder{}
	}
	return b.forwarders[key]
}

func (b *balancers) closeAll(key cache.ObjectName) {
	b.mu.Lock()
	ports := b.forwarders[key]
	delete(b.forwarders, key)
	b.mu.Unlock()
	for _, f := range ports {
		f.close()
	}
}
