package apiserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/policy"
)

const placementsPlugin = "FederationPlacements"

// placements is the admission plugin that refuses what says in vain where objects are to go: propagation policies that
// can't be met whatever clusters there are, and Federation v1's annotations that can't be read. It warns of policies that
// name clusters which are not there, select none now, or overlap with others of the same rank.
type placements struct {
	*admission.Handler
	reader dynamic.Interface
}

var (
	_ admission.ValidationInterface  = &placements{}
	_ initializer.WantsDynamicClient = &placements{}
)

func newPlacements() *placements {
	return &placements{Handler: admission.NewHandler(admission.Create, admission.Update)}
}

// SetDynamicClient implements initializer.WantsDynamicClient.
func (p *placements) SetDynamicClient(c dynamic.Interface) { p.reader = c }

// ValidateInitialization implements admission.InitializationValidator.
func (p *placements) ValidateInitialization() error {
	if p.reader == nil {
		return errors.New(placementsPlugin + " needs a client")
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *placements) Validate(ctx context.Context, attr admission.Attributes, _ admission.ObjectInterfaces) error {
	gk := attr.GetKind().GroupKind()
	switch {
	case attr.GetSubresource() != "":
		return nil
	case gk.Group == federation.GroupName && propagationKinds[gk.Kind] != "":
		return p.policy(ctx, attr)
	case kind.Federatable(gk):
		return annotations(attr)
	}
	return nil
}

// annotations refuses Federation v1's annotations that can't be read. What was there before is not refused again.
func annotations(attr admission.Attributes) error {
	object, err := meta.Accessor(attr.GetObject())
	if err != nil || object.GetDeletionTimestamp() != nil {
		return nil
	}
	wrong := policy.CheckAnnotations(attr.GetKind().GroupKind(), object.GetAnnotations())
	if wrong == nil {
		return nil
	}
	if old := attr.GetOldObject(); old != nil {
		if before, err := meta.Accessor(old); err == nil && policy.CheckAnnotations(attr.GetKind().GroupKind(), before.GetAnnotations()) != nil {
			return nil
		}
	}
	return apierrors.NewInvalid(attr.GetKind().GroupKind(), attr.GetName(),
		field.ErrorList{field.Forbidden(field.NewPath("metadata", "annotations"), wrong.Error())})
}

// propagationKinds are the kinds of policies with their resources.
var propagationKinds = map[string]string{
	"PropagationPolicy": "propagationpolicies", "ClusterPropagationPolicy": "clusterpropagationpolicies",
}

// lookTimeout bounds the look at clusters and other policies.
const lookTimeout = 5 * time.Second

func (p *placements) policy(ctx context.Context, attr admission.Attributes) error {
	obj, ok := attr.GetObject().(*unstructured.Unstructured)
	if !ok || obj.GetDeletionTimestamp() != nil {
		return nil
	}
	if old, _ := attr.GetOldObject().(*unstructured.Unstructured); old != nil && equality.Semantic.DeepEqual(old.Object["spec"], obj.Object["spec"]) {
		return nil
	}
	compiled, err := compilePropagation(obj)
	if err != nil {
		return apierrors.NewInvalid(attr.GetKind().GroupKind(), attr.GetName(), field.ErrorList{field.Forbidden(field.NewPath("spec"), err.Error())})
	}
	if wrong := impossible(compiled.Rule); len(wrong) > 0 {
		return apierrors.NewInvalid(attr.GetKind().GroupKind(), attr.GetName(), wrong)
	}
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for _, w := range p.warnings(bounded, compiled) {
		warning.AddWarning(ctx, "", w)
	}
	return nil
}

func compilePropagation(obj *unstructured.Unstructured) (*policy.Propagation, error) {
	if obj.GetKind() == "PropagationPolicy" {
		var p federation.PropagationPolicy
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &p); err != nil {
			return nil, err
		}
		return policy.OfNamespace(&p)
	}
	var p federation.ClusterPropagationPolicy
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &p); err != nil {
		return nil, err
	}
	return policy.OfCluster(&p)
}

