package facts

import (
	"context"
	"errors"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kubefed.dev/kubefed/pkg/cloud"
)

func TestShapeOf(t *testing.T) {
	for text, want := range map[string]shape{
		"n2-standard-4":          {family: "n2", cpus: 4, billed: 4, gib: 16},
		"n2-highmem-128":         {family: "n2", cpus: 128, billed: 128, gib: 864},
		"n1-standard-1":          {family: "n1", cpus: 1, billed: 1, gib: 3.75},
		"n2d-highcpu-224":        {family: "n2d", cpus: 224, billed: 224, gib: 224},
		"e2-medium":              {family: "e2", cpus: 2, billed: 1, gib: 4},
		"c4-standard-2":          {family: "c4", cpus: 2, billed: 2, gib: 7},
		"e2-custom-4-8192":       {family: "e2", custom: true, cpus: 4, billed: 4, gib: 8},
		"e2-custom-small-2048":   {family: "e2", custom: true, cpus: 2, billed: 0.5, gib: 2},
		"custom-2-5120":          {family: "n1", custom: true, cpus: 2, billed: 2, gib: 5},
		"n1-custom-2-5120":       {family: "n1", custom: true, cpus: 2, billed: 2, gib: 5},
		"n2-custom-2-16384-ext":  {},
		"n2-custom-small-2048":   {},
		"c3-standard-4-lssd":     {},
		"a2-highgpu-1g":          {},
		"n2-highgpu-4":           {},
		"t2d-highmem-4":          {},
		"m7i.large":              {},
		"":                       {},
		"n2-standard-0":          {},
		"n2-standard-9999999999": {},
	} {
		got, ok := shapeOf(text)
		if ok != (want != shape{}) || ok && got != want {
			t.Errorf("%q is %+v, %v", text, got, ok)
		}
	}
}

func TestShapesAreOfMachinesThatCanBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-z][0-9][a-z]?-)?(standard|highmem|highcpu|custom|micro|medium)(-([0-9]{1,4}|small|medium))?(-[0-9]{1,8})?(-ext)?`).Draw(t, "type")
		s, ok := shapeOf(text)
		if ok && (s.cpus <= 0 || s.billed <= 0 || s.billed > s.cpus || s.gib <= 0 || ratios[s.family] == nil) {
			t.Errorf("%q is %+v", text, s)
		}
	})
}

func TestPartOf(t *testing.T) {
	for text, want := range map[string]part{
		"N2 Instance Core running in Americas":                {"n2", false, true},
		"N1 Predefined Instance Ram running in Netherlands":   {"n1", false, false},
		"N2D AMD Custom Instance Core running in Frankfurt":   {"n2d", true, true},
		"C4A Arm Instance Ram running in Salt Lake City":      {"c4a", false, false},
		"Compute optimized Core running in Japan":             {"c2", false, true},
		"Custom Instance Ram running in Americas":             {"n1", true, false},
		"N2 Custom Extended Instance Ram running in Americas": {},
		"N2 Sole Tenancy Instance Core running in Americas":   {},
		"Commitment v1: N2 Cpu in Americas for 1 Year":        {},
		"Nvidia L4 GPU running in Americas":                   {},
		"Memory-optimized Instance Core running in Americas":  {},
	} {
		if got, ok := partOf(text); ok != (want != part{}) || got != want {
			t.Errorf("%q is %+v, %v", text, got, ok)
		}
	}
}

func TestServicesOf(t *testing.T) {
	service := func(name string) *string { return &name }
	rules := func(fallback string, services ...string) *computepb.PathMatcher {
		m := &computepb.PathMatcher{DefaultService: service(fallback)}
		for _, s := range services {
			m.PathRules = append(m.PathRules, &computepb.PathRule{Service: service(s)})
		}
		return m
	}
	for name, c := range map[string]struct {
		urls *computepb.UrlMap
		want []string
	}{
		"nothing":                    {&computepb.UrlMap{}, nil},
		"the default alone":          {&computepb.UrlMap{DefaultService: service("a")}, []string{"a"}},
		"not the one for the rest":   {&computepb.UrlMap{DefaultService: service("404"), PathMatchers: []*computepb.PathMatcher{rules("404", "b", "a", "b")}}, []string{"a", "b"}},
		"unless a rule names it too": {&computepb.UrlMap{DefaultService: service("a"), PathMatchers: []*computepb.PathMatcher{rules("c", "a")}}, []string{"a", "c"}},
		"by weight": {&computepb.UrlMap{PathMatchers: []*computepb.PathMatcher{{RouteRules: []*computepb.HttpRouteRule{{RouteAction: &computepb.HttpRouteAction{
			WeightedBackendServices: []*computepb.WeightedBackendService{{BackendService: service("new")}, {BackendService: service("old")}}}}}}}}, []string{"new", "old"}},
	} {
		if diff := cmp.Diff(c.want, servicesOf(c.urls)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestPriceListIsKeptForADayAndErrorsAreToldAfterwards(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var reads int
	var fails error
	c := newCatalogue(func(context.Context) (*priceList, error) {
		reads++
		return newPriceList(now, "api"), fails
	})
	c.now = func() time.Time { return now }
	get := func(wantReads int, wantErr error, wantSource string) {
		t.Helper()
		list, err := c.get(t.Context())
		if reads != wantReads || !errors.Is(err, wantErr) || err == nil && list.source != wantSource {
			t.Errorf("%d reads, %v, %+v", reads, err, list)
		}
	}
	down := &cloud.Error{Kind: cloud.Unavailable}
	fails = down
	get(1, nil, snapshot().source)
	get(1, nil, snapshot().source)
	now, fails = now.Add(pause), nil
	get(2, nil, "api")
	now, fails = now.Add(fresh-time.Second), down
	get(2, nil, "api")
	now = now.Add(time.Second)
	get(3, down, "")
	get(3, down, "")
	now, fails = now.Add(pause), nil
	get(4, nil, "api")
}

func TestSnapshotIsComplete(t *testing.T) {
	list, err := readSnapshot(snapshotData)
	if err != nil || len(list.rates) == 0 || len(list.egress) == 0 {
		t.Fatal(list, err)
	}
	for key, r := range list.rates {
		if r.CPU <= 0 || r.GiB <= 0 || r.GiB > r.CPU || r.CPU > 0.2 {
			t.Errorf("%+v: %+v", key, r)
		}
		base := list.rates[rateKey{region: key.region, family: key.family}]
		if key.spot && (base.CPU <= r.CPU || base.GiB <= r.GiB) {
			t.Errorf("%+v is no cheaper on spot: %+v, %+v", key, r, base)
		}
	}
}
