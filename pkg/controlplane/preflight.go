package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"
)

// MinimumVersion is the oldest Kubernetes version that a host may have.
const MinimumVersion = "1.28"

// right is one thing that the user must be allowed to do in the host.
type right struct{ verb, group, resource, namespace string }

func (r right) String() string {
	name := r.resource
	if r.group != "" {
		name += "." + r.group
	}
	if r.namespace == "" {
		return r.verb + " " + name
	}
	return r.verb + " " + name + " in namespace " + r.namespace
}

// rights are what Init needs.
func rights(o Options) []right {
	var all []right
	add := func(group, resource, namespace string, verbs ...string) {
		for _, verb := range verbs {
			all = append(all, right{verb, group, resource, namespace})
		}
	}
	write := []string{"get", "create", "patch"} // what server-side apply needs
	add("", "namespaces", "", write...)
	for _, resource := range []string{"services", "serviceaccounts", "secrets", "persistentvolumeclaims"} {
		if resource == "persistentvolumeclaims" && !o.Etcd.claims() {
			continue
		}
		add("", resource, Namespace, write...)
	}
	add("apps", "deployments", Namespace, write...)
	add("", "pods", Namespace, "list")
	if o.ServiceType == corev1.ServiceTypeNodePort && o.AdvertiseAddress == "" ||
		o.DNS.exposed(o.DNSZone) && o.DNS.ServiceType == corev1.ServiceTypeNodePort {
		add("", "nodes", "", "list")
	}
	return all
}

// preflight checks the host before anything is written to it.
func (h *Host) preflight(ctx context.Context, o Options) error {
	if err := h.reachable(ctx); err != nil {
		return err
	}
	missing, err := h.missing(ctx, rights(o))
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("context %s lacks rights in the host cluster: it may not %s. Ask an administrator for these, or to run kubefed init",
			h.Context, strings.Join(missing, "; not "))
	}
	return nil
}

// reachable checks that the host answers, accepts the credentials and is new enough.
func (h *Host) reachable(ctx context.Context) error {
	raw, err := h.clientset.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case apierrors.IsUnauthorized(err):
		return h.unauthorized(err)
	case err != nil:
		return fmt.Errorf("host cluster %s at %s does not answer: %w; check the address in the kubeconfig and that the cluster is up", h.Context, h.Config.Host, err)
	}
	var info apiversion.Info
	if err := json.Unmarshal(raw, &info); err != nil {
		return fmt.Errorf("host cluster %s at %s does not answer as a Kubernetes API: %w; check the address in the kubeconfig", h.Context, h.Config.Host, err)
	}
	v, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return fmt.Errorf("reading the version of host cluster %s: %w", h.Context, err)
	}
	if v.LessThan(version.MustParseGeneric(MinimumVersion)) {
		return fmt.Errorf("host cluster %s runs Kubernetes %s, a host needs %s or later: upgrade it or choose another", h.Context, info.GitVersion, MinimumVersion)
	}
	return nil
}

func (h *Host) unauthorized(err error) error {
	return fmt.Errorf("host cluster %s refuses the credentials of the kubeconfig context: %w; log in again", h.Context, err)
}

// missing asks for all rights at once and returns those that the user lacks.
func (h *Host) missing(ctx context.Context, wanted []right) ([]string, error) {
	lacking, errs := make([]string, len(wanted)), make([]error, len(wanted))
	var group sync.WaitGroup
	for i, r := range wanted {
		group.Go(func() {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: r.verb, Group: r.group, Resource: r.resource, Namespace: r.namespace},
			}}
			answer, err := h.clientset.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			switch {
			case err != nil:
				errs[i] = err
			case !answer.Status.Allowed:
				lacking[i] = r.String()
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		switch {
		case apierrors.IsUnauthorized(err):
			return nil, h.unauthorized(err)
		case err != nil:
			return nil, fmt.Errorf("asking host cluster %s what context %s may do: %w", h.Context, h.Context, err)
		}
	}
	return slices.DeleteFunc(lacking, func(s string) bool { return s == "" }), nil
}

// hasStorage checks that a new claim will get a volume. A user who may not list storage classes is let through: the
// claim's own events tell then.
func (h *Host) hasStorage(ctx context.Context, o Options, existing Existing) error {
	if !o.Etcd.claims() || existing.Claim != nil {
		return nil
	}
	var classes storagev1.StorageClassList
	if err := h.client.List(ctx, &classes); err != nil {
		if apierrors.IsForbidden(err) {
			return nil
		}
		return fmt.Errorf("listing storage classes of host cluster %s: %w", h.Context, err)
	}
	names := make([]string, 0, len(classes.Items))
	for _, class := range classes.Items {
		isDefault := class.Annotations["storageclass.kubernetes.io/is-default-class"] == "true"
		if class.Name == o.Etcd.StorageClass || (o.Etcd.StorageClass == "" && isDefault) {
			return nil
		}
		names = append(names, class.Name)
	}
	problem := "has no default StorageClass"
	if o.Etcd.StorageClass != "" {
		problem = fmt.Sprintf("has no StorageClass %q", o.Etcd.StorageClass)
	}
	return fmt.Errorf("host cluster %s %s for etcd's data (it has: %s): name one with --etcd-pv-storage-class, or keep nothing with --etcd-persistent-storage=false",
		h.Context, problem, orNone(names))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
