package publish

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

// remember gives the source back what was known before this process began, and has looked at what has a GlobalEndpoints and no
// object any more.
func (p *Publisher) remember(ctx context.Context) error {
	var list federation.GlobalEndpointsList
	if err := p.clients.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing GlobalEndpoints: %w", err)
	}
	for i := range list.Items {
		g := &list.Items[i]
		key, ok := keyOfReference(g.Spec.Object)
		if !ok {
			continue
		}
		p.source.Remember(key, observedOf(g.Status))
		p.moves.recall(key, g.Status.Clusters)
		p.writer.mark(key.Ref())
	}
	return nil
}

// observedOf is what a status says of endpoints. What was withheld for a cluster as a whole is seen anew, and so is not kept.
func observedOf(s federation.GlobalEndpointsStatus) (out []Observed) {
	for _, c := range s.Clusters {
		o := Observed{Endpoint: dns.Endpoint{Cluster: c.Name, State: dns.State(c.State)}, Hostnames: c.Hostnames, Ready: c.Ready, Reason: c.Reason, Message: c.Message}
		if c.Reason == reasonNotRead {
			continue
		}
		if c.Since != nil {
			o.Since = c.Since.Time
		}
		if c.Ready != nil {
			o.Weight = uint32(max(*c.Ready, 0))
		}
		if o.State == dns.Draining || c.Reason == reasonDown || c.Reason == reasonDrill {
			o.State, o.Reason, o.Message = dns.Unknown, "", ""
		}
		for _, text := range c.Addresses {
			if a, err := netip.ParseAddr(text); err == nil {
				o.Addresses = append(o.Addresses, a)
			}
		}
		for _, port := range c.Ports {
			o.Ports = append(o.Ports, dns.Port{Name: port.Name, Protocol: strings.ToLower(port.Protocol), Number: uint16(port.Port)})
		}
		out = append(out, o)
	}
	return out
}
