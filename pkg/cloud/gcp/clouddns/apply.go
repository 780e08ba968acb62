package clouddns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gdns "google.golang.org/api/dns/v1"

	"kubefed.dev/kubefed/pkg/dns"
)

// What one call takes: record sets each way, and octets of data.
const (
	maxSets   = 1000
	maxOctets = 100_000
)

// edit is a change as Cloud DNS takes it.
type edit struct {
	change               dns.Change
	deletions, additions []*gdns.ResourceRecordSet
	octets               int
	// reread says that it looked right when it was read again.
	reread bool
}

// newEdit deletes all of Before, so that it is compared, and adds all of After.
func newEdit(c dns.Change) edit {
	e := edit{change: c}
	for _, raw := range gather(c.Name, c.Before) {
		e.delete(raw)
	}
	for _, raw := range gather(c.Name, c.After) {
		e.add(raw)
	}
	return e
}

// reread is the edit of a change where it is known what is there, which is deleted in the form in which it was read, and what is to be
// there after: the items of a routed record set that the change does not name stay in it.
func reread(c dns.Change, there []listed, after []dns.RecordSet) edit {
	e := edit{change: c, reread: true}
	touched := map[dns.Key]bool{{Name: itemsName(c.Name), Type: dns.TXT}: true}
	for _, s := range slices.Concat(c.Before, c.After) {
		touched[dns.Key{Name: s.Name, Type: s.Type}] = true
	}
	for _, l := range there {
		if touched[keyOf(l.raw)] {
			e.delete(l.raw)
		}
	}
	for _, raw := range gather(c.Name, after) {
		if touched[keyOf(raw)] {
			e.add(raw)
		}
	}
	return e
}

func keyOf(raw *gdns.ResourceRecordSet) dns.Key {
	return dns.Key{Name: dns.Absolute(raw.Name), Type: dns.Type(raw.Type)}
}

func (e *edit) delete(raw *gdns.ResourceRecordSet) {
	e.deletions, e.octets = append(e.deletions, raw), e.octets+octets(raw)
}

func (e *edit) add(raw *gdns.ResourceRecordSet) {
	e.additions, e.octets = append(e.additions, raw), e.octets+octets(raw)
}

func octets(raw *gdns.ResourceRecordSet) (n int) {
	for _, d := range raw.Rrdatas {
		n += len(d)
	}
	policy := raw.RoutingPolicy
	if policy != nil && policy.Wrr != nil {
		for _, item := range policy.Wrr.Items {
			for _, d := range item.Rrdatas {
				n += len(d)
			}
		}
	}
	if policy != nil && policy.Geo != nil {
		for _, item := range policy.Geo.Items {
			for _, d := range item.Rrdatas {
				n += len(d)
			}
		}
	}
	return n
}

// join is one edit of several, and whether one call takes it.
func join(edits ...edit) (edit, bool) {
	var all edit
	for _, e := range edits {
		all.deletions, all.additions, all.octets = append(all.deletions, e.deletions...), append(all.additions, e.additions...), all.octets+e.octets
	}
	return all, len(all.deletions) <= maxSets && len(all.additions) <= maxSets && all.octets <= maxOctets
}

// writer is one Apply.
type writer struct {
	p     *Provider
	zone  *zone
	id    string
	fence dns.Fence
	// ids of Cloud DNS' changes, and what was not made.
	ids    []string
	failed []dns.Failure
}

// Apply implements dns.Provider. Changes go in their order, as many in one call as it takes.
func (p *Provider) Apply(ctx context.Context, name string, fence dns.Fence, changes []dns.Change) (dns.Receipt, error) {
	z, id, err := p.zone(ctx, name)
	if err != nil {
		return dns.Receipt{}, err
	}
	z.writing.Lock()
	defer z.writing.Unlock()
	w := &writer{p: p, zone: z, id: id, fence: fence}
	if !z.known || z.federation != fence.Federation {
		if _, err := w.read(ctx); err != nil {
			return dns.Receipt{}, err
		}
	}
	if err := w.check(); err != nil {
		return dns.Receipt{}, err
	}
	batches := w.pack(changes)
	for i, batch := range batches {
		err := w.make(ctx, batch)
		if err == nil {
			continue
		}
		if dns.KindOf(err) == dns.Fenced || len(w.ids) == 0 {
			return dns.Receipt{}, err
		}
		for _, e := range slices.Concat(batches[i:]...) {
			w.fail(e.change, err)
		}
		break
	}
	return dns.Receipt{Version: strings.Join(w.ids, " "), Failed: w.failed}, nil
}

func (w *writer) fail(c dns.Change, err error) {
	if !slices.ContainsFunc(w.failed, func(f dns.Failure) bool { return f.Change.Name == c.Name }) {
		w.failed = append(w.failed, dns.Failure{Change: c, Err: err})
	}
}

