package cluster

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Names of what join makes in a member. docs/security.md says what each right is for.
const (
	ServiceAccount      = "kubefed"
	MemberRole          = "federation.kubefed.dev:member"
	CustomResourcesRole = "federation.kubefed.dev:custom-resources"
	TokenRole           = "federation.kubefed.dev:token"
)

// Annotations on a member's namespace federation-system.
const (
	annotationMemberOf   = federation.GroupName + "/member-of"    // the federation's name
	annotationMemberOfID = federation.GroupName + "/member-of-id" // its ID
	annotationMemberName = federation.GroupName + "/member-name"  // the cluster's name in it
)

var (
	readVerbs  = []string{"get", "list", "watch"}
	writeVerbs = []string{"get", "list", "watch", "create", "update", "patch", "delete"}
)

// memberRules are the federation's rights in a member, less custom resources. There is no wildcard: a kind that is not
// named here can't be touched.
func memberRules(customResources bool) []rbacv1.PolicyRule {
	rules := []rbacv1.PolicyRule{
		// What is federated.
		{APIGroups: []string{""}, Resources: []string{"namespaces", "configmaps", "secrets", "services", "serviceaccounts", "persistentvolumeclaims"}, Verbs: writeVerbs},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets", "statefulsets", "daemonsets"}, Verbs: writeVerbs},
		{APIGroups: []string{"batch"}, Resources: []string{"jobs", "cronjobs"}, Verbs: writeVerbs},
		{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: writeVerbs},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingresses", "ingressclasses", "networkpolicies"}, Verbs: writeVerbs},
		{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: writeVerbs},
		{APIGroups: []string{"storage.k8s.io"}, Resources: []string{"storageclasses"}, Verbs: writeVerbs},
		{APIGroups: []string{"scheduling.k8s.io"}, Resources: []string{"priorityclasses"}, Verbs: writeVerbs},
		{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: writeVerbs},
		// What is shown on the federation API.
		{APIGroups: []string{""}, Resources: []string{"nodes", "pods", "pods/log", "events", "endpoints"}, Verbs: readVerbs},
		{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: readVerbs},
		// Endpoints of exported Services, read here and written where they are imported.
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: writeVerbs},
		{APIGroups: []string{"multicluster.x-k8s.io"}, Resources: []string{"serviceimports", "serviceimports/status"}, Verbs: writeVerbs},
		// Where federated Gateways are served, in members that have them. To write them is a custom resource's right.
		{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"gateways"}, Verbs: readVerbs},
		// Probes. Most clusters grant these to everyone; hardened ones do not.
		{NonResourceURLs: []string{"/readyz", "/livez", "/version", "/version/", "/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"}, Verbs: []string{"get"}},
	}
	if customResources {
		rules = append(rules, rbacv1.PolicyRule{
			// The one role that the federation may extend, by one rule for each custom resource that it federates.
			APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, ResourceNames: []string{CustomResourcesRole},
			Verbs: []string{"get", "update", "patch", "escalate"},
		})
	}
	return rules
}

// owner says to which federation, and under which name, a cluster belongs.
type owner struct{ federation, federationID, cluster string }

func ownerOf(namespace *corev1.Namespace) owner {
	a := namespace.Annotations
	return owner{a[annotationMemberOf], a[annotationMemberOfID], a[annotationMemberName]}
}

// memberObjects are what join makes in a member, in the order of writing. Everything that is bound to the service
// account comes after it; the namespace comes first.
func memberObjects(o owner, customResources bool) []client.Object {
	labels := map[string]string{"app.kubernetes.io/managed-by": "kubefed"}
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Labels: labels} }
	system := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: federation.SystemNamespace, Name: name, Labels: labels}
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: federation.SystemNamespace, Name: ServiceAccount}}
	role := func(kind, name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	}

	namespace := &corev1.Namespace{ObjectMeta: named(federation.SystemNamespace)}
	namespace.Annotations = map[string]string{
		annotationMemberOf: o.federation, annotationMemberOfID: o.federationID, annotationMemberName: o.cluster,
	}
	objects := []client.Object{
		namespace,
		&corev1.ServiceAccount{ObjectMeta: system(ServiceAccount)},
		&rbacv1.ClusterRole{ObjectMeta: named(MemberRole), Rules: memberRules(customResources)},
		&rbacv1.ClusterRoleBinding{ObjectMeta: named(MemberRole), Subjects: subjects, RoleRef: role("ClusterRole", MemberRole)},
		&rbacv1.Role{ObjectMeta: system(TokenRole), Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{ServiceAccount}, Verbs: []string{"create"},
		}}},
		&rbacv1.RoleBinding{ObjectMeta: system(TokenRole), Subjects: subjects, RoleRef: role("Role", TokenRole)},
	}
	if customResources {
		objects = append(objects,
			// Without rules: they are the federation's to add, and a second join must not take them away.
			&rbacv1.ClusterRole{ObjectMeta: named(CustomResourcesRole)},
			&rbacv1.ClusterRoleBinding{ObjectMeta: named(CustomResourcesRole), Subjects: subjects, RoleRef: role("ClusterRole", CustomResourcesRole)},
		)
	}
	return objects
}
