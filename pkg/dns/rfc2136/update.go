package rfc2136

import (
	"errors"
	"fmt"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

const (
	maxMessage = 65535
	// maxUpdate is how many octets one update may have, without its signature.
	maxUpdate = 60000
	// maxEdits is how many changes one update has. PowerDNS compares each prerequisite with all others.
	maxEdits = 100
)

// besides are the types that may stand at a name and forbid a CNAME there. A prerequisite cannot say "nothing else", so it says that
// none of these is there. Types that a signed zone needs beside a CNAME are not among them.
var besides = func() (types []uint16) {
	for t := range miekg.TypeToRR {
		switch t {
		case miekg.TypeCNAME, miekg.TypeSOA, miekg.TypeANY, miekg.TypeOPT, miekg.TypeTSIG, miekg.TypeTKEY, miekg.TypeSIG, miekg.TypeKEY,
			miekg.TypeRRSIG, miekg.TypeNSEC, miekg.TypeNSEC3, miekg.TypeNSEC3PARAM, miekg.TypeNULL, miekg.TypeNXNAME:
		default:
			types = append(types, t)
		}
	}
	return types
}()

// edit is a change with what it does to the zone.
type edit struct {
	change dns.Change
	// before are the change's sets as the server spells them.
	before [][]miekg.RR
	// removed and added are the sets that differ, with the fence if the change is the first under it.
	removed, added []dns.RecordSet
}

// update is one message with one or several changes, all of which are made or none.
type update struct {
	zone  string
	edits []edit
	names map[string]bool
	// lease is the fence that must stand there; empty for none.
	lease []miekg.RR

	prerequisites, deletions, additions []miekg.RR
	octets                              int
}

func newUpdate(zone, federation string, lease []miekg.RR) *update {
	u := &update{zone: zone, names: map[string]bool{}, lease: lease, octets: 12 + len(zone) + 5}
	if len(lease) > 0 {
		u.require(lease)
	} else {
		u.prerequisites = append(u.prerequisites, marker(dns.LeaseName(zone, federation), miekg.TypeTXT, miekg.ClassNONE))
	}
	return u
}

// marker is a record without data, as prerequisites and deletions of a whole set are (RFC 2136 section 2.4 and 2.5).
func marker(name string, t, class uint16) miekg.RR {
	return &miekg.ANY{Hdr: miekg.RR_Header{Name: name, Rrtype: t, Class: class}}
}

// require adds a value-dependent prerequisite.
func (u *update) require(set []miekg.RR) {
	for _, rr := range set {
		rr = miekg.Copy(rr)
		rr.Header().Class, rr.Header().Ttl = miekg.ClassINET, 0
		u.prerequisites = append(u.prerequisites, rr)
	}
}

// add takes in a change, if there is room for it and its name is not touched yet.
func (u *update) add(e edit) (taken bool, err error) {
	if len(u.edits) == maxEdits {
		return false, nil
	}
	names := map[string]bool{}
	for _, s := range append(append([]dns.RecordSet(nil), e.change.Before...), e.change.After...) {
		names[s.Name] = true
		if u.names[s.Name] {
			return false, nil
		}
	}
	one := &update{zone: u.zone}
	if err := one.fill(e); err != nil {
		return false, err
	}
	octets := 0
	for _, section := range [][]miekg.RR{one.prerequisites, one.deletions, one.additions} {
		for _, rr := range section {
			octets += miekg.Len(rr)
		}
	}
	if u.octets+octets > maxUpdate {
		if len(u.edits) == 0 {
			return false, fmt.Errorf("a change of %d octets does not fit into one update; publish fewer addresses", octets)
		}
		return false, nil
	}
	u.octets += octets
	u.edits = append(u.edits, e)
	u.prerequisites = append(u.prerequisites, one.prerequisites...)
	u.deletions = append(u.deletions, one.deletions...)
	u.additions = append(u.additions, one.additions...)
	for name := range names {
		u.names[name] = true
	}
	return true, nil
}

// fill makes the records of one change.
func (u *update) fill(e edit) error {
	before := map[dns.Key]bool{}
	for i, s := range e.change.Before {
		before[s.Key()] = true
		u.require(e.before[i])
	}
	bare := map[string]bool{} // Names at which the change begins with nothing.
	for _, s := range e.change.After {
		bare[s.Name] = true
	}
	for _, s := range e.change.Before {
		bare[s.Name] = false
	}
	for _, s := range e.change.After {
		u.exclude(s, before, bare[s.Name])
	}
	for _, s := range e.removed {
		u.deletions = append(u.deletions, marker(s.Name, typeOf(s), miekg.ClassANY))
	}
	for _, s := range e.added {
		rrs, err := records(s)
		if err != nil {
			return err
		}
		u.additions = append(u.additions, rrs...)
	}
	return nil
}

// exclude adds the prerequisites that a set which is to come is not there, and no CNAME beside it or nothing beside it as a CNAME.
func (u *update) exclude(s dns.RecordSet, before map[dns.Key]bool, bare bool) {
	switch {
	case s.Type == dns.CNAME && bare:
		u.prerequisites = append(u.prerequisites, &miekg.ANY{Hdr: miekg.RR_Header{Name: s.Name, Rrtype: miekg.TypeANY, Class: miekg.ClassNONE}})
		return
	case s.Type == dns.CNAME:
		for _, t := range besides {
			if !before[dns.Key{Name: s.Name, Type: dns.Type(miekg.Type(t).String())}] {
				u.prerequisites = append(u.prerequisites, marker(s.Name, t, miekg.ClassNONE))
			}
		}
	case !before[dns.Key{Name: s.Name, Type: dns.CNAME}]:
		u.prerequisites = append(u.prerequisites, marker(s.Name, miekg.TypeCNAME, miekg.ClassNONE))
	}
	if !before[s.Key()] {
		u.prerequisites = append(u.prerequisites, marker(s.Name, typeOf(s), miekg.ClassNONE))
	}
}

func typeOf(s dns.RecordSet) uint16 { return miekg.StringToType[string(s.Type)] }

// message is the update. Deletions come first: BIND and Knot work in the message's order, so that a set which is deleted after its new
// data came would be gone.
func (u *update) message() *miekg.Msg {
	m := new(miekg.Msg).SetUpdate(u.zone)
	m.Answer = u.prerequisites
	m.Ns = append(append([]miekg.RR(nil), u.deletions...), u.additions...)
	return m
}

// checkPlain refuses what this protocol has no room for.
func checkPlain(c dns.Change) error {
	for _, s := range c.After {
		if s.SetID != "" {
			return &dns.Error{Kind: dns.Invalid, Subject: c.Name, Err: errors.New("dynamic updates know no routed sets; the zone says so in its limits")}
		}
	}
	return nil
}
