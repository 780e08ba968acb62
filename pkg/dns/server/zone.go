package server

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// zone is a zone as it is served: immutable once it is published.
type zone struct {
	name string
	// apex is name in wire format.
	apex []byte
	// hosts are the zone's name servers that are in the zone, in wire format.
	hosts  [][]byte
	serial uint32
	soa    rrset
	nodes  tree
	// signer is nil for a zone that is not signed.
	signer *signer
	// standby: it is not answered.
	standby bool
}

// node is a name: its sets, and how many nodes are right below it. A node without sets is an empty non-terminal.
type node struct {
	sets     []rrset
	children int
}

func (n *node) set(rrtype uint16) *rrset {
	for i := range n.sets {
		if n.sets[i].rrtype == rrtype {
			return &n.sets[i]
		}
	}
	return nil
}

// rrset is a record set as it goes over the wire.
type rrset struct {
	rrtype uint16
	// plain is what is answered, unless routed has sets to choose among.
	plain  choice
	routed []choice
	// target is a CNAME's, in wire format.
	target []byte
	// source are the sets that the choices were made of; empty for SOA, NS and keys.
	source []dns.RecordSet
}

// choice is a set of records whose owner is a pointer to the question's name. All have the same length if even is set.
type choice struct {
	routing dns.Routing
	ttl     uint32
	count   int
	even    int
	wire    []byte
}

const shards = 512

var seed = maphash.MakeSeed()

// tree maps names in wire format to nodes. It is divided so that a change copies a small part.
type tree []map[string]*node

func newTree() tree { return make(tree, shards) }

func (t tree) get(name []byte) *node {
	return t[maphash.Bytes(seed, name)%shards][string(name)]
}

// editor makes a changed copy of a tree.
type editor struct {
	tree  tree
	owned [shards]bool
}

func edit(t tree) *editor { return &editor{tree: slices.Clone(t)} }

func (e *editor) shard(name string) map[string]*node {
	i := maphash.String(seed, name) % shards
	if !e.owned[i] {
		old := e.tree[i]
		e.tree[i] = make(map[string]*node, len(old)+1)
		for k, v := range old {
			e.tree[i][k] = v
		}
		e.owned[i] = true
	}
	return e.tree[i]
}

// update gives a name new sets; none removes it. Empty non-terminals come and go with the names below them.
func (e *editor) update(apex, name string, sets []rrset) {
	now := &node{sets: sets}
	if old := e.shard(name)[name]; old != nil {
		now.children = old.children
	}
	e.put(apex, name, now)
}

// put sets a name's node, or removes it if there is nothing at the name or below it, and counts it in the node above.
func (e *editor) put(apex, name string, n *node) {
	shard := e.shard(name)
	_, existed := shard[name]
	exists := len(n.sets) > 0 || n.children > 0 || name == apex
	if exists {
		shard[name] = n
	} else {
		delete(shard, name)
	}
	if exists == existed || name == apex {
		return
	}
	parent := name[1+int(name[0]):]
	above := node{}
	if old := e.shard(parent)[parent]; old != nil {
		above = *old
	}
	if exists {
		above.children++
	} else {
		above.children--
	}
	e.put(apex, parent, &above)
}

// packName is a name in wire format, in lower case.
func packName(name string) ([]byte, error) {
	buf := make([]byte, maxName+1)
	n, err := miekg.PackDomainName(strings.ToLower(name), buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("name %q: %w", name, err)
	}
	return buf[:n], nil
}

// compile makes the sets of one name ready for the wire.
func compile(sets []dns.RecordSet) ([]rrset, error) {
	var out []rrset
	for _, s := range sets {
		rrtype, ok := miekg.StringToType[string(s.Type)]
		if !ok {
			return nil, fmt.Errorf("%s has unknown type %s", s.Name, s.Type)
		}
		c := choice{routing: s.Routing, ttl: s.TTL, count: len(s.Data)}
		for _, d := range s.Data {
			data, err := packData(s, d)
			if err != nil {
				return nil, err
			}
			c.wire = appendRecord(c.wire, rrtype, s.TTL, data)
		}
		if s.Type == dns.A || s.Type == dns.AAAA {
			c.even = len(c.wire) / c.count
		}
		i := slices.IndexFunc(out, func(r rrset) bool { return r.rrtype == rrtype })
		if i < 0 {
			i = len(out)
			out = append(out, rrset{rrtype: rrtype})
		}
		if s.SetID == "" {
			out[i].plain = c
		} else {
			out[i].routed = append(out[i].routed, c)
		}
		out[i].source = append(out[i].source, s)
		if s.Type == dns.CNAME {
			target, err := packName(s.Data[0])
			if err != nil {
				return nil, err
			}
			out[i].target = target
		}
	}
	return out, nil
}

// appendRecord appends a record whose owner is the question's name.
func appendRecord(wire []byte, rrtype uint16, ttl uint32, data []byte) []byte {
	wire = append(wire, 0xc0, headerSize)
	wire = binary.BigEndian.AppendUint16(wire, rrtype)
	wire = binary.BigEndian.AppendUint16(wire, classIN)
	wire = binary.BigEndian.AppendUint32(wire, ttl)
	wire = binary.BigEndian.AppendUint16(wire, uint16(len(data)))
	return append(wire, data...)
}

// packData is one record's data in wire format, without compression.
func packData(s dns.RecordSet, data string) ([]byte, error) {
	if s.Type == dns.A || s.Type == dns.AAAA {
		addr, err := netip.ParseAddr(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		return addr.AsSlice(), nil
	}
	if s.Type == dns.TXT {
		text, err := dns.Unquote(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		return packText(text), nil
	}
	rr, err := miekg.NewRR(fmt.Sprintf(". %d IN %s %s", s.TTL, s.Type, data))
	if err != nil || rr == nil {
		return nil, fmt.Errorf("%s %s %s: %w", s.Name, s.Type, data, err)
	}
	return packRR(rr)
}

// packText is the data of a TXT record: strings of at most 255 octets (RFC 1035 section 3.3.14).
func packText(text string) (wire []byte) {
	for first := true; first || text != ""; first = false {
		chunk := text[:min(255, len(text))]
		text = text[len(chunk):]
		wire = append(append(wire, byte(len(chunk))), chunk...)
	}
	return wire
}

// packRR is the data of a record in wire format.
func packRR(rr miekg.RR) ([]byte, error) {
	buf := make([]byte, miekg.Len(rr)+16)
	n, err := miekg.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("packing %s: %w", rr, err)
	}
	owner, err := packName(rr.Header().Name)
	if err != nil {
		return nil, err
	}
	return buf[len(owner)+10 : n], nil
}

// lookup finds the node that answers for a name in the zone: its own, or a wildcard's (RFC 4592). exists says whether the name itself
// exists, be it as an empty non-terminal.
func (z *zone) lookup(name []byte) (n *node, exists bool) {
	if n := z.nodes.get(name); n != nil {
		return n, true
	}
	encloser := name
	for len(encloser) > len(z.apex) {
		encloser = encloser[1+int(encloser[0]):]
		if z.nodes.get(encloser) != nil {
			break
		}
	}
	var buf [maxName + 2]byte
	wildcard := append(append(buf[:0], 1, '*'), encloser...)
	return z.nodes.get(wildcard), false
}
