package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// oldest is the oldest Kubernetes version of a member: aggregated discovery and metadata of server-side apply as they
// are now came with it.
const oldest = "v1.28.0"

// annotationHost is what init writes to namespace federation-system of a host cluster.
const annotationHost = federation.GroupName + "/name"

// survey is what join finds before it writes.
type survey struct {
	federation, member *site
	info               Info

	server     string
	ca         []byte
	version    string
	clusterID  string
	namespace  *corev1.Namespace      // federation-system in the member
	cluster    *federation.Cluster    // of this name
	clusters   []federation.Cluster   // all
	tombstones []federation.Tombstone // of this cluster's earlier memberships
}

func (s *survey) owner(name string) owner {
	return owner{federation: s.info.Name, federationID: s.info.ID, cluster: name}
}

// checkOptions judges what can be judged without asking anyone.
func checkOptions(o JoinOptions) error {
	if problems := utilvalidation.IsDNS1123Label(o.Name); len(problems) > 0 {
		return fmt.Errorf("cluster name %q: %s: choose another NAME, and name its context by --cluster-context", o.Name, problems[0])
	}
	if errs := metavalidation.ValidateLabels(o.Labels, field.NewPath("--labels")); len(errs) > 0 {
		return errs.ToAggregate()
	}
	for _, f := range []struct{ flag, value string }{{"--provider", o.Provider}, {"--region", o.Region}, {"--zones", strings.Join(o.Zones, "-")}} {
		if f.value != "" && len(validation.NameIsDNSSubdomain(f.value, false)) > 0 {
			return fmt.Errorf("%s: lower-case letters, digits and '-' only: it becomes part of DNS names", f.flag)
		}
	}
	return checkWay(o.Member)
}

// checkWay refuses ways to a member that the control plane could not go.
func checkWay(config *rest.Config) error {
	const advice = "; give the cluster a kubeconfig entry that works without, such as its public address"
	switch {
	case !strings.HasPrefix(config.Host, "https://"):
		return fmt.Errorf("server %q of the cluster's kubeconfig entry: must be an https:// URL", config.Host)
	case config.Insecure:
		return errors.New("the cluster's kubeconfig entry sets insecure-skip-tls-verify: the federation would send its token to anyone; " +
			"put the cluster's CA there instead (certificate-authority-data)")
	case config.Proxy != nil:
		return errors.New("the cluster's kubeconfig entry sets proxy-url, which the federation's control plane does not support" + advice)
	case config.ServerName != "":
		return errors.New("the cluster's kubeconfig entry sets tls-server-name, which the federation's control plane does not support" + advice)
	}
	return nil
}

// surveyJoin looks at both sides; it writes nothing.
func surveyJoin(ctx context.Context, o JoinOptions) (*survey, error) {
	if err := checkOptions(o); err != nil {
		return nil, err
	}
	o.Progress("looking at the federation and at cluster %s", o.Name)
	s := &survey{}
	var err error
	if s.info, err = ReadInfo(ctx, o.Federation); err != nil {
		return nil, fmt.Errorf("reading which federation this is: %w", err)
	}
	if s.federation, err = openSite(fmt.Sprintf("federation %q", s.info.Name), o.Federation); err != nil {
		return nil, err
	}
	if s.member, err = openSite(fmt.Sprintf("cluster %q", o.Name), o.Member); err != nil {
		return nil, err
	}
	withCA := rest.CopyConfig(o.Member)
	if err := rest.LoadTLSFiles(withCA); err != nil {
		return nil, fmt.Errorf("reading the certificates of the kubeconfig entry of %s: %w", s.member.what, err)
	}
	s.server, s.ca = strings.TrimSuffix(o.Member.Host, "/"), withCA.CAData
	if err := s.lookAtMember(ctx); err != nil {
		return nil, err
	}
	return s, s.lookAtFederation(ctx, o.Name)
}

func (s *survey) lookAtMember(ctx context.Context) error {
	d, err := discovery.NewDiscoveryClientForConfig(s.member.config)
	if err != nil {
		return err
	}
	info, err := d.ServerVersion()
	if err != nil {
		return s.member.reach(err)
	}
	s.version = info.GitVersion
	if s.clusterID, err = s.member.identity(ctx); err != nil {
		return err
	}
	s.namespace, err = s.member.systemNamespace(ctx)
	return err
}

func (s *survey) lookAtFederation(ctx context.Context, name string) error {
	var clusters federation.ClusterList
	if err := s.federation.client.List(ctx, &clusters); err != nil {
		return s.federation.reach(err)
	}
	s.clusters = clusters.Items
	for i := range s.clusters {
		if s.clusters[i].Name == name {
			s.cluster = &s.clusters[i]
		}
	}
	var tombstones federation.TombstoneList
	if err := s.federation.client.List(ctx, &tombstones); err != nil {
		return s.federation.reach(err)
	}
	for _, t := range tombstones.Items {
		if t.Annotations[annotationClusterID] == s.clusterID {
			s.tombstones = append(s.tombstones, t)
		}
	}
	return nil
}

