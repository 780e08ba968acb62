package override

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kubefed.dev/kubefed/pkg/policy"
)

// Set holds policies in the order in which they apply. It is immutable and safe for concurrent use; a nil Set is empty.
type Set struct {
	anywhere []*Policy
	in       map[string][]*Policy // by namespace
}

// NewSet makes a set of policies in any order; it may reorder the slice.
func NewSet(policies ...*Policy) *Set {
	s := &Set{in: map[string][]*Policy{}}
	slices.SortFunc(policies, func(a, b *Policy) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range policies {
		if p.Namespace == "" {
			s.anywhere = append(s.anywhere, p)
		} else {
			s.in[p.Namespace] = append(s.in[p.Namespace], p)
		}
	}
	return s
}

// All visits the policies in the order in which they apply to an object.
func (s *Set) All(visit func(*Policy)) {
	if s == nil {
		return
	}
	for _, p := range s.anywhere {
		visit(p)
	}
	for _, in := range s.in {
		for _, p := range in {
			visit(p)
		}
	}
}

// Select returns the policies that select an object, in the order in which they apply: the cluster-scoped ones by name,
// then those of its namespace by name. It allocates nothing where there are none.
func (s *Set) Select(gk schema.GroupKind, obj *unstructured.Unstructured) []*Policy {
	if s == nil || len(s.anywhere)+len(s.in) == 0 {
		return nil
	}
	var found []*Policy
	for _, p := range s.anywhere {
		if p.Selects(gk, obj) {
			found = append(found, p)
		}
	}
	for _, p := range s.in[obj.GetNamespace()] {
		if p.Selects(gk, obj) {
			found = append(found, p)
		}
	}
	return found
}

// Selects says whether the policy selects an object.
func (p *Policy) Selects(gk schema.GroupKind, obj *unstructured.Unstructured) bool {
	metadata, _ := obj.Object["metadata"].(map[string]any)
	l, _ := metadata["labels"].(map[string]any)
	_, selected := p.MatchesLabelled(policy.Object{GroupKind: gk, Namespace: obj.GetNamespace(), Name: obj.GetName()}, labelsOf(l))
	return selected
}

// labelsOf is labels.Labels without a copy of the map.
type labelsOf map[string]any

func (l labelsOf) Has(label string) bool { _, ok := l[label]; return ok }

func (l labelsOf) Get(label string) string { value, _ := l.Lookup(label); return value }

func (l labelsOf) Lookup(label string) (string, bool) {
	value, ok := l[label]
	text, _ := value.(string)
	return text, ok
}
