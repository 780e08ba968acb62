package publish

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// rivalInterval is how often the Lease is looked at.
const rivalInterval = time.Second

// Rival watches for another process that holds the controllers' Lease: what this one's embedded server holds grows old then. It runs on
// every replica.
type Rival struct {
	reader  client.Reader // not a cache
	holder  string
	standBy func() error
}

// NewRival has standBy called when another holder than this process is seen to renew the Lease.
func NewRival(reader client.Reader, holder string, standBy func() error) *Rival {
	return &Rival{reader: reader, holder: holder, standBy: standBy}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*Rival) NeedLeaderElection() bool { return false }

// Start looks until ctx ends. That the Lease can't be read says nothing: zones are answered then as they were.
func (r *Rival) Start(ctx context.Context) error {
	var seen sighting
	for {
		lease := &coordinationv1.Lease{}
		if err := r.reader.Get(ctx, leaseKey, lease); err == nil && seen.leads(lease, r.holder) {
			if err := r.standBy(); err != nil {
				log.FromContext(ctx).Error(err, "zones that another process keeps are not put out of service")
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rivalInterval):
		}
	}
}

// sighting is the Lease as it was seen last.
type sighting struct {
	holder  string
	renewed time.Time
}

// leads says whether another than self has renewed the Lease since it was seen last. One that only holds it may be this process as it
// was before it was restarted.
func (s *sighting) leads(lease *coordinationv1.Lease, self string) bool {
	before := *s
	s.holder = ptr.Deref(lease.Spec.HolderIdentity, "")
	s.renewed = ptr.Deref(lease.Spec.RenewTime, metav1.MicroTime{}).Time
	return s.holder != "" && s.holder != self && s.holder == before.holder && s.renewed.After(before.renewed)
}
