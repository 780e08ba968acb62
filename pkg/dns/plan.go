package dns

import (
	"cmp"
	"slices"
	"strings"
)

// PlanInput is what a plan is made of.
type PlanInput struct {
	Federation string
	Epoch      int64
	Zone       Zone
	// Claims are what the known owners want, in this zone.
	Claims []Claim
	// Known are the Refs of all owners whose claims are complete in Claims. What is owned for others stays.
	Known map[string]bool
	// Gone says of an owned name that nobody claims whether it is certain that it is to go: its object was seen deleted, or its
	// cluster left. Nil means nothing is certain.
	Gone func(name string, owner Owner) bool
	// Existing is the zone, read as a whole; or all that concerns the names that are claimed, and the names of the owners that
	// are Known.
	Existing Snapshot
	// Sites are the same, sorted by name: where they are given, Existing is not read.
	Sites Sites
	// Owned counts the names on record for the federation in the whole zone, where Existing is a part of it: it is what
	// the share of removals without certainty is of. 0 counts those in Existing.
	Owned int
}

// Plan is what to do to a zone, and what not to.
type Plan struct {
	// Changes in the order in which to make them: additions before removals, wide names before narrow ones.
	Changes []Change
	// Conflicts are names that belong to someone else: nothing is done there.
	Conflicts []Collision
	// Held are removals that are not made: so many at once look like a mistake.
	Held []Change
	// Orphans are owned names whose owner is not known; they go when Gone says so.
	Orphans []Orphan
	// Repairs are names whose data was changed by another hand; their changes are among Changes.
	Repairs []string
	// Unchanged counts the names that are as they should be.
	Unchanged int
}

// Collision is a claim that was refused.
type Collision struct {
	Name  string
	Owner Owner
	// Reason says what is there and what to do.
	Reason string
}

// Orphan is an owned name without a known owner.
type Orphan struct {
	Name  string
	Owner Owner
}

const (
	foreignThere  = "someone else's record is there: "
	foreignAdvice = "; remove it, or adopt it by stating it as it is"

	// removePercent of the owned names, and removeAlways in any case, may go in one plan without certainty.
	removePercent = 20
	removeAlways  = 10
)

// MakePlan compares what is wanted with what is there. Each change carries its ownership record. What the federation does not
// own is in no Before and in no After, unless a claim adopts it.
func MakePlan(in PlanInput) Plan {
	var p Plan
	sites := in.Sites
	if sites == nil {
		sites = Survey(in.Existing, in.Federation)
	}
	claims := indexOf(in.Claims)
	claimed := make(map[string]bool, len(in.Claims))
	for _, i := range claims.order {
		claim := in.Claims[i]
		here := sites[claim.Name]
		if here == nil {
			here = &Site{}
		}
		switch {
		case !InZone(claim.Name, in.Zone.Name):
			p.Conflicts = append(p.Conflicts, Collision{claim.Name, claim.Owner, "the name is outside zone " + in.Zone.Name})
		case claimed[claim.Name]:
			p.Conflicts = append(p.Conflicts, Collision{claim.Name, claim.Owner, "another object of the federation claims the name; use another host name"})
		case here.ours() && here.owner.Owner.Ref != claim.Owner.Ref && !released(in, claims, claim.Name, here.owner.Owner):
			p.Conflicts = append(p.Conflicts, Collision{claim.Name, claim.Owner,
				"the name is owned by " + here.owner.Owner.Ref + "; use another host name, or delete that object"})
		default:
			claimed[claim.Name] = true
			p.bring(in, claim, here)
		}
	}
	p.remove(in, claims, sites, claimed)
	slices.SortStableFunc(p.Changes, changeOrder)
	return p
}

// released: the owner on record does not want the name any more.
func released(in PlanInput, claims claimIndex, name string, owner Owner) bool {
	if in.Gone != nil && in.Gone(name, owner) {
		return true
	}
	return in.Known[owner.Ref] && !slices.ContainsFunc(claims.at(name), func(i int) bool { return in.Claims[i].Owner.Ref == owner.Ref })
}

