package dns

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Content is a zone's record sets with the rules under which a provider that keeps them itself changes them. It is not safe
// for concurrent use.
type Content struct {
	zone string
	sets map[Key]RecordSet
	// names are the keys of the sets at each name.
	names map[string][]Key
}

// NewContent is a zone with sets in it.
func NewContent(zone string, sets []RecordSet) *Content {
	c := &Content{zone: zone, sets: make(map[Key]RecordSet, len(sets)), names: make(map[string][]Key, len(sets))}
	for _, s := range sets {
		c.put(s)
	}
	return c
}

// Sets are all of them, by name, type and SetID.
func (c *Content) Sets() []RecordSet {
	sets := make([]RecordSet, 0, len(c.sets))
	for _, name := range slices.Sorted(maps.Keys(c.names)) {
		keys := slices.SortedFunc(slices.Values(c.names[name]), func(a, b Key) int {
			return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.SetID, b.SetID))
		})
		for _, k := range keys {
			sets = append(sets, c.sets[k])
		}
	}
	return sets
}

// At are the sets at one name.
func (c *Content) At(name string) []RecordSet {
	sets := make([]RecordSet, 0, len(c.names[name]))
	for _, k := range c.names[name] {
		sets = append(sets, c.sets[k])
	}
	return sets
}

func (c *Content) put(s RecordSet) {
	k := s.Key()
	if _, there := c.sets[k]; !there {
		c.names[s.Name] = append(c.names[s.Name], k)
	}
	c.sets[k] = s
}

func (c *Content) drop(k Key) {
	delete(c.sets, k)
	if left := slices.DeleteFunc(c.names[k.Name], func(other Key) bool { return other == k }); len(left) > 0 {
		c.names[k.Name] = left
	} else {
		delete(c.names, k.Name)
	}
}

// Apply makes the changes that can be made. It returns what was removed from and added to the zone, with the lease's record, and
// what failed. With an error of kind Fenced nothing was changed.
func (c *Content) Apply(fence Fence, changes []Change) (removed, added []RecordSet, failed []Failure, err error) {
	lease, held := c.sets[Key{Name: LeaseName(c.zone, fence.Federation), Type: TXT}]
	if held {
		if err := fence.Check(c.zone, lease); err != nil {
			return nil, nil, nil, err
		}
	}
	for _, change := range changes {
		out, in, err := c.one(change)
		if err != nil {
			failed = append(failed, Failure{change, err})
			continue
		}
		removed, added = append(removed, out...), append(added, in...)
	}
	if len(removed)+len(added) == 0 {
		return nil, nil, failed, nil
	}
	if now := fence.Record(c.zone); !held || !Same(now, lease) {
		if held {
			removed = append(removed, lease)
		}
		added = append(added, now)
		c.put(now)
	}
	return removed, added, failed, nil
}

// Note takes up changes that were made elsewhere. It is false, and nothing more is taken up, where the content is not as one expects it.
func (c *Content) Note(changes []Change) bool {
	for i := range changes {
		asAfter, asBefore, _ := c.compare(changes[i].Before, changes[i].After)
		if !asAfter && !asBefore {
			return false
		}
		if !asAfter {
			c.swap(changes[i])
		}
	}
	return true
}

// one makes one change as a whole, or gives the reason why not. Without a difference it returns nothing.
func (c *Content) one(change Change) (removed, added []RecordSet, err error) {
	if err := change.Check(c.zone); err != nil {
		return nil, nil, err
	}
	asAfter, asBefore, odd := c.compare(change.Before, change.After)
	if asAfter {
		return nil, nil, nil
	}
	if !asBefore {
		return nil, nil, &Error{Kind: Conflict, Subject: change.Name, Err: fmt.Errorf("%s %s was changed by another writer", odd.Name, odd.Type)}
	}
	if err := c.exclusive(change.Before, change.After); err != nil {
		return nil, nil, &Error{Kind: Conflict, Subject: change.Name, Err: err}
	}
	removed, added = c.swap(change)
	return removed, added, nil
}

// swap puts what is after a change in place of what is before.
func (c *Content) swap(change Change) (removed, added []RecordSet) {
	for i := range change.Before {
		if s := &change.Before[i]; !stays(s, change.After) {
			removed = append(removed, *s)
			c.drop(s.Key())
		}
	}
	for i := range change.After {
		if s := &change.After[i]; !stays(s, change.Before) {
			added = append(added, *s)
			c.put(*s)
		}
	}
	return removed, added
}

// compare says whether the zone is as a change leaves it, and whether it is as the change expects it, with a set that is not.
func (c *Content) compare(before, after []RecordSet) (asAfter, asBefore bool, odd Key) {
	asAfter, asBefore = true, true
	look := func(k Key, was, will *RecordSet) {
		now, ok := c.sets[k]
		asAfter = asAfter && ok == (will != nil) && (!ok || Same(now, *will))
		if ok != (was != nil) || ok && !Same(now, *was) {
			asBefore, odd = false, k
		}
	}
	for i := range before {
		k := before[i].Key()
		look(k, find(before, k), find(after, k))
	}
	for i := range after {
		if k := after[i].Key(); find(before, k) == nil {
			look(k, nil, find(after, k))
		}
	}
	return asAfter, asBefore, odd
}

