package publish

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/named"
	"kubefed.dev/kubefed/pkg/kind"
)

// Zone is a zone to publish to.
type Zone struct {
	// Name is absolute, in lower case.
	Name string
	// Kind is the provider's name, as the configuration has it.
	Kind     string
	Provider dns.Provider
	// Servers are where it is answered, for people; DS is what the parent of a signed zone is to publish.
	Servers []string
	DS      string
	// Current, where it is not nil, is called once the zone holds what it should, after this process began to write to it.
	Current func() error
}

// Options say what to publish where.
type Options struct {
	// Federation is the federation's name.
	Federation string
	// Zones are those to write to, the main zone first. Without any nothing is published.
	Zones []Zone
	// Fence is under which zones are written.
	Fence *Fence

	reread   time.Duration
	coalesce time.Duration
	now      func() time.Time
}

func (o *Options) fill() {
	if o.reread == 0 {
		o.reread = rereadInterval
	}
	if o.coalesce == 0 {
		o.coalesce = coalesceInterval
	}
	if o.now == nil {
		o.now = time.Now
	}
}

// coalesceInterval is how long a change waits for others that come with it: a cluster that fails is one event for each object.
const coalesceInterval = 25 * time.Millisecond

// zoneOf is the longest of the zones that contains a name, empty for none.
func (o *Options) zoneOf(name string) (zone string) {
	for _, z := range o.Zones {
		if dns.InZone(name, z.Name) && len(z.Name) > len(zone) {
			zone = z.Name
		}
	}
	return zone
}

// part is what of a subject is in one zone.
func (o *Options) part(s dns.Subject, zone string) dns.Subject {
	if s.Names.Domain != zone {
		s.Names = dns.Names{}
	}
	s.Hosts = slices.DeleteFunc(slices.Clone(s.Hosts), func(h string) bool { return o.zoneOf(h) != zone })
	return s
}

// Clients reach the federation API.
type Clients struct {
	// Cache holds what is watched; Client writes; Direct reads from the API server itself.
	Cache  cache.Cache
	Direct client.Reader
	Client client.Client
	Events events.EventRecorder
}

// Publisher is the controller. It is a manager.Runnable that runs while the lease is held.
type Publisher struct {
	options Options
	clients Clients
	catalog *kind.Catalog
	source  Source
	board   *board
	workers []*worker
	writer  *writer
	inbox   inbox

	factsMu sync.RWMutex
	facts   facts
	places  places
	// read are the clusters that were read, by kind.
	read  map[string]bool
	asked map[Key]*federation.EndpointProbe
	moves handovers
}

// New makes a publisher of what a source says. Call it before the catalog and the source are started.
func New(options Options, clients Clients, catalog *kind.Catalog, source Source) *Publisher {
	options.fill()
	p := &Publisher{options: options, clients: clients, catalog: catalog, source: source, board: newBoard(), asked: map[Key]*federation.EndpointProbe{}, moves: handovers{}}
	p.inbox.wake = make(chan struct{}, 1)
	p.facts = facts{federation: options.Federation, owned: func(name string) bool { return p.options.zoneOf(name) != "" }, read: source.Read}
	if len(options.Zones) > 0 {
		p.facts.zone = options.Zones[0].Name
	}
	p.board.confirm = func(since time.Time) string { return howToAssent(options.Federation, since) }
	p.writer = newWriter(p)
	for _, z := range options.Zones {
		w := newWorker(z.Name, z.Provider)
		w.board, w.options, w.fence, w.gone, w.changed = p.board, &p.options, options.Fence, p.gone, p.writer.mark
		w.assent, w.reached = p.confirmedUntil, z.Current
		p.workers = append(p.workers, w)
	}
	catalog.HandleChange(p.objectChanged)
	source.OnChange(func(k Key) { p.inbox.add(k) })
	return p
}

func (p *Publisher) objectChanged(k kind.Kind, before, after *unstructured.Unstructured) {
	if !named.Named(k.GroupKind()) {
		return
	}
	obj := after
	if after == nil {
		obj = before
	}
	key := Key{Group: k.Group, Kind: k.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	if after == nil && k.Custom {
		p.inbox.noteDeleted(key, string(obj.GetUID()))
	}
	p.inbox.add(key)
}

// Start publishes until ctx ends.
func (p *Publisher) Start(ctx context.Context) error {
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithName("dns"))
	if err := p.watch(ctx); err != nil {
		return err
	}
	if err := p.await(ctx); err != nil {
		return nil // ctx ended
	}
	if err := p.remember(ctx); err != nil {
		return err
	}
	if err := p.options.Fence.begin(ctx); err != nil {
		return fmt.Errorf("publishing names: %w", err)
	}
	if err := p.evaluateAll(ctx); err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	for _, w := range p.workers {
		w.mark(p.board.refs()...)
		running.Go(func() { w.run(ctx) })
	}
	running.Go(func() { p.writer.run(ctx) })
	p.evaluate(ctx)
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*Publisher) NeedLeaderElection() bool { return true }

// watch follows what all names depend on.
func (p *Publisher) watch(ctx context.Context) error {
	everything := toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { p.inbox.addAll() },
		DeleteFunc: func(any) { p.inbox.addAll() },
		UpdateFunc: func(before, after any) {
			if b, ok := before.(*federation.Cluster); ok && !clusterMatters(b, after) {
				return
			}
			if b, ok := before.(client.Object); ok && isPolicy(b) && b.GetGeneration() == after.(client.Object).GetGeneration() {
				return
			}
			p.inbox.addAll()
		},
	}
	for _, follow := range []struct {
		obj     client.Object
		handler toolscache.ResourceEventHandler
	}{
		{&federation.Cluster{}, everything},
		{&federation.PropagationPolicy{}, everything},
		{&federation.ClusterPropagationPolicy{}, everything},
		{&federation.GlobalEndpoints{}, p.writer.handler()},
		{&federation.Federation{}, toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { p.writer.mark() }, DeleteFunc: func(any) { p.writer.mark() },
			UpdateFunc: func(before, after any) {
				if assentMatters(before, after) {
					p.inbox.addAll()
				}
			},
		}},
	} {
		informer, err := p.clients.Cache.GetInformer(ctx, follow.obj)
		if err != nil {
			return fmt.Errorf("watching for names: %w", err)
		}
		registration, err := informer.AddEventHandler(follow.handler)
		if err != nil {
			return fmt.Errorf("watching for names: %w", err)
		}
		if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			return nil
		}
	}
	return nil
}

func isPolicy(o client.Object) bool {
	switch o.(type) {
	case *federation.PropagationPolicy, *federation.ClusterPropagationPolicy:
		return true
	}
	return false
}

// clusterMatters says whether a cluster changed in what names depend on.
func clusterMatters(before *federation.Cluster, after any) bool {
	a, ok := after.(*federation.Cluster)
	if !ok {
		return true
	}
	was, here := ClusterOf(before)
	is, stays := ClusterOf(a)
	return here != stays || !sameCluster(was, is)
}

// await returns once all objects of the native kinds are known. Until then absence means nothing.
func (p *Publisher) await(ctx context.Context) error {
	for !p.catalog.KindSynced(named.ServiceKind) || !p.catalog.KindSynced(named.IngressKind) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}
