package facts

import (
	"cmp"
	"context"
	"strings"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
)

const (
	// listLife is how long a price of the list is taken without asking again; AWS changes it some times a year. spotLife is that of
	// spot prices, which change some times a day.
	listLife = 24 * time.Hour
	spotLife = 5 * time.Minute
	// sourceAPI is what a Price says of itself that AWS named.
	sourceAPI = "api"
)

// Machines implements cloud.Prices: on demand from the price list, on spot from the prices of each zone now. While AWS does not
// answer, a price is the one that it named last, At tells when; one that it never named on demand is that of the snapshot, Source
// tells; and the error is a Partial one.
func (f *Facts) Machines(ctx context.Context, region string, machines []cloud.Machine) (map[cloud.Machine]cloud.Price, error) {
	offers, listErr := f.list(ctx, region, typesOf(machines, false))
	spots, spotErr := f.spot(ctx, region, typesOf(machines, true))
	out := map[cloud.Machine]cloud.Price{}
	for _, m := range machines {
		on, known := offers[m.Type]
		if !known || on.price.Hour == 0 {
			continue
		}
		if !m.Spot {
			out[m] = on.price
		} else if s, known := spots[spotKey{region, m.Type, m.Zone}]; known {
			// How large a machine is, the price list says.
			out[m] = cloud.Price{Currency: on.price.Currency, Hour: s.hour, CPUs: on.price.CPUs, GiB: on.price.GiB, At: s.at, Source: sourceAPI}
		}
	}
	switch err := cmp.Or(listErr, spotErr); {
	case err == nil:
		return out, nil
	case len(out) == 0:
		return nil, err
	default:
		return out, &cloud.Partial{Err: err}
	}
}

// typesOf machines, each once; of all, or of those on spot.
func typesOf(machines []cloud.Machine, spot bool) []string {
	var types []string
	seen := map[string]bool{}
	for _, m := range machines {
		if m.Type != "" && !seen[m.Type] && (m.Spot || !spot) {
			seen[m.Type] = true
			types = append(types, m.Type)
		}
	}
	return types
}

// Egress implements cloud.Prices: the first tier that is not free of what leaves the region for the internet. The error is of kind
// NotFound where the price list has none; the snapshot has those of the largest regions.
func (f *Facts) Egress(ctx context.Context, region string) (currency string, perGiB float64, err error) {
	f.mu.Lock()
	held, known := f.egress[region]
	f.mu.Unlock()
	if known && f.now().Sub(held.at) < f.listLife {
		return held.currency, held.perGiB, nil
	}
	read, err := f.readEgress(ctx, region)
	switch {
	case err == nil:
		f.mu.Lock()
		f.egress[region] = read
		f.mu.Unlock()
		return read.currency, read.perGiB, nil
	case cloud.KindOf(err) == cloud.NotFound:
	case known:
		return held.currency, held.perGiB, &cloud.Partial{Err: err}
	default:
		if price, has := snapshot().egress[region]; has {
			return snapshotCurrency, price, &cloud.Partial{Err: err}
		}
	}
	return "", 0, err
}

type egress struct {
	currency string
	perGiB   float64
	at       time.Time
}

// listRegion is where the price list of a region is served: in three places, all with all of it, and in China.
func listRegion(region string) string {
	continent, _, _ := strings.Cut(region, "-")
	switch continent {
	case "cn":
		return "cn-northwest-1"
	case "eu", "me", "af", "il":
		return "eu-central-1"
	case "ap":
		return "ap-south-1"
	}
	return "us-east-1"
}
