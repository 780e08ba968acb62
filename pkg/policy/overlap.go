package policy

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"
)

// Overlap says whether two policies may select one object with the same rank, so that only age and name decide between
// them. Two label selectors are taken to overlap unless they ask for different values of one label.
func Overlap(a, b *Propagation) bool {
	if a.Namespace != b.Namespace || a.Reference == b.Reference {
		return false
	}
	return slices.ContainsFunc(a.selectors, func(x selector) bool {
		return slices.ContainsFunc(b.selectors, func(y selector) bool { return x.overlaps(&y) })
	})
}

func (s *selector) overlaps(other *selector) bool {
	switch {
	case s.specificity != other.specificity, s.anyKind != other.anyKind, s.group != other.group, s.kind != other.kind, s.name != other.name:
		return false
	case s.namespaces != nil && other.namespaces != nil &&
		!slices.ContainsFunc(s.namespaces, func(n string) bool { return slices.Contains(other.namespaces, n) }):
		return false
	}
	return s.labels == nil || other.labels == nil || !disjoint(s.labels, other.labels)
}

// disjoint says whether no object can have what both selectors ask for, as far as exact values tell.
func disjoint(a, b labels.Selector) bool {
	requirements, _ := a.Requirements()
	return slices.ContainsFunc(requirements, func(r labels.Requirement) bool {
		x, exact := a.RequiresExactMatch(r.Key())
		y, also := b.RequiresExactMatch(r.Key())
		return exact && also && x != y
	})
}
