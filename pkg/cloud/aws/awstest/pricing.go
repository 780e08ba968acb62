package awstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Machine is a type of machine and its price on demand, in USD an hour.
type Machine struct {
	Type      string
	CPUs, GiB float64
	Hour      float64
}

// SetMachine adds or replaces a type of a region.
func (c *Cloud) SetMachine(regionName string, m Machine) {
	c.set(func() { c.in(regionName).machines[m.Type] = m })
}

// SetEgress is the price of a GiB that leaves a region, in USD.
func (c *Cloud) SetEgress(regionName string, perGiB float64) {
	c.set(func() { c.in(regionName).egress = perGiB })
}

// listedIn are the regions that serve the price list.
var listedIn = []string{"us-east-1", "eu-central-1", "ap-south-1", "cn-northwest-1"}

func (c *Cloud) getProducts(q *request) (any, *refusal) {
	var in struct {
		ServiceCode, FormatVersion, NextToken string
		MaxResults                            int
		Filters                               []struct{ Type, Field, Value string }
	}
	decoder := json.NewDecoder(bytes.NewReader(q.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return nil, &refusal{400, "InvalidParameterException", err.Error()}
	}
	if !slices.Contains(listedIn, q.region) {
		return nil, &refusal{400, "InvalidParameterException", "the price list is not served in " + q.region}
	}
	var rows []row
	for _, name := range slices.Sorted(maps.Keys(c.regions)) {
		rows = append(rows, c.rows(name, in.ServiceCode)...)
	}
	if in.ServiceCode != "AmazonEC2" && in.ServiceCode != "AWSDataTransfer" {
		return nil, &refusal{400, "InvalidParameterException", "The value \"" + in.ServiceCode + "\" of ServiceCode is not valid"}
	}
	products := []string{}
	for _, r := range rows {
		match := true
		for _, f := range in.Filters {
			got, known := r.attributes[f.Field]
			if f.Type != "TERM_MATCH" || !known {
				return nil, &refusal{400, "InvalidParameterException", "Input Parameters are invalid: " + f.Type + " " + f.Field}
			}
			match = match && got == f.Value
		}
		if match {
			products = append(products, r.String())
		}
	}
	page, next, refused := paged(c, q, products, in.NextToken, in.MaxResults)
	out := map[string]any{"FormatVersion": "aws_v1", "PriceList": append([]string{}, page...)}
	if next != "" {
		out["NextToken"] = next
	}
	return out, refused
}

// row of the price list.
type row struct {
	family     string
	attributes map[string]string
	unit       string
	// prices by the quantity from which they are in force.
	prices map[float64]float64
}

// rows of a region: besides what is asked for also what only differs from it by one attribute.
func (c *Cloud) rows(regionName, service string) (rows []row) {
	r := c.in(regionName)
	if service == "AWSDataTransfer" {
		if r.egress == 0 {
			return nil
		}
		for _, to := range []string{"External", "AWS Region"} {
			a := map[string]string{"fromRegionCode": regionName, "transferType": "AWS Outbound", "toLocation": to, "fromLocationType": "AWS Region"}
			prices := map[float64]float64{0: 0, 1: r.egress, 10240: r.egress * 0.9}
			if to != "External" {
				prices, a["transferType"] = map[float64]float64{0: r.egress / 4}, "InterRegion Outbound"
			}
			rows = append(rows, row{"Data Transfer", a, "GB", prices})
		}
		return rows
	}
	for _, kind := range slices.Sorted(maps.Keys(r.machines)) {
		m := r.machines[kind]
		plain := map[string]string{
			"instanceType": kind, "regionCode": regionName, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used",
			"vcpu": strconv.FormatFloat(m.CPUs, 'f', -1, 64), "memory": strconv.FormatFloat(m.GiB, 'f', -1, 64) + " GiB", "servicecode": "AmazonEC2"}
		rows = append(rows, row{"Compute Instance", plain, "Hrs", map[float64]float64{0: m.Hour}})
		for field, other := range map[string]string{"operatingSystem": "Windows", "tenancy": "Dedicated", "preInstalledSw": "SQL Std", "capacitystatus": "UnusedCapacityReservation"} {
			a := maps.Clone(plain)
			a[field] = other
			rows = append(rows, row{"Compute Instance", a, "Hrs", map[float64]float64{0: m.Hour / 2}})
		}
	}
	return rows
}

// String is the row as the API gives it: JSON within JSON.
func (r row) String() string {
	dimensions := map[string]any{}
	for from, price := range r.prices {
		dimensions[fmt.Sprintf("SKU.JRTCKXETXF.%g", from)] = map[string]any{"unit": r.unit, "beginRange": strconv.FormatFloat(from, 'f', -1, 64), "endRange": "Inf",
			"pricePerUnit": map[string]string{"USD": strconv.FormatFloat(price, 'f', 10, 64)}, "appliesTo": []string{}, "rateCode": "SKU.JRTCKXETXF"}
	}
	data, err := json.Marshal(map[string]any{
		"product":     map[string]any{"productFamily": r.family, "attributes": r.attributes, "sku": "SKU"},
		"serviceCode": r.attributes["servicecode"], "version": "20260101000000", "publicationDate": "2026-01-01T00:00:00Z",
		"terms": map[string]any{"OnDemand": map[string]any{"SKU.JRTCKXETXF": map[string]any{"priceDimensions": dimensions, "sku": "SKU", "offerTermCode": "JRTCKXETXF",
			"effectiveDate": "2026-01-01T00:00:00Z", "termAttributes": map[string]string{}}}},
	})
	if err != nil {
		return "{}"
	}
	return string(data)
}
