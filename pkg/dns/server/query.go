package server

import (
	"encoding/binary"
	"net/netip"
)

// Wire constants (RFC 1035 section 4.1.1, RFC 6891 section 6.1).
const (
	headerSize = 12
	maxName    = 255

	flagQR = 1 << 15
	flagAA = 1 << 10
	flagTC = 1 << 9
	flagRD = 1 << 8

	opcodeQuery = 0

	rcodeSuccess   = 0
	rcodeFormErr   = 1
	rcodeNXDomain  = 3
	rcodeNotImp    = 4
	rcodeServFail  = 2
	rcodeRefused   = 5
	rcodeBadVers   = 16
	rcodeBadCookie = 23

	typeA      = 1
	typeNS     = 2
	typeCNAME  = 5
	typeSOA    = 6
	typeTXT    = 16
	typeAAAA   = 28
	typeSRV    = 33
	typeOPT    = 41
	typeDS     = 43
	typeRRSIG  = 46
	typeNSEC   = 47
	typeDNSKEY = 48
	typeCDS    = 59
	typeCDNS   = 60
	typeNXNAME = 128
	typeTSIG   = 250
	typeIXFR   = 251
	typeAXFR   = 252
	typeANY    = 255

	classIN = 1

	optionNSID   = 3
	optionECS    = 8
	optionCookie = 10
)

// query is what an answer needs of a packet. It points into the packet.
type query struct {
	id, flags uint16
	// name is the name asked for in lower case and wire format; it is of nameLen octets.
	name    [maxName]byte
	nameLen int
	// question is the question section as it came, in the case in which it came.
	question      []byte
	qtype, qclass uint16

	edns    bool
	version byte
	// size is how many octets the client takes over UDP.
	size   int
	do, co bool
	nsid   bool
	// cookie is the client's, 8 octets, with the server's after it if the client has one.
	cookie []byte
	// subnet is that of EDNS client subnet; hasSubnet also for one with zero bits.
	subnet    netip.Prefix
	hasSubnet bool
	signed    bool
}

func (q *query) opcode() uint16    { return q.flags >> 11 & 15 }
func (q *query) lowerName() []byte { return q.name[:q.nameLen] }

// verdict says what to do with a packet.
type verdict int

const (
	drop verdict = iota
	formErr
	serve
)

// parse reads a packet. What is not a query at all is dropped, so that two servers never answer each other's errors.
func (q *query) parse(msg []byte) verdict {
	if len(msg) < headerSize {
		return drop
	}
	*q = query{id: binary.BigEndian.Uint16(msg), flags: binary.BigEndian.Uint16(msg[2:]), size: 512}
	if q.flags&flagQR != 0 {
		return drop
	}
	if binary.BigEndian.Uint16(msg[4:]) != 1 {
		return formErr
	}
	at, ok := q.parseQuestion(msg)
	if !ok {
		q.question = nil
		return formErr
	}
	if q.opcode() != opcodeQuery {
		return serve
	}
	// An IXFR request has its serial in the authority section; nothing else has records before the additional section.
	answers, authority := binary.BigEndian.Uint16(msg[6:]), binary.BigEndian.Uint16(msg[8:])
	if answers != 0 || authority > 1 || authority == 1 && q.qtype != typeIXFR {
		return formErr
	}
	for range authority {
		if _, at, ok = skipRecord(msg, at); !ok {
			return formErr
		}
	}
	return q.parseAdditional(msg, at, int(binary.BigEndian.Uint16(msg[10:])))
}

