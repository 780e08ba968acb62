package placement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"kubefed.dev/kubefed/internal/tracing"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/policy"
)

const (
	workers = 8
	// notYet is how long an object waits for what is on its way: a cache that lags behind, kinds not yet read.
	notYet = 50 * time.Millisecond
	// maxBackoff bounds the pause between tries of an object whose decision can't be written.
	maxBackoff = 30 * time.Second
)

// Key names a federated object.
type Key struct {
	schema.GroupKind
	types.NamespacedName
}

// Controller keeps the PlacementDecision of every federated object what Place says. It reads caches only.
type Controller struct {
	catalog    *kind.Catalog
	federation client.Client
	options    Options
	cache      cache.Cache
	events     events.EventRecorder
	roster     roster
	policies   policies
	scopes     Scopes
	ledger     ledger
	failovers  failovers
	written    written
	changes    inlet
}

// New makes a controller that writes through federation and reads through reads, tells of transitions through recorder,
// and lets catalog tell it of objects. Call it before the catalog starts.
func New(federation client.Client, reads cache.Cache, recorder events.EventRecorder, catalog *kind.Catalog) *Controller {
	c := &Controller{catalog: catalog, federation: federation, cache: reads, events: recorder}
	catalog.HandleChange(c.objectChanged)
	return c
}

// Add registers placement with a manager. Call it before the catalog starts; the catalog reads through the manager's
// cache.
func Add(mgr manager.Manager, catalog *kind.Catalog, options Options) error {
	// A user agent of its own tells placement's writes from others'.
	federation, err := client.New(rest.AddUserAgent(rest.CopyConfig(mgr.GetConfig()), "placement"),
		client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return fmt.Errorf("adding the placement controller: %w", err)
	}
	c := New(federation, mgr.GetCache(), mgr.GetEventRecorder("placement"), catalog)
	c.options = options
	runner, err := controller.NewTyped("placement", mgr, controller.TypedOptions[Key]{
		Reconciler:              c,
		MaxConcurrentReconciles: workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[Key](5*time.Millisecond, maxBackoff),
		LogConstructor: func(key *Key) logr.Logger {
			logger := mgr.GetLogger().WithValues("controller", "placement")
			if key != nil {
				logger = logger.WithValues("kind", key.GroupKind.String(), "namespace", key.Namespace, "name", key.Name)
			}
			return logger
		},
	})
	if err != nil {
		return fmt.Errorf("adding the placement controller: %w", err)
	}
	return c.watch(runner)
}

// watch feeds the queue: objects through the catalog, clusters, policies and decisions through informers of their own.
func (c *Controller) watch(runner controller.TypedController[Key]) error {
	for _, s := range []source.TypedSource[Key]{
		source.TypedFunc[Key](c.changes.open),
		source.TypedKind(c.cache, &federation.Cluster{}, handler.TypedEventHandler[*federation.Cluster, Key](
			handler.TypedFuncs[*federation.Cluster, Key]{CreateFunc: c.clusterAdded, UpdateFunc: c.clusterChanged, DeleteFunc: c.clusterGone})),
		source.TypedKind(c.cache, &federation.Federation{}, handler.TypedEventHandler[*federation.Federation, Key](
			handler.TypedFuncs[*federation.Federation, Key]{CreateFunc: c.federationAdded, UpdateFunc: c.federationChanged})),
		source.TypedKind(c.cache, &federation.PropagationPolicy{}, handler.TypedEventHandler[*federation.PropagationPolicy, Key](
			policyEvents(c, policy.OfNamespace))),
		source.TypedKind(c.cache, &federation.ClusterPropagationPolicy{}, handler.TypedEventHandler[*federation.ClusterPropagationPolicy, Key](
			policyEvents(c, policy.OfCluster))),
		source.TypedKind(c.cache, &federation.PlacementDecision{}, handler.TypedEventHandler[*federation.PlacementDecision, Key](
			handler.TypedFuncs[*federation.PlacementDecision, Key]{CreateFunc: c.decisionAdded, UpdateFunc: c.decisionChanged, DeleteFunc: c.decisionGone})),
	} {
		if err := runner.Watch(s); err != nil {
			return fmt.Errorf("watching for placement: %w", err)
		}
	}
	return nil
}

// Reconcile decides on one object and stores the decision where it differs. An object that is being deleted keeps its
// decision: pkg/sync needs it to remove the copies.
func (c *Controller) Reconcile(ctx context.Context, key Key) (reconcile.Result, error) {
	k, _ := c.catalog.Lookup(key.GroupKind)
	obj, err := c.catalog.Get(ctx, key.GroupKind, key.Namespace, key.Name)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return reconcile.Result{}, nil
	} else if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading %s %s: %w", key.GroupKind, key.NamespacedName, err)
	}
	if obj.GetDeletionTimestamp() != nil {
		return reconcile.Result{}, nil
	}
	current, err := c.decision(ctx, k.DecisionKey(key.Namespace, key.Name))
	if err != nil {
		return reconcile.Result{}, err
	}
	federated := kind.Federated(key.GroupKind, obj)
	if current == nil && !federated || current != nil && current.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	ctx, span := tracing.Start(ctx, "placement reconcile", tracing.Object{
		Kind: key.GroupKind, Namespace: key.Namespace, Name: key.Name, UID: obj.GetUID(), Generation: obj.GetGeneration(),
	})
	result, done, err := c.decide(ctx, k, obj, federated, current)
	span.End(done, err)
	return result, err
}

