package drill

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Controller carries out FailoverDrills, one at a time.
type Controller struct {
	// federation reads from a cache; live asks the API, for what must not be old.
	federation client.Client
	live       client.Reader
	discovery  discovery.DiscoveryInterface
	name       string // the federation's
	events     events.EventRecorder
	now        func() time.Time

	mu    sync.Mutex
	loads map[string]*loads // by drill; requests that are being sent
}

// New makes a controller of the federation of that name. It writes through federationClient, which may read from a cache.
func New(federationName string, federationClient client.Client, asker discovery.DiscoveryInterface) *Controller {
	return &Controller{federation: federationClient, discovery: asker, name: federationName, now: time.Now, loads: map[string]*loads{}}
}

// SetupWithManager registers the controller; it runs on the leader.
func (c *Controller) SetupWithManager(mgr manager.Manager) error {
	c.live, c.events = mgr.GetAPIReader(), mgr.GetEventRecorder("drill")
	if err := mgr.Add(c); err != nil {
		return err
	}
	return builder.ControllerManagedBy(mgr).Named("drill").
		For(&federation.FailoverDrill{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, asked))).
		Watches(&federation.Cluster{}, handler.EnqueueRequestsFromMapFunc(c.concerned)).
		Watches(&federation.GlobalEndpoints{}, handler.EnqueueRequestsFromMapFunc(c.concerned)).
		WithOptions(controller.Options{SkipNameValidation: ptr.To(true), MaxConcurrentReconciles: 1}).
		Complete(c)
}

// asked lets what others write pass: a deletion, the executor's word. The controller's own status is no news.
var asked = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*federation.FailoverDrill), e.ObjectNew.(*federation.FailoverDrill)
	return (before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) || !equality.Semantic.DeepEqual(before.Status.Execution, after.Status.Execution)
}}

// concerned are the drills under way, and the one whose mark a cluster carries.
func (c *Controller) concerned(_ context.Context, obj client.Object) []reconcile.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	var requests []reconcile.Request
	for name := range c.loads {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	}
	if name, _ := SplitMark(obj.GetAnnotations()[federation.AnnotationDrill]); name != "" && c.loads[name] == nil {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	}
	return requests
}

// Start ends all requests with ctx.
func (c *Controller) Start(ctx context.Context) error {
	<-ctx.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, l := range c.loads {
		l.stop()
		delete(c.loads, name)
	}
	return nil
}

// Reconcile makes what is stored of a drill true, decides the next step and stores it. What the step wants done is done when it
// is stored: whoever comes next finds nothing half.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	d := &federation.FailoverDrill{}
	if err := c.live.Get(ctx, request.NamespacedName, d); apierrors.IsNotFound(err) {
		c.send(request.Name, nil, nil)
		return reconcile.Result{}, c.sweep(ctx, request.Name)
	} else if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading drill %s: %w", request.Name, err)
	}
	if d.DeletionTimestamp == nil && controllerutil.AddFinalizer(d, federation.FinalizerDrill) {
		return reconcile.Result{RequeueAfter: time.Millisecond}, c.hold(ctx, d)
	}
	if err := c.act(ctx, d); err != nil {
		return reconcile.Result{}, err
	}
	seen, err := c.see(ctx, d)
	if err != nil {
		return reconcile.Result{}, err
	}
	out := Step(Input{Drill: d, Seen: seen, Now: c.now()})
	before := d.DeepCopy()
	d.Status = out.Status
	if !equality.Semantic.DeepEqual(before.Status, d.Status) {
		if err := c.federation.Status().Update(ctx, d); apierrors.IsConflict(err) {
			return reconcile.Result{RequeueAfter: 20 * time.Millisecond}, nil // somebody asked for something meanwhile
		} else if err != nil {
			return reconcile.Result{}, fmt.Errorf("storing the status of drill %s: %w", d.Name, client.IgnoreNotFound(err))
		}
		c.tell(d, before)
	}
	if d.DeletionTimestamp != nil && !Active(d) {
		controllerutil.RemoveFinalizer(d, federation.FinalizerDrill)
		c.send(d.Name, nil, nil)
		return reconcile.Result{}, c.hold(ctx, d)
	}
	if err := c.act(ctx, d); err != nil {
		return reconcile.Result{}, err
	}
	if out.Wake.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(out.Wake.Sub(c.now()), time.Millisecond)}, nil
}

// hold stores a drill's finalizers.
func (c *Controller) hold(ctx context.Context, d *federation.FailoverDrill) error {
	err := c.federation.Update(ctx, d)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // it is read again
	}
	if err != nil {
		return fmt.Errorf("storing the finalizer of drill %s: %w", d.Name, err)
	}
	return nil
}
