package node

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// door is an address and port at which a service is reached over one protocol.
type door struct {
	netip.AddrPort
	protocol v1.Protocol
}

// routes says which backends stand behind each door of a service: node ports on every node, its own ports on its load
// balancer, if that has an address.
func routes(s *v1.Service, balancer netip.Addr, nodes []netip.Addr, slices []*discoveryv1.EndpointSlice) map[door][]string {
	all := map[door][]string{}
	for _, port := range s.Spec.Ports {
		protocol := cmp.Or(port.Protocol, v1.ProtocolTCP)
		if protocol != v1.ProtocolTCP && protocol != v1.ProtocolUDP {
			continue
		}
		to := backends(slices, port.Name, protocol)
		if balancer.IsValid() {
			all[door{netip.AddrPortFrom(balancer, uint16(port.Port)), protocol}] = to
		}
		if port.NodePort != 0 {
			for _, node := range nodes {
				all[door{netip.AddrPortFrom(node, uint16(port.NodePort)), protocol}] = to
			}
		}
	}
	return all
}

// backends are the local addresses that stand behind a service's port of this name, sorted. They are the ready
// endpoints; where there is none, those that still serve while they terminate, as with kube-proxy.
func backends(endpointSlices []*discoveryv1.EndpointSlice, portName string, protocol v1.Protocol) []string {
	var ready, leaving []string
	for _, slice := range endpointSlices {
		port := portNumber(slice, portName, protocol)
		if port == 0 || slice.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		for _, e := range slice.Endpoints {
			for _, text := range e.Addresses {
				address, err := netip.ParseAddr(text)
				if err != nil {
					continue
				}
				to := net.JoinHostPort(local(address).String(), strconv.Itoa(int(port)))
				switch {
				case ptr.Deref(e.Conditions.Ready, true):
					ready = append(ready, to)
				case ptr.Deref(e.Conditions.Serving, false) && ptr.Deref(e.Conditions.Terminating, false):
					leaving = append(leaving, to)
				}
			}
		}
	}
	if len(ready) == 0 {
		ready = leaving
	}
	slices.Sort(ready)
	return slices.Compact(ready) // an endpoint may be in two slices while it moves
}

func portNumber(slice *discoveryv1.EndpointSlice, name string, protocol v1.Protocol) int32 {
	for _, p := range slice.Ports {
		if ptr.Deref(p.Name, "") == name && ptr.Deref(p.Protocol, v1.ProtocolTCP) == protocol {
			return ptr.Deref(p.Port, 0)
		}
	}
	return 0
}
