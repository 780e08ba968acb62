package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Object is what selectors look at.
type Object struct {
	schema.GroupKind
	Namespace, Name string
	Labels          map[string]string
}

// Specificity orders selectors: the greater one goes before the smaller one.
type Specificity int

// What a selector that matches an object names, from the least specific.
const (
	AnyKind Specificity = iota
	ByKind
	ByLabels
	ByName
)

func (s Specificity) String() string {
	return [...]string{"any kind", "kind", "labels", "name"}[s]
}

// selector is a compiled ResourceSelector.
type selector struct {
	group, kind, name string
	anyKind           bool
	labels            labels.Selector // nil for all
	namespaces        []string        // nil for all
	specificity       Specificity
}

// Selection is the compiled resource selectors of one policy. It is immutable and safe for concurrent use.
type Selection struct {
	namespace string // of a policy for one namespace
	selectors []selector
}

// SelectIn compiles the selectors of a policy for the objects of one namespace.
func SelectIn(namespace string, selectors []federation.ResourceSelector) (*Selection, error) {
	s := &Selection{namespace: namespace}
	for i, from := range selectors {
		one, err := compile(from)
		if err != nil {
			return nil, fmt.Errorf("spec.resourceSelectors[%d]: %w", i, err)
		}
		s.selectors = append(s.selectors, one)
	}
	return s, nil
}

// SelectAnywhere compiles the selectors of a cluster-scoped policy.
func SelectAnywhere(selectors []federation.ScopedResourceSelector) (*Selection, error) {
	s := &Selection{}
	for i, from := range selectors {
		one, err := compile(from.ResourceSelector)
		if err != nil {
			return nil, fmt.Errorf("spec.resourceSelectors[%d]: %w", i, err)
		}
		one.namespaces = from.Namespaces
		s.selectors = append(s.selectors, one)
	}
	return s, nil
}

func compile(from federation.ResourceSelector) (selector, error) {
	s := selector{kind: from.Kind, name: from.Name, anyKind: from.Kind == ""}
	gv, err := schema.ParseGroupVersion(from.APIVersion)
	if err != nil {
		return s, fmt.Errorf("apiVersion %q: give it as GROUP/VERSION, such as apps/v1", from.APIVersion)
	}
	s.group = gv.Group
	if !s.anyKind {
		s.specificity = ByKind
	}
	if l := from.LabelSelector; l != nil && len(l.MatchLabels)+len(l.MatchExpressions) > 0 {
		if s.labels, err = metav1.LabelSelectorAsSelector(l); err != nil {
			return s, fmt.Errorf("labelSelector: %w", err)
		}
		s.specificity = ByLabels
	}
	if s.name != "" {
		s.specificity = ByName
	}
	return s, nil
}

// Matches says whether the policy selects an object, and how specifically: by its most specific selector.
func (s *Selection) Matches(o Object) (Specificity, bool) {
	return s.MatchesLabelled(o, labels.Set(o.Labels))
}

// MatchesLabelled is Matches for an object whose labels are in some other form than o.Labels, which is not looked at.
func (s *Selection) MatchesLabelled(o Object, l labels.Labels) (Specificity, bool) {
	return s.match(o, l, false)
}

// match heeds only the selectors with a kind where byKind is set.
func (s *Selection) match(o Object, l labels.Labels, byKind bool) (Specificity, bool) {
	if s.namespace != "" && o.Namespace != s.namespace {
		return 0, false
	}
	best, found := AnyKind, false
	for i := range s.selectors {
		if one := &s.selectors[i]; !(byKind && one.anyKind) && one.matches(o, l) {
			best, found = max(best, one.specificity), true
		}
	}
	return best, found
}

func (s *selector) matches(o Object, l labels.Labels) bool {
	switch {
	case !s.anyKind && (s.kind != o.Kind || s.group != o.Group):
		return false
	case s.name != "" && s.name != o.Name:
		return false
	case s.namespaces != nil && !slices.Contains(s.namespaces, o.Namespace):
		return false
	}
	return s.labels == nil || s.labels.Matches(l)
}

