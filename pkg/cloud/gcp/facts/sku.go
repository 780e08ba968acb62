package facts

import (
	"regexp"
	"strings"

	"google.golang.org/api/cloudbilling/v1"
)

// rateKey is what a price is for.
type rateKey struct {
	region, family string
	custom, spot   bool
}

// rate is the price of a vCPU and of a GiB of memory for an hour; zero where it is not known.
type rate struct {
	CPU float64 `json:"cpu"`
	GiB float64 `json:"gib"`
}

// The catalog says what a SKU is in its description only: "N2D AMD Custom Instance Core running in Netherlands". C2 is called
// "Compute optimized", and the custom types of N1 just "Custom". What differs in anything, such as "Sole Tenancy", "Extended" or
// "Commitment", is another SKU.
var (
	ofFamily  = regexp.MustCompile(`^([A-Z]\d[A-Z]?)(?: AMD| Arm)?( Predefined| Custom)? Instance (Core|Ram) running in `)
	ofC2      = regexp.MustCompile(`^Compute optimized (?:Instance )?(Core|Ram) running in `)
	ofN1      = regexp.MustCompile(`^Custom Instance (Core|Ram) running in `)
	spotWords = regexp.MustCompile(`^(?:Spot )?Preemptible `)
)

// part is one half of a rate.
type part struct {
	family string
	custom bool
	core   bool
}

func partOf(description string) (part, bool) {
	if m := ofFamily.FindStringSubmatch(description); m != nil {
		return part{strings.ToLower(m[1]), m[2] == " Custom", m[3] == "Core"}, true
	}
	if m := ofC2.FindStringSubmatch(description); m != nil {
		return part{"c2", false, m[1] == "Core"}, true
	}
	if m := ofN1.FindStringSubmatch(description); m != nil {
		return part{"n1", true, m[1] == "Core"}, true
	}
	return part{}, false
}

// take adds what a SKU says of prices, if it is one of those that count.
func (p *priceList) take(sku *cloudbilling.Sku) {
	if sku.Category == nil || len(sku.PricingInfo) == 0 || sku.PricingInfo[0].PricingExpression == nil {
		return
	}
	price := sku.PricingInfo[0].PricingExpression
	switch {
	case sku.Category.ResourceFamily == "Compute":
		p.takeMachine(sku, price)
	case sku.Category.ResourceFamily == "Network" && sku.Category.ResourceGroup == "PremiumInternetEgress":
		p.takeEgress(sku, price)
	}
}

func (p *priceList) takeMachine(sku *cloudbilling.Sku, price *cloudbilling.PricingExpression) {
	spot := sku.Category.UsageType == "Preemptible"
	description := spotWords.ReplaceAllString(sku.Description, "")
	if sku.Category.UsageType != "OnDemand" && !spot || spot != (description != sku.Description) {
		return
	}
	what, ok := partOf(description)
	unit := "GiBy.h"
	if what.core {
		unit = "h"
	}
	if !ok || price.UsageUnit != unit || len(price.TieredRates) == 0 {
		return
	}
	amount := p.money(price.TieredRates[len(price.TieredRates)-1].UnitPrice)
	if amount <= 0 {
		return
	}
	for _, region := range sku.ServiceRegions {
		key := rateKey{region: region, family: what.family, custom: what.custom, spot: spot}
		r := p.rates[key]
		if what.core {
			r.CPU = max(r.CPU, amount)
		} else {
			r.GiB = max(r.GiB, amount)
		}
		p.rates[key] = r
	}
}

// takeEgress keeps, of the prices to the world's parts, the lowest of a region, which most parts share; and of its tiers the first
// that costs something, which is the dearest.
func (p *priceList) takeEgress(sku *cloudbilling.Sku, price *cloudbilling.PricingExpression) {
	if price.UsageUnit != "GiBy" {
		return
	}
	for _, tier := range price.TieredRates {
		amount := p.money(tier.UnitPrice)
		if amount <= 0 {
			continue
		}
		for _, region := range sku.ServiceRegions {
			if was, ok := p.egress[region]; !ok || amount < was {
				p.egress[region] = amount
			}
		}
		return
	}
}

// money is an amount in the list's currency; zero in another.
func (p *priceList) money(m *cloudbilling.Money) float64 {
	if m == nil || m.CurrencyCode != p.currency {
		return 0
	}
	return float64(m.Units) + float64(m.Nanos)/1e9
}
