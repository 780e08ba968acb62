package controlplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubefed.dev/kubefed/pkg/dns/check"
)

// DNSEndpointOf reads from its Service where the DNS server is reached, and from the host's nodes (which only NodePort
// needs). While that is nowhere yet it says why.
func DNSEndpointOf(o Options, svc *corev1.Service, nodes []corev1.Node) (e DNSEndpoint, why string) {
	e.Port = standardPort
	switch o.DNS.ServiceType {
	case corev1.ServiceTypeClusterIP:
		e.Hosts, e.Inside = []string{svc.Spec.ClusterIP}, true
		if svc.Spec.ClusterIP == "" {
			return e, fmt.Sprintf("the host has given Service %s/%s no cluster IP yet", Namespace, ServiceDNS)
		}
	case corev1.ServiceTypeNodePort:
		if len(svc.Spec.Ports) == 0 || svc.Spec.Ports[0].NodePort == 0 {
			return e, fmt.Sprintf("the host has given Service %s/%s no node port yet", Namespace, ServiceDNS)
		}
		e.Port = svc.Spec.Ports[0].NodePort // the API server gives both protocols the same one
		if e.Hosts = nodeAddresses(nodes); len(e.Hosts) == 0 {
			return e, "no node of the host has an address"
		}
	default:
		for _, ingress := range svc.Status.LoadBalancer.Ingress {
			if host := cmp.Or(ingress.IP, ingress.Hostname); host != "" {
				e.Hosts = append(e.Hosts, host)
			}
		}
		if len(e.Hosts) == 0 {
			return e, fmt.Sprintf("the host has given Service %s/%s no address yet", Namespace, ServiceDNS)
		}
	}
	return e, ""
}

// nodeAddresses are one of each node: where the world reaches it, else where the host does.
func nodeAddresses(nodes []corev1.Node) []string {
	var all []string
	for _, kind := range []corev1.NodeAddressType{corev1.NodeExternalIP, corev1.NodeInternalIP} {
		for _, node := range nodes {
			for _, address := range node.Status.Addresses {
				if address.Type == kind {
					all = append(all, address.Address)
				}
			}
		}
		if len(all) > 0 {
			return slices.Compact(all)
		}
	}
	return nil
}

// ErrNoDNSAddress says that the host gave the DNS server no address in time.
var ErrNoDNSAddress = errors.New("no address for DNS")

// dnsEndpoint waits until the DNS server has an address.
func (h *Host) dnsEndpoint(ctx context.Context, o Options, timeout time.Duration, progress Progress) (DNSEndpoint, error) {
	var e DNSEndpoint
	err := wait(ctx, timeout, "an address for the DNS server", progress, func(ctx context.Context) (string, error) {
		svc, err := found(ctx, h, &corev1.Service{}, ServiceDNS)
		if err != nil || svc == nil {
			return "its Service is not there", err
		}
		var nodes corev1.NodeList
		if o.DNS.ServiceType == corev1.ServiceTypeNodePort {
			if err := h.client.List(ctx, &nodes); err != nil {
				return "", fmt.Errorf("listing nodes of host cluster %s: %w", h.Context, err)
			}
		}
		var why string
		e, why = DNSEndpointOf(o, svc, nodes.Items)
		return why, nil
	})
	var late *WaitError
	if errors.As(err, &late) {
		return e, fmt.Errorf("%w: %w", ErrNoDNSAddress, err)
	}
	return e, err
}

// hideDNS removes the DNS server's Service where it is not to be exposed any more.
func (h *Host) hideDNS(ctx context.Context, o Options, existing Existing, progress Progress) (removed bool, err error) {
	svc := existing.DNSService
	if svc == nil || o.DNS.exposed(o.DNSZone) || svc.Labels[labelManagedBy] != managedBy || svc.Labels[labelInstance] != o.Name {
		return false, nil
	}
	progress("Service %s/%s removed: the DNS server is not exposed", Namespace, ServiceDNS)
	if err := h.client.Delete(ctx, svc); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("removing Service %s/%s from host cluster %s: %w%s", Namespace, ServiceDNS, h.Context, err, adviceFor(err))
	}
	return true, nil
}

// dnsAnswers waits until the DNS server answers for the zone where it is reached. Why it does not is no error: load balancers take
// their time, and names are not asked for before somebody is sent there.
func dnsAnswers(ctx context.Context, o Options, timeout time.Duration, progress Progress) (silent string, err error) {
	at := o.DNS.Reached
	if at.Inside || len(at.Hosts) == 0 {
		return "", nil
	}
	zone := check.Zone{Name: embeddedZone(o), Servers: at.Servers()[:1]}
	err = wait(ctx, timeout, "the DNS server at "+zone.Servers[0], progress, func(ctx context.Context) (string, error) {
		for _, s := range (check.Asker{Timeout: time.Second}).Zone(ctx, zone).Servers {
			if s.UDP != s.TCP {
				return fmt.Sprintf("UDP: %s; TCP: %s", s.UDP, s.TCP), nil
			}
			if s.Serial == 0 {
				return s.UDP, nil
			}
		}
		return "", nil
	})
	var late *WaitError
	if errors.As(err, &late) {
		return late.Why, nil
	}
	return "", err
}

// embeddedZone is the first zone that the embedded server serves.
func embeddedZone(o Options) string {
	for _, z := range o.DNS.config(o.DNSZone).Zones {
		if z.Embedded != nil {
			return z.Name
		}
	}
	return o.DNSZone
}
