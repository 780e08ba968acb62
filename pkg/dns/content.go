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
	// names counts the sets at each name, and those that are CNAMEs.
	names map[string]tally
}

type tally struct{ sets, cnames int }

// NewContent is a zone with sets in it.
func NewContent(zone string, sets []RecordSet) *Content {
	c := &Content{zone: zone, sets: make(map[Key]RecordSet, len(sets)), names: make(map[string]tally, len(sets))}
	for _, s := range sets {
		c.put(s)
	}
	return c
}

// Sets are all of them, by name, type and SetID.
func (c *Content) Sets() []RecordSet {
	return slices.SortedFunc(maps.Values(c.sets), func(a, b RecordSet) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.SetID, b.SetID))
	})
}

func (c *Content) put(s RecordSet) {
	c.drop(s.Key())
	c.sets[s.Key()] = s
	t := c.names[s.Name]
	t.sets++
	if s.Type == CNAME {
		t.cnames++
	}
	c.names[s.Name] = t
}

func (c *Content) drop(k Key) {
	if _, ok := c.sets[k]; !ok {
		return
	}
	delete(c.sets, k)
	t := c.names[k.Name]
	t.sets--
	if k.Type == CNAME {
		t.cnames--
	}
	if t.sets == 0 {
		delete(c.names, k.Name)
	} else {
		c.names[k.Name] = t
	}
}

// Apply makes the changes that can be made. It returns what was removed from and added to the zone, with the lease's record, and
// what failed. With an error of kind Fenced nothing was changed.
func (c *Content) Apply(fence Fence, changes []Change) (removed, added []RecordSet, failed []Failure, err error) {
	lease, held := c.sets[Key{Name: LeaseName(c.zone), Type: TXT}]
	if held {
		if epoch, ok := leaseEpoch(lease); ok && epoch > fence.Epoch {
			return nil, nil, nil, &Error{Kind: Fenced, Subject: c.zone, Err: fmt.Errorf("epoch %d has taken over from %d", epoch, fence.Epoch)}
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

// one makes one change as a whole, or gives the reason why not. Without a difference it returns nothing.
func (c *Content) one(change Change) (removed, added []RecordSet, err error) {
	before, after := map[Key]RecordSet{}, map[Key]RecordSet{}
	for _, s := range change.Before {
		before[s.Key()] = s
	}
	for _, s := range change.After {
		if err := c.valid(change, s); err != nil {
			return nil, nil, &Error{Kind: Invalid, Subject: change.Name, Err: err}
		}
		after[s.Key()] = s
	}
	touched := maps.Clone(before)
	maps.Copy(touched, after)
	asBefore, asAfter := true, true
	var odd Key
	for k := range touched {
		now, ok := c.sets[k]
		was, hasBefore := before[k]
		will, hasAfter := after[k]
		asAfter = asAfter && ok == hasAfter && (!ok || Same(now, will))
		if ok != hasBefore || ok && !Same(now, was) {
			asBefore, odd = false, k
		}
	}
	if asAfter {
		return nil, nil, nil
	}
	if !asBefore {
		return nil, nil, &Error{Kind: Conflict, Subject: change.Name, Err: fmt.Errorf("%s %s was changed by another writer", odd.Name, odd.Type)}
	}
	if err := c.exclusive(before, after); err != nil {
		return nil, nil, &Error{Kind: Conflict, Subject: change.Name, Err: err}
	}
	for k, s := range before {
		if will, stays := after[k]; !stays || !Same(will, s) {
			removed = append(removed, s)
			c.drop(k)
		}
	}
	for k, s := range after {
		if was, there := before[k]; !there || !Same(was, s) {
			added = append(added, s)
			c.put(s)
		}
	}
	return removed, added, nil
}

func (c *Content) valid(change Change, s RecordSet) error {
	if s.Name != change.Name && s.Name != OwnerName(change.Name) {
		return fmt.Errorf("%s is not at the name of its change", s.Name)
	}
	if !InZone(s.Name, c.zone) {
		return errors.New("the name is outside the zone " + c.zone)
	}
	if s.Type == CNAME && s.Name == c.zone {
		return errors.New("a CNAME cannot stand at the apex of a zone (RFC 1912 section 2.4)")
	}
	return s.Check()
}

// exclusive checks that no CNAME will stand beside other data.
func (c *Content) exclusive(before, after map[Key]RecordSet) error {
	will := map[string]tally{}
	at := func(name string) tally {
		if t, ok := will[name]; ok {
			return t
		}
		return c.names[name]
	}
	count := func(k Key, by int) {
		t := at(k.Name)
		t.sets += by
		if k.Type == CNAME {
			t.cnames += by
		}
		will[k.Name] = t
	}
	for k := range before {
		count(k, -1)
	}
	for k := range after {
		count(k, 1)
	}
	for name, t := range will {
		if t.cnames > 0 && t.sets > 1 {
			return fmt.Errorf("%s has a CNAME beside other data", name)
		}
	}
	return nil
}

// Record is the fence as it is written to a zone: "v=1 holder=HOLDER epoch=N".
func (f Fence) Record(zone string) RecordSet {
	text := fmt.Sprintf("v=1 holder=%s epoch=%d", strings.Join(strings.Fields(f.Holder), "_"), f.Epoch)
	return RecordSet{Name: LeaseName(zone), Type: TXT, TTL: 0, Data: []string{Quote(text)}}
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
