package override

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

// Policy is an OverridePolicy or a ClusterOverridePolicy, compiled. It is immutable and safe for concurrent use.
type Policy struct {
	Kind, Namespace, Name string // Namespace is "" for a ClusterOverridePolicy
	UID                   types.UID
	Generation            int64
	*policy.Selection
	rules  []rule
	broken error
}

// rule is a compiled OverrideRule.
type rule struct {
	from  *federation.OverrideRule
	env   [][]any // of from.Env[i]: the variables to set, as an unstructured object holds them
	patch []operation
}

// Error says which part of a policy can't be applied, why, and what to do.
type Error struct {
	Policy  string // such as "OverridePolicy shop/regional"
	Field   string // such as "spec.rules[1].jsonPatch[0]"
	Message string
}

func (e *Error) Error() string { return e.Policy + ": " + e.Field + ": " + e.Message }

// OfNamespace compiles an OverridePolicy. An error names the field. Where only a rule is wrong, and the objects are
// known that the policy is for, the policy is returned beside the error: applying it to one of them fails with it.
func OfNamespace(p *federation.OverridePolicy) (*Policy, error) {
	out := &Policy{Kind: "OverridePolicy", Namespace: p.Namespace, Name: p.Name, UID: p.UID, Generation: p.Generation}
	var err error
	if out.Selection, err = policy.SelectIn(p.Namespace, p.Spec.ResourceSelectors); err != nil {
		return nil, fmt.Errorf("%s: %w", out, err)
	}
	return out.compiled(p.Spec.Rules)
}

// OfCluster compiles a ClusterOverridePolicy, as OfNamespace does.
func OfCluster(p *federation.ClusterOverridePolicy) (*Policy, error) {
	out := &Policy{Kind: "ClusterOverridePolicy", Name: p.Name, UID: p.UID, Generation: p.Generation}
	var err error
	if out.Selection, err = policy.SelectAnywhere(p.Spec.ResourceSelectors); err != nil {
		return nil, fmt.Errorf("%s: %w", out, err)
	}
	return out.compiled(p.Spec.Rules)
}

// String is the policy's kind and name, such as "OverridePolicy shop/regional".
func (p *Policy) String() string {
	if p.Namespace == "" {
		return p.Kind + " " + p.Name
	}
	return p.Kind + " " + p.Namespace + "/" + p.Name
}

// compiled adds the rules. What is wrong with any of them is wrong with the policy: no half of it is ever applied.
func (p *Policy) compiled(rules []federation.OverrideRule) (*Policy, error) {
	var errs []error
	for i := range rules {
		one, err := p.compile(&rules[i], fmt.Sprintf("spec.rules[%d]", i))
		if err != nil {
			errs = append(errs, err)
		}
		p.rules = append(p.rules, one)
	}
	p.broken = errors.Join(errs...)
	return p, p.broken
}

func (p *Policy) compile(from *federation.OverrideRule, field string) (rule, error) {
	r := rule{from: from}
	for i := range from.Images {
		if err := checkImage(&from.Images[i]); err != nil {
			return r, p.wrong(err, "%s.images[%d]", field, i)
		}
	}
	for i := range from.Env {
		set, err := variables(from.Env[i].Set)
		if err != nil {
			return r, p.wrong(err, "%s.env[%d].set", field, i)
		}
		r.env = append(r.env, set)
	}
	if err := checkLabels(from.Labels); err != nil {
		return r, p.wrong(err, "%s.labels", field)
	}
	if err := checkAnnotations(from.Annotations); err != nil {
		return r, p.wrong(err, "%s.annotations", field)
	}
	for i := range from.JSONPatch {
		op, err := compileOperation(&from.JSONPatch[i])
		if err != nil {
			return r, p.wrong(err, "%s.jsonPatch[%d]", field, i)
		}
		r.patch = append(r.patch, op)
	}
	return r, nil
}

func (p *Policy) wrong(err error, format string, args ...any) error {
	return &Error{Policy: p.String(), Field: fmt.Sprintf(format, args...), Message: err.Error()}
}

// Rules are how many rules the policy has.
func (p *Policy) Rules() int { return len(p.rules) }

// Means says whether a rule of the policy applies in a cluster.
func (p *Policy) Means(rule int, c *policy.Cluster) bool {
	return policy.MatchCluster(p.rules[rule].from.Clusters, c)
}

// MeansAny says whether any of the policy's rules applies in a cluster.
func (p *Policy) MeansAny(c *policy.Cluster) bool {
	for i := range p.rules {
		if p.Means(i, c) {
			return true
		}
	}
	return false
}

// Differs says whether two clusters are not treated alike by the policy.
func (p *Policy) Differs(a, b *policy.Cluster) bool {
	for i := range p.rules {
		if p.Means(i, a) != p.Means(i, b) {
			return true
		}
	}
	return false
}

// AsksWhere says whether the policy tells clusters apart by where they are: their provider, region or zones.
func (p *Policy) AsksWhere() bool {
	for i := range p.rules {
		if s := p.rules[i].from.Clusters; s != nil && slices.ContainsFunc(s.MatchFields, func(r federation.ClusterRequirement) bool {
			return r.Key != federation.FieldName
		}) {
			return true
		}
	}
	return false
}
