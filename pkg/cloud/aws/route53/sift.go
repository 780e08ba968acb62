package route53

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"kubefed.dev/kubefed/pkg/dns"
)

// make makes the changes of a batch that can be made. An error is about all that is left: it is not for the changes.
func (w *writer) make(ctx context.Context, batch []edit) error {
	for len(batch) > 0 {
		err := w.send(ctx, batch)
		if err == nil {
			return nil
		}
		if _, gone := errors.AsType[*types.NoSuchHealthCheck](err); gone && !w.relisted {
			if batch, err = w.relist(ctx, batch); err != nil {
				return err
			}
			continue
		}
		refusal := refused(err)
		if refusal == nil {
			return w.zone.classify(err)
		}
		moved, err := w.leaseMoved(ctx)
		if err != nil {
			return err
		}
		if moved {
			continue
		}
		accused, others := refusal.accuse(batch)
		if len(accused) == 0 && len(batch) > 1 {
			if err := w.make(ctx, batch[:len(batch)/2]); err != nil {
				return err
			}
			batch = batch[len(batch)/2:]
			continue
		}
		if len(accused) == 0 {
			accused, others = batch, nil
		}
		again, err := w.judge(ctx, accused, refusal)
		if err != nil {
			return err
		}
		batch = append(others, again...)
	}
	return nil
}

// relist looks which health checks are there, after someone deleted one that a batch names, and gives the batch with others.
func (w *writer) relist(ctx context.Context, batch []edit) ([]edit, error) {
	w.relisted = true
	if _, err := w.p.listChecks(ctx, w.zone, w.id); err != nil {
		return nil, err
	}
	again := make([]edit, 0, len(batch))
	for _, e := range batch {
		w.p.createChecks(ctx, w.zone, w.id, []dns.Change{e.change})
		again = append(again, w.p.edit(w.zone, e.change, nil))
	}
	return again, nil
}

// leaseMoved reads the lease again and says whether it is another than the one that was sent. If a higher epoch has it the
// error is of kind Fenced.
func (w *writer) leaseMoved(ctx context.Context) (bool, error) {
	var before dns.RecordSet
	if w.zone.lease != nil {
		before = w.p.read(w.zone, *w.zone.lease)
	}
	w.zone.known = false
	if err := w.hold(ctx); err != nil {
		return false, err
	}
	var now dns.RecordSet
	if w.zone.lease != nil {
		now = w.p.read(w.zone, *w.zone.lease)
	}
	return !dns.Same(before, now), nil
}

// named finds the names in a refusal: "[name='web.example.com.', type='A']", "RRSet of type CNAME with DNS name web.example.com.",
// "'web.example.com.'".
var named = regexp.MustCompile(`(?:[Nn]ame=?\s*'?|')((?:[^\s',\]]+\.)+)`)

// accuse parts the edits that a refusal names from the others.
func (r *refusal) accuse(batch []edit) (accused, others []edit) {
	names := map[string]bool{}
	for _, m := range r.messages {
		for _, found := range named.FindAllStringSubmatch(m, -1) {
			names[name(found[1])] = true
		}
	}
	for _, e := range batch {
		if names[e.change.Name] || names[dns.OwnerName(e.change.Name)] {
			accused = append(accused, e)
		} else {
			others = append(others, e)
		}
	}
	return accused, others
}

// sentence begins each message in a list of them.
var sentence = regexp.MustCompile(`, (?:Tried|RRSet|Invalid|Duplicate|FATAL)`)

// about is what a refusal says of a name; all that it says if it does not name it.
func (r *refusal) about(at string) string {
	var said []string
	for _, m := range r.messages {
		rest := strings.Trim(m, "[]")
		for rest != "" {
			end := len(rest)
			if next := sentence.FindStringIndex(rest); next != nil {
				end = next[0]
			}
			for _, found := range named.FindAllStringSubmatch(rest[:end], -1) {
				if n := name(found[1]); n == at || n == dns.OwnerName(at) {
					said = append(said, rest[:end])
					break
				}
			}
			rest = strings.TrimPrefix(rest[end:], ", ")
		}
	}
	if len(said) == 0 {
		said = r.messages
	}
	return strings.Join(said, "; ")
}

// judge reads what is at the names of edits and says what became of each: made already, Conflict, or Invalid. Those that look right
// are given back, in the form of what was read; if one of these was refused before, it never will be made.
func (w *writer) judge(ctx context.Context, accused []edit, r *refusal) (again []edit, err error) {
	raws, err := w.reread(ctx, accused)
	if err != nil {
		return nil, err
	}
	for _, e := range accused {
		seen := map[dns.Key]types.ResourceRecordSet{}
		var sets []dns.RecordSet
		for _, raw := range slices.Concat(raws[e.change.Name], raws[dns.OwnerName(e.change.Name)]) {
			set := w.p.read(w.zone, raw)
			seen[set.Key()], sets = raw, append(sets, set)
		}
		removed, added, failed, err := dns.NewContent(w.zone.name, sets).Apply(w.fence, []dns.Change{e.change})
		switch {
		case err != nil:
			return nil, err
		case len(failed) > 0:
			w.fail(e, failed[0].Err)
		case len(removed)+len(added) == 0:
		case e.refused:
			w.fail(e, &dns.Error{Kind: dns.Invalid, Subject: e.change.Name, Err: errors.New("Route 53 refuses it: " + r.about(e.change.Name))})
		default:
			e = w.p.edit(w.zone, e.change, seen)
			e.refused = true
			again = append(again, e)
		}
	}
	return again, nil
}

// fewNames are read one by one, more of them with all of the zone.
const fewNames = 10

// reread reads the sets at the names of edits and at their ownership records.
func (w *writer) reread(ctx context.Context, edits []edit) (map[string][]types.ResourceRecordSet, error) {
	raws := map[string][]types.ResourceRecordSet{}
	if len(edits) > fewNames {
		err := w.p.list(ctx, w.zone, &route53.ListResourceRecordSetsInput{HostedZoneId: &w.id, MaxItems: aws.Int32(pageSize)}, func(raw types.ResourceRecordSet) bool {
			at := name(aws.ToString(raw.Name))
			raws[at] = append(raws[at], raw)
			return true
		})
		return raws, err
	}
	for _, e := range edits {
		for _, at := range []string{e.change.Name, dns.OwnerName(e.change.Name)} {
			found, err := w.p.at(ctx, w.zone, w.id, at)
			if err != nil {
				return nil, err
			}
			raws[at] = found
		}
	}
	return raws, nil
}
