package server

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"kubefed.dev/kubefed/pkg/dns"
)

const (
	// maxUDP is the largest answer over UDP: what fits into one packet everywhere (DNS flag day 2020).
	maxUDP    = 1232
	maxStream = 65535
	// maxChase is how many CNAMEs are followed within a zone.
	maxChase = 8
	// maxRouted is how many addresses an answer has that is put together from several sets.
	maxRouted = 8
)

// answer is a message that is being written.
type answer struct {
	q   *query
	out []byte
	// limit is how many octets the sections may use; the OPT record has its place beyond it.
	limit      int
	an, ns, ar int
	truncated  bool
	// denied: there is no such name, whatever the response code says.
	denied bool
	// scope is the number of bits of the client's subnet that the answer depends on.
	scope int
}

// find is the zone of a name: the one with the longest name.
func (c *catalog) find(name []byte) *zone {
	for at := name; ; at = at[1+int(at[0]):] {
		if c.lengths[len(at)] {
			if z := c.zones[string(at)]; z != nil {
				return z
			}
		}
		if at[0] == 0 {
			return nil
		}
	}
}

// resolve answers a question from a zone. It returns the response code.
func (s *Server) resolve(a *answer, z *zone, client netip.Addr) int {
	name := a.q.lowerName()
	// pointer is where in the message the name stands that the next records are of.
	pointer := headerSize
	for hop := 0; ; hop++ {
		n, exists := z.lookup(name)
		if n == nil {
			return a.negative(z, name, pointer, nil)
		}
		set := n.set(a.q.qtype)
		if a.q.qtype == typeANY && len(n.sets) > 0 {
			set = &n.sets[0] // One set is enough (RFC 8482 section 4.1).
		}
		if set != nil {
			s.add(a, z, set, name, pointer, client)
			if set.rrtype == typeNS && exists {
				a.glue(z)
			}
			return rcodeSuccess
		}
		alias := n.set(typeCNAME)
		if alias == nil {
			return a.negative(z, name, pointer, n)
		}
		next := len(a.out) + 12 // Behind the fixed part of the CNAME is its target.
		s.add(a, z, alias, name, pointer, client)
		name = alias.target
		if a.truncated || hop == maxChase || !within(name, z.apex) {
			return rcodeSuccess
		}
		pointer = next
	}
}

// within says whether a name in wire format is at or below another.
func within(name, apex []byte) bool {
	for len(name) > len(apex) {
		name = name[1+int(name[0]):]
	}
	return string(name) == string(apex)
}

// negative says that there is no such name, or no such data: with the SOA that tells how long to believe it (RFC 2308).
func (a *answer) negative(z *zone, name []byte, pointer int, n *node) int {
	rcode := rcodeSuccess
	if n == nil {
		rcode, a.denied = rcodeNXDomain, true
	}
	a.authority(z)
	if a.q.do && z.signer != nil {
		a.deny(z, name, pointer, n)
		if !a.q.co {
			return rcodeSuccess // The NSEC record says that the name does not exist (RFC 9824 section 3).
		}
	}
	return rcode
}

// authority adds the SOA with the negative TTL.
func (a *answer) authority(z *zone) {
	c := &z.soa.plain
	pointer := 0
	if name := a.q.lowerName(); within(name, z.apex) {
		pointer = headerSize + len(name) - len(z.apex)
	}
	before := len(a.out)
	if !a.write(c.wire, z.apex, pointer) {
		a.truncate(before)
		return
	}
	a.ns++
	a.ns += a.sign(z, c.wire, typeSOA, z.apex, pointer)
}

// glue adds the addresses of the zone's name servers where they are in the zone.
func (a *answer) glue(z *zone) {
	for _, host := range z.hosts {
		n := z.nodes.get(host)
		if n == nil {
			continue
		}
		for _, t := range []uint16{typeA, typeAAAA} {
			set := n.set(t)
			if set == nil || len(set.routed) > 0 {
				continue
			}
			before := len(a.out)
			if a.write(set.plain.wire, host, 0) {
				a.ar += set.plain.count
			} else {
				a.out = a.out[:before] // Glue is a courtesy.
				return
			}
		}
	}
}

