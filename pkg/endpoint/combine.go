package endpoint

import (
	"net/netip"
	"slices"

	"kubefed.dev/kubefed/pkg/dns"
)

// located is an address and what is believed of it.
type located struct {
	address netip.Addr
	track   Track
}

// rank orders states by how good they are for one who asks for an address.
var rank = map[dns.State]int{dns.Healthy: 0, dns.Degraded: 1, dns.Draining: 2, dns.Unknown: 3, dns.Unhealthy: 4}

// combine makes one state of those of a cluster's addresses: the best one. Those that can serve are named, the others only while none
// can. before is the endpoint's state until now. The result is sorted, and nil only if all is.
func combine(all []located, before dns.State) (addresses []netip.Addr, chief Track) {
	if len(all) == 0 {
		return nil, Track{}
	}
	best := slices.MinFunc(all, func(a, b located) int { return rank[a.track.State] - rank[b.track.State] })
	chief = best.track
	pending := slices.IndexFunc(all, func(l located) bool { return l.track.Reason == ReasonPending })
	if pending >= 0 && before != dns.Healthy && before != dns.Degraded {
		// Until each was asked once nothing is said: an answer with one address of eight would be changed at once.
		chief, best = all[pending].track, all[pending]
	}
	for _, l := range all {
		serves := rank[l.track.State] <= rank[dns.Draining]
		if serves || rank[chief.State] > rank[dns.Draining] {
			addresses = append(addresses, l.address)
			chief.Doubtful = chief.Doubtful || chief.State == dns.Unhealthy && l.track.Doubtful
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return addresses, chief
}