// pack divides changes, in their order, into calls within the limits; each call writes the lease too.
func (w *writer) pack(changes []dns.Change) [][]edit {
	var batches [][]edit
	var batch []edit
	sum := w.lease()
	for _, c := range changes {
		if err := cmp.Or(c.Check(w.zone.name), checkRouting(c)); err != nil {
			w.fail(c, err)
			continue
		}
		e := newEdit(c)
		if len(e.deletions)+len(e.additions) == 0 {
			continue
		}
		if _, fits := join(w.lease(), e); !fits {
			w.fail(c, &dns.Error{Kind: dns.Invalid, Subject: c.Name, Err: errors.New("it is more than Cloud DNS takes at once; publish fewer addresses")})
			continue
		}
		next, fits := join(sum, e)
		if !fits {
			batches, batch = append(batches, batch), nil
			next, _ = join(w.lease(), e)
		}
		batch, sum = append(batch, e), next
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	return batches
}

// lease compares the zone's lease record and swaps in the fence's.
func (w *writer) lease() edit {
	var e edit
	if w.zone.lease != nil {
		e.delete(w.zone.lease)
	}
	e.add(write(w.fence.Record(w.zone.name)))
	return e
}

// check looks whether the lease is this writer's to take, as far as is known here: Cloud DNS compares anyway.
func (w *writer) check() error {
	if w.zone.lease == nil {
		return nil
	}
	return w.fence.Check(w.zone.name, read(w.zone.lease))
}

// read reads all of the zone, and the lease in it.
func (w *writer) read(ctx context.Context) (map[string][]listed, error) {
	raws, err := w.p.list(ctx, w.zone, w.id)
	if err != nil {
		return nil, err
	}
	w.zone.lease, w.zone.known, w.zone.federation = nil, true, w.fence.Federation
	at := map[string][]listed{}
	for _, l := range understand(raws) {
		key := keyOf(l.raw)
		at[key.Name] = append(at[key.Name], l)
		if key.Name == dns.LeaseName(w.zone.name, w.fence.Federation) && key.Type == dns.TXT {
			w.zone.lease = l.raw
		}
	}
	return at, nil
}

// send makes one call.
func (w *writer) send(ctx context.Context, batch []edit) error {
	all, _ := join(append([]edit{w.lease()}, batch...)...)
	var made *gdns.Change
	err := w.p.try(ctx, func() (err error) {
		made, err = w.p.service.Changes.Create(w.p.options.Project, w.id, &gdns.Change{Deletions: all.deletions, Additions: all.additions}).Context(ctx).Do()
		return err
	})
	if err != nil {
		w.zone.known = false // Whether it happened is not certain.
		return err
	}
	w.zone.lease = all.additions[0]
	w.ids = append(w.ids, made.Id)
	return nil
}

// make makes the changes of a batch that can be made. An error is about all that is left: it is not for the changes.
func (w *writer) make(ctx context.Context, batch []edit) error {
	for len(batch) > 0 {
		err := w.send(ctx, batch)
		if err == nil {
			return nil
		}
		refusal := refused(err)
		if refusal == nil {
			return w.zone.classify(err)
		}
		stale := !batch[0].reread
		lease := w.zone.lease
		at, err := w.read(ctx)
		if err != nil {
			return err
		}
		if err := w.check(); err != nil {
			return err
		}
		moved := (lease == nil) != (w.zone.lease == nil) || lease != nil && !dns.Same(read(lease), read(w.zone.lease))
		rest := w.judge(batch, at)
		switch {
		case len(rest) < len(batch) || stale || moved:
			batch = rest
		case len(rest) == 1:
			w.fail(rest[0].change, &dns.Error{Kind: dns.Invalid, Subject: rest[0].change.Name, Err: fmt.Errorf("refused by Cloud DNS: %s", refusal.Message)})
			return nil
		default:
			if err := w.make(ctx, rest[:len(rest)/2]); err != nil {
				return err
			}
			batch = rest[len(rest)/2:]
		}
	}
	return nil
}

// judge compares edits with what was read: those that are made already are left out, those that cannot be made fail, the others are given
// back in the form of what was read.
func (w *writer) judge(batch []edit, at map[string][]listed) []edit {
	var rest []edit
	for _, e := range batch {
		name, owner := e.change.Name, dns.OwnerName(e.change.Name)
		there := slices.Concat(at[name], at[owner], at[itemsName(name)])
		var sets []dns.RecordSet
		for _, l := range there {
			sets = append(sets, l.sets...)
		}
		content := dns.NewContent(w.zone.name, sets)
		removed, added, failed, err := content.Apply(w.fence, []dns.Change{e.change})
		switch {
		case err != nil:
			w.fail(e.change, err)
		case len(failed) > 0:
			w.fail(e.change, failed[0].Err)
		case len(removed)+len(added) > 0:
			rest = append(rest, reread(e.change, there, slices.Concat(content.At(name), content.At(owner))))
		}
	}
	return rest
}
