package explain

import (
	"fmt"
	"slices"
	"strings"

	"kubefed.dev/kubefed/pkg/dns"
)

// Apex is what stands at the head of a zone, in presentation form: its SOA, its name servers, and those of their addresses that
// are in the zone. Each is a whole record.
type Apex struct {
	SOA     string
	Records []string
}

// ZoneFile writes a zone as a master file (RFC 1035 section 5): its apex, and the names that objects publish there with their
// ownership records, so that a provider that loads it holds names that the federation knows as its own. Sets among which a
// provider would choose become one.
func (w World) ZoneFile(zone string, apex Apex, objects []Object) string {
	var out strings.Builder
	fmt.Fprintf(&out, "; Zone %s of federation %s.\n$ORIGIN %s\n%s\n", strings.TrimSuffix(zone, "."), w.Federation, zone, apex.SOA)
	for _, record := range apex.Records {
		fmt.Fprintln(&out, record)
	}
	for _, o := range objects {
		header := false
		for _, n := range o.Names {
			if n.Zone != zone {
				continue
			}
			if !header {
				fmt.Fprintf(&out, "\n; %s %s/%s\n", o.Object.Kind, o.Object.Namespace, o.Object.Name)
				header = true
			}
			for _, set := range n.Records {
				if set.Alias != (dns.Alias{}) {
					fmt.Fprintf(&out, "; %s: only its provider can answer so\n", set)
				}
			}
			for _, set := range append(flat(n.Records), w.ownership(n)) {
				for _, data := range set.Data {
					fmt.Fprintf(&out, "%s\t%d\tIN\t%s\t%s\n", set.Name, set.TTL, set.Type, data)
				}
			}
		}
	}
	return out.String()
}

// ownership is the record beside a name. Its epoch is unknown here and left 0: whoever writes next writes its own.
func (w World) ownership(n Name) dns.RecordSet {
	o := dns.Ownership{Federation: w.Federation, Owner: n.owner, Hash: dns.HashOf(n.Records)}
	for _, set := range n.Records {
		if !slices.Contains(o.Types, set.Type) {
			o.Types = append(o.Types, set.Type)
		}
	}
	slices.Sort(o.Types)
	return o.Record(n.Name)
}

// flat are sets without routing: those of one type are one set with all data and the lowest TTL.
func flat(sets []dns.RecordSet) []dns.RecordSet {
	var merged []dns.RecordSet
	for _, s := range sets {
		i := slices.IndexFunc(merged, func(m dns.RecordSet) bool { return m.Name == s.Name && m.Type == s.Type })
		if i < 0 {
			merged = append(merged, dns.RecordSet{Name: s.Name, Type: s.Type, TTL: s.TTL, Data: slices.Clone(s.Data)})
			continue
		}
		merged[i].TTL = min(merged[i].TTL, s.TTL)
		merged[i].Data = append(merged[i].Data, s.Data...)
	}
	for i := range merged {
		merged[i] = merged[i].Canonical()
	}
	return merged
}
