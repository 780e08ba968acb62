package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

// Fence is under which this process writes to zones: the number of the term for which it holds the controllers' Lease, which is
// one more than how often the Lease changed hands. A holder that comes back as the same one, such as a control plane that has its
// etcd inside, goes on in its term; zones allow an equal epoch. Safe for concurrent use.
//
// A Lease can fall behind the zones: it was deleted, or the API was restored from a backup. Then a process that finds, in the API
// server itself, that the Lease is its own lifts the Lease's count to the zone's, so that it never goes back for who comes after.
type Fence struct {
	reader client.Reader // not a cache
	writer client.Writer
	// federation is whose lease in the zones it is.
	federation string
	// holder is this process' identity at the Lease; elected says whether there is one.
	holder  string
	elected bool

	mu  sync.Mutex
	now dns.Fence
}

// NewFence reads the Lease through reader, which is not a cache. holder is this process' identity at it; without elections there is
// no Lease, and the term is the zones'.
func NewFence(reader client.Reader, writer client.Writer, federation, holder string, elected bool) *Fence {
	return &Fence{reader: reader, writer: writer, federation: federation, holder: holder, elected: elected, now: dns.Fence{Federation: federation}}
}

var leaseKey = client.ObjectKey{Namespace: federation.SystemNamespace, Name: federation.ControllersLease}

// Current is the fence. Before the publisher runs its epoch is 0, under which no zone that was ever written can be.
func (f *Fence) Current() dns.Fence {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// begin takes up the term.
func (f *Fence) begin(ctx context.Context) error {
	epoch := int64(1)
	if f.elected {
		lease, err := f.lease(ctx)
		if err != nil {
			return err
		}
		epoch = termOf(lease)
	}
	f.set(epoch)
	return nil
}

func (f *Fence) set(epoch int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = dns.Fence{Federation: f.federation, Holder: f.holder, Epoch: max(f.now.Epoch, epoch)}
}

func termOf(lease *coordinationv1.Lease) int64 {
	return int64(ptr.Deref(lease.Spec.LeaseTransitions, 0)) + 1
}

// lease is the Lease, if it is this process'.
func (f *Fence) lease(ctx context.Context) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{}
	if err := f.reader.Get(ctx, leaseKey, lease); err != nil {
		return nil, fmt.Errorf("reading Lease %s: %w", leaseKey, err)
	}
	held := time.Duration(ptr.Deref(lease.Spec.LeaseDurationSeconds, 0)) * time.Second
	if holder := ptr.Deref(lease.Spec.HolderIdentity, ""); holder != f.holder {
		return nil, fmt.Errorf("the Lease %s is held by %q, not by this process", leaseKey, holder)
	}
	if lease.Spec.RenewTime == nil || time.Since(lease.Spec.RenewTime.Time) > held {
		return nil, fmt.Errorf("the Lease %s of this process has run out", leaseKey)
	}
	return lease, nil
}

// raise lifts the epoch to what a zone has seen, if this process holds the Lease.
func (f *Fence) raise(ctx context.Context, seen int64) error {
	if f.elected {
		lease, err := f.lease(ctx)
		if err != nil {
			return fmt.Errorf("the zone was written in term %d: %w", seen, err)
		}
		if termOf(lease) < seen {
			patch, err := json.Marshal(map[string]any{
				"metadata": map[string]any{"resourceVersion": lease.ResourceVersion},
				"spec":     map[string]any{"leaseTransitions": seen - 1},
			})
			if err != nil {
				return err
			}
			if err := f.writer.Patch(ctx, lease, client.RawPatch(types.MergePatchType, patch)); err != nil {
				return fmt.Errorf("lifting Lease %s to term %d: %w", leaseKey, seen, err)
			}
		}
	}
	f.set(seen)
	return nil
}
