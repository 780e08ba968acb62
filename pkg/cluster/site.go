package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	authorizationv1client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// joinManager is the field manager of what join writes; init writes the same namespace of a host under its own.
const joinManager = "kubefed-join"

// requestTimeout bounds each request of join and unjoin.
const requestTimeout = 15 * time.Second

// site is one of the two sides of a join, reached with the user's own credentials.
type site struct {
	what   string // for messages: `cluster "gondor"`
	config *rest.Config
	client client.Client
	core   corev1client.CoreV1Interface
	rights authorizationv1client.AuthorizationV1Interface
}

// openSite prepares a connection; it contacts nothing. config is copied.
func openSite(what string, config *rest.Config) (*site, error) {
	config = rest.CopyConfig(config)
	config.Timeout, config.QPS, config.UserAgent = requestTimeout, -1, userAgent
	s := &site{what: what, config: config}
	var err error
	if s.client, err = client.New(config, client.Options{Scheme: scheme, Mapper: staticMapper()}); err != nil {
		return nil, fmt.Errorf("connecting to %s: %w: check its entry in the kubeconfig", what, err)
	}
	if s.core, err = corev1client.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", what, err)
	}
	if s.rights, err = authorizationv1client.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", what, err)
	}
	return s, nil
}

// staticMapper knows the kinds that join and unjoin write: they need no discovery.
func staticMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, rbacv1.SchemeGroupVersion, federation.GroupVersion})
	for gv, kinds := range map[schema.GroupVersion]map[string]meta.RESTScope{
		corev1.SchemeGroupVersion: {"Namespace": meta.RESTScopeRoot, "Secret": meta.RESTScopeNamespace, "ConfigMap": meta.RESTScopeNamespace, "ServiceAccount": meta.RESTScopeNamespace, "Service": meta.RESTScopeNamespace},
		appsv1.SchemeGroupVersion: {"Deployment": meta.RESTScopeNamespace},
		rbacv1.SchemeGroupVersion: {"ClusterRole": meta.RESTScopeRoot, "ClusterRoleBinding": meta.RESTScopeRoot, "Role": meta.RESTScopeNamespace, "RoleBinding": meta.RESTScopeNamespace},
		federation.GroupVersion:   {"Cluster": meta.RESTScopeRoot, "Tombstone": meta.RESTScopeRoot},
	} {
		for kind, scope := range kinds {
			mapper.Add(gv.WithKind(kind), scope)
		}
	}
	return mapper
}

// apply makes an object what it is to be by server-side apply and says whether that changed anything.
func (s *site) apply(ctx context.Context, obj client.Object, opts ...client.ApplyOption) (changed bool, err error) {
	wanted, err := applyForm(obj)
	if err != nil {
		return false, err
	}
	before := &unstructured.Unstructured{}
	before.SetGroupVersionKind(wanted.GroupVersionKind())
	if err := s.client.Get(ctx, client.ObjectKeyFromObject(wanted), before); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading %s in %s: %w", describe(wanted), s.what, err)
	}
	opts = append(opts, client.FieldOwner(joinManager), client.ForceOwnership)
	if err := s.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), opts...); err != nil {
		return false, fmt.Errorf("applying %s to %s: %w", describe(wanted), s.what, err)
	}
	return before.GetResourceVersion() != wanted.GetResourceVersion(), nil
}

// applyForm is an object as server-side apply and people want it: with its kind, without empty fields.
func applyForm(obj client.Object) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(obj, scheme)
	if err != nil {
		return nil, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	delete(u.Object, "status")
	for field, value := range u.Object {
		if value == nil {
			delete(u.Object, field)
		}
	}
	return u, nil
}

func describe(obj client.Object) string {
	kind := obj.GetObjectKind().GroupVersionKind().Kind
	if obj.GetNamespace() == "" {
		return kind + " " + obj.GetName()
	}
	return fmt.Sprintf("%s %s/%s", kind, obj.GetNamespace(), obj.GetName())
}

// right is one thing that join must be allowed to do.
type right struct{ verb, group, resource, subresource, namespace string }

func (r right) String() string {
	s := r.verb + " " + r.resource
	if r.subresource != "" {
		s += "/" + r.subresource
	}
	if r.group != "" {
		s += "." + r.group
	}
	if r.namespace != "" {
		s += " in namespace " + r.namespace
	}
	return s
}

// RightsError says that the user may not write what join writes to one of the two sides.
type RightsError struct {
	// Member says that it is the cluster; else it is the federation.
	Member bool
	text   string
}

func (e *RightsError) Error() string { return e.text }

// check asks which rights the user lacks.
func (s *site) check(ctx context.Context, rights []right) error {
	var missing []string
	for _, r := range rights {
		review, err := s.rights.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: r.verb, Group: r.group, Resource: r.resource, Subresource: r.subresource, Namespace: r.namespace,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("asking %s for your rights: %w", s.what, err)
		}
		if !review.Status.Allowed {
			missing = append(missing, r.String())
		}
	}
	if len(missing) > 0 {
		return &RightsError{Member: strings.HasPrefix(s.what, "cluster "), text: fmt.Sprintf("you may not do this in %s: %s; "+
			"ask its administrator for these rights, or to run the command", s.what, strings.Join(missing, ", "))}
	}
	return nil
}

// reach explains why a first request failed.
func (s *site) reach(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s at %s refuses your credentials: %w; renew those of its kubeconfig entry", s.what, s.config.Host, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s at %s: %w; use a kubeconfig entry with more rights", s.what, s.config.Host, err)
	}
	return fmt.Errorf("reaching %s at %s: %w; check that it runs and that its kubeconfig entry is right", s.what, s.config.Host, err)
}

// identity is the UID of the site's namespace kube-system.
func (s *site) identity(ctx context.Context) (string, error) {
	namespace, err := s.core.Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", s.reach(err)
	}
	return string(namespace.UID), nil
}

// systemNamespace reads namespace federation-system, nil where there is none.
func (s *site) systemNamespace(ctx context.Context) (*corev1.Namespace, error) {
	namespace, err := s.core.Namespaces().Get(ctx, federation.SystemNamespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.reach(err)
	}
	return namespace, nil
}
