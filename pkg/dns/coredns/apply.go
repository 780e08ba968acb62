package coredns

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"

	"kubefed.dev/kubefed/pkg/dns"
)

// rounds is how often the zone is read again because another writer was faster.
const rounds = 8

// Apply implements dns.Provider: one transaction for each change.
func (p *Provider) Apply(ctx context.Context, zone string, fence dns.Fence, changes []dns.Change) (dns.Receipt, error) {
	var receipt dns.Receipt
	var made []dns.RecordSet
	pending := make([]dns.Change, 0, len(changes))
	for _, c := range changes {
		if i := slices.IndexFunc(c.After, func(s dns.RecordSet) bool { return s.SetID != "" }); i >= 0 {
			receipt.Failed = append(receipt.Failed, dns.Failure{Change: c, Err: &dns.Error{Kind: dns.Invalid, Subject: c.Name,
				Err: fmt.Errorf("CoreDNS' etcd plugin knows no routed sets; the zone says so in its limits")}})
			continue
		}
		pending = append(pending, c)
	}
	for round := 0; ; round++ {
		now, err := p.read(ctx, zone)
		if err != nil {
			return dns.Receipt{}, err
		}
		receipt.Version = version(now.revision)
		if len(pending) == 0 {
			return receipt, nil
		}
		if round == rounds {
			for _, c := range pending {
				receipt.Failed = append(receipt.Failed, dns.Failure{Change: c, Err: &dns.Error{Kind: dns.Conflict, Subject: c.Name,
					Err: fmt.Errorf("the zone was changed by others %d times meanwhile", rounds)}})
			}
			return receipt, nil
		}
		w := &writer{provider: p, zone: zone, fence: fence, now: now, content: dns.NewContent(zone, now.sets)}
		failed, again, err := w.run(ctx, pending)
		if err != nil {
			return dns.Receipt{}, err
		}
		receipt.Failed, pending, made = append(receipt.Failed, failed...), again, append(made, w.made...)
		if len(pending) == 0 {
			receipt.Version = version(w.written)
			p.remember(receipt.Version, made)
			return receipt, nil
		}
	}
}

// writer makes changes on what a zone held when it was read.
type writer struct {
	provider *Provider
	zone     string
	fence    dns.Fence
	now      *contents
	content  *dns.Content
	// written is the revision of the last transaction.
	written int64
	// made are the sets that came.
	made []dns.RecordSet
	// lease is the revision of the lease's key once it was written here.
	lease int64
}

// run makes changes, one transaction each, and returns what failed and what is to be tried again.
func (w *writer) run(ctx context.Context, changes []dns.Change) (failed []dns.Failure, again []dns.Change, err error) {
	w.written = w.now.revision
	for _, c := range changes {
		removed, added, refused, err := w.content.Apply(w.fence, []dns.Change{c})
		if err != nil {
			return nil, nil, err
		}
		failed = append(failed, refused...)
		if len(removed)+len(added) == 0 {
			continue
		}
		made, err := w.commit(ctx, c, removed, added)
		switch kind := dns.KindOf(err); {
		case err != nil && kind == dns.Invalid:
			failed = append(failed, dns.Failure{Change: c, Err: err})
		case err != nil:
			return nil, nil, err
		case !made:
			again = append(again, c)
		default:
			w.made = append(w.made, added...)
		}
	}
	return failed, again, nil
}

// commit is the transaction of one change. It was not made if anything it builds on is not as it was read.
func (w *writer) commit(ctx context.Context, c dns.Change, removed, added []dns.RecordSet) (made bool, err error) {
	leaseName := dns.LeaseName(w.zone, w.fence.Federation)
	gone := map[string]bool{}
	conditions := w.guards(c, leaseName)
	var operations []clientv3.Op
	for _, s := range removed {
		for _, key := range w.now.of[s.Key()] {
			gone[key] = true
		}
	}
	used := map[string]bool{}
	var writesLease bool
	for _, s := range added {
		writesLease = writesLease || s.Name == leaseName
		for _, datum := range s.Data {
			value, err := encode(s, datum)
			if err != nil {
				return false, &dns.Error{Kind: dns.Invalid, Subject: c.Name, Err: err}
			}
			key := w.free(s.Name, gone, used)
			used[key] = true
			operations = append(operations, clientv3.OpPut(key, value))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(gone)) {
		if !used[key] {
			operations = append(operations, clientv3.OpDelete(key))
		}
	}
	client, err := w.provider.connect()
	if err != nil {
		return false, classify(c.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, w.provider.config.Timeout)
	defer cancel()
	reply, err := client.Txn(ctx).If(conditions...).Then(operations...).Commit()
	if err != nil {
		return false, classify(c.Name, err)
	}
	if !reply.Succeeded {
		return false, nil
	}
	w.written = reply.Header.Revision
	if writesLease {
		w.lease = w.written
	}
	return true, nil
}

// guards are what must hold: each key of the change's names is as it was read, no key was added there since, and the lease is the same.
func (w *writer) guards(c dns.Change, leaseName string) []clientv3.Cmp {
	var conditions []clientv3.Cmp
	names := map[string]bool{}
	for _, sets := range [][]dns.RecordSet{c.Before, c.After} {
		for _, s := range sets {
			names[s.Name] = true
		}
	}
	watched := map[string]bool{}
	for name := range names {
		for _, key := range w.now.at[name] {
			watched[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(watched)) {
		conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(key), "=", w.now.entries[key].revision))
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		path := pathOf(w.provider.config.Prefix, name)
		conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(path+"/x"), "<", w.now.revision+1).WithPrefix())
		if !watched[path] {
			conditions = append(conditions, clientv3.Compare(clientv3.CreateRevision(path), "=", 0))
		}
	}
	lease := pathOf(w.provider.config.Prefix, leaseName) + "/x1"
	revision := w.now.entries[lease].revision
	if w.lease > 0 {
		revision = w.lease
	}
	return append(conditions, clientv3.Compare(clientv3.ModRevision(lease), "=", revision))
}

// free is the first key of a name that nobody has, or that goes.
func (w *writer) free(name string, gone, used map[string]bool) string {
	path := pathOf(w.provider.config.Prefix, name)
	for n := 1; ; n++ {
		key := path + "/x" + strconv.Itoa(n)
		if _, there := w.now.entries[key]; !used[key] && (!there || gone[key]) {
			return key
		}
	}
}