// bring makes one claim true.
func (p *Plan) bring(in PlanInput, claim Claim, here *Site) {
	if here.foreign != "" {
		p.Conflicts = append(p.Conflicts, Collision{claim.Name, claim.Owner, here.foreign + "; use another name, or remove " + OwnerName(claim.Name)})
		return
	}
	ours, others := here.split()
	if adopted(claim, others) {
		ours, others = slices.Concat(ours, others), nil
	}
	wanted, collision := admit(claim, others)
	if collision != "" {
		p.Conflicts = append(p.Conflicts, Collision{claim.Name, claim.Owner, collision})
		if len(wanted) == 0 && !here.ours() {
			return
		}
	}
	for i := range wanted {
		if wanted[i].Alias == (Alias{}) {
			wanted[i].TTL = max(wanted[i].TTL, in.Zone.Limits.MinTTL)
		}
	}
	scale(wanted, in.Zone.Limits.MaxWeight)
	if claim.Stale {
		wanted = keeping(wanted, ours)
	}
	owner := Ownership{Federation: in.Federation, Owner: claim.Owner, Epoch: in.Epoch, Types: typesOf(wanted), Hash: HashOf(wanted)}
	if in.Zone.Limits.Sparse {
		owner.Hash = noHash
	}
	lasts := in.Zone.Limits.Sparse && here.ours() && outlasts(here.owner, owner)
	if lasts {
		owner = here.owner
	}
	if here.ours() && alike(ours, wanted) && sameOwnership(here.owner, owner) {
		p.Unchanged++
		return
	}
	record := owner.Record(claim.Name)
	if lasts {
		record = *here.record
	}
	change := Change{Name: claim.Name, Before: ours, After: append(wanted, record)}
	if here.record != nil {
		change.Before = append(slices.Clone(ours), *here.record)
		if here.owner.Hash != noHash && HashOf(ours) != here.owner.Hash {
			p.Repairs = append(p.Repairs, claim.Name)
		}
	}
	if in.Zone.Limits.Sparse {
		change = change.sparse(record)
	}
	p.Changes = append(p.Changes, change)
}

// outlasts: the record that is there says all that has to be said, and maybe owns a type more, of which there is nothing now.
func outlasts(there, wanted Ownership) bool {
	for _, t := range wanted.Types {
		if !slices.Contains(there.Types, t) {
			return false
		}
	}
	wanted.Types = there.Types
	return sameOwnership(there, wanted)
}

// sparse leaves out the sets that stay as they are. What is left compares something that was read: if nothing else, then the
// ownership record.
func (c Change) sparse(record RecordSet) Change {
	same := func(s RecordSet, other []RecordSet) bool {
		return slices.ContainsFunc(other, func(o RecordSet) bool { return Same(s, o) })
	}
	moving := map[Type]bool{} // the two sets of policy Ordered depend on each other
	for _, sets := range [][]RecordSet{c.Before, c.After} {
		for _, s := range sets {
			if s.Routing.Policy == Ordered && (!same(s, c.Before) || !same(s, c.After)) {
				moving[s.Type] = true
			}
		}
	}
	stays := func(s RecordSet, other []RecordSet) bool {
		return same(s, other) && (s.Routing.Policy != Ordered || !moving[s.Type])
	}
	out := Change{Name: c.Name}
	for _, s := range c.Before {
		if !stays(s, c.After) {
			out.Before = append(out.Before, s)
		}
	}
	for _, s := range c.After {
		if !stays(s, c.Before) {
			out.After = append(out.After, s)
		}
	}
	if len(out.Before) == 0 && stays(record, c.Before) {
		out.Before, out.After = append(out.Before, record), append(out.After, record)
	}
	return out
}

// scale brings weights below a limit, each name and type by itself: what had a weight keeps one.
func scale(sets []RecordSet, limit uint32) {
	if limit == 0 {
		return
	}
	most := map[Key]uint32{}
	for _, s := range sets {
		k := Key{Name: s.Name, Type: s.Type}
		most[k] = max(most[k], s.Routing.Weight)
	}
	for i, s := range sets {
		if top := most[Key{Name: s.Name, Type: s.Type}]; top > limit && s.Routing.Weight > 0 {
			sets[i].Routing.Weight = max(1, uint32(uint64(s.Routing.Weight)*uint64(limit)/uint64(top)))
		}
	}
}

// adopted: what is someone else's at the name is exactly what the claim may take over.
func adopted(claim Claim, others []RecordSet) bool {
	return len(others) > 0 && len(claim.Adopt) > 0 && alike(others, canonicalSets(claim.Adopt))
}

func canonicalSets(sets []RecordSet) []RecordSet {
	out := make([]RecordSet, len(sets))
	for i, s := range sets {
		out[i] = s.Canonical()
	}
	return out
}

