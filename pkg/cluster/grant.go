package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	authorizationv1client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/util/retry"
)

// GrantCustomResource extends the federation's rights in a member to a custom resource: one rule in ClusterRole
// CustomResourcesRole, the only role that the federation may change. It writes nothing where the rule is there, and
// returns once the member honours the new rule, or after 2 s. Idempotent and safe for concurrent use. The error is
// Forbidden or NotFound (k8s.io/apimachinery/pkg/api/errors) where the cluster was joined with --custom-resources=false.
func GrantCustomResource(ctx context.Context, m *Member, group, resource string) error {
	roles := m.Dynamic.Resource(schema.GroupVersionResource{Group: rbacv1.GroupName, Version: "v1", Resource: "clusterroles"})
	wrote := false
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		u, err := roles.Get(ctx, CustomResourcesRole, metav1.GetOptions{})
		if err != nil {
			return err
		}
		var role rbacv1.ClusterRole
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &role); err != nil {
			return err
		}
		rules, changed := granted(role.Rules, group, resource)
		if !changed {
			return nil
		}
		role.Rules = rules
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&role)
		if err != nil {
			return err
		}
		_, err = roles.Update(ctx, &unstructured.Unstructured{Object: content}, metav1.UpdateOptions{FieldManager: userAgent})
		wrote = err == nil
		return err
	})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return fmt.Errorf("granting %s.%s to the federation in cluster %s: %w; run `kubefed join %s --custom-resources`", resource, group, m.Name, err, m.Name)
	}
	if err != nil {
		return fmt.Errorf("granting %s.%s to the federation in cluster %s: %w", resource, group, m.Name, err)
	}
	if wrote {
		return honoured(ctx, m, group, resource)
	}
	return nil
}

// granted returns rules with a custom resource added, one rule for each group, sorted.
func granted(rules []rbacv1.PolicyRule, group, resource string) ([]rbacv1.PolicyRule, bool) {
	rules = slices.Clone(rules)
	for i, rule := range rules {
		if !slices.Equal(rule.APIGroups, []string{group}) {
			continue
		}
		if slices.Contains(rule.Resources, resource) {
			return rules, false
		}
		rules[i].Resources = slices.Sorted(slices.Values(append(slices.Clone(rule.Resources), resource)))
		return rules, true
	}
	return append(rules, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: writeVerbs}), true
}

// honoured waits until the member's authorizer, which follows roles by a watch, knows the new rule.
func honoured(ctx context.Context, m *Member, group, resource string) error {
	rights, err := authorizationv1client.NewForConfig(m.Config)
	if err != nil {
		return err
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "create", Group: group, Resource: resource},
	}}
	bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		if r, err := rights.SelfSubjectAccessReviews().Create(bounded, review, metav1.CreateOptions{}); err == nil && r.Status.Allowed {
			return nil
		}
		select {
		case <-bounded.Done():
			return ctx.Err() // the caller's next write tells
		case <-tick.C:
		}
	}
}
