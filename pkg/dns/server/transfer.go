package server

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// transferSize is about how many octets a message of a transfer has before compression.
const transferSize = 16 << 10

// transfer answers AXFR (RFC 5936) and IXFR (RFC 1995) over a stream, to those that have a key for the zone.
func (s *Server) transfer(w io.Writer, msg []byte) error {
	m := new(miekg.Msg)
	if err := m.Unpack(msg); err != nil || len(m.Question) != 1 {
		return fmt.Errorf("reading a request for transfer: %w", err)
	}
	question := m.Question[0]
	p, ok := s.primaries[dns.Absolute(question.Name)]
	tsig := m.IsTsig()
	if !ok || tsig == nil {
		return refuse(w, m, miekg.RcodeRefused)
	}
	key, code := s.verify(msg, tsig)
	if code != 0 {
		transfersTotal.WithLabelValues("refused").Inc()
		return writeMessage(w, s.badSignature(nil, m, tsig, key, code))
	}
	if !slices.Contains(p.config.TransferKeys, key.Name) {
		return refuse(w, m, miekg.RcodeRefused)
	}
	if p.standsBy() {
		return refuse(w, m, rcodeServFail)
	}
	records, err := p.transferred(m)
	if err != nil {
		return err
	}
	incremental, kind := len(records) > 1 && records[1].Header().Rrtype == typeSOA, "full"
	if incremental {
		kind = "incremental"
	}
	transfersTotal.WithLabelValues(kind).Inc()
	s.log.V(1).Info("zone transferred", "zone", p.config.Name, "records", len(records), "key", key.Name, "incremental", incremental)
	return send(w, m, records, key, tsig.MAC)
}

func refuse(w io.Writer, m *miekg.Msg, rcode int) error {
	transfersTotal.WithLabelValues("refused").Inc()
	reply := new(miekg.Msg)
	reply.SetRcode(m, rcode)
	raw, err := reply.Pack()
	if err != nil {
		return err
	}
	return writeMessage(w, raw)
}

// transferred are the records of the answer.
func (p *primary) transferred(m *miekg.Msg) ([]miekg.RR, error) {
	p.mu.Lock()
	serial := p.serving.serial
	journal := slices.Clone(p.journal)
	sets := p.content.Sets()
	p.mu.Unlock()

	soa := p.soa(serial)
	if m.Question[0].Qtype == typeIXFR && len(m.Ns) == 1 {
		if have, ok := m.Ns[0].(*miekg.SOA); ok {
			if int32(have.Serial-serial) >= 0 {
				return []miekg.RR{soa}, nil
			}
			if i := slices.IndexFunc(journal, func(d delta) bool { return d.from == have.Serial }); i >= 0 {
				return p.differences(soa, journal[i:])
			}
		}
	}
	for _, fixed := range p.fixed {
		sets = append(sets, fixed...)
	}
	slices.SortStableFunc(sets, func(a, b dns.RecordSet) int {
		return slices.Compare([]string{a.Name, string(a.Type)}, []string{b.Name, string(b.Type)})
	})
	records, err := parseRecords([]miekg.RR{soa}, flatByName(sets))
	return append(records, soa), err
}

// flatByName is flat of sets that are sorted by name, one name at a time.
func flatByName(sets []dns.RecordSet) []string {
	var out []string
	for len(sets) > 0 {
		n := 1
		for n < len(sets) && sets[n].Name == sets[0].Name {
			n++
		}
		out = append(out, flat(sets[:n])...)
		sets = sets[n:]
	}
	return out
}

// differences is the sequence of changes: the old SOA and what goes, the new SOA and what comes, for each.
func (p *primary) differences(soa *miekg.SOA, journal []delta) ([]miekg.RR, error) {
	records := []miekg.RR{soa}
	var err error
	for _, d := range journal {
		if records, err = parseRecords(append(records, p.soa(d.from)), d.removed); err != nil {
			return nil, err
		}
		if records, err = parseRecords(append(records, p.soa(d.to)), d.added); err != nil {
			return nil, err
		}
	}
	return append(records, soa), nil
}

func parseRecords(records []miekg.RR, lines []string) ([]miekg.RR, error) {
	for _, line := range lines {
		rr, err := miekg.NewRR(line)
		if err != nil {
			return nil, fmt.Errorf("record %q: %w", line, err)
		}
		records = append(records, rr)
	}
	return records, nil
}

// send writes records in messages, each signed and chained to the one before (RFC 8945 section 5.3.1).
func send(w io.Writer, m *miekg.Msg, records []miekg.RR, key Key, mac string) error {
	for first := true; len(records) > 0; first = false {
		n, size := 0, 0
		for n < len(records) && size < transferSize {
			size += miekg.Len(records[n])
			n++
		}
		reply := new(miekg.Msg)
		reply.SetReply(m)
		reply.Authoritative, reply.Compress = true, true
		reply.Answer, records = records[:n], records[n:]
		reply.SetTsig(key.Name, key.Algorithm, tsigFudge, time.Now().Unix())
		raw, next, err := miekg.TsigGenerate(reply, key.Secret, mac, !first)
		if err != nil {
			return err
		}
		if err := writeMessage(w, raw); err != nil {
			return err
		}
		mac = next
	}
	return nil
}

// writeMessage writes a message with its length before it.
func writeMessage(w io.Writer, raw []byte) error {
	if len(raw) == 0 {
		return nil
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(raw)), uint16(len(raw))), raw...))
	return err
}
