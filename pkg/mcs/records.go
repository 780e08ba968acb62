package mcs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	mcsv1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"kubefed.dev/kubefed/pkg/dns"
)

// ClusterSetZone is the zone of the Multi-Cluster Services API's names.
const ClusterSetZone = "clusterset.local."

const (
	// recordTTL is the API's own example, in seconds.
	recordTTL = 5
	// maxRecords bounds the answer for a headless Service; the specification asks for a subset of its endpoints.
	maxRecords = 64
	// schemaVersion is that of the DNS specification of KEP-1645.
	schemaVersion = "1.0.0"
)

// versionClaim is the record that says which version of the specification is served.
func versionClaim() dns.Claim {
	name := "dns-version." + ClusterSetZone
	return dns.Claim{Name: name, Owner: dns.Owner{Ref: "mcs/version/dns", UID: "dns-version"},
		Sets: []dns.RecordSet{{Name: name, Type: dns.TXT, TTL: recordTTL, Data: []string{dns.Quote(schemaVersion)}}}}
}

// claims are the records of one import: the clusterset IP's, or those of a headless Service's ready endpoints. Without a ready
// endpoint a headless Service has no names.
func claims(owner dns.Owner, namespace, name string, spec mcsv1.ServiceImportSpec, exports []export) []dns.Claim {
	w := zoneWriter{owner: owner, sets: map[dns.Key]*dns.RecordSet{}}
	base := name + "." + namespace + ".svc." + ClusterSetZone
	if spec.Type == mcsv1.ClusterSetIP {
		for _, ip := range spec.IPs {
			w.address(base, ip)
		}
		if len(spec.IPs) > 0 {
			for _, p := range spec.Ports {
				w.service(base, p.Name, string(p.Protocol), p.Port, base)
			}
		}
		return w.claims()
	}
	count := 0
	for _, e := range slices.SortedFunc(slices.Values(exports), func(a, b export) int { return strings.Compare(a.cluster, b.cluster) }) {
		for _, part := range bySlice(e.endpoints) {
			for _, point := range part.of {
				if !point.ready || count == maxRecords {
					continue
				}
				count++
				for _, a := range point.addresses {
					host := point.hostname
					if host == "" {
						host = strings.NewReplacer(".", "-", ":", "-").Replace(a)
					}
					target := host + "." + e.cluster + "." + base
					w.address(base, a)
					w.address(target, a)
					for _, p := range part.ports {
						w.service(base, p.name, string(p.protocol), p.port, target)
					}
				}
			}
		}
	}
	return w.claims()
}

// zoneWriter gathers record sets.
type zoneWriter struct {
	owner dns.Owner
	sets  map[dns.Key]*dns.RecordSet
	names []string
}

func (w *zoneWriter) add(name string, t dns.Type, data string) {
	key := dns.Key{Name: name, Type: t}
	if w.sets[key] == nil {
		w.sets[key] = &dns.RecordSet{Name: name, Type: t, TTL: recordTTL}
		if !slices.Contains(w.names, name) {
			w.names = append(w.names, name)
		}
	}
	w.sets[key].Data = append(w.sets[key].Data, data)
}

func (w *zoneWriter) address(name, address string) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return
	}
	t := dns.AAAA
	if a.Unmap().Is4() {
		t = dns.A
	}
	w.add(name, t, a.Unmap().String())
}

// service adds an SRV record at the base name, and for a named port at the port's own.
func (w *zoneWriter) service(base, port, protocol string, number int32, target string) {
	data := fmt.Sprintf("0 50 %d %s", number, target)
	w.add(base, dns.SRV, data)
	if port != "" {
		w.add("_"+port+"._"+strings.ToLower(protocol)+"."+base, dns.SRV, data)
	}
}

func (w *zoneWriter) claims() []dns.Claim {
	var out []dns.Claim
	slices.Sort(w.names)
	for _, name := range w.names {
		claim := dns.Claim{Name: name, Owner: w.owner}
		for _, t := range []dns.Type{dns.A, dns.AAAA, dns.SRV} {
			if s := w.sets[dns.Key{Name: name, Type: t}]; s != nil {
				claim.Sets = append(claim.Sets, s.Canonical())
			}
		}
		if dns.CheckName(name) == nil {
			out = append(out, claim)
		}
	}
	return out
}