// admit is the part of a claim that can stand beside what is someone else's: no type that is there, and no CNAME with
// anything else (RFC 1034 section 3.6.2).
func admit(claim Claim, others []RecordSet) ([]RecordSet, string) {
	wanted := make([]RecordSet, 0, len(claim.Sets))
	var taken []string
	cname := slices.ContainsFunc(claim.Sets, func(s RecordSet) bool { return s.Type == CNAME })
	for _, other := range others {
		if other.Type == CNAME || cname {
			return wanted, foreignThere + other.String() + foreignAdvice
		}
	}
	for _, set := range claim.Sets {
		i := slices.IndexFunc(others, func(o RecordSet) bool { return o.Type == set.Type })
		if i < 0 {
			wanted = append(wanted, set.Canonical())
		} else if s := others[i].String(); !slices.Contains(taken, s) {
			taken = append(taken, s)
		}
	}
	if len(taken) == 0 {
		return wanted, ""
	}
	return wanted, foreignThere + strings.Join(taken, "; ") + foreignAdvice
}

// keeping adds to a claim of old knowledge what is there: addresses may come, none may go.
func keeping(wanted, ours []RecordSet) []RecordSet {
	for _, set := range ours {
		// What cannot stand beside it, a CNAME or routing, waits for better knowledge.
		if slices.ContainsFunc(wanted, func(w RecordSet) bool {
			return (w.Type == CNAME) != (set.Type == CNAME) || w.Type == set.Type && (w.SetID == "") != (set.SetID == "")
		}) {
			return ours
		}
	}
	for _, set := range ours {
		i := slices.IndexFunc(wanted, func(w RecordSet) bool { return w.Key() == set.Key() })
		switch {
		case i < 0:
			wanted = append(wanted, set)
		case set.Type == CNAME || set.Alias != (Alias{}) || wanted[i].Alias != (Alias{}):
			wanted[i] = set
		default:
			wanted[i].Data = slices.Concat(wanted[i].Data, set.Data)
			wanted[i] = wanted[i].Canonical()
		}
	}
	return wanted
}

// alike compares sets whatever their order.
func alike(a, b []RecordSet) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range b {
		if !slices.ContainsFunc(a, func(s RecordSet) bool { return Same(s, b[i]) }) {
			return false
		}
	}
	return true
}

// sameOwnership leaves out generation and epoch: they are worth no write of their own.
func sameOwnership(a, b Ownership) bool {
	return a.Federation == b.Federation && a.Owner.Ref == b.Owner.Ref && a.Owner.UID == b.Owner.UID && a.Hash == b.Hash && slices.Equal(a.Types, b.Types)
}

// remove plans the removal of owned names that nobody claims.
func (p *Plan) remove(in PlanInput, claims claimIndex, sites Sites, claimed map[string]bool) {
	var unsure []Change
	owned := 0
	for name, here := range sites {
		if !here.ours() {
			continue
		}
		owned++
		if claimed[name] {
			continue
		}
		if len(claims.at(name)) > 0 {
			continue // Someone's claim collided here: who owns the name keeps it.
		}
		ours, _ := here.split()
		change := Change{Name: name, Before: append(slices.Clone(ours), *here.record)}
		switch {
		case in.Gone != nil && in.Gone(name, here.owner.Owner):
			p.Changes = append(p.Changes, change)
		case in.Known[here.owner.Owner.Ref]:
			unsure = append(unsure, change)
		default:
			p.Orphans = append(p.Orphans, Orphan{name, here.owner.Owner})
		}
	}
	slices.SortFunc(p.Orphans, func(a, b Orphan) int { return cmp.Compare(a.Name, b.Name) })
	if len(unsure) > max(removeAlways, max(owned, in.Owned)*removePercent/100) {
		slices.SortFunc(unsure, changeOrder)
		p.Held = unsure
		return
	}
	p.Changes = append(p.Changes, unsure...)
}

// removes: the name goes. A sparse change that takes a dead endpoint out of a name leaves the ownership record.
func (c Change) removes() bool {
	return len(c.After) == 0 && slices.ContainsFunc(c.Before, func(s RecordSet) bool { return s.Name == OwnerName(c.Name) })
}

// changeOrder puts additions first, and of these the widest names, so that what a narrower name points to is there; of
// removals the narrowest.
func changeOrder(a, b Change) int {
	removesA, removesB := a.removes(), b.removes()
	if removesA != removesB {
		if removesA {
			return 1
		}
		return -1
	}
	byWidth := cmp.Or(cmp.Compare(strings.Count(a.Name, "."), strings.Count(b.Name, ".")), cmp.Compare(a.Name, b.Name))
	if removesA {
		return -byWidth
	}
	return byWidth
}
