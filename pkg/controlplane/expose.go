package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Endpoint is where the federation API is reached.
type Endpoint struct {
	// Server is the URL that the kubeconfig gets.
	Server string
	// Hosts are addresses that the serving certificate must cover beside ServingHosts.
	Hosts []string
	// PortForward is the local port where the API is reached only while the user forwards it; else 0.
	PortForward int32
}

const defaultForwardPort = 6443

// EndpointOf reads the API's endpoint from its Service and the host's nodes (which only NodePort needs). While there is
// none yet it says why.
func EndpointOf(o Options, svc *corev1.Service, nodes []corev1.Node) (e Endpoint, why string) {
	switch o.ServiceType {
	case corev1.ServiceTypeClusterIP:
		port := o.Port
		if port == 0 {
			port = defaultForwardPort
		}
		return Endpoint{Server: serverURL("127.0.0.1", port), PortForward: port}, ""
	case corev1.ServiceTypeNodePort:
		return nodeEndpoint(o, svc, nodes)
	}
	if len(svc.Spec.Ports) == 0 {
		return e, "the Service has no port"
	}
	for _, ingress := range svc.Status.LoadBalancer.Ingress {
		address := ingress.IP
		if address == "" {
			address = ingress.Hostname
		}
		if address != "" {
			e.Hosts = append(e.Hosts, address)
		}
	}
	if o.AdvertiseAddress != "" {
		e.Hosts = append([]string{o.AdvertiseAddress}, e.Hosts...)
	}
	if len(e.Hosts) == 0 {
		return e, fmt.Sprintf("the host has given Service %s/%s no address yet", Namespace, Name)
	}
	e.Server = serverURL(e.Hosts[0], svc.Spec.Ports[0].Port)
	return e, ""
}

func nodeEndpoint(o Options, svc *corev1.Service, nodes []corev1.Node) (e Endpoint, why string) {
	if len(svc.Spec.Ports) == 0 || svc.Spec.Ports[0].NodePort == 0 {
		return e, fmt.Sprintf("the host has given Service %s/%s no node port yet", Namespace, Name)
	}
	if o.AdvertiseAddress != "" {
		e.Hosts = []string{o.AdvertiseAddress}
	}
	// As in Federation v1, the first node's outside address; the certificate covers every node's.
	for _, kind := range []corev1.NodeAddressType{corev1.NodeExternalIP, corev1.NodeInternalIP} {
		for _, node := range nodes {
			for _, address := range node.Status.Addresses {
				if address.Type == kind {
					e.Hosts = append(e.Hosts, address.Address)
				}
			}
		}
	}
	if len(e.Hosts) == 0 {
		return e, "no node of the host has an address: give one with --api-server-advertise-address"
	}
	e.Server = serverURL(e.Hosts[0], svc.Spec.Ports[0].NodePort)
	return e, ""
}

func serverURL(host string, port int32) string {
	if port == 443 {
		if net.ParseIP(host) != nil && net.ParseIP(host).To4() == nil {
			host = "[" + host + "]"
		}
		return "https://" + host
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// ErrNoAddress says that the host gave the API no address in time; it runs no load balancer controller, or a slow one.
var ErrNoAddress = errors.New("no address")

// endpoint waits until the API has an address.
func (h *Host) endpoint(ctx context.Context, o Options, timeout time.Duration, progress Progress) (Endpoint, error) {
	var e Endpoint
	err := wait(ctx, timeout, "an address for the federation API", progress, func(ctx context.Context) (string, error) {
		svc, err := found(ctx, h, &corev1.Service{}, Name)
		if err != nil || svc == nil {
			return "its Service is not there", err
		}
		var nodes corev1.NodeList
		if o.ServiceType == corev1.ServiceTypeNodePort && o.AdvertiseAddress == "" {
			if err := h.client.List(ctx, &nodes); err != nil {
				return "", fmt.Errorf("listing nodes of host cluster %s: %w", h.Context, err)
			}
		}
		var why string
		e, why = EndpointOf(o, svc, nodes.Items)
		return why, nil
	})
	var late *WaitError
	if errors.As(err, &late) {
		return e, fmt.Errorf("%w: %w", ErrNoAddress, err)
	}
	return e, err
}
