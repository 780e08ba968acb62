package server

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// respond answers a packet. It appends the answer to out, which must be empty, and returns it; nil means no answer. It does not
// allocate for plain questions. It may be called concurrently.
func (s *Server) respond(out, msg []byte, client netip.Addr, stream bool) []byte {
	q := queries.Get().(*query)
	defer queries.Put(q)
	switch q.parse(msg) {
	case drop:
		return nil
	case formErr:
		return plain(out, q, rcodeFormErr)
	}
	if q.opcode() == opcodeUpdate {
		return s.update(out, msg)
	}
	if q.signed {
		return s.respondSigned(out, msg, client, stream)
	}
	return s.respondTo(out, q, client, stream)
}

// queries are used again and again. No answer refers to one.
var queries = sync.Pool{New: func() any { return new(query) }}

// respondTo answers a query, whoever signed it.
func (s *Server) respondTo(out []byte, q *query, client netip.Addr, stream bool) []byte {
	a := answer{q: q, out: appendHeader(out, q)}
	if q.opcode() != opcodeQuery {
		return a.finish(rcodeNotImp, nil)
	}
	opts := s.options(q, client)
	if q.edns && q.version != 0 {
		return a.finish(rcodeBadVers, &opts)
	}
	a.setLimit(&opts, stream)
	rcode := rcodeRefused
	catalog := s.catalog.Load()
	z := catalog.find(q.lowerName())
	if z != nil && z.standby {
		rcode = rcodeServFail
	} else if z != nil && q.qclass == classIN && !meta(q.qtype) {
		rcode = s.resolve(&a, z, client)
		binary.BigEndian.PutUint16(a.out[2:], binary.BigEndian.Uint16(a.out[2:])|flagAA)
	}
	if !stream && !opts.known {
		kind := rcode
		if a.denied {
			kind = rcodeNXDomain
		}
		switch s.limiter.allow(client, q, kind, z) {
		case limitDrop:
			dropped.Inc()
			return nil
		case limitSlip:
			truncated.Inc()
			a.truncate(headerSize + len(q.question))
			a.an, a.ns, a.ar = 0, 0, 0
		}
	}
	return a.finish(rcode, &opts)
}

// meta are the types of which no record exists: transfers and other requests (RFC 6895 section 3.1).
func meta(t uint16) bool { return t == typeOPT || t >= 249 && t < typeANY || t == typeNXNAME }

// plain is an answer of a header, and the question if that could be read.
func plain(out []byte, q *query, rcode int) []byte {
	a := answer{q: q, out: appendHeader(out, q)}
	q.edns = false
	return a.finish(rcode, nil)
}

func appendHeader(out []byte, q *query) []byte {
	out = binary.BigEndian.AppendUint16(out, q.id)
	out = binary.BigEndian.AppendUint16(out, flagQR|q.flags&(15<<11)|q.flags&flagRD)
	questions := uint16(0)
	if len(q.question) > 0 {
		questions = 1
	}
	out = binary.BigEndian.AppendUint16(out, questions)
	out = append(out, 0, 0, 0, 0, 0, 0)
	return append(out, q.question...)
}

// options are the EDNS options of an answer.
type options struct {
	cookie [24]byte
	// hasCookie: the client sent one. known: it sent back one of ours, so its address is not forged.
	hasCookie, known bool
	nsid             string
}

func (s *Server) options(q *query, client netip.Addr) (o options) {
	if !q.edns {
		return o
	}
	if len(q.cookie) >= 8 {
		o.hasCookie = true
		now := s.now()
		o.known = s.cookies.valid(q.cookie, client, now)
		s.cookies.write(o.cookie[:], q.cookie[:8], client, now)
	}
	if q.nsid {
		o.nsid = s.id
	}
	return o
}

// size is what the OPT record takes, with the client's subnet.
func (o *options) size(q *query) int {
	if !q.edns {
		return 0
	}
	n := 11
	if o != nil && o.hasCookie {
		n += 4 + len(o.cookie)
	}
	if o != nil && o.nsid != "" {
		n += 4 + len(o.nsid)
	}
	if q.hasSubnet {
		n += 8 + (q.subnet.Bits()+7)/8
	}
	return n
}

func (a *answer) setLimit(o *options, stream bool) {
	limit := maxStream - maxSignature
	if !stream {
		limit = min(a.q.size, maxUDP)
	}
	a.limit = limit - o.size(a.q)
}

// finish writes the counts, the code and the OPT record.
func (a *answer) finish(rcode int, o *options) []byte {
	flags := binary.BigEndian.Uint16(a.out[2:]) | uint16(rcode&15)
	if a.truncated {
		flags |= flagTC
	}
	ar := a.ar
	if a.q.edns {
		ar++
		a.appendOPT(rcode, o)
	}
	binary.BigEndian.PutUint16(a.out[2:], flags)
	binary.BigEndian.PutUint16(a.out[6:], uint16(a.an))
	binary.BigEndian.PutUint16(a.out[8:], uint16(a.ns))
	binary.BigEndian.PutUint16(a.out[10:], uint16(ar))
	return a.out
}

func (a *answer) appendOPT(rcode int, o *options) {
	q := a.q
	a.out = append(a.out, 0)
	a.out = binary.BigEndian.AppendUint16(a.out, typeOPT)
	a.out = binary.BigEndian.AppendUint16(a.out, maxUDP)
	flags := uint32(rcode>>4) << 24
	if q.do {
		flags |= 1 << 15
	}
	a.out = binary.BigEndian.AppendUint32(a.out, flags)
	a.out = binary.BigEndian.AppendUint16(a.out, uint16(o.size(q)-11))
	if o != nil && o.hasCookie {
		a.out = appendOption(a.out, optionCookie, o.cookie[:])
	}
	if o != nil && o.nsid != "" {
		a.out = binary.BigEndian.AppendUint16(a.out, optionNSID)
		a.out = binary.BigEndian.AppendUint16(a.out, uint16(len(o.nsid)))
		a.out = append(a.out, o.nsid...)
	}
	if q.hasSubnet {
		addr, octets := q.subnet.Addr(), (q.subnet.Bits()+7)/8
		a.out = binary.BigEndian.AppendUint16(a.out, optionECS)
		a.out = binary.BigEndian.AppendUint16(a.out, uint16(4+octets))
		if addr.Is4() {
			a.out = append(a.out, 0, 1, byte(q.subnet.Bits()), byte(a.scope))
			b := addr.As4()
			a.out = append(a.out, b[:octets]...)
		} else {
			a.out = append(a.out, 0, 2, byte(q.subnet.Bits()), byte(a.scope))
			b := addr.As16()
			a.out = append(a.out, b[:octets]...)
		}
	}
}

func appendOption(out []byte, code uint16, value []byte) []byte {
	out = binary.BigEndian.AppendUint16(out, code)
	out = binary.BigEndian.AppendUint16(out, uint16(len(value)))
	return append(out, value...)
}

func (s *Server) now() uint32 { return uint32(time.Now().Unix()) }
