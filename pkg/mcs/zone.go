package mcs

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"kubefed.dev/kubefed/pkg/dns"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// zone keeps clusterset.local as the imports say. What belongs to an import that has not been dealt with since the start stays.
type zone struct {
	provider   dns.Provider
	federation string
	fence      func() dns.Fence
	current    func() error
	wake       chan struct{}

	mu     sync.Mutex
	claims map[string][]dns.Claim // by owner
	// partial are owners of which not every cluster could be read: what they have stays.
	partial map[string]bool
}

const (
	gather  = 20 * time.Millisecond
	retryIn = 2 * time.Second
)

func newZone(o Options) *zone {
	version := versionClaim()
	return &zone{provider: o.Zone, federation: o.Federation, fence: o.Fence, current: o.Current, wake: make(chan struct{}, 1),
		claims: map[string][]dns.Claim{version.Owner.Ref: {version}}, partial: map[string]bool{}}
}

// set replaces what one import has in the zone; of a partial one it only adds.
func (z *zone) set(owner string, claims []dns.Claim, partial bool) {
	z.mu.Lock()
	z.claims[owner], z.partial[owner] = claims, partial
	z.mu.Unlock()
	z.nudge()
}

func (z *zone) nudge() {
	select {
	case z.wake <- struct{}{}:
	default:
	}
}

// Start writes the zone until ctx ends; it runs on the leader.
func (z *zone) Start(ctx context.Context) error {
	z.nudge()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-z.wake:
		}
		pause := gather
		if err := z.write(ctx); err != nil {
			log.FromContext(ctx).Error(err, "writing zone", "zone", ClusterSetZone)
			pause = retryIn/2 + rand.N(retryIn)
			z.nudge()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (z *zone) write(ctx context.Context) error {
	existing, err := z.provider.Records(ctx, ClusterSetZone)
	if err != nil {
		return err
	}
	fence := z.fence()
	in := dns.PlanInput{Federation: z.federation, Epoch: fence.Epoch, Zone: dns.Zone{Name: ClusterSetZone}, Known: map[string]bool{}, Existing: existing}
	z.mu.Lock()
	for owner, claims := range z.claims {
		in.Known[owner] = !z.partial[owner]
		for _, c := range claims {
			c.Stale = z.partial[owner]
			in.Claims = append(in.Claims, c)
		}
	}
	z.mu.Unlock()
	// Endpoints come and go: an import that has been dealt with says all that it wants.
	in.Gone = func(_ string, owner dns.Owner) bool { return in.Known[owner.Ref] }
	slices.SortFunc(in.Claims, func(a, b dns.Claim) int { return strings.Compare(a.Name, b.Name) })
	plan := dns.MakePlan(in)
	if len(plan.Changes) == 0 {
		return z.served()
	}
	receipt, err := z.provider.Apply(ctx, ClusterSetZone, fence, plan.Changes)
	if err != nil {
		return err
	}
	for _, f := range receipt.Failed {
		return f.Err
	}
	return z.served()
}

// served puts the zone into service, where another process had kept it before.
func (z *zone) served() error {
	if z.current == nil {
		return nil
	}
	return z.current()
}
