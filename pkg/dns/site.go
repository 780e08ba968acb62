package dns

import (
	"net/netip"
	"slices"
)

// Site is all there is at one name, with the ownership record beside it. It does not change once it is made.
type Site struct {
	sets   []RecordSet
	record *RecordSet
	owner  Ownership
	// foreign says why the ownership record, if any, is not ours.
	foreign string
}

// Sites are those of a zone, or a part of it, by name.
type Sites map[string]*Site

// SiteOf is the site of a name with sets at the name, and at that of its ownership record.
func SiteOf(federation string, sets, beside []RecordSet) *Site {
	s := &Site{sets: sets}
	for i := range beside {
		if beside[i].Type == TXT {
			s.note(federation, &beside[i])
		}
	}
	return s
}

// note takes up the ownership record.
func (s *Site) note(federation string, record *RecordSet) {
	s.record = record
	o, err := readOwnership(*record)
	switch {
	case err != nil:
		s.foreign = "the ownership record beside it cannot be read: " + err.Error()
	case o.Federation != federation:
		s.foreign = "the name is owned by federation " + o.Federation
	}
	s.owner = o
}

// Survey sorts what exists by name.
func Survey(existing Snapshot, federation string) Sites {
	sites := make(Sites, len(existing.Sets)/2)
	at := func(name string) *Site {
		if sites[name] == nil {
			sites[name] = &Site{}
		}
		return sites[name]
	}
	for i := range existing.Sets {
		set := &existing.Sets[i]
		name, isOwner := ownedName(set.Name)
		if !isOwner || set.Type != TXT {
			site := at(set.Name)
			site.sets = append(site.sets, *set)
			continue
		}
		at(name).note(federation, set)
	}
	return sites
}

// Owner is who owns the name once the change is made, if the change says so: one that is sparse may not.
func (c Change) Owner(federation string) (Owner, bool) {
	for i := range c.After {
		if s := &c.After[i]; s.Type == TXT && s.Name != c.Name {
			return SiteOf(federation, nil, c.After[i:i+1]).Owner()
		}
	}
	return Owner{}, false
}

// Empty says that there is nothing at the name, and no record beside it.
func (s *Site) Empty() bool { return len(s.sets) == 0 && s.record == nil }

// Owner is whose the name is, by the federation's record; false for a name that is not the federation's.
func (s *Site) Owner() (Owner, bool) { return s.owner.Owner, s.ours() }

// Sets are all at the name, whoever's. They are not to be changed.
func (s *Site) Sets() []RecordSet { return s.sets }

// Published adds to addresses those at the name that are the federation's.
func (s *Site) Published(to []netip.Addr) []netip.Addr {
	for i := range s.sets {
		if s.ours() && slices.Contains(s.owner.Types, s.sets[i].Type) {
			to = addAddresses(to, s.sets[i].Data)
		}
	}
	return to
}

func addAddresses(to []netip.Addr, data []string) []netip.Addr {
	for _, d := range data {
		if a, err := netip.ParseAddr(d); err == nil && !slices.Contains(to, a) {
			to = append(to, a)
		}
	}
	return to
}

func (s *Site) ours() bool { return s.record != nil && s.foreign == "" }

// split parts the sets into those that the ownership record says are ours, and the others.
func (s *Site) split() (ours, others []RecordSet) {
	if !s.ours() {
		return nil, s.sets
	}
	if !slices.ContainsFunc(s.sets, func(set RecordSet) bool { return !slices.Contains(s.owner.Types, set.Type) }) {
		return slices.Clip(s.sets), nil
	}
	for _, set := range s.sets {
		if slices.Contains(s.owner.Types, set.Type) {
			ours = append(ours, set)
		} else {
			others = append(others, set)
		}
	}
	return ours, others
}

// Published are the addresses that a zone holds for each owner of the federation, by Owner.Ref.
func Published(existing Snapshot, federation string) map[string][]netip.Addr {
	published := map[string][]netip.Addr{}
	for _, here := range Survey(existing, federation) {
		ref := here.owner.Owner.Ref
		if found := here.Published(published[ref]); len(found) > 0 {
			published[ref] = found
		}
	}
	return published
}

// Owned are the names on record for the federation in a zone, with their owners.
func Owned(existing Snapshot, federation string) map[string]Owner {
	owned := map[string]Owner{}
	for name, here := range Survey(existing, federation) {
		if here.ours() {
			owned[name] = here.owner.Owner
		}
	}
	return owned
}