// impossible lists what no clusters could meet.
func impossible(rule *federation.Propagation) (wrong field.ErrorList) {
	spec := field.NewPath("spec")
	var most *int32 // clusters
	for _, c := range rule.TopologySpreadConstraints {
		if c.TopologyKey == federation.TopologyCluster && c.WhenUnsatisfiable != corev1.ScheduleAnyway {
			most = c.MaxDomains
		}
	}
	key := func(at *field.Path, name string) {
		for _, message := range validation.IsQualifiedName(name) {
			wrong = append(wrong, field.Invalid(at, name, message))
		}
	}
	labels := func(at *field.Path, s *federation.ClusterSelector) {
		for i, r := range s.MatchExpressions {
			key(at.Child("matchExpressions").Index(i).Child("key"), r.Key)
		}
		for _, name := range slices.Sorted(maps.Keys(s.MatchLabels)) {
			key(at.Child("matchLabels"), name)
		}
	}
	for i := range rule.ClusterGroups {
		labels(spec.Child("clusterGroups").Index(i), &rule.ClusterGroups[i].ClusterSelector)
	}
	if d := rule.ReplicaDivision; d != nil {
		for i := range d.Clusters {
			labels(spec.Child("replicaDivision", "clusters").Index(i), &d.Clusters[i].ClusterSelector)
		}
	}
	for i, c := range rule.TopologySpreadConstraints {
		key(spec.Child("topologySpreadConstraints").Index(i).Child("topologyKey"), c.TopologyKey)
		if most != nil && c.TopologyKey != federation.FieldZone && c.WhenUnsatisfiable != corev1.ScheduleAnyway && c.MinDomains != nil && *c.MinDomains > *most {
			wrong = append(wrong, field.Invalid(spec.Child("topologySpreadConstraints").Index(i).Child("minDomains"), *c.MinDomains,
				fmt.Sprintf("can't be met in %d clusters, the maxDomains of topologyKey cluster: lower the one or raise the other", *most)))
		}
	}
	for i, t := range rule.Tolerations {
		at := spec.Child("tolerations").Index(i)
		switch {
		case t.Operator != "" && t.Operator != corev1.TolerationOpEqual && t.Operator != corev1.TolerationOpExists:
			wrong = append(wrong, field.NotSupported(at.Child("operator"), t.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}))
		case t.Operator == corev1.TolerationOpExists && t.Value != "":
			wrong = append(wrong, field.Invalid(at.Child("value"), t.Value, "operator Exists takes no value"))
		case t.Key == "" && t.Operator != corev1.TolerationOpExists:
			wrong = append(wrong, field.Invalid(at.Child("operator"), t.Operator, "must be Exists where there is no key: all taints are tolerated then"))
		case t.Effect != "" && t.Effect != corev1.TaintEffectNoSchedule && t.Effect != corev1.TaintEffectPreferNoSchedule && t.Effect != corev1.TaintEffectNoExecute:
			wrong = append(wrong, field.NotSupported(at.Child("effect"), t.Effect,
				[]corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}))
		case t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute:
			wrong = append(wrong, field.Invalid(at.Child("effect"), t.Effect, "must be NoExecute where tolerationSeconds is set"))
		}
	}
	return wrong
}

// warnings compare a policy with the clusters and the policies that are there. What can't be read is not warned of.
func (p *placements) warnings(ctx context.Context, compiled *policy.Propagation) (warnings []string) {
	var clusters []policy.Cluster
	known := map[string]bool{}
	if list, err := p.list(ctx, "clusters", ""); err == nil {
		for i := range list {
			var c federation.Cluster
			if runtime.DefaultUnstructuredConverter.FromUnstructured(list[i].Object, &c) == nil {
				clusters, known[c.Name] = append(clusters, policy.ClusterOf(&c)), true
			}
		}
		warnings = append(warnings, unknownClusters(compiled.Rule, known)...)
		warnings = append(warnings, emptyGroups(compiled.Rule, clusters)...)
		warnings = append(warnings, vain(compiled.Rule, clusters)...)
	}
	others, err := p.list(ctx, propagationKinds[compiled.Reference.Kind], compiled.Namespace)
	if err != nil {
		return warnings
	}
	var names []string
	for i := range others {
		if other, err := compilePropagation(&others[i]); err == nil && policy.Overlap(compiled, other) {
			names = append(names, other.Reference.Name)
		}
	}
	if len(names) > 0 {
		warnings = append(warnings, fmt.Sprintf("spec.resourceSelectors: selects objects with the same rank as %s %s; for these the older policy is in force",
			compiled.Reference.Kind, shortened(names)))
	}
	return warnings
}

