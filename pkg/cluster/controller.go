package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/verdict"
)

// Options tune the controller; a zero field means its default.
type Options struct {
	// ProbePeriod is the time between two probes of a member. Default 3 s.
	ProbePeriod time.Duration
	// ProbeTimeout is the time a member has to answer a probe. Default 2 s.
	ProbeTimeout time.Duration
	// TokenLifetime is asked for when a member's token is renewed. Default 24 h.
	TokenLifetime time.Duration
	// StableFor is how long a member that was silent must be well before it is taken for Ready; it doubles with each return.
	// Default 10 s.
	StableFor time.Duration
	// Federation is the federation's name; without it, nobody is told of isolation.
	Federation string
	// Sources are where evidence other than probes comes from.
	Sources *Sources
}

// DefaultOptions are the options without flags.
func DefaultOptions() Options {
	return Options{ProbePeriod: 3 * time.Second, ProbeTimeout: 2 * time.Second, TokenLifetime: tokenLifetime, StableFor: verdict.DefaultStableFor}
}

// AddFlags adds the controller's flags.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	d := DefaultOptions()
	flags.DurationVar(&o.ProbePeriod, "cluster-probe-period", d.ProbePeriod, "time between two probes of a member cluster")
	flags.DurationVar(&o.ProbeTimeout, "cluster-probe-timeout", d.ProbeTimeout, "time that a member cluster has to answer a probe")
	flags.DurationVar(&o.TokenLifetime, "cluster-token-lifetime", d.TokenLifetime, "lifetime asked for when a member cluster's token is renewed (10m or more)")
	flags.DurationVar(&o.StableFor, "cluster-stable-for", d.StableFor, "time that a member cluster that was silent must be well before anything new goes there; it doubles with each return, up to 10m")
}

func (o Options) withDefaults() Options {
	d := DefaultOptions()
	for _, f := range []struct{ v, d *time.Duration }{
		{&o.ProbePeriod, &d.ProbePeriod}, {&o.ProbeTimeout, &d.ProbeTimeout}, {&o.TokenLifetime, &d.TokenLifetime},
		{&o.StableFor, &d.StableFor},
	} {
		if *f.v <= 0 {
			*f.v = *f.d
		}
	}
	return o
}

// Controller probes members, judges their health and writes Cluster.status, renews members' tokens, and lets a deleted Cluster go once
// nobody writes to its member any more.
type Controller struct {
	registry   *Registry
	options    Options
	federation client.Client
	events     events.EventRecorder

	ctx     context.Context // of all probers
	stop    context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	probers map[string]*prober
	assess  *assessor
}

// NewController makes a controller over a registry.
func NewController(r *Registry, o Options) *Controller {
	c := &Controller{registry: r, options: o.withDefaults(), probers: map[string]*prober{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.assess = newAssessor(c, o.Sources)
	return c
}

// SetupWithManager registers the controller; it runs on the leader. It writes through federationClient, which may read
// from the manager's cache.
func (c *Controller) SetupWithManager(mgr manager.Manager, federationClient client.Client) error {
	c.federation, c.events = federationClient, mgr.GetEventRecorder("cluster-controller")
	c.registry.observe(c.nudge)
	if err := mgr.Add(c); err != nil {
		return err
	}
	return builder.ControllerManagedBy(mgr).Named("cluster").
		For(&federation.Cluster{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, finalizersChanged, drillChanged))).
		WithOptions(controller.Options{SkipNameValidation: ptr.To(true), MaxConcurrentReconciles: 4}).
		Complete(c)
}

var finalizersChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return len(e.ObjectOld.GetFinalizers()) != len(e.ObjectNew.GetFinalizers())
	},
}

var drillChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetAnnotations()[federation.AnnotationDrill] != e.ObjectNew.GetAnnotations()[federation.AnnotationDrill]
	},
}

// Start runs the probers, and judges what they find, until ctx ends, and waits for them.
func (c *Controller) Start(ctx context.Context) error {
	c.running.Go(func() { c.assess.run(c.ctx) })
	<-ctx.Done()
	c.stop()
	c.mu.Lock()
	c.probers = nil
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

// Reconcile starts or stops the prober of a Cluster and deals with its finalizer.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := &federation.Cluster{}
	if err := c.federation.Get(ctx, request.NamespacedName, cluster); apierrors.IsNotFound(err) {
		c.forget(request.Name)
		return reconcile.Result{}, nil
	} else if err != nil {
		return reconcile.Result{}, err
	}
	before := cluster
	cluster = cluster.DeepCopy() // the cache's objects are everybody's
	if cluster.DeletionTimestamp != nil {
		return reconcile.Result{}, c.release(ctx, before, cluster)
	}
	if controllerutil.AddFinalizer(cluster, federation.FinalizerCluster) {
		err := c.federation.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		if apierrors.IsConflict(err) {
			return reconcile.Result{RequeueAfter: 100 * time.Millisecond}, nil // read what came between first
		}
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("adding the finalizer of cluster %s: %w", cluster.Name, err)
		}
	}
	c.probe(cluster.Name)
	return reconcile.Result{}, nil
}

// release lets a deleted Cluster go: first nobody writes to the member any more, then its credentials are deleted.
// What is in the member is for `kubefed unjoin` to clean, with the user's own rights.
func (c *Controller) release(ctx context.Context, before, cluster *federation.Cluster) error {
	c.forget(cluster.Name)
	c.registry.remove(cluster.Name)
	if !controllerutil.ContainsFinalizer(cluster, federation.FinalizerCluster) {
		return nil
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: federation.SystemNamespace, Name: cluster.Spec.SecretName}}
	// Only what join made: a user may have put another Secret's name there.
	if cluster.Spec.SecretName == secretName(cluster.Name) {
		if err := c.federation.Delete(ctx, secret); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the Secret of cluster %s: %w", cluster.Name, err)
		}
	}
	controllerutil.RemoveFinalizer(cluster, federation.FinalizerCluster)
	err := c.federation.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer of cluster %s: %w", cluster.Name, err)
	}
	return nil
}

// probe makes sure that a prober runs, and has it probe now.
func (c *Controller) probe(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.probers == nil {
		return // ending
	}
	p, ok := c.probers[name]
	if !ok {
		p = newProber(c, name)
		c.probers[name] = p
		c.running.Go(p.run)
	}
	p.nudge()
}

func (c *Controller) nudge(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.probers[name]; ok {
		p.nudge()
	}
}

// forget stops a cluster's prober.
func (c *Controller) forget(name string) {
	c.mu.Lock()
	p, ok := c.probers[name]
	delete(c.probers, name)
	c.mu.Unlock()
	if ok {
		p.cancel()
		<-p.done
	}
	c.assess.forget(name)
	forget(name)
}

// secretName is the name of the Secret that join makes for a cluster.
func secretName(cluster string) string { return "cluster-" + cluster }
