package observe

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/verdict"
)

// tooOld is how many periods what was said of zones counts as evidence; balancersOld that for load balancers, of which more may change.
const (
	tooOld       = 10
	balancersOld = 3
)

// priceTimeouts is how much longer a question for prices may take.
const priceTimeouts = 10

// Options tune an Observer; a zero field means its default.
type Options struct {
	// Period is the time between two questions for zones and load balancers. Default 30 s.
	Period time.Duration
	// PricePeriod is the time between two questions for prices. Default 10 min.
	PricePeriod time.Duration
	// Timeout bounds each question with its pages and retries; for prices, whose lists are long, it is ten times that. Default 20 s.
	Timeout time.Duration
	// Published are the host names and addresses at which a cluster serves what is published; nil for none. It must return at once.
	Published func(cluster string) []string
	// Fares is told of a cluster after its load balancers were asked for; nil for nobody.
	Fares func(cluster string)
}

func (o Options) withDefaults() Options {
	for _, f := range []struct {
		v *time.Duration
		d time.Duration
	}{{&o.Period, 30 * time.Second}, {&o.PricePeriod, 10 * time.Minute}, {&o.Timeout, 20 * time.Second}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return o
}

// Observer asks sources and writes Cluster.status. Safe for concurrent use.
type Observer struct {
	options  Options
	accounts map[string]*account
	sources  []*Source

	federation client.Client
	events     events.EventRecorder
	changed    chan event.TypedGenericEvent[types.NamespacedName]

	ctx     context.Context // of all questions
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	ended    bool
	places   map[where]*place
	clusters map[string]where
}

// New makes an Observer of the sources.
func New(sources []Source, options Options) *Observer {
	factRead.Reset() // the one before has ended
	o := &Observer{options: options.withDefaults(), accounts: map[string]*account{}, changed: make(chan event.TypedGenericEvent[types.NamespacedName], 256),
		places: map[where]*place{}, clusters: map[string]where{}}
	for i := range sources {
		s := &sources[i]
		o.sources = append(o.sources, s)
		o.accounts[s.Name] = &account{Source: s}
	}
	o.ctx, o.stop = context.WithCancel(context.Background())
	return o
}

// SetupWithManager registers the Observer; it runs on the leader. It writes through federationClient, which may read from the manager's cache.
func (o *Observer) SetupWithManager(mgr manager.Manager, federationClient client.Client) error {
	o.federation, o.events = federationClient, mgr.GetEventRecorder("cloud")
	if err := mgr.Add(o); err != nil {
		return err
	}
	enqueue := handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
		GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], q queue) {
			q.Add(reconcile.Request{NamespacedName: e.Object})
		},
	}
	return builder.ControllerManagedBy(mgr).Named("cloud").
		For(&federation.Cluster{}, builder.WithPredicates(matters)).
		WatchesRawSource(source.TypedChannel(o.changed, enqueue)).
		WithOptions(controller.Options{SkipNameValidation: ptr.To(true), MaxConcurrentReconciles: 4}).
		Complete(o)
}

// matters lets through what says where a cluster is and what it is made of.
var matters = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	a, is := e.ObjectOld.(*federation.Cluster)
	b, are := e.ObjectNew.(*federation.Cluster)
	return !is || !are || a.Generation != b.Generation || a.DeletionTimestamp.IsZero() != b.DeletionTimestamp.IsZero() ||
		a.Status.Provider != b.Status.Provider || a.Status.Region != b.Status.Region || !slices.Equal(a.Status.Zones, b.Status.Zones) ||
		!apiequality.Semantic.DeepEqual(a.Status.Machines, b.Status.Machines)
}}

// Start implements manager.Runnable: questions are asked until ctx ends.
func (o *Observer) Start(ctx context.Context) error {
	<-ctx.Done()
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.stop()
	o.running.Wait()
	return nil
}

