package publish

import (
	"strings"
	"testing"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/named"
)

// TestAliases: the zone of a set that is an alias holds no addresses, and still nothing of it is lost or forgotten.
func TestAliases(t *testing.T) {
	p := dns.NewMemory(dns.Limits{Routing: true, LoadBalancer: func(host string) string {
		if strings.HasSuffix(host, ".elb.example.") {
			return "ZELB"
		}
		return ""
	}}, testZone)
	gondor, rohan := at("gondor", dns.Healthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2")
	gondor.Hostnames = []string{"Web.elb.example"}
	web := service("web", "federation.kubefed.dev/dns-routing=Weighted")
	shop := Object{Key: Key{Group: named.IngressKind.Group, Kind: "Ingress", Namespace: "shop", Name: "front"}, UID: "uid-front", Hosts: []string{"shop.global.example.com."}, Annotations: web.Annotations}
	b := newBench(t, p, "gondor", "rohan")
	n := b.names(web)
	aliased := func(name string, want bool) {
		t.Helper()
		eventually(t, func() string {
			s, err := p.Records(t.Context(), testZone)
			if err != nil {
				return err.Error()
			}
			for _, set := range s.Sets {
				if set.Name == name && set.Alias.Name == "web.elb.example." {
					if !want {
						return name + " is an alias still"
					}
					return ""
				}
			}
			if want {
				return name + " is no alias"
			}
			return ""
		})
	}
	published := func(o Object, want string) {
		t.Helper()
		eventually(t, func() string {
			b.worker.mu.Lock()
			defer b.worker.mu.Unlock()
			if r := b.worker.results[o.Ref()]; r == nil || !strings.Contains(join(r), want) {
				return "the result is " + join(r) + ", want " + want
			}
			return ""
		})
	}
	b.start()
	b.put(web, gondor, rohan)
	b.put(shop, gondor, rohan)
	all := func(want bool) {
		t.Helper()
		b.settledAt(p)
		for _, name := range []string{n.Global(), n.Cluster("gondor"), n.Region("gondor-region"), shop.Hosts[0]} {
			aliased(name, want)
		}
	}
	all(true)
	published(web, "192.0.2.1")
	b.stop()

	b = newBench(t, p, "gondor", "rohan")
	b.start()
	b.put(web)
	b.put(shop)
	all(true)
	b.answers(p, shop.Hosts[0], "192.0.2.2")
	gondor.State, rohan.State = dns.Unknown, dns.Unknown
	b.put(web, gondor, rohan)
	b.put(shop, gondor, rohan)
	all(true)
	published(shop, "192.0.2.1")
	gondor.State = dns.Unhealthy
	b.put(web, gondor, rohan)
	b.put(shop, gondor, rohan)
	all(false)
	b.answers(p, n.Global(), "192.0.2.2")
}

func join(r *result) string {
	if r == nil {
		return "nothing"
	}
	var all []string
	for _, a := range r.answering {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}
