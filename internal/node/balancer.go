package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// balanced says whether a service is to have a load balancer of ours.
func (s *services) balanced(service *v1.Service) bool {
	return s.addresses != nil && service.Spec.Type == v1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil &&
		service.DeletionTimestamp == nil
}

func balancerAddress(service *v1.Service) (netip.Addr, bool) {
	for _, i := range service.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(i.IP); err == nil {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// adopt keeps the addresses that services had before a restart.
func (s *services) adopt() error {
	all, err := s.services.List(everything)
	if err != nil {
		return fmt.Errorf("looking for load balancers: %w", err)
	}
	for _, service := range all {
		if address, ok := balancerAddress(service); ok && s.balanced(service) {
			s.addresses.claim(service.Namespace+"/"+service.Name, address)
		}
	}
	return nil
}

// addressOf is the address of a service's load balancer, a new one at its first call.
func (s *services) addressOf(key cache.ObjectName, service *v1.Service) (netip.Addr, error) {
	if wish, err := netip.ParseAddr(service.Spec.LoadBalancerIP); err == nil {
		s.addresses.claim(key.String(), wish) // where it can't be had, another one is given
	}
	address, err := s.addresses.get(key.String())
	if err != nil {
		return address, fmt.Errorf("giving service %s an address: %w", key, err)
	}
	return address, nil
}

func (s *services) release(key cache.ObjectName) {
	if s.addresses != nil {
		s.addresses.release(key.String())
	}
}

// post writes the address into the service's status unless it is there.
func (s *services) post(ctx context.Context, service *v1.Service, address netip.Addr) error {
	if has, ok := balancerAddress(service); ok && has == address {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": service.UID},
		"status":   v1.ServiceStatus{LoadBalancer: v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{IP: address.String()}}}},
	})
	if err != nil {
		return err
	}
	_, err = s.client.CoreV1().Services(service.Namespace).Patch(ctx, service.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