// Reconcile has the cloud of a Cluster asked, and writes what it says.
func (o *Observer) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := &federation.Cluster{}
	err := o.federation.Get(ctx, request.NamespacedName, cluster)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	if err != nil || cluster.DeletionTimestamp != nil {
		o.leave(request.Name)
		return reconcile.Result{}, nil
	}
	chosen, problem := choose(cluster, o.sources)
	k := o.enter(cluster, chosen, problem)
	k.waiting = chosen == nil && (cluster.Status.Provider == "" || cluster.Status.Region == "") && len(o.sources) > 0
	status := k.status(cluster, time.Now())
	if apiequality.Semantic.DeepEqual(cluster.Status, status) {
		return reconcile.Result{}, nil
	}
	updated := cluster.DeepCopy()
	updated.Status = status
	// Conditions are one list in a merge patch, of which others own entries.
	patch := client.MergeFromWithOptions(cluster, client.MergeFromWithOptimisticLock{})
	if err := o.federation.Status().Patch(ctx, updated, patch); apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: 200 * time.Millisecond}, nil // the cache lagged behind
	} else if err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(fmt.Errorf("writing what its cloud says of cluster %s: %w", cluster.Name, err))
	}
	if kind, reason, note, is := transition(cluster.Status, status); is {
		o.events.Eventf(cluster, nil, kind, reason, "Ask", "%s", note)
	}
	return reconcile.Result{}, nil
}

// enter notes where a cluster is, has that asked, and returns what is known of it.
func (o *Observer) enter(cluster *federation.Cluster, s *Source, problem error) known {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s == nil || problem != nil || o.ended {
		o.leaveLocked(cluster.Name)
		return known{source: s, problem: problem, region: cluster.Status.Region}
	}
	at := where{s.Name, cluster.Status.Region}
	if o.clusters[cluster.Name] != at {
		o.leaveLocked(cluster.Name)
		o.clusters[cluster.Name] = at
	}
	p := o.places[at]
	if p == nil {
		p = newPlace(at, o.accounts[at.source])
		o.places[at] = p
		p.enter(cluster)
		o.begin(p)
	} else if p.enter(cluster) {
		p.ask(prices)
	}
	return o.knownLocked(cluster.Name)
}

func (o *Observer) knownLocked(cluster string) known {
	p := o.places[o.clusters[cluster]]
	if p == nil {
		return known{}
	}
	return known{source: p.account.Source, region: p.region, zones: p.zones, prices: p.prices, balancers: p.balancers, ailing: p.failing(cluster)}
}

// begin starts to ask all families of a place.
func (o *Observer) begin(p *place) {
	ctx, cancel := context.WithCancel(o.ctx)
	p.cancel = cancel
	o.running.Go(func() { follow(ctx, o, p, o.zones(p)) })
	o.running.Go(func() { follow(ctx, o, p, o.prices(p)) })
	o.running.Go(func() { follow(ctx, o, p, o.balancers(p)) })
}

// leave forgets a cluster.
func (o *Observer) leave(cluster string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leaveLocked(cluster)
}

func (o *Observer) leaveLocked(cluster string) {
	at, was := o.clusters[cluster]
	delete(o.clusters, cluster)
	if !was {
		return
	}
	p := o.places[at]
	delete(p.machines, cluster)
	delete(p.names, cluster)
	if len(p.machines) == 0 {
		p.cancel()
		delete(o.places, at)
		factRead.DeletePartialMatch(map[string]string{"account": at.source, "region": at.region})
	}
}

// tell has all clusters of a place looked at again.
func (o *Observer) tell(ctx context.Context, p *place, family string) {
	o.mu.Lock()
	var all []string
	for name, at := range o.clusters {
		if at == p.where {
			all = append(all, name)
		}
	}
	o.mu.Unlock()
	for _, name := range all {
		if family == balancers && o.options.Fares != nil {
			o.options.Fares(name)
		}
		select {
		case o.changed <- event.TypedGenericEvent[types.NamespacedName]{Object: types.NamespacedName{Name: name}}:
		case <-ctx.Done():
			return
		}
	}
}

// Signal is what a cluster's cloud says of where it is, from memory.
func (o *Observer) Signal(cluster *federation.Cluster) verdict.Signal {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.knownLocked(cluster.Name).word(cluster.Status.Zones, tooOld*o.options.Period, time.Now())
}