func find(sets []RecordSet, k Key) *RecordSet {
	for i := len(sets) - 1; i >= 0; i-- {
		if s := &sets[i]; s.Type == k.Type && s.Name == k.Name && s.SetID == k.SetID {
			return s
		}
	}
	return nil
}

func stays(s *RecordSet, in []RecordSet) bool {
	other := find(in, s.Key())
	return other != nil && Same(*other, *s)
}

// Check gives the reason why a change can never be made in a zone, of kind Invalid.
func (c Change) Check(zone string) error {
	for _, s := range c.After {
		if err := c.valid(zone, s); err != nil {
			return &Error{Kind: Invalid, Subject: c.Name, Err: err}
		}
	}
	return nil
}

func (c Change) valid(zone string, s RecordSet) error {
	if s.Name != c.Name && s.Name != OwnerName(c.Name) {
		return fmt.Errorf("%s is not at the name of its change", s.Name)
	}
	if !InZone(s.Name, zone) {
		return errors.New("the name is outside the zone " + zone)
	}
	if s.Type == CNAME && s.Name == zone {
		return errors.New("a CNAME cannot stand at the apex of a zone (RFC 1912 section 2.4)")
	}
	return s.Check()
}

// exclusive checks that no CNAME will stand beside other data, and no plain set beside routed ones of its type.
func (c *Content) exclusive(before, after []RecordSet) error {
	will := make(map[string][]Key, 2)
	for i := range after {
		name := after[i].Name
		if will[name] != nil {
			continue
		}
		for _, now := range c.names[name] {
			if find(before, now) == nil {
				will[name] = append(will[name], now)
			}
		}
		for j := range after {
			if other := after[j].Key(); other.Name == name && !slices.Contains(will[name], other) {
				will[name] = append(will[name], other)
			}
		}
	}
	for name, keys := range will {
		for _, k := range keys {
			if k.Type == CNAME && len(keys) > 1 {
				return fmt.Errorf("%s has a CNAME beside other data", name)
			}
			if k.SetID != "" && slices.Contains(keys, Key{Name: name, Type: k.Type}) {
				return fmt.Errorf("%s %s has a plain set beside routed ones", name, k.Type)
			}
		}
	}
	return nil
}

// Record is the fence as it is written to a zone: "v=1 holder=HOLDER epoch=N".
func (f Fence) Record(zone string) RecordSet {
	text := fmt.Sprintf("v=1 holder=%s epoch=%d", strings.Join(strings.Fields(f.Holder), "_"), f.Epoch)
	return RecordSet{Name: LeaseName(zone, f.Federation), Type: TXT, TTL: 0, Data: []string{Quote(text)}}
}

// Check compares the fence with its federation's lease record in a zone. The error is of kind Fenced.
func (f Fence) Check(zone string, lease RecordSet) error {
	if epoch, ok := leaseEpoch(lease); ok && epoch > f.Epoch {
		return &Error{Kind: Fenced, Subject: zone, Err: fmt.Errorf("epoch %d has taken over from %d", epoch, f.Epoch)}
	}
	return nil
}

// EpochOf is the highest epoch under which a federation wrote to a zone, 0 where the zone does not say.
func EpochOf(existing Snapshot, zone, federation string) int64 {
	for _, s := range existing.Sets {
		if s.Name == LeaseName(zone, federation) && s.Type == TXT {
			epoch, _ := leaseEpoch(s)
			return epoch
		}
	}
	return 0
}

func leaseEpoch(s RecordSet) (int64, bool) {
	if len(s.Data) != 1 {
		return 0, false
	}
	text, err := Unquote(s.Data[0])
	if err != nil {
		return 0, false
	}
	for field := range strings.FieldsSeq(text) {
		if value, ok := strings.CutPrefix(field, "epoch="); ok {
			n, err := strconv.ParseInt(value, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// Replace puts sets of someone else than the federation in place of all that is at their names, without a fence, because they have no
// lease: all of it or nothing. It refuses names that the federation owns and those with its own label.
func (c *Content) Replace(names map[string][]RecordSet) (removed, added []RecordSet, err error) {
	for name, after := range names {
		if _, owned := c.sets[Key{Name: OwnerName(name), Type: TXT}]; owned || strings.HasPrefix(name, ownerLabel) || strings.Contains(name, "."+ownerLabel) {
			return nil, nil, &Error{Kind: Denied, Subject: name, Err: errors.New("the name is the federation's")}
		}
		if err := (Change{Name: name, After: after}).Check(c.zone); err != nil {
			return nil, nil, err
		}
		for _, s := range after {
			if s.Type == CNAME && len(after) > 1 {
				return nil, nil, &Error{Kind: Conflict, Subject: name, Err: fmt.Errorf("%s has a CNAME beside other data", name)}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before := c.At(name)
		for _, s := range before {
			if !slices.ContainsFunc(names[name], func(will RecordSet) bool { return Same(will, s) }) {
				removed = append(removed, s)
				c.drop(s.Key())
			}
		}
		for _, s := range names[name] {
			if !slices.ContainsFunc(before, func(was RecordSet) bool { return Same(was, s) }) {
				added = append(added, s)
				c.put(s)
			}
		}
	}
	return removed, added, nil
}
