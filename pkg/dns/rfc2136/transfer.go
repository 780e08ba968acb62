package rfc2136

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// contents are what a zone held at a serial. They are not changed.
type contents struct {
	serial uint32
	sets   []dns.RecordSet
	// raw are the records of the sets as the server spells them: prerequisites are compared octet by octet.
	raw map[dns.Key][]miekg.RR
}

// transfer reads a zone (AXFR, RFC 5936): all of it or an error.
func (p *Provider) transfer(ctx context.Context, zone string) (*contents, error) {
	s, err := p.dial(ctx, p.config.Server, p.config.TransferKey)
	if err != nil {
		return nil, err
	}
	defer s.close()
	m := new(miekg.Msg).SetAxfr(zone)
	reply, mac, err := s.begin(m)
	if err != nil {
		return nil, fmt.Errorf("transferring the zone: %w", err)
	}
	records := reply.Answer
	if len(records) == 0 || records[0].Header().Rrtype != miekg.TypeSOA {
		return nil, errors.New("transferring the zone: the answer does not begin with its SOA")
	}
	for !whole(records) {
		if reply, mac, err = s.receive(m.Id, mac, true); err != nil {
			return nil, fmt.Errorf("transferring the zone, after %d records: %w", len(records), err)
		}
		if len(reply.Answer) == 0 {
			return nil, fmt.Errorf("transferring the zone: an empty message after %d records", len(records))
		}
		records = append(records, reply.Answer...)
	}
	return sortRecords(zone, records[:len(records)-1]), nil
}

// begin asks and reads the first message, a second time with the server's clock if that differs.
func (s *session) begin(m *miekg.Msg) (reply *miekg.Msg, mac string, err error) {
	for range 2 {
		if mac, err = s.send(m); err != nil {
			return nil, "", err
		}
		reply, mac, err = s.receive(m.Id, mac, false)
		wrong, ok := errors.AsType[*timeError](err)
		if !ok {
			break
		}
		s.heed(wrong)
	}
	return reply, mac, err
}

// whole says whether the SOA has come a second time.
func whole(records []miekg.RR) bool {
	return len(records) > 1 && records[len(records)-1].Header().Rrtype == miekg.TypeSOA
}

// made are types that a server makes itself for a signed zone.
var made = []uint16{miekg.TypeRRSIG, miekg.TypeNSEC, miekg.TypeNSEC3, miekg.TypeNSEC3PARAM}

func sortRecords(zone string, records []miekg.RR) *contents {
	c := &contents{serial: records[0].(*miekg.SOA).Serial, raw: map[dns.Key][]miekg.RR{}}
	sets := map[dns.Key]*dns.RecordSet{}
	for _, rr := range records[1:] {
		h := rr.Header()
		name := dns.Absolute(h.Name)
		apexOnly := h.Rrtype == miekg.TypeSOA || h.Rrtype == miekg.TypeNS || h.Rrtype == miekg.TypeDNSKEY || h.Rrtype == miekg.TypeCDS || h.Rrtype == miekg.TypeCDNSKEY
		if name == zone && apexOnly || slices.Contains(made, h.Rrtype) || h.Class != miekg.ClassINET {
			continue
		}
		k := dns.Key{Name: name, Type: dns.Type(miekg.Type(h.Rrtype).String())}
		set := sets[k]
		if set == nil {
			set = &dns.RecordSet{Name: name, Type: k.Type, TTL: h.Ttl}
			sets[k] = set
		}
		set.TTL = min(set.TTL, h.Ttl)
		set.Data = append(set.Data, strings.TrimPrefix(rr.String(), h.String()))
		c.raw[k] = append(c.raw[k], rr)
	}
	for _, set := range sets {
		c.sets = append(c.sets, set.Canonical())
	}
	slices.SortFunc(c.sets, func(a, b dns.RecordSet) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type))
	})
	return c
}

// records are a set's as DNS has them.
func records(set dns.RecordSet) ([]miekg.RR, error) {
	var out []miekg.RR
	for _, d := range set.Data {
		rr, err := miekg.NewRR(fmt.Sprintf("%s %d IN %s %s", set.Name, set.TTL, set.Type, d))
		if err != nil {
			return nil, err
		}
		out = append(out, rr)
	}
	return out, nil
}