// Kinds are those that the selection names, sorted; any says that it selects objects of all other kinds too.
func (s *Selection) Kinds() (kinds []schema.GroupKind, any bool) {
	for i := range s.selectors {
		if one := &s.selectors[i]; one.anyKind {
			any = true
		} else {
			kinds = append(kinds, schema.GroupKind{Group: one.group, Kind: one.kind})
		}
	}
	slices.SortFunc(kinds, func(a, b schema.GroupKind) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Kind, b.Kind))
	})
	return slices.Compact(kinds), any
}

// Scope is where the objects that one selector matches are to be looked for.
type Scope struct {
	// GroupKind is zero for all kinds.
	schema.GroupKind
	// Namespaces are nil for all namespaces and for cluster-scoped objects.
	Namespaces []string
	// Name is "" for all names.
	Name string
}

// Scopes are where all selected objects are to be looked for; not all that is there is selected.
func (s *Selection) Scopes() []Scope {
	scopes := make([]Scope, 0, len(s.selectors))
	for i := range s.selectors {
		one := &s.selectors[i]
		scope := Scope{GroupKind: schema.GroupKind{Group: one.group, Kind: one.kind}, Namespaces: one.namespaces, Name: one.name}
		if s.namespace != "" {
			scope.Namespaces = []string{s.namespace}
		}
		scopes = append(scopes, scope)
	}
	return scopes
}

// Propagation is a PropagationPolicy or a ClusterPropagationPolicy, compiled. It is immutable.
type Propagation struct {
	Reference  federation.PolicyReference
	Namespace  string // "" for a ClusterPropagationPolicy
	Created    time.Time
	Generation int64
	Rule       *federation.Propagation
	*Selection
}

// Matches says whether the policy selects an object, and how specifically. Secrets are selected only by
// selectors with a kind: one that a policy spreads goes where nothing uses it, which a policy for everything with a label
// must not do by the way.
func (p *Propagation) Matches(o Object) (Specificity, bool) {
	return p.match(o, labels.Set(o.Labels), o.GroupKind == schema.GroupKind{Kind: "Secret"})
}

// OfNamespace compiles a PropagationPolicy. Errors name the field.
func OfNamespace(p *federation.PropagationPolicy) (*Propagation, error) {
	s, err := SelectIn(p.Namespace, p.Spec.ResourceSelectors)
	if err != nil {
		return nil, err
	}
	return &Propagation{
		Reference: federation.PolicyReference{Kind: "PropagationPolicy", Name: p.Name}, Namespace: p.Namespace,
		Created: p.CreationTimestamp.Time, Generation: p.Generation, Rule: &p.Spec.Propagation, Selection: s,
	}, nil
}

// OfCluster compiles a ClusterPropagationPolicy. Errors name the field.
func OfCluster(p *federation.ClusterPropagationPolicy) (*Propagation, error) {
	s, err := SelectAnywhere(p.Spec.ResourceSelectors)
	if err != nil {
		return nil, err
	}
	return &Propagation{
		Reference: federation.PolicyReference{Kind: "ClusterPropagationPolicy", Name: p.Name},
		Created:   p.CreationTimestamp.Time, Generation: p.Generation, Rule: &p.Spec.Propagation, Selection: s,
	}, nil
}

// Match is a policy that selects an object.
type Match struct {
	*Propagation
	Specificity
}

// Rank returns the policies that select an object, the one in force first: a namespace's policy before a cluster-scoped
// one, the more specific selector, the older policy, the name that sorts first.
func Rank(policies []*Propagation, o Object) []Match {
	var found []Match
	for _, p := range policies {
		if s, ok := p.Matches(o); ok {
			found = append(found, Match{p, s})
		}
	}
	slices.SortFunc(found, func(a, b Match) int {
		return cmp.Or(Compare(a, b), a.Created.Compare(b.Created), strings.Compare(a.Reference.Name, b.Reference.Name))
	})
	return found
}

// Compare orders two matches by rank alone: 0 says that only age and name decide between them.
func Compare(a, b Match) int {
	rank := func(m Match) int {
		if m.Namespace != "" {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Specificity, a.Specificity))
}

// Choose returns the policy in force for an object, nil where none selects it.
func Choose(policies []*Propagation, o Object) *Propagation {
	if ranked := Rank(policies, o); len(ranked) > 0 {
		return ranked[0].Propagation
	}
	return nil
}
