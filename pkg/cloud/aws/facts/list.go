package facts

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

type offerKey struct{ region, kind string }

// offer is what the price list says of a type; an hour that costs nothing means that it does not have it.
type offer struct {
	price cloud.Price
	asked time.Time
}

// list is what types cost on demand. What can't be asked for is what was last heard, or the snapshot.
func (f *Facts) list(ctx context.Context, region string, kinds []string) (map[string]offer, error) {
	out := map[string]offer{}
	var failure error
	for _, kind := range kinds {
		key := offerKey{region, kind}
		f.mu.Lock()
		held, known := f.offers[key]
		f.mu.Unlock()
		if (!known || f.now().Sub(held.asked) >= f.listLife) && failure == nil {
			var price cloud.Price
			// After one failure the others are not asked for: a slow API would take its time for each.
			if price, failure = f.readOffer(ctx, region, kind); failure == nil {
				held, known = offer{price: price, asked: f.now()}, true
				f.mu.Lock()
				f.offers[key] = held
				f.mu.Unlock()
			}
		}
		if !known {
			held.price, known = snapshot().price(region, kind)
		}
		if known {
			out[kind] = held
		}
	}
	return out, failure
}

// readOffer is zero where the list does not have the type.
func (f *Facts) readOffer(ctx context.Context, region, kind string) (cloud.Price, error) {
	var best cloud.Price
	products, err := f.products(ctx, region, kind, "AmazonEC2", map[string]string{
		"regionCode": region, "instanceType": kind, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"})
	if err != nil {
		return best, err
	}
	for _, p := range products {
		currency, hour := p.first("Hrs")
		if hour == 0 || best.Hour != 0 && best.Hour <= hour {
			continue
		}
		cpus, err := strconv.ParseFloat(p.Product.Attributes["vcpu"], 64)
		gib, err2 := gibOf(p.Product.Attributes["memory"])
		if err != nil || err2 != nil {
			continue
		}
		best = cloud.Price{Currency: currency, Hour: hour, CPUs: cpus, GiB: gib, At: f.now(), Source: sourceAPI}
	}
	return best, nil
}

// gibOf reads "1,952 GiB".
func gibOf(text string) (float64, error) {
	number, ok := strings.CutSuffix(text, " GiB")
	if !ok {
		return 0, fmt.Errorf("memory %q is not in GiB", text)
	}
	return strconv.ParseFloat(strings.ReplaceAll(number, ",", ""), 64)
}

func (f *Facts) readEgress(ctx context.Context, region string) (egress, error) {
	products, err := f.products(ctx, region, "egress", "AWSDataTransfer", map[string]string{
		"fromRegionCode": region, "transferType": "AWS Outbound", "toLocation": "External"})
	if err != nil {
		return egress{}, err
	}
	for _, p := range products {
		if currency, price := p.first("GB"); price > 0 {
			return egress{currency, price, f.now()}, nil
		}
	}
	return egress{}, &cloud.Error{Kind: cloud.NotFound, Operation: "pricing:GetProducts egress of " + region, Err: errNoPrice}
}

var errNoPrice = fmt.Errorf("the price list has none")

// products of the price list that match filters.
func (f *Facts) products(ctx context.Context, region, subject, service string, match map[string]string) ([]product, error) {
	in := &pricing.GetProductsInput{ServiceCode: &service}
	for field, v := range match {
		in.Filters = append(in.Filters, types.Filter{Field: &field, Type: types.FilterTypeTermMatch, Value: &v})
	}
	var products []product
	call := aws.Call{Family: config.FamilyPricing, Operation: "GetProducts", Subject: subject + " of " + region, Region: listRegion(region)}
	err := aws.Pages(ctx, f.session, call, func(ctx context.Context, from *string) (*string, error) {
		in.NextToken = from
		page, err := f.pricing(listRegion(region)).GetProducts(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, text := range page.PriceList {
			var p product
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				return nil, fmt.Errorf("reading the price list: %w", err)
			}
			products = append(products, p)
		}
		return page.NextToken, nil
	})
	return products, err
}

// product is a row of the price list.
type product struct {
	Product struct {
		SKU        string            `json:"sku"`
		Attributes map[string]string `json:"attributes"`
	} `json:"product"`
	Terms struct {
		OnDemand map[string]struct {
			PriceDimensions map[string]struct {
				Unit         string            `json:"unit"`
				BeginRange   string            `json:"beginRange"`
				PricePerUnit map[string]string `json:"pricePerUnit"`
			} `json:"priceDimensions"`
		} `json:"OnDemand"`
	} `json:"terms"`
}

// first price of a product on demand that is not free, the one of the smallest quantity; zero for none.
func (p product) first(unit string) (currency string, price float64) {
	from := -1.0
	for _, term := range p.Terms.OnDemand {
		for _, d := range term.PriceDimensions {
			begin, err := strconv.ParseFloat(d.BeginRange, 64)
			if d.Unit != unit || err != nil {
				continue
			}
			for named, text := range d.PricePerUnit {
				v, err := strconv.ParseFloat(text, 64)
				if err != nil || !(v > 0) || from >= 0 && (begin > from || begin == from && named != snapshotCurrency) {
					continue
				}
				from, currency, price = begin, named, v
			}
		}
	}
	return currency, price
}