func (p *placements) list(ctx context.Context, resource, namespace string) ([]unstructured.Unstructured, error) {
	list, err := p.reader.Resource(federation.GroupVersion.WithResource(resource)).Namespace(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// unknownClusters warns of names of clusters that have not joined.
func unknownClusters(rule *federation.Propagation, known map[string]bool) []string {
	var names []string
	add := func(s *federation.ClusterSelector) {
		for _, name := range slices.Concat(s.Names, s.Exclude) {
			if !known[name] && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for i := range rule.ClusterGroups {
		add(&rule.ClusterGroups[i].ClusterSelector)
	}
	if rule.ReplicaDivision != nil {
		for i := range rule.ReplicaDivision.Clusters {
			add(&rule.ReplicaDivision.Clusters[i].ClusterSelector)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{"no cluster has joined under the name " + shortened(names) + "; it may join later"}
}

func emptyGroups(rule *federation.Propagation, clusters []policy.Cluster) (warnings []string) {
	for i := range rule.ClusterGroups {
		g := &rule.ClusterGroups[i]
		matches := func(c policy.Cluster) bool { return policy.MatchCluster(&g.ClusterSelector, &c) }
		switch {
		case !slices.ContainsFunc(clusters, matches):
			warnings = append(warnings, fmt.Sprintf("spec.clusterGroups[%d]: group %s selects no cluster now", i, g.Name))
		case !slices.ContainsFunc(clusters, func(c policy.Cluster) bool { return matches(c) && groupOf(rule, &c) == i }):
			warnings = append(warnings, fmt.Sprintf("spec.clusterGroups[%d]: groups before it select all clusters of group %s now, and a cluster is in the first group that selects it", i, g.Name))
		}
	}
	return warnings
}

// groupOf is the index of the group that a cluster belongs to; -1 for none, 0 where there are no groups.
func groupOf(rule *federation.Propagation, c *policy.Cluster) int {
	if len(rule.ClusterGroups) == 0 {
		return 0
	}
	return slices.IndexFunc(rule.ClusterGroups, func(g federation.ClusterGroup) bool { return policy.MatchCluster(&g.ClusterSelector, c) })
}

// vain warns of spread and division that mean nothing, or keep everything out, with the clusters that are there.
func vain(rule *federation.Propagation, clusters []policy.Cluster) (warnings []string) {
	clusters = slices.DeleteFunc(slices.Clone(clusters), func(c policy.Cluster) bool { return groupOf(rule, &c) < 0 })
	if len(clusters) == 0 {
		return nil // emptyGroups has said so
	}
	for i, s := range rule.TopologySpreadConstraints {
		domains := map[string]bool{}
		for j := range clusters {
			if d := domain(&clusters[j], s.TopologyKey); d != "" {
				domains[d] = true
			}
		}
		switch at := fmt.Sprintf("spec.topologySpreadConstraints[%d]", i); {
		case len(domains) == 0:
			warnings = append(warnings, fmt.Sprintf("%s: no cluster that the policy selects has a value for topologyKey %s now", at, s.TopologyKey))
		case s.MinDomains != nil && int(*s.MinDomains) > len(domains):
			warnings = append(warnings, fmt.Sprintf("%s.minDomains: %d can't be met now, the clusters are in %d domains of %s", at, *s.MinDomains, len(domains), s.TopologyKey))
		}
	}
	d := rule.ReplicaDivision
	switch {
	case d == nil:
	case d.Mode == federation.DivisionDuplicated && (d.Strategy != federation.StrategyWeighted && d.Strategy != "" || d.Rebalance):
		warnings = append(warnings, "spec.replicaDivision: strategy and rebalance mean nothing with mode Duplicated")
	case d.Mode != federation.DivisionDuplicated && len(d.Clusters) > 0 && !slices.ContainsFunc(clusters, func(c policy.Cluster) bool { return takes(d, &c) }):
		warnings = append(warnings, "spec.replicaDivision.clusters: no cluster may take replicas now: each has weight 0, maxReplicas 0, or no entry that selects it")
	}
	return warnings
}

// domain is a cluster's value for a topology key, "" for none.
func domain(c *policy.Cluster, key string) string {
	switch key {
	case federation.TopologyCluster:
		return c.Name
	case federation.FieldProvider, federation.FieldRegion, federation.FieldZone:
		return c.Field(key)
	}
	return c.Labels[key]
}

// takes says whether the entry for a cluster lets it take replicas.
func takes(d *federation.ReplicaDivision, c *policy.Cluster) bool {
	i := slices.IndexFunc(d.Clusters, func(r federation.ReplicaRule) bool { return policy.MatchCluster(&r.ClusterSelector, c) })
	if i < 0 {
		return false
	}
	r := &d.Clusters[i]
	return ptr.Deref(r.MaxReplicas, 1) > 0 && (ptr.Deref(r.Weight, 1) > 0 || ptr.Deref(r.MinReplicas, 0) > 0)
}

func shortened(names []string) string {
	const most = 5
	slices.Sort(names)
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