func (q *query) parseQuestion(msg []byte) (int, bool) {
	at := headerSize
	for {
		if at >= len(msg) {
			return 0, false
		}
		n := int(msg[at])
		if n > 63 || at+1+n > len(msg) || q.nameLen+1+n > maxName {
			return 0, false // A compression pointer has nothing to point to here.
		}
		q.name[q.nameLen] = byte(n)
		for i := 1; i <= n; i++ {
			c := msg[at+i]
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			q.name[q.nameLen+i] = c
		}
		at += 1 + n
		q.nameLen += 1 + n
		if n == 0 {
			break
		}
	}
	if at+4 > len(msg) {
		return 0, false
	}
	q.qtype, q.qclass = binary.BigEndian.Uint16(msg[at:]), binary.BigEndian.Uint16(msg[at+2:])
	q.question = msg[headerSize : at+4]
	return at + 4, true
}

// record is a resource record in a packet: where its fixed part and its data are.
type record struct {
	rrtype, class uint16
	ttl           uint32
	data          []byte
	root          bool
}

// skipRecord reads the record at a place and says where the next begins.
func skipRecord(msg []byte, at int) (record, int, bool) {
	start := at
	for {
		if at >= len(msg) {
			return record{}, 0, false
		}
		n := int(msg[at])
		if n >= 0xc0 {
			at += 2
			break
		}
		if n > 63 {
			return record{}, 0, false
		}
		at += 1 + n
		if n == 0 {
			break
		}
	}
	if at+10 > len(msg) {
		return record{}, 0, false
	}
	r := record{rrtype: binary.BigEndian.Uint16(msg[at:]), class: binary.BigEndian.Uint16(msg[at+2:]),
		ttl: binary.BigEndian.Uint32(msg[at+4:]), root: msg[start] == 0}
	end := at + 10 + int(binary.BigEndian.Uint16(msg[at+8:]))
	if end > len(msg) {
		return record{}, 0, false
	}
	r.data = msg[at+10 : end]
	return r, end, true
}

func (q *query) parseAdditional(msg []byte, at, count int) verdict {
	for i := range count {
		r, next, ok := skipRecord(msg, at)
		if !ok {
			return formErr
		}
		at = next
		switch r.rrtype {
		case typeOPT:
			if q.edns || !r.root {
				return formErr // RFC 6891 section 6.1.1
			}
			q.edns = true
			q.size = max(512, int(r.class))
			q.version = byte(r.ttl >> 16)
			q.do, q.co = r.ttl&(1<<15) != 0, r.ttl&(1<<14) != 0
			if !q.parseOptions(r.data) {
				return formErr
			}
		case typeTSIG:
			if i != count-1 {
				return formErr // RFC 8945 section 5.1
			}
			q.signed = true
		}
	}
	return serve
}

func (q *query) parseOptions(data []byte) bool {
	for len(data) > 0 {
		if len(data) < 4 {
			return false
		}
		code, n := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
		if len(data) < 4+n {
			return false
		}
		value := data[4 : 4+n]
		data = data[4+n:]
		switch code {
		case optionNSID:
			q.nsid = true
		case optionCookie:
			if n != 8 && (n < 16 || n > 40) {
				return false // RFC 7873 section 5.2.2
			}
			q.cookie = value
		case optionECS:
			if !q.parseSubnet(value) {
				return false
			}
		}
	}
	return true
}

// parseSubnet reads EDNS client subnet (RFC 7871 section 6); bits beyond the prefix must be zero.
func (q *query) parseSubnet(value []byte) bool {
	if len(value) < 4 || value[3] != 0 {
		return false
	}
	family, bits := binary.BigEndian.Uint16(value), int(value[2])
	octets := (bits + 7) / 8
	if len(value) != 4+octets {
		return false
	}
	var addr netip.Addr
	switch {
	case family == 1 && bits <= 32:
		var a [4]byte
		copy(a[:], value[4:])
		addr = netip.AddrFrom4(a)
	case family == 2 && bits <= 128:
		var a [16]byte
		copy(a[:], value[4:])
		addr = netip.AddrFrom16(a)
	default:
		return false
	}
	q.subnet, q.hasSubnet = netip.PrefixFrom(addr, bits), true
	return q.subnet.Masked() == q.subnet
}
