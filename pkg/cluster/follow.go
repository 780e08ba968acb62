package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// follower feeds a Registry from the federation API.
type follower struct {
	clusters client.Reader
	secrets  cache.Cache // Secrets of federation-system only: the manager's cache would hold everybody's
}

// SetupWithManager has the registry follow Clusters and their Secrets. The manager's scheme must know what AddToScheme
// adds.
func (r *Registry) SetupWithManager(mgr manager.Manager) error {
	secrets, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		DefaultNamespaces: map[string]cache.Config{federation.SystemNamespace: {}},
	})
	if err != nil {
		return fmt.Errorf("watching Secrets of namespace %s: %w", federation.SystemNamespace, err)
	}
	r.clusters, r.secrets = mgr.GetClient(), secrets
	if err := mgr.Add(secrets); err != nil {
		return err
	}
	if err := mgr.Add(r); err != nil {
		return err
	}
	return builder.ControllerManagedBy(mgr).Named("cluster-registry").
		For(&federation.Cluster{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Kind(secrets, &corev1.Secret{},
			handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, s *corev1.Secret) []reconcile.Request { return r.using(ctx, s) }))).
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false), SkipNameValidation: ptr.To(true), MaxConcurrentReconciles: 4}).
		Complete(reconcile.Func(r.follow))
}

// using lists the clusters whose Secret changed.
func (r *Registry) using(ctx context.Context, secret *corev1.Secret) []reconcile.Request {
	var list federation.ClusterList
	if err := r.clusters.List(ctx, &list); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing clusters of a secret", "secret", secret.Name)
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if list.Items[i].Spec.SecretName == secret.Name {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: list.Items[i].Name}})
		}
	}
	return requests
}

// follow reconciles one Cluster's connection.
func (r *Registry) follow(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var cluster federation.Cluster
	if err := r.clusters.Get(ctx, request.NamespacedName, &cluster); apierrors.IsNotFound(err) {
		r.remove(request.Name)
		return reconcile.Result{}, nil
	} else if err != nil {
		return reconcile.Result{}, err
	}
	if cluster.DeletionTimestamp != nil {
		r.remove(request.Name)
		return reconcile.Result{}, nil
	}
	secret := &corev1.Secret{}
	err := r.secrets.Get(ctx, types.NamespacedName{Namespace: federation.SystemNamespace, Name: cluster.Spec.SecretName}, secret)
	if apierrors.IsNotFound(err) {
		secret = nil
	} else if err != nil {
		return reconcile.Result{}, err
	}
	r.update(&cluster, secret)
	return reconcile.Result{}, nil
}
