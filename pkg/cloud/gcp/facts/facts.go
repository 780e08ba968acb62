// Package facts asks Google Cloud how regions and zones are, what machines cost and how load balancers fare, for one account. It
// speaks to Compute Engine and to the catalog of Cloud Billing over HTTP, and changes nothing in them.
package facts

import (
	"context"
	"errors"
	"path"
	"time"

	"google.golang.org/api/iterator"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp"
)

// role is the least predefined one that reads what is asked of Compute Engine.
const role = "roles/compute.viewer"

var scopes = []string{"https://www.googleapis.com/auth/compute.readonly", "https://www.googleapis.com/auth/cloud-billing.readonly"}

// Facts asks one account. It is safe for concurrent use.
type Facts struct {
	session *gcp.Session
	project string
	prices  *catalogue
}

var (
	_ cloud.Regions   = (*Facts)(nil)
	_ cloud.Prices    = (*Facts)(nil)
	_ cloud.Balancers = (*Facts)(nil)
)

// New prepares to ask; it asks no API yet.
func New(ctx context.Context, account config.Account) (*Facts, error) {
	session, err := gcp.New(ctx, account, scopes...)
	if err != nil {
		return nil, err
	}
	f := &Facts{session: session, project: account.Project}
	f.prices = newCatalogue(f.readCatalog)
	return f, nil
}

// KeepPrices has a price list taken for so long without asking again, and waits no longer than that after a failure. Call it before
// anything is asked.
func (f *Facts) KeepPrices(life time.Duration) {
	f.prices.fresh, f.prices.pause = life, min(f.prices.pause, life)
}

func compute(permission, on string) gcp.Call {
	return gcp.Call{Family: config.FamilyCompute, Permission: permission, Role: role, On: on}
}

// all reads a list to its end.
func all[T any](next func() (T, error)) ([]T, error) {
	var items []T
	for {
		item, err := next()
		if errors.Is(err, iterator.Done) {
			return items, nil
		}
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
}

// nameOf is the name of a resource by its URL.
func nameOf(url string) string { return path.Base(url) }
