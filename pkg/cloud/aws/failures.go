package aws

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"kubefed.dev/kubefed/pkg/cloud"
)

// Failures of several regions. What failed everywhere alike is told once, with the regions where it did.
type Failures struct{ each []failure }

type failure struct {
	region string
	err    error
}

// Add an error of a region.
func (f *Failures) Add(region string, err error) { f.each = append(f.each, failure{region, err}) }

// Err is nil without failures, a *cloud.Error where all are alike, else a *multierror.Error.
func (f *Failures) Err() error {
	slices.SortStableFunc(f.each, func(a, b failure) int { return cmp.Compare(a.region, b.region) })
	var told []error
	var regions [][]string
	for _, next := range f.each {
		i := slices.IndexFunc(told, func(err error) bool { return alike(err, next.err, next.region) })
		if i < 0 {
			told, regions = append(told, next.err), append(regions, []string{next.region})
		} else {
			regions[i] = append(regions[i], next.region)
		}
	}
	var all *multierror.Error
	for i, err := range told {
		if e, ok := errors.AsType[*cloud.Error](err); ok && len(regions[i]) > 1 {
			several := *e
			operation, _, _ := strings.Cut(several.Operation, " in ")
			several.Operation = operation + " in " + list(regions[i])
			err = &several
		}
		told[i] = err
		all = multierror.Append(all, err)
	}
	if len(told) == 1 {
		return told[0]
	}
	return all.ErrorOrNil()
}

// alike are errors of one kind, about one operation, from one code of AWS.
func alike(told, next error, region string) bool {
	a, ok := errors.AsType[*cloud.Error](told)
	b, ok2 := errors.AsType[*cloud.Error](next)
	if !ok || !ok2 || a.Kind != b.Kind || a.Advice != b.Advice {
		return false
	}
	here, _, _ := strings.Cut(a.Operation, " in ")
	there, where, _ := strings.Cut(b.Operation, " in ")
	if here != there || where != region {
		return false
	}
	x, _ := errors.AsType[refusal](told)
	y, _ := errors.AsType[refusal](next)
	return x.code == y.code
}

func list(regions []string) string {
	const most = 3
	if len(regions) <= most {
		return strings.Join(regions, ", ")
	}
	return fmt.Sprintf("%s and %d more regions", strings.Join(regions[:most], ", "), len(regions)-most)
}
