package node

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
)

var (
	loopback = netip.MustParsePrefix("127.0.0.0/8")

	errNoAddress = errors.New("no address is left; delete pods or services")
)

// published is the address that the API shows for a pod's local one: Kubernetes refuses loopback addresses in
// EndpointSlices. Other addresses stay as they are.
func published(local netip.Addr) netip.Addr { return withFirst(local, 127, 10) }

// local is the inverse of published.
func local(published netip.Addr) netip.Addr { return withFirst(published, 10, 127) }

// DialPod connects to what the API shows as a pod's address; other addresses it takes as they are. A local cluster's API server reaches
// pods by it, as proxies of services and pods do.
func DialPod(ctx context.Context, network, address string) (net.Conn, error) {
	if at, err := netip.ParseAddrPort(address); err == nil {
		address = netip.AddrPortFrom(local(at.Addr()), at.Port()).String()
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	return dialer.DialContext(ctx, network, address)
}

func withFirst(a netip.Addr, from, to byte) netip.Addr {
	if !a.Is4() {
		return a
	}
	b := a.As4()
	if b[0] != from {
		return a
	}
	b[0] = to
	return netip.AddrFrom4(b)
}

// addressPool gives addresses of a range to owners. It gives them in order and comes back to a released address as
// late as it can, so that nobody talks to the successor of a pod that is gone. Safe for concurrent use.
type addressPool struct {
	first, last netip.Addr

	mu     sync.Mutex
	next   netip.Addr
	owners map[netip.Addr]string
	held   map[string]netip.Addr
}

func newAddressPool(first, last netip.Addr) *addressPool {
	return &addressPool{first: first, last: last, next: first, owners: map[netip.Addr]string{}, held: map[string]netip.Addr{}}
}

// firstNode is where the nodes' addresses begin in a cluster's range, maxNodes how many there are.
const (
	firstNode = 16
	maxNodes  = 200
)

// Addresses are those of the first n nodes of the cluster that has this range.
func Addresses(ipRange netip.Prefix, n int) []netip.Addr {
	base := toInt(ipRange.Masked().Addr()) + firstNode
	all := make([]netip.Addr, n)
	for i := range all {
		all[i] = fromInt(base + uint32(i))
	}
	return all
}

// splitRange divides a cluster's range: its first 256 addresses are for the API and nodes, the last quarter is for load
// balancers, the rest for pods.
func splitRange(p netip.Prefix) (pods, balancers *addressPool) {
	base := toInt(p.Masked().Addr())
	size := uint32(1) << (32 - p.Bits())
	cut := base + size/4*3
	return newAddressPool(fromInt(base+256), fromInt(cut-1)), newAddressPool(fromInt(cut), fromInt(base+size-1))
}

func toInt(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func fromInt(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// claim gives a to owner if it is of this pool and free; it says whether owner has it now.
func (p *addressPool) claim(owner string, a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !a.Is4() || a.Less(p.first) || p.last.Less(a) {
		return false
	}
	if o, taken := p.owners[a]; taken {
		return o == owner
	}
	if _, has := p.held[owner]; has {
		return false
	}
	p.owners[a], p.held[owner] = owner, a
	if !a.Less(p.next) {
		p.next = p.after(a)
	}
	return true
}

// get returns owner's address, a new one at its first call.
func (p *addressPool) get(owner string) (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.held[owner]; ok {
		return a, nil
	}
	for a, tried := p.next, false; !tried || a != p.next; a, tried = p.after(a), true {
		if _, taken := p.owners[a]; taken || !usable(a) {
			continue
		}
		p.owners[a], p.held[owner] = owner, a
		p.next = p.after(a)
		return a, nil
	}
	return netip.Addr{}, errNoAddress
}

// usable leaves out addresses that look like a network's own or a broadcast address.
func usable(a netip.Addr) bool {
	last := a.As4()[3]
	return last != 0 && last != 255
}

func (p *addressPool) release(owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.held[owner]; ok {
		delete(p.held, owner)
		delete(p.owners, a)
	}
}

func (p *addressPool) after(a netip.Addr) netip.Addr {
	if a == p.last {
		return p.first
	}
	return a.Next()
}