// judge refuses what must not be joined. It is pure.
func judge(o JoinOptions, s *survey) error {
	if v, err := version.ParseGeneric(s.version); err != nil || v.LessThan(version.MustParseGeneric(oldest)) {
		return fmt.Errorf("cluster %q runs Kubernetes %s: a member needs %s or newer: upgrade it first", o.Name, s.version, strings.TrimSuffix(oldest, ".0"))
	}
	if c := s.cluster; c != nil {
		if c.DeletionTimestamp != nil {
			return fmt.Errorf("cluster %q is being unjoined from federation %q: wait until `kubectl get cluster %s` finds nothing", o.Name, s.info.Name, o.Name)
		}
		if c.Spec.ClusterID != "" && c.Spec.ClusterID != s.clusterID {
			return fmt.Errorf("federation %q already has a cluster %q, and it is another one (at %s): choose another NAME, or run `kubefed unjoin %s` first",
				s.info.Name, o.Name, c.Spec.Server, o.Name)
		}
	}
	joined := map[string]bool{}
	for i := range s.clusters {
		c := &s.clusters[i]
		joined[c.Name] = true
		if c.Name != o.Name && c.Spec.ClusterID == s.clusterID {
			return fmt.Errorf("this cluster has already joined federation %q as %q: a cluster has one name; to rename it, run `kubefed unjoin %s` first",
				s.info.Name, c.Name, c.Name)
		}
	}
	if s.namespace == nil {
		return nil
	}
	if s.namespace.DeletionTimestamp != nil {
		return fmt.Errorf("namespace %s in cluster %q is being deleted: wait until it is gone", federation.SystemNamespace, o.Name)
	}
	owner := ownerOf(s.namespace)
	if owner.federationID != "" && owner.federationID != s.info.ID {
		return fmt.Errorf("cluster %q belongs to federation %q already (ID %s): run `kubefed unjoin %s` there first; "+
			"if that federation is gone, remove the annotation %s from namespace %s in the cluster",
			o.Name, owner.federation, owner.federationID, owner.cluster, annotationMemberOfID, federation.SystemNamespace)
	}
	return nil
}

// checkRights asks both sides whether the user may write what join writes.
func (s *survey) checkRights(ctx context.Context, o JoinOptions) error {
	const rbac = rbacv1.GroupName
	ns := federation.SystemNamespace
	if err := s.federation.check(ctx, []right{
		{verb: "create", group: federation.GroupName, resource: "clusters"},
		{verb: "update", group: federation.GroupName, resource: "clusters"},
		{verb: "get", resource: "secrets", namespace: ns},
		{verb: "create", resource: "secrets", namespace: ns},
		{verb: "patch", resource: "secrets", namespace: ns},
	}); err != nil {
		return err
	}
	var rights []right
	for _, verb := range []string{"create", "patch"} {
		rights = append(rights,
			right{verb: verb, resource: "namespaces"}, right{verb: verb, resource: "serviceaccounts", namespace: ns},
			right{verb: verb, group: rbac, resource: "clusterroles"}, right{verb: verb, group: rbac, resource: "clusterrolebindings"},
			right{verb: verb, group: rbac, resource: "roles", namespace: ns}, right{verb: verb, group: rbac, resource: "rolebindings", namespace: ns})
	}
	rights = append(rights, right{verb: "create", resource: "serviceaccounts", subresource: "token", namespace: ns})
	if o.Witness != "" {
		for _, verb := range []string{"create", "patch"} {
			rights = append(rights, right{verb: verb, group: "apps", resource: "deployments", namespace: ns}, right{verb: verb, resource: "services", namespace: ns})
		}
		// Kubernetes lets nobody give rights that they lack.
		rights = append(rights, right{verb: "create", resource: "services", subresource: "proxy", namespace: ns})
	}
	if err := s.member.check(ctx, rights); err != nil {
		return err
	}
	// Kubernetes lets nobody give rights that they lack; a rehearsal finds out.
	for _, obj := range memberObjects(s.owner(o.Name), o.CustomResources) {
		if _, ok := obj.(*rbacv1.ClusterRole); !ok {
			continue
		}
		if _, err := s.member.apply(ctx, obj, client.DryRunAll); err != nil {
			return fmt.Errorf("%w; give yourself the rights that the message names, or ask the cluster's administrator to run the command", err)
		}
	}
	return nil
}

// PlanJoin returns what Join would write, on each side, without writing anything. The token is shown as a placeholder.
func PlanJoin(ctx context.Context, o JoinOptions) (info Info, member, fed []client.Object, err error) {
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	s, err := surveyJoin(ctx, o)
	if err != nil {
		return Info{}, nil, nil, err
	}
	if err := judge(o, s); err != nil {
		return Info{}, nil, nil, err
	}
	secret := clusterSecret(o.Name, "(the cluster issues it to service account federation-system/kubefed)", s.ca)
	cluster := s.clusterObject(o)
	// As a manifest: without what the server fills in.
	annotations := cluster.Annotations
	cluster.ObjectMeta = metav1.ObjectMeta{Name: cluster.Name, Labels: cluster.Labels}
	if r := annotations[federation.AnnotationReference]; r != "" {
		metav1.SetMetaDataAnnotation(&cluster.ObjectMeta, federation.AnnotationReference, r)
	}
	cluster.Status = federation.ClusterStatus{}
	for _, list := range []struct {
		to   *[]client.Object
		from []client.Object
	}{{&member, o.objects(s)}, {&fed, []client.Object{secret, cluster}}} {
		for _, obj := range list.from {
			form, err := applyForm(obj)
			if err != nil {
				return Info{}, nil, nil, err
			}
			*list.to = append(*list.to, form)
		}
	}
	return s.info, member, fed, nil
}
