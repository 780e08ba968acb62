package dns

import (
	"cmp"
	"slices"
	"strings"
)

// claimIndex finds claims by their name.
type claimIndex struct {
	claims []Claim
	// order are the indices of claims by name and owner; of one owner's as they came.
	order []int
}

func indexOf(claims []Claim) claimIndex {
	order := make([]int, len(claims))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &claims[i], &claims[j]
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Owner.Ref, b.Owner.Ref), cmp.Compare(i, j))
	})
	return claimIndex{claims, order}
}

// at are the indices of the claims of one name.
func (x claimIndex) at(name string) []int {
	first, _ := slices.BinarySearchFunc(x.order, name, func(i int, name string) int { return strings.Compare(x.claims[i].Name, name) })
	last := first
	for last < len(x.order) && x.claims[x.order[last]].Name == name {
		last++
	}
	return x.order[first:last]
}
