package static_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/static"
)

const file = `
sites:
- name: basement
  provider: on-premises
  region: lab
  zones: [{name: rack-1}, {name: rack-2, state: Impaired, message: cooling}]
  price: {currency: EUR, cpuHour: "0.25", gibHour: "0.125", egressGiB: "0"}
- {name: elsewhere, provider: on-premises}
- {name: rented, provider: hetzner, price: {currency: EUR, cpuHour: "1", gibHour: "0"}}
`

func TestSites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clouds.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file)
	sites, err := static.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, own := t.Context(), sites.Provider("on-premises")

	zones, err := own.Zones(ctx, "lab")
	want := []cloud.Zone{{Name: "rack-1", ID: "rack-1", State: cloud.ZoneAvailable}, {Name: "rack-2", ID: "rack-2", State: cloud.ZoneImpaired, Message: "cooling"}}
	if diff := cmp.Diff(want, zones); err != nil || diff != "" {
		t.Errorf("zones: %v (-want +got):\n%s", err, diff)
	}
	if zones, err := own.Zones(ctx, "attic"); err != nil || len(zones) != 0 {
		t.Errorf("the provider's other regions: %v, %v", zones, err)
	}

	big := cloud.Machine{Type: "r740", Zone: "rack-1"}
	prices, err := own.Machines(ctx, "lab", []cloud.Machine{big, {}})
	price := cloud.Price{Currency: "EUR", Hour: 0.375, CPUs: 1, GiB: 1, CPUHour: 0.25, GiBHour: 0.125, Source: "file"}
	if diff := cmp.Diff(map[cloud.Machine]cloud.Price{big: price, {}: price}, prices, cmpopts.IgnoreFields(cloud.Price{}, "At")); err != nil || diff != "" {
		t.Errorf("prices: %v (-want +got):\n%s", err, diff)
	}
	if prices[big].At.IsZero() {
		t.Error("nobody knows when the price was read")
	}
	if prices, err := own.Machines(ctx, "attic", []cloud.Machine{big}); err != nil || len(prices) != 0 {
		t.Errorf("prices that nobody gave: %v, %v", prices, err)
	}
	if currency, perGiB, err := own.Egress(ctx, "lab"); err != nil || currency != "EUR" || perGiB != 0 {
		t.Errorf("egress: %s %v, %v", currency, perGiB, err)
	}
	if _, _, err := sites.Provider("hetzner").Egress(ctx, "fsn1"); cloud.KindOf(err) != cloud.NotFound {
		t.Errorf("egress that nobody gave: %v", err)
	}
	if _, err := sites.Provider("azure").Zones(ctx, "westeurope"); cloud.KindOf(err) != cloud.NotFound {
		t.Errorf("a provider without a site: %v", err)
	}

	write("sites: [{name: basement, provider: on-premises, zones: [{name: rack-1, state: Unavailable}]}]")
	if zones, err := own.Zones(ctx, "lab"); err != nil || len(zones) != 1 || zones[0].State != cloud.ZoneUnavailable {
		t.Errorf("after an edit: %v, %v", zones, err)
	}
	write("sites: [{name: basement}]")
	for range 2 {
		if _, err := own.Zones(ctx, "lab"); cloud.KindOf(err) != cloud.Invalid {
			t.Errorf("of a wrong file: %v", err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := own.Zones(ctx, "lab"); cloud.KindOf(err) != cloud.Unavailable {
		t.Errorf("of no file: %v", err)
	}
	if _, err := static.Open(path); err == nil {
		t.Error("a file that is not there was opened")
	}
	write(file)
	if zones, err := own.Zones(ctx, "lab"); err != nil || len(zones) != 2 {
		t.Errorf("after it is right again: %v, %v", zones, err)
	}
}
