package server

import (
	"net/netip"
	"slices"

	"kubefed.dev/kubefed/pkg/dns"
)

// Network says where the clients of a network are.
type Network struct {
	Prefix netip.Prefix
	Place  dns.Place
}

// networks finds the longest prefix.
type networks struct {
	places map[netip.Prefix]dns.Place
	// bits are the lengths of prefixes that there are, the longest first.
	bits4, bits6 []int
}

func newNetworks(list []Network) networks {
	n := networks{places: map[netip.Prefix]dns.Place{}}
	for _, network := range list {
		prefix := network.Prefix.Masked()
		n.places[prefix] = network.Place
		bits := &n.bits6
		if prefix.Addr().Is4() {
			bits = &n.bits4
		}
		if !slices.Contains(*bits, prefix.Bits()) {
			*bits = append(*bits, prefix.Bits())
		}
	}
	for _, bits := range [][]int{n.bits4, n.bits6} {
		slices.Sort(bits)
		slices.Reverse(bits)
	}
	return n
}

// find says where an address is of which bits are known, and for which prefix length that holds: never fewer than were asked
// about, because a part of a wider network may be somewhere else.
func (n networks) find(addr netip.Addr, bits int) (dns.Place, int) {
	addr = addr.Unmap()
	lengths := n.bits6
	if addr.Is4() {
		lengths = n.bits4
	}
	for _, length := range lengths {
		if length > bits {
			continue
		}
		prefix, err := addr.Prefix(length)
		if err != nil {
			continue
		}
		if place, ok := n.places[prefix]; ok {
			return place, bits
		}
	}
	return dns.Place{}, bits
}
