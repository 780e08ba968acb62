package endpoint

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/probe"
)

const gatewayGroup = "gateway.networking.k8s.io"

// Kinds of objects that have endpoints.
var (
	serviceKind = schema.GroupKind{Kind: "Service"}
	ingressKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	gatewayKind = schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"}
)

// Key names a federated object. Its copies in members have the same namespace and name.
type Key struct{ Group, Kind, Namespace, Name string }

func keyOf(kind schema.GroupKind, name types.NamespacedName) Key {
	return Key{Group: kind.Group, Kind: kind.Kind, Namespace: name.Namespace, Name: name.Name}
}

// Observed is where one cluster serves an object, and whether it answers. Of the dns.Endpoint, Cluster, Addresses, Ports, Weight,
// State and Doubtful are filled in; what the Cluster object and policies say is left to others.
type Observed struct {
	dns.Endpoint
	// Hostnames of load balancers; what they resolve to is among Addresses.
	Hostnames []string
	// Ready pods are behind it; nil: unknown.
	Ready *int32
	// Starting pods are behind it, too, and not ready.
	Starting int32
	// Reason is one word, Message says it to people, Since is when State became so.
	Reason, Message string
	Since           time.Time
}

func (o Observed) same(p Observed) bool {
	return o.State == p.State && o.Doubtful == p.Doubtful && o.Reason == p.Reason && o.Weight == p.Weight && sameCount(o.Ready, p.Ready) && o.Starting == p.Starting &&
		slices.Equal(o.Addresses, p.Addresses) && slices.Equal(o.Ports, p.Ports) && slices.Equal(o.Hostnames, p.Hostnames) &&
		o.ProbePort == p.ProbePort
}

// Options of a Collector; zero values mean the defaults.
type Options struct {
	// Period is the time between two questions to an address, where its probe says nothing else. Default probe.DefaultPeriod.
	Period time.Duration
	// Resolve looks up a host name and says for how long the answer holds, 0 where that is unknown. Default: as the system does.
	Resolve func(ctx context.Context, host string) (Resolved, error)
}

// Collector gathers Observed endpoints. Safe for concurrent use.
type Collector struct {
	federation string
	options    Options
	log        logr.Logger
	clusters   ctrlcache.Cache

	prober   *agenda[probe.Target]
	resolver *agenda[string]
	judge    *agenda[*entry] // whose state changes with time alone

	mu        sync.Mutex
	listeners []func(Key)
	sightings func(probe.Target) []probe.Sighting
	targets   func(cluster, name string) (healthy, all int, known bool)
	entries   map[Key]map[string]*entry
	asked     map[Key]*federation.EndpointProbe
	members   map[string]*member
	questions map[probe.Target]*question
	hosts     map[string]*host
	// complete: all Clusters are known, those that are not there have left.
	complete bool
}

// New makes a Collector for the federation of that name.
func New(federationName string, options Options) *Collector {
	endpointCount.Reset() // the one before has ended
	if options.Period <= 0 {
		options.Period = probe.DefaultPeriod
	}
	if options.Resolve == nil {
		options.Resolve = resolve
	}
	return &Collector{
		federation: federationName, options: options, log: logr.Discard(),
		prober: newAgenda[probe.Target](), resolver: newAgenda[string](), judge: newAgenda[*entry](),
		entries: map[Key]map[string]*entry{}, asked: map[Key]*federation.EndpointProbe{}, members: map[string]*member{},
		questions: map[probe.Target]*question{}, hosts: map[string]*host{},
	}
}

// SetupWithManager has the manager start the Collector once it leads, with the Clusters in its cache.
func (c *Collector) SetupWithManager(mgr manager.Manager) error {
	c.log, c.clusters = mgr.GetLogger().WithName("endpoint"), mgr.GetCache()
	return mgr.Add(c)
}

// Start implements manager.Runnable: it asks, resolves and judges until ctx ends.
func (c *Collector) Start(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	if c.clusters != nil {
		running.Go(func() { c.followClusters(ctx) })
	}
	running.Go(func() { c.prober.run(ctx, func(t probe.Target) { c.ask(ctx, t) }) })
	running.Go(func() { c.resolver.run(ctx, func(name string) { c.lookup(ctx, name) }) })
	running.Go(func() { c.judge.run(ctx, c.rejudge) })
	<-ctx.Done()
	return nil
}

// Engage implements cluster.Engager.
func (c *Collector) Engage(ctx context.Context, m *cluster.Member) {
	name := m.Name
	ctx = log.IntoContext(ctx, c.log.WithValues("cluster", name))
	f, err := follow(ctx, m, c.federation,
		func(key Key, s *served) { c.saw(name, map[Key]*served{key: s}) },
		func(kind schema.GroupKind, all map[Key]*served) { c.sawAll(name, kind, all) })
	if err != nil {
		c.log.Error(err, "endpoints of a cluster are not followed", "cluster", name)
		return
	}
	c.mu.Lock()
	of := c.memberLocked(name)
	of.follower = f
	gateways := of.gateways
	c.mu.Unlock()
	f.start()
	if gateways {
		f.serveGateways()
	}
}

