package server

import (
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

const (
	opcodeUpdate = 5
	// classANY and classNONE say in an update what is to be there or to go (RFC 2136 section 1.3).
	classANY, classNONE = 255, 254
)

// update answers a dynamic update (RFC 2136) of someone else than the federation, such as an ACME client that has to show a text: signed
// with one of the zone's keys for updates, and at names that are not the federation's.
func (s *Server) update(out, msg []byte) []byte {
	m := new(miekg.Msg)
	if err := m.Unpack(msg); err != nil || len(m.Question) != 1 || m.Question[0].Qtype != typeSOA {
		return s.updated(out, m, nil, Key{}, rcodeFormErr)
	}
	tsig := m.IsTsig()
	if tsig == nil {
		return s.updated(out, m, nil, Key{}, rcodeRefused)
	}
	key, code := s.verify(msg, tsig)
	if code != 0 {
		return s.badSignature(out, m, tsig, key, code)
	}
	p, ok := s.primaries[dns.Absolute(m.Question[0].Name)]
	rcode := rcodeRefused
	switch {
	case !ok:
		rcode = rcodeNotAuth
	case p.standsBy():
		rcode = rcodeServFail
	case slices.Contains(p.config.UpdateKeys, key.Name):
		rcode = s.change(p, m)
		s.log.Info("zone updated by another writer", "zone", p.config.Name, "key", key.Name, "code", miekg.RcodeToString[rcode])
	}
	return s.updated(out, m, tsig, key, rcode)
}

// updated is the answer to an update; signed if the update was.
func (s *Server) updated(out []byte, m *miekg.Msg, tsig *miekg.TSIG, key Key, rcode int) []byte {
	reply := new(miekg.Msg).SetRcode(m, rcode)
	if tsig == nil {
		raw, err := reply.Pack()
		if err != nil {
			return nil
		}
		return append(out[:0], raw...)
	}
	reply.SetTsig(key.Name, key.Algorithm, tsigFudge, time.Now().Unix())
	raw, _, err := miekg.TsigGenerate(reply, key.Secret, tsig.MAC, false)
	if err != nil {
		return nil
	}
	return append(out[:0], raw...)
}

// change makes an update, as a whole or not at all, and returns its code.
func (s *Server) change(p *primary, m *miekg.Msg) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rcode := p.prerequisites(m.Answer); rcode != rcodeSuccess {
		return rcode
	}
	names, rcode := p.edited(m.Ns)
	if rcode != rcodeSuccess {
		return rcode
	}
	removed, added, err := p.content.Replace(names)
	if err != nil {
		s.log.Info("update refused", "zone", p.config.Name, "reason", err.Error())
		return rcodeRefused
	}
	if len(removed)+len(added) == 0 {
		return rcodeSuccess
	}
	if err := s.publish(p, removed, added); err != nil {
		s.log.Error(err, "zone not changed", "zone", p.config.Name)
		return rcodeServFail
	}
	return rcodeSuccess
}

// dataAt is all data of a type at a name, as clients see it.
func (p *primary) dataAt(name string, t dns.Type) []string {
	var data []string
	for _, s := range p.at(name) {
		if s.Type == t {
			data = append(data, s.Data...)
		}
	}
	return dns.RecordSet{Type: t, Data: data}.Canonical().Data
}

// prerequisites checks what the zone must hold (RFC 2136 section 3.2).
func (p *primary) prerequisites(records []miekg.RR) int {
	exact := map[dns.Key][]string{}
	for _, rr := range records {
		h := rr.Header()
		name, t := dns.Absolute(h.Name), dns.Type(miekg.Type(h.Rrtype).String())
		if !dns.InZone(name, p.config.Name) {
			return miekg.RcodeNotZone
		}
		there := len(p.dataAt(name, t)) > 0
		if h.Rrtype == typeANY {
			there = len(p.at(name)) > 0
		}
		switch {
		case h.Class == classIN:
			k := dns.Key{Name: name, Type: t}
			exact[k] = append(exact[k], dataOf(rr))
		case h.Class != classANY && h.Class != classNONE || h.Rdlength != 0 || h.Ttl != 0:
			return rcodeFormErr
		case h.Class == classANY && !there && h.Rrtype == typeANY:
			return rcodeNXDomain
		case h.Class == classANY && !there:
			return miekg.RcodeNXRrset
		case h.Class == classNONE && there && h.Rrtype == typeANY:
			return miekg.RcodeYXDomain
		case h.Class == classNONE && there:
			return miekg.RcodeYXRrset
		}
	}
	for k, data := range exact {
		if !slices.Equal(p.dataAt(k.Name, k.Type), dns.RecordSet{Type: k.Type, Data: data}.Canonical().Data) {
			return miekg.RcodeNXRrset
		}
	}
	return rcodeSuccess
}

// edited are the sets at each name that the update touches, as they will be (RFC 2136 section 3.4). Records of the zone's configuration
// are not changed.
func (p *primary) edited(records []miekg.RR) (map[string][]dns.RecordSet, int) {
	names := map[string][]dns.RecordSet{}
	for _, rr := range records {
		h := rr.Header()
		name, t := dns.Absolute(h.Name), dns.Type(miekg.Type(h.Rrtype).String())
		if !dns.InZone(name, p.config.Name) {
			return nil, miekg.RcodeNotZone
		}
		if len(p.fixed[name]) > 0 {
			return nil, rcodeRefused
		}
		if _, begun := names[name]; !begun {
			names[name] = p.content.At(name)
		}
		switch {
		case h.Class == classIN && !meta(h.Rrtype) && h.Rrtype != typeANY:
			names[name] = with(names[name], dns.RecordSet{Name: name, Type: t, TTL: h.Ttl, Data: []string{dataOf(rr)}}.Canonical())
		case h.Class == classANY:
			names[name] = slices.DeleteFunc(names[name], func(s dns.RecordSet) bool { return h.Rrtype == typeANY || s.Type == t })
		case h.Class == classNONE:
			names[name] = less(names[name], t, dns.RecordSet{Type: t, Data: []string{dataOf(rr)}}.Canonical().Data[0])
		default:
			return nil, rcodeFormErr
		}
	}
	return names, rcodeSuccess
}

// dataOf is a record's data in presentation form.
func dataOf(rr miekg.RR) string { return strings.TrimPrefix(rr.String(), rr.Header().String()) }

// with adds one datum; the whole set takes its TTL (RFC 2181 section 5.2).
func with(sets []dns.RecordSet, one dns.RecordSet) []dns.RecordSet {
	for i, s := range sets {
		if s.Type == one.Type && s.SetID == "" {
			one.Data = append(slices.Clone(s.Data), one.Data...)
			sets[i] = one.Canonical()
			return sets
		}
	}
	return append(sets, one)
}

// less takes one datum out; a set without data goes.
func less(sets []dns.RecordSet, t dns.Type, datum string) []dns.RecordSet {
	var out []dns.RecordSet
	for _, s := range sets {
		if s.Type == t {
			s.Data = slices.DeleteFunc(slices.Clone(s.Data), func(d string) bool { return d == datum })
		}
		if len(s.Data) > 0 {
			out = append(out, s)
		}
	}
	return out
}
