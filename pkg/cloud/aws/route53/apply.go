package route53

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"kubefed.dev/kubefed/pkg/dns"
)

// What one call takes: ResourceRecord elements, and characters in their Value elements.
const (
	maxRecords    = 1000
	maxCharacters = 32000
)

// edit is a change as Route 53 takes it.
type edit struct {
	change dns.Change
	steps  []types.Change
	// records and characters are what the limits count.
	records, characters int
	// bare are the sets of After that are written without the check that they are to have.
	bare map[dns.Key]bareSet
	// refused says that it looked right when it was read again, and still was refused.
	refused bool
}

func (e *edit) add(action types.ChangeAction, raw types.ResourceRecordSet) {
	e.steps = append(e.steps, types.Change{Action: action, ResourceRecordSet: &raw})
	if raw.AliasTarget != nil {
		e.records++ // It has no ResourceRecord and no Value, and counts as one to be safe.
	}
	e.records += len(raw.ResourceRecords)
	for _, r := range raw.ResourceRecords {
		e.characters += len(aws.ToString(r.Value))
	}
}

// edit is a change's: it deletes all of Before, so that it is compared, and creates all of After. A set that was just read is
// deleted in the form in which it was read.
func (p *Provider) edit(z *zone, c dns.Change, seen map[dns.Key]types.ResourceRecordSet) edit {
	e := edit{change: c, bare: z.checks.without(c.After)}
	created := map[dns.Key]types.ResourceRecordSet{}
	for _, s := range c.After {
		b, bare := e.bare[s.Key()]
		if bare {
			s = b.physical()
		}
		created[s.Key()] = p.write(z, s)
	}
	stays := map[dns.Key]bool{}
	for _, s := range c.Before {
		raw, ok := seen[s.Key()]
		if !ok {
			raw = p.write(z, z.checks.written(s))
		}
		if _, bare := e.bare[s.Key()]; bare && reflect.DeepEqual(raw, created[s.Key()]) {
			stays[s.Key()] = true // It still has no check: nothing is to be done.
			continue
		}
		e.add(types.ChangeActionDelete, raw)
	}
	for _, s := range c.After {
		if !stays[s.Key()] {
			e.add(types.ChangeActionCreate, created[s.Key()])
		}
	}
	return e
}

// writer is one Apply.
type writer struct {
	p     *Provider
	zone  *zone
	id    string
	fence dns.Fence
	// ids of Route 53's changes, and what was not made.
	ids    []string
	failed []dns.Failure
	// relisted says that health checks were looked for again.
	relisted bool
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
	p.createChecks(ctx, z, id, changes)
	var edits []edit
	for _, c := range changes {
		if err := c.Check(z.name); err != nil {
			w.failed = append(w.failed, dns.Failure{Change: c, Err: err})
		} else if e := p.edit(z, c, nil); len(e.steps) > 0 {
			edits = append(edits, e)
		} else {
			z.checks.settle(c, e.bare)
		}
	}
	if err := w.hold(ctx); err != nil {
		return dns.Receipt{}, err
	}
	batches := w.pack(edits)
	for i, batch := range batches {
		err := w.make(ctx, batch)
		if err == nil {
			continue
		}
		if dns.KindOf(err) == dns.Fenced || len(w.ids) == 0 {
			return dns.Receipt{}, err
		}
		for _, e := range slices.Concat(batches[i:]...) {
			if !slices.ContainsFunc(w.failed, func(f dns.Failure) bool { return f.Change.Name == e.change.Name }) {
				w.fail(e, err)
			}
		}
		break
	}
	return dns.Receipt{Version: strings.Join(w.ids, " "), Failed: w.failed}, nil
}

func (w *writer) fail(e edit, err error) {
	w.failed = append(w.failed, dns.Failure{Change: e.change, Err: err})
}

// pack divides edits, in their order, into calls within the limits; each call writes the lease too.
func (w *writer) pack(edits []edit) [][]edit {
	lease := w.lease()
	var batches [][]edit
	var batch []edit
	records, characters := lease.records, lease.characters
	for _, e := range edits {
		if lease.records+e.records > maxRecords || lease.characters+e.characters > maxCharacters {
			w.fail(e, &dns.Error{Kind: dns.Invalid, Subject: e.change.Name,
				Err: fmt.Errorf("%d records of %d characters are more than Route 53 takes at once; publish fewer addresses", e.records, e.characters)})
			continue
		}
		if len(batch) > 0 && (records+e.records > maxRecords || characters+e.characters > maxCharacters) {
			batches, batch, records, characters = append(batches, batch), nil, lease.records, lease.characters
		}
		batch, records, characters = append(batch, e), records+e.records, characters+e.characters
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	return batches
}

// lease is the edit that compares the zone's lease record and swaps in the fence's.
func (w *writer) lease() edit {
	var e edit
	if w.zone.lease != nil {
		e.add(types.ChangeActionDelete, *w.zone.lease)
	}
	e.add(types.ChangeActionCreate, w.p.write(w.zone, w.fence.Record(w.zone.name)))
	return e
}

// hold looks whether the lease is this writer's to take, from memory where it was seen before: Route 53 compares anyway.
func (w *writer) hold(ctx context.Context) error {
	if !w.zone.known || w.zone.federation != w.fence.Federation {
		sets, err := w.p.at(ctx, w.zone, w.id, dns.LeaseName(w.zone.name, w.fence.Federation))
		if err != nil {
			return err
		}
		w.zone.lease = nil
		for _, raw := range sets {
			if raw.Type == types.RRTypeTxt {
				w.zone.lease = &raw
			}
		}
		w.zone.known, w.zone.federation = true, w.fence.Federation
	}
	if w.zone.lease == nil {
		return nil
	}
	return w.fence.Check(w.zone.name, w.p.read(w.zone, *w.zone.lease))
}

// send makes one call.
func (w *writer) send(ctx context.Context, batch []edit) error {
	lease := w.lease()
	steps := lease.steps
	for _, e := range batch {
		steps = append(steps, e.steps...)
	}
	out, err := w.p.api.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: &w.id, ChangeBatch: &types.ChangeBatch{Changes: steps}})
	if err != nil {
		if refused(err) == nil {
			w.zone.known = false // Whether it happened is not certain.
		}
		return err
	}
	for _, e := range batch {
		w.zone.checks.settle(e.change, e.bare)
	}
	w.zone.lease = lease.steps[len(lease.steps)-1].ResourceRecordSet
	if out.ChangeInfo != nil {
		w.ids = append(w.ids, strings.TrimPrefix(aws.ToString(out.ChangeInfo.Id), "/change/"))
	}
	return nil
}