// OnChange has f called with the key of each object whose endpoints changed. f must return at once.
func (c *Collector) OnChange(f func(Key)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, f)
}

// Heed says where witnesses' sightings come from. The function must return at once.
func (c *Collector) Heed(sightings func(probe.Target) []probe.Sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sightings = sightings
}

// HeedBalancers says who knows how many targets of a load balancer its cloud finds healthy, by cluster and host name or address. The
// function must return at once; Fares tells that its answers for a cluster may have changed.
func (c *Collector) HeedBalancers(targets func(cluster, name string) (healthy, all int, known bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.targets = targets
}

// Fares has a cluster's endpoints judged again by what its cloud says of their load balancers.
func (c *Collector) Fares(cluster string) {
	var changes news
	c.mu.Lock()
	if m := c.members[cluster]; m != nil {
		for key, e := range m.entries {
			changes.add(key, c.evaluate(e, time.Now()))
		}
	}
	c.mu.Unlock()
	c.publish(changes)
}

// Endpoints of an object, by cluster. What they point to is shared: do not change it.
func (c *Collector) Endpoints(key Key) []Observed {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Observed
	for _, e := range c.entries[key] {
		out = append(out, e.outcome)
	}
	slices.SortFunc(out, func(a, b Observed) int { return strings.Compare(a.Cluster, b.Cluster) })
	return out
}

// Keys of all objects that have endpoints, in no order.
func (c *Collector) Keys() []Key {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.entries))
}

// Targets are all questions that are asked, for witnesses to ask them too; in no order.
func (c *Collector) Targets() []probe.Target {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.questions))
}

// Places are the host names and addresses at which a cluster serves, each once, sorted.
func (c *Collector) Places(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.members[name]
	if m == nil {
		return nil
	}
	all := sets.New[string]()
	for _, e := range m.entries {
		all.Insert(e.served.hostnames...)
		for _, a := range e.served.addresses {
			all.Insert(a.String())
		}
	}
	return sets.List(all)
}

// Traffic is what the control plane's own questions say of a cluster. Endpoints that never answered are no evidence, nor are those
// of which the member itself says that nothing is ready.
func (c *Collector) Traffic(name string) probe.Traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.members[name]; m != nil {
		return m.traffic
	}
	return probe.Traffic{}
}

// Ask says which probe is in force for an object; nil is the default, a TCP connection to the first port. It is kept when the object
// has no endpoints yet.
func (c *Collector) Ask(key Key, p *federation.EndpointProbe) {
	c.mu.Lock()
	if p == nil {
		delete(c.asked, key)
	} else {
		c.asked[key] = p.DeepCopy()
	}
	var changes news
	for _, e := range c.entries[key] {
		c.retarget(e)
		changes.add(key, c.evaluate(e, time.Now()))
	}
	c.mu.Unlock()
	c.publish(changes)
}

// Remember takes over what was known of an object before a restart. It counts until the member was read, and while it can't be.
func (c *Collector) Remember(key Key, before []Observed) {
	c.mu.Lock()
	var changes news
	for _, o := range before {
		m, e := c.members[o.Cluster], c.entries[key][o.Cluster]
		switch {
		case e != nil:
			c.recallLate(e, o)
		case m == nil && c.complete, m != nil && m.read[schema.GroupKind{Group: key.Group, Kind: key.Kind}]:
			continue // it is gone
		default:
			e = c.entryLocked(key, o.Cluster)
			e.recall(o)
			c.tally(o.Cluster, "", o.State)
			c.retarget(e)
		}
		changes.add(key, c.evaluate(e, time.Now()))
	}
	c.mu.Unlock()
	c.publish(changes)
}

// news are the keys whose outcome differs.
type news map[Key]bool

func (n *news) add(key Key, changed bool) {
	if changed {
		if *n == nil {
			*n = news{}
		}
		(*n)[key] = true
	}
}

// publish tells what changed. The mutex must not be held.
func (c *Collector) publish(changes news) {
	if len(changes) == 0 {
		return
	}
	c.mu.Lock()
	listeners := c.listeners
	c.mu.Unlock()
	for key := range changes {
		for _, f := range listeners {
			f(key)
		}
	}
}

// Read says whether the objects of the key's kind were read in a cluster since this process began: then the cluster has a copy
// only where Endpoints says so.
func (c *Collector) Read(key Key, cluster string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, of := c.members[cluster], schema.GroupKind{Group: key.Group, Kind: key.Kind}
	switch {
	case m == nil:
		return false
	case of == gatewayKind && m.known && !m.standing.gateways:
		return m.read[serviceKind] // it has none at all
	}
	return m.read[of] && !m.vague[key]
}
