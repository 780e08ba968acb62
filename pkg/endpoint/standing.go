package endpoint

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
)

// staleAfter is how long a member's word holds after it could be read last.
const staleAfter = 30 * time.Second

// member is what is known of one cluster.
type member struct {
	standing
	follower *follower // of the last connection
	read     map[schema.GroupKind]bool
	// vague are objects of which it is not known yet where they are served, although their kind was read.
	vague    map[Key]bool
	entries  map[Key]*entry
	traffic  probe.Traffic
	inFlight int // questions
	hurried  time.Time
	known    bool // its Cluster was seen
}

// standing is what a Cluster object says that matters here.
type standing struct {
	verdict  string
	draining bool
	gateways bool // it serves Gateways
	ailing   bool // its cloud says so
	// silent is since when the member is not Ready; zero: it is, or nothing is known.
	silent time.Time
}

func standingOf(c *federation.Cluster) standing {
	s := standing{draining: c.DeletionTimestamp != nil, gateways: slices.Contains(c.Status.APIGroups, gatewayGroup+"/v1")}
	if c.Status.Verdict != nil {
		s.verdict = c.Status.Verdict.State
		s.ailing = slices.ContainsFunc(c.Status.Verdict.Evidence, func(e federation.Evidence) bool {
			return e.Source == federation.SourceCloud && (e.Says == federation.SaysDead || e.Says == federation.SaysImpaired)
		})
	}
	drain := func(t corev1.Taint) bool { return t.Key == federation.TaintDrain }
	s.draining = s.draining || slices.ContainsFunc(c.Spec.Taints, drain) || slices.ContainsFunc(c.Status.Taints, drain)
	if ready := meta.FindStatusCondition(c.Status.Conditions, federation.ClusterReady); ready != nil && ready.Status != metav1.ConditionTrue {
		s.silent = ready.LastTransitionTime.Time
	}
	return s
}

// evidence is what is known of all addresses of an entry, and when that changes by itself.
func (m *member) evidence(e *entry, now time.Time) (Evidence, time.Time) {
	var wake time.Time
	evidence := Evidence{Ready: e.served.ready, Wanted: e.served.wanted, Verdict: m.verdict, Draining: m.draining, Ailing: m.ailing, Stale: m.verdict == federation.VerdictUnreachable}
	if old := m.silent.Add(staleAfter); !m.silent.IsZero() && !now.Before(old) {
		evidence.Stale = true
	} else if !m.silent.IsZero() {
		wake = old
	}
	return evidence, wake
}

func (c *Collector) memberLocked(name string) *member {
	m := c.members[name]
	if m == nil {
		m = &member{read: map[schema.GroupKind]bool{}, vague: map[Key]bool{}, entries: map[Key]*entry{}}
		m.traffic.Since = time.Now()
		c.members[name] = m
	}
	return m
}

// followClusters keeps what the Cluster objects say until ctx ends.
func (c *Collector) followClusters(ctx context.Context) {
	informer, err := c.clusters.GetInformer(ctx, &federation.Cluster{}, ctrlcache.BlockUntilSynced(false))
	if err != nil {
		c.log.Error(err, "clusters are not followed")
		return
	}
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.stands(obj, false) },
		UpdateFunc: func(_, obj any) { c.stands(obj, false) },
		DeleteFunc: func(obj any) { c.stands(obj, true) },
	})
	if err != nil {
		c.log.Error(err, "clusters are not followed")
		return
	}
	if cache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
		c.allStand()
	}
	<-ctx.Done()
	_ = informer.RemoveEventHandler(handler)
}

func (c *Collector) stands(obj any, gone bool) {
	if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = last.Obj
	}
	o, ok := obj.(*federation.Cluster)
	if !ok {
		return
	}
	if gone {
		c.left(o.Name)
		return
	}
	now := standingOf(o)
	var changes news
	var follower *follower
	c.mu.Lock()
	m := c.memberLocked(o.Name)
	if m.standing != now || !m.known {
		m.standing, m.known = now, true
		if now.gateways {
			follower = m.follower
		}
		for key, e := range m.entries {
			changes.add(key, c.evaluate(e, time.Now()))
		}
	}
	c.mu.Unlock()
	if follower != nil {
		follower.serveGateways()
	}
	c.publish(changes)
}

// left drops all that a cluster served.
func (c *Collector) left(name string) {
	var changes news
	c.mu.Lock()
	if m := c.members[name]; m != nil {
		for key, e := range m.entries {
			c.drop(e)
			changes.add(key, true)
		}
		delete(c.members, name)
		forget(name)
	}
	c.mu.Unlock()
	c.publish(changes)
}

// allStand drops what is remembered of clusters that left while nobody looked.
func (c *Collector) allStand() {
	c.mu.Lock()
	c.complete = true
	var gone []string
	for name, m := range c.members {
		if !m.known && m.follower == nil {
			gone = append(gone, name)
		}
	}
	c.mu.Unlock()
	for _, name := range gone {
		c.left(name)
	}
}
