package price

import (
	"math"

	"k8s.io/apimachinery/pkg/api/resource"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Noise is how little a price must change, as a part of it, in order not to count: spot prices and the mix of machines always
// move a little, and everything that is placed by price would be looked at again each time.
const Noise = 0.01

// steady keeps the figures of was where none of them has changed by more than Noise.
func steady(status, was *federation.PriceStatus) {
	if was == nil || was.Currency != status.Currency || was.Source == SourceSpec ||
		!near(was.CPUHour, status.CPUHour) || !near(was.GiBHour, status.GiBHour) {
		return
	}
	status.Price = was.Price
	if len(was.Offers) != len(status.Offers) {
		return
	}
	for i := range was.Offers {
		a, b := &was.Offers[i], &status.Offers[i]
		if a.Zone != b.Zone || a.Spot != b.Spot || !near(a.CPUHour, b.CPUHour) || !near(a.GiBHour, b.GiBHour) {
			return
		}
	}
	status.Offers = was.Offers
}

func near(a, b resource.Quantity) bool {
	x, y := a.AsApproximateFloat64(), b.AsApproximateFloat64()
	return math.Abs(x-y) <= Noise*math.Max(x, y)
}

func samePrice(a, b federation.Price) bool {
	return a.Currency == b.Currency && a.CPUHour.Cmp(b.CPUHour) == 0 && a.GiBHour.Cmp(b.GiBHour) == 0
}
