package mcs

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// allocate gives a Service, by NAMESPACE/NAME, an address of a range that is not taken: always the same one where it is free,
// so that a lost ServiceImport comes back with its address.
func allocate(within netip.Prefix, key string, taken map[netip.Addr]bool) (netip.Addr, error) {
	base := binary.BigEndian.Uint32(within.Masked().Addr().AsSlice())
	size := uint64(1) << (32 - within.Bits())
	if size < 4 {
		return netip.Addr{}, fmt.Errorf("range %s has no addresses to give", within)
	}
	size -= 2 // neither the first nor the last
	sum := sha256.Sum256([]byte(key))
	start := binary.BigEndian.Uint64(sum[:8]) % size
	for i := range size {
		var octets [4]byte
		binary.BigEndian.PutUint32(octets[:], base+1+uint32((start+i)%size))
		if a := netip.AddrFrom4(octets); !taken[a] {
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all %d addresses of range %s are taken: give the federation a larger one with --clusterset-ip-range", size, within)
}
