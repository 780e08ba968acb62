package gcptest

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// SKU is one line of the catalog of Cloud Billing, in US dollars.
type SKU struct {
	Description string
	// Family, Group and Usage are such as "Compute", "CPU", "OnDemand".
	Family, Group, Usage string
	Regions              []string
	// Unit is such as "h" or "GiBy.h".
	Unit  string
	Tiers []Tier
}

// Tier is a price from an amount on.
type Tier struct{ From, Price float64 }

// SetSKU makes a SKU or changes it; the description and its regions are its key.
func (s *Server) SetSKU(sku SKU) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skus[sku.Description+"|"+strings.Join(sku.Regions, ",")] = sku
}

// words are how the catalog calls families.
var words = map[string]string{"n1": "N1 Predefined Instance", "n2d": "N2D AMD Instance", "t2d": "T2D AMD Instance", "c2d": "C2D AMD Instance",
	"t2a": "T2A Arm Instance", "c4a": "C4A Arm Instance", "c2": "Compute optimized"}

// SetPrice sets what a vCPU and a GiB of memory of a family of machines cost for an hour in a region.
func (s *Server) SetPrice(region, family string, spot bool, cpu, gib float64) {
	word := words[family]
	if word == "" {
		word = strings.ToUpper(family) + " Instance"
	}
	usage := "OnDemand"
	if spot {
		word, usage = "Spot Preemptible "+word, "Preemptible"
	}
	s.SetSKU(SKU{Description: word + " Core running in " + region, Family: "Compute", Group: "CPU", Usage: usage, Regions: []string{region}, Unit: "h", Tiers: []Tier{{Price: cpu}}})
	s.SetSKU(SKU{Description: word + " Ram running in " + region, Family: "Compute", Group: "RAM", Usage: usage, Regions: []string{region}, Unit: "GiBy.h", Tiers: []Tier{{Price: gib}}})
}

// SetEgress sets what a GiB costs that leaves a region for the internet; the first of a month is free.
func (s *Server) SetEgress(region string, gib float64) {
	s.SetSKU(SKU{Description: "Network Internet Data Transfer Out from " + region + " to Americas", Family: "Network", Group: "PremiumInternetEgress",
		Usage: "OnDemand", Regions: []string{region}, Unit: "GiBy", Tiers: []Tier{{Price: 0}, {From: 1, Price: gib}}})
}

var billingRoutes = []route{
	on(http.MethodGet, "/v1/services/{service}/skus", "cloudbilling.skus.list", (*Server).listSKUs),
}

func (s *Server) listSKUs(r *http.Request, parts []string) reply {
	if parts[0] != "6F81-5844-456A" {
		return notFound("Service services/%s not found.", parts[0])
	}
	if c := r.URL.Query().Get("currencyCode"); c != "" && c != "USD" {
		return reply{refusal: Refusal{Status: http.StatusBadRequest, Code: "INVALID_ARGUMENT", Message: "Request contains an invalid argument."}}
	}
	if size, err := strconv.Atoi(r.URL.Query().Get("pageSize")); err == nil && size > 5000 {
		return reply{refusal: Refusal{Status: http.StatusBadRequest, Code: "INVALID_ARGUMENT", Message: "Page size is too large."}}
	}
	ids := slices.Sorted(maps.Keys(s.skus))
	from, to, next, refusal := s.cut(r, "pageSize", len(ids))
	if refusal.Status != 0 {
		return reply{refusal: refusal}
	}
	out := []any{}
	for _, id := range ids[from:to] {
		out = append(out, s.skus[id].wire())
	}
	return reply{body: map[string]any{"skus": out, "nextPageToken": next}}
}

func (k SKU) wire() map[string]any {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(k.Description + strings.Join(k.Regions, ",")))
	hex := fmt.Sprintf("%012X", sum.Sum64()&(1<<48-1))
	id := hex[:4] + "-" + hex[4:8] + "-" + hex[8:]
	var tiers []any
	for _, t := range k.Tiers {
		units, part := math.Modf(t.Price)
		tiers = append(tiers, map[string]any{"startUsageAmount": t.From,
			"unitPrice": map[string]any{"currencyCode": "USD", "units": strconv.FormatFloat(units, 'f', 0, 64), "nanos": int(math.Round(part * 1e9))}})
	}
	return map[string]any{"name": "services/6F81-5844-456A/skus/" + id, "skuId": id, "description": k.Description, "serviceRegions": k.Regions,
		"category":            map[string]any{"serviceDisplayName": "Compute Engine", "resourceFamily": k.Family, "resourceGroup": k.Group, "usageType": k.Usage},
		"serviceProviderName": "Google", "geoTaxonomy": map[string]any{"type": "REGIONAL", "regions": k.Regions},
		"pricingInfo": []any{map[string]any{"summary": "", "currencyConversionRate": 1, "effectiveTime": "2026-11-01T00:00:00Z",
			"pricingExpression": map[string]any{"usageUnit": k.Unit, "displayQuantity": 1, "baseUnitConversionFactor": 3600, "tieredRates": tiers}}}}
}