// add answers with a set: the plain one, or what routing chooses of several.
func (s *Server) add(a *answer, z *zone, set *rrset, name []byte, pointer int, client netip.Addr) {
	if len(set.routed) == 0 {
		a.section(z, &set.plain, set.rrtype, name, pointer)
		return
	}
	if set.routed[0].routing.Policy == dns.Weighted {
		a.section(z, weighted(set.routed), set.rrtype, name, pointer)
		return
	}
	near := s.place(a, client)
	var chosen choice
	for _, i := range nearest(near, set.routed) {
		other := set.routed[i]
		if chosen.count > 0 && chosen.count+other.count > maxRouted {
			break
		}
		chosen.wire = append(chosen.wire, other.wire...)
		chosen.count, chosen.even = chosen.count+other.count, other.even
	}
	a.section(z, &chosen, set.rrtype, name, pointer)
}

// section adds records, the addresses beginning with a random one, with their signature.
func (a *answer) section(z *zone, c *choice, rrtype uint16, name []byte, pointer int) {
	before := len(a.out)
	if c.even > 0 && c.count > 1 {
		first := rand.IntN(c.count) * c.even
		if !a.write(c.wire[first:], name, pointer) || !a.write(c.wire[:first], name, pointer) {
			a.truncate(before)
			return
		}
	} else if !a.write(c.wire, name, pointer) {
		a.truncate(before)
		return
	}
	a.an += c.count
	a.an += a.sign(z, c.wire, rrtype, name, pointer)
}

// write appends records with their owner at pointer, or in full if that is 0. It says whether there is room.
func (a *answer) write(wire, name []byte, pointer int) bool {
	if a.truncated {
		return false
	}
	if pointer == headerSize {
		if len(a.out)+len(wire) > a.limit {
			return false
		}
		a.out = append(a.out, wire...)
		return true
	}
	for len(wire) > 0 {
		n := 12 + int(binary.BigEndian.Uint16(wire[10:]))
		if len(a.out)+n+len(name) > a.limit {
			return false
		}
		if pointer == 0 || pointer > 0x3fff {
			pointer = 0
			a.out = append(a.out, name...)
		} else {
			a.out = binary.BigEndian.AppendUint16(a.out, 0xc000|uint16(pointer))
		}
		a.out = append(a.out, wire[2:n]...)
		wire = wire[n:]
	}
	return true
}

// truncate ends the message: what does not fit as a whole is asked for again over TCP.
func (a *answer) truncate(before int) {
	a.truncated = true
	a.out = a.out[:before]
}

// weighted draws one of the choices.
func weighted(choices []choice) *choice {
	var sum uint64
	for i := range choices {
		sum += uint64(choices[i].routing.Weight)
	}
	if sum == 0 {
		return &choices[rand.IntN(len(choices))]
	}
	draw := rand.Uint64N(sum)
	for i := range choices {
		w := uint64(choices[i].routing.Weight)
		if draw < w {
			return &choices[i]
		}
		draw -= w
	}
	return &choices[len(choices)-1]
}

// nearest are the places of the choices nearest to a client, beginning with a random one.
func nearest(client dns.Place, choices []choice) []int {
	best, rank := []int(nil), 4
	for i := range choices {
		switch r := dns.Distance(client, choices[i].routing); {
		case r < rank:
			best, rank = append(best[:0], i), r
		case r == rank:
			best = append(best, i)
		}
	}
	first := rand.IntN(len(best))
	return append(best[first:len(best):len(best)], best[:first]...)
}

// place is where a client is: by its subnet if its resolver told it, else by the resolver's own address.
func (s *Server) place(a *answer, client netip.Addr) dns.Place {
	bits := client.BitLen()
	if a.q.hasSubnet {
		if a.q.subnet.Bits() == 0 {
			return dns.Place{} // The client asked not to be told apart (RFC 7871 section 7.1.2).
		}
		client, bits = a.q.subnet.Addr(), a.q.subnet.Bits()
	}
	place, scope := s.networks.find(client, bits)
	if a.q.hasSubnet {
		a.scope = max(a.scope, scope)
	}
	return place
}