// decide decides on an object, stores the decision if it differs from the current one, and says what was done.
func (c *Controller) decide(ctx context.Context, k kind.Kind, obj *unstructured.Unstructured, federated bool, current *federation.PlacementDecision) (reconcile.Result, string, error) {
	started := time.Now()
	in, err := c.input(ctx, k, obj, federated, current, started)
	if errors.Is(err, kind.ErrNotSynced) {
		return reconcile.Result{RequeueAfter: notYet}, resultDeferred, nil
	} else if err != nil {
		return reconcile.Result{}, "", err
	}
	answer, undo, hold := c.budgeted(ctx, k, obj, in)
	decideSeconds.Observe(time.Since(started).Seconds())
	want := answer.Decision
	if current != nil && Same(&current.Spec, &want) {
		decisionsTotal.WithLabelValues(resultUnchanged).Inc()
		return sooner(wake(answer, started), hold), resultUnchanged, nil
	}
	if c.terminating(ctx, obj.GetNamespace()) {
		undo()
		return reconcile.Result{}, resultUnchanged, nil
	}
	log.FromContext(ctx).V(1).Info("placing", "clusters", len(want.Clusters), "reason", want.Reason)
	done, err := c.store(ctx, k.DecisionKey(obj.GetNamespace(), obj.GetName()), current, want)
	if done != resultCreated && done != resultChanged {
		undo()
	}
	switch {
	case err != nil:
		return reconcile.Result{}, "", err
	case done == resultDeferred: // the cache lags behind
		return reconcile.Result{RequeueAfter: notYet}, done, nil
	case done == resultChanged && !c.failovers.storming():
		tell(c.events, obj, &current.Spec, &want, in.Policy == nil && want.Policy != nil && want.Policy.Kind != federation.PolicyAnnotations)
	}
	return sooner(wake(answer, started), hold), done, nil
}

// budgeted decides within the federation's budget. hold is when to ask again where that says no, zero for never.
func (c *Controller) budgeted(ctx context.Context, k kind.Kind, obj *unstructured.Unstructured, in Input) (answer Answer, undo func(), hold time.Duration) {
	key := keyOf(k, obj)
	answer, undo = c.ledger.decide(key, in)
	if alone := Begins(in.Current, &answer.Decision, in.Clusters); len(alone) > 0 {
		_, bounds := c.roster.last()
		ok, first, wait := c.failovers.may(key, in.Now, func() int { return WorkloadsPerMinute(bounds, c.workloads(ctx)) })
		if !ok {
			undo()
			in.Clusters, in.Scope = slices.Clone(in.Clusters), nil
			for i := range in.Clusters {
				if slices.Contains(alone, in.Clusters[i].Name) {
					in.Clusters[i].Held = heldRate
				}
			}
			answer, undo = c.ledger.decide(key, in)
			hold = max(wait, notYet)
			if first {
				c.report(ctx, []note{{alone[0], corev1.EventTypeWarning, ReasonBudgetHeld, heldRate}})
			}
		}
	}
	if len(in.Object.Serving) > 0 && hold == 0 {
		hold = trafficPeriod
	}
	c.report(ctx, c.failovers.see(key, &answer.Decision, in.Clusters, in.Now))
	return answer, undo, hold
}

// sooner is the sooner of two times to look again.
func sooner(r reconcile.Result, hold time.Duration) reconcile.Result {
	if hold > 0 && (r.RequeueAfter == 0 || hold < r.RequeueAfter) {
		r.RequeueAfter = hold
	}
	return r
}

// wake has an object looked at again when a timer of its decision has run out.
func wake(a Answer, now time.Time) reconcile.Result {
	if a.Wake.IsZero() {
		return reconcile.Result{}
	}
	return reconcile.Result{RequeueAfter: max(a.Wake.Sub(now), notYet)}
}

// input gathers what Place asks for.
func (c *Controller) input(ctx context.Context, k kind.Kind, obj *unstructured.Unstructured, federated bool, current *federation.PlacementDecision, now time.Time) (Input, error) {
	in := Input{Object: ObjectFacts(k, obj), DownToleration: c.options.DownToleration, Now: now}
	in.Object.Unfederated = !federated
	if current != nil {
		in.Current = &current.Spec
		if current.Spec.Object.UID == obj.GetUID() {
			in.Copies = CopiesOf(current)
		}
	}
	var err error
	if in.Clusters, err = c.roster.clusters(ctx, c.cache); err != nil {
		return in, err
	}
	if !federated {
		return in, nil
	}
	all, err := c.policies.get(ctx, c.cache)
	if err != nil {
		return in, err
	}
	in.Policy = all.inForce(k, obj)
	in.Scope = c.scopes.Of(in.Policy, in.Clusters)
	if kind.Dependency(k.GroupKind()) {
		in.Object.Use, err = c.useOf(ctx, k, obj)
	}
	if err == nil {
		err = c.restraints(ctx, k, obj, &in)
	}
	return in, err
}

// terminating says whether a namespace is known to be going. The API server has the last word.
func (c *Controller) terminating(ctx context.Context, namespace string) bool {
	if namespace == "" {
		return false
	}
	obj, err := c.catalog.Get(ctx, namespaceKind, "", namespace)
	return err == nil && obj.GetDeletionTimestamp() != nil
}

var (
	secretKind    = schema.GroupKind{Kind: "Secret"}
	namespaceKind = schema.GroupKind{Kind: "Namespace"}
)
