package facts_test

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp/facts"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gcptest"
)

const region = "europe-west4"

func start(t *testing.T) (*gcptest.Server, *facts.Facts) {
	t.Helper()
	s := gcptest.New("earth-1")
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	key, err := s.Key("kubefed@earth-1.iam.gserviceaccount.com", h.URL)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := facts.New(t.Context(), config.Account{Name: "earth", Provider: config.GCP, Project: "earth-1", RequestsPerSecond: 1000,
		Credentials: []config.Credentials{{Static: &config.StaticCredentials{File: path}}}, Endpoints: map[string]string{"*": h.URL}})
	if err != nil {
		t.Fatal(err)
	}
	s.AddRegion(region, "europe-west4-a", "europe-west4-b", "europe-west4-c")
	s.AddRegion("us-central1", "us-central1-a", "us-central1-f")
	s.Page(2)
	return s, f
}

func TestZones(t *testing.T) {
	s, f := start(t)
	available := func(name string) cloud.Zone {
		return cloud.Zone{Name: name, ID: name, State: cloud.ZoneAvailable}
	}
	for name, c := range map[string]struct {
		of, status, deprecated string
		want                   cloud.Zone
		all                    bool
	}{
		"up":         {of: "europe-west4-a", status: "UP", want: available("europe-west4-a")},
		"down":       {of: "europe-west4-a", status: "DOWN", want: cloud.Zone{State: cloud.ZoneUnavailable, Message: "zone europe-west4-a is DOWN"}},
		"region":     {of: region, status: "DOWN", want: cloud.Zone{State: cloud.ZoneUnavailable, Message: "region europe-west4 is DOWN"}, all: true},
		"deprecated": {of: "europe-west4-a", status: "UP", deprecated: "DEPRECATED", want: cloud.Zone{State: cloud.ZoneAvailable, Message: "zone europe-west4-a is deprecated"}},
		"obsolete":   {of: "europe-west4-a", status: "UP", deprecated: "OBSOLETE", want: cloud.Zone{State: cloud.ZoneImpaired, Message: "zone europe-west4-a is obsolete: nothing new can be made there"}},
		"new word":   {of: "europe-west4-a", status: "WOBBLY", want: cloud.Zone{State: cloud.ZoneUnknown, Message: "zone europe-west4-a is WOBBLY"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.SetState(c.of, c.status, c.deprecated); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.SetState(c.of, "UP", ""); err != nil {
					t.Fatal(err)
				}
			}()
			want := []cloud.Zone{available("europe-west4-a"), available("europe-west4-b"), available("europe-west4-c")}
			for i := range want {
				if i == 0 || c.all {
					want[i].State, want[i].Message = c.want.State, c.want.Message
				}
			}
			got, err := f.Zones(t.Context(), region)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
	if _, err := f.Zones(t.Context(), "mars-north1"); cloud.KindOf(err) != cloud.NotFound {
		t.Error(err)
	}
	s.Deny("compute.zones.list")
	if _, err := f.Zones(t.Context(), region); cloud.KindOf(err) != cloud.Denied || !strings.Contains(err.Error(), "grant compute.zones.list, which roles/compute.viewer has") {
		t.Error(err)
	}
}

func TestTheSamePageTwiceIsAnError(t *testing.T) {
	s, f := start(t)
	for operation, ask := range map[string]func() error{
		"compute.zones.list": func() error { _, err := f.Zones(t.Context(), region); return err },
		"compute.forwardingRules.list": func() error {
			_, err := f.Find(t.Context(), region, []string{"192.0.2.1"})
			return err
		},
	} {
		s.Fail(gcptest.Fault{Operation: operation, Loop: true, Always: true})
		if err := ask(); cloud.KindOf(err) != cloud.Unavailable || !strings.Contains(err.Error(), "the same page came twice") {
			t.Errorf("%s: %v", operation, err)
		}
		s.Heal()
	}
}

// The SDK's lists do not heed the context of who asks.
func TestSlowListsEndWithTheContext(t *testing.T) {
	s, f := start(t)
	if _, err := f.Zones(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	for operation, ask := range map[string]func(context.Context) error{
		"compute.zones.list":     func(ctx context.Context) error { _, err := f.Zones(ctx, region); return err },
		"cloudbilling.skus.list": func(ctx context.Context) error { _, err := f.Machines(ctx, region, []cloud.Machine{n2}); return err },
		"compute.globalForwardingRules.list": func(ctx context.Context) error {
			_, err := f.Find(ctx, region, []string{"192.0.2.1"})
			return err
		},
	} {
		s.Fail(gcptest.Fault{Operation: operation, Delay: time.Hour, Always: true})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		err := ask(ctx)
		cancel()
		s.Heal()
		if took := time.Since(began); took > 10*time.Second || operation != "cloudbilling.skus.list" && cloud.KindOf(err) != cloud.Unavailable {
			t.Errorf("%s: %s, %v", operation, took, err)
		}
	}
}

func TestFind(t *testing.T) {
	s, f := start(t)
	s.SetBackend(gcptest.Backend{Name: "web", Region: region, Healthy: map[string]map[string]bool{"group-a": {"a1": true, "a2": false}, "group-b": {"b1": true}}})
	s.SetBackend(gcptest.Backend{Name: "pool", Region: region, Pool: true, Healthy: map[string]map[string]bool{"": {"p1": true, "p2": false}}})
	s.SetBackend(gcptest.Backend{Name: "world", Healthy: map[string]map[string]bool{"group-w": {"w1": true}}})
	s.SetBackend(gcptest.Backend{Name: "not-found", Healthy: map[string]map[string]bool{"group-n": {"n1": true}}})
	s.SetProxy(gcptest.Proxy{Name: "ingress", Default: "not-found", Paths: map[string]string{"/": "world", "/shop": "world"}})
	s.SetProxy(gcptest.Proxy{Name: "gateway", Region: region, HTTPS: true, Default: "web"})
	for _, r := range []gcptest.Rule{
		{Name: "web-80", Region: region, Address: "192.0.2.1", Port: 80, Backend: "web"},
		{Name: "web-443", Region: region, Address: "192.0.2.1", Port: 443, Backend: "web"},
		{Name: "pool-80", Region: region, Address: "192.0.2.2", Port: 80, Backend: "pool"},
		{Name: "far-80", Region: "us-central1", Address: "192.0.2.3", Port: 80, Backend: "far"},
		{Name: "other-80", Region: region, Address: "192.0.2.4", Port: 80, Backend: "web"},
		{Name: "world-80", Address: "192.0.2.5", Port: 80, Backend: "world"},
		{Name: "ingress-80", Address: "192.0.2.6", Port: 80, Proxy: "ingress"},
		{Name: "gateway-443", Region: region, Address: "192.0.2.8", Port: 443, Proxy: "gateway"},
		{Name: "lost-80", Address: "192.0.2.9", Port: 80, Proxy: "lost"},
		{Name: "removed-80", Region: region, Address: "192.0.2.7", Port: 80, Backend: "gone"},
	} {
		s.SetRule(r)
	}
	names := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.2.9", "lb.example.com"}
	want := []cloud.Balancer{{Addresses: []string{"192.0.2.1"}, Healthy: 2, Targets: 3}, {Addresses: []string{"192.0.2.2"}, Healthy: 1, Targets: 2},
		{Addresses: []string{"192.0.2.5"}, Healthy: 1, Targets: 1}, {Addresses: []string{"192.0.2.6"}, Healthy: 1, Targets: 1},
		{Addresses: []string{"192.0.2.7"}}, {Addresses: []string{"192.0.2.8"}, Healthy: 2, Targets: 3}, {Addresses: []string{"192.0.2.9"}}}
	got, err := f.Find(t.Context(), region, names)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if err := s.SetHealth(region, "web", false); err != nil {
		t.Fatal(err)
	}
	want[0].Healthy, want[5].Healthy = 0, 0
	got, err = f.Find(t.Context(), region, names)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	s.Fail(gcptest.Fault{Operation: "compute.regionBackendServices.get", Error: gcptest.RateLimit, Always: true})
	if _, err := f.Find(t.Context(), region, names); cloud.KindOf(err) != cloud.Throttled || !strings.Contains(err.Error(), "targets of 192.0.2.") {
		t.Error(err)
	}
}

var (
	n2   = cloud.Machine{Type: "n2-standard-4", Zone: "europe-west4-a"}
	spot = cloud.Machine{Type: "n2-standard-4", Zone: "europe-west4-a", Spot: true}
)

func TestMachinesAndEgressAreRead(t *testing.T) {
	s, f := start(t)
	s.SetPrice(region, "n2", false, 0.03, 0.004)
	s.SetPrice(region, "n2", true, 0.01, 0.001)
	s.SetPrice(region, "e2", false, 0.02, 0.003)
	s.SetPrice("us-central1", "n2", false, 9, 9)
	s.SetEgress(region, 0.12)
	for _, decoy := range []string{"Commitment v1: N2 Cpu in Netherlands for 1 Year", "N2 Sole Tenancy Instance Core running in Netherlands", "N2 Custom Extended Instance Ram running in Netherlands"} {
		s.SetSKU(gcptest.SKU{Description: decoy, Family: "Compute", Group: "CPU", Usage: "OnDemand", Regions: []string{region}, Unit: "h", Tiers: []gcptest.Tier{{Price: 100}}})
	}
	medium := cloud.Machine{Type: "e2-medium"}
	got, err := f.Machines(t.Context(), region, []cloud.Machine{n2, spot, medium, {Type: "a2-highgpu-1g"}, {Type: "n2d-standard-2"}, {}})
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for machine, want := range map[cloud.Machine]cloud.Price{
		n2:     {Currency: "USD", Hour: 4*0.03 + 16*0.004, CPUs: 4, GiB: 16, Source: "api"},
		spot:   {Currency: "USD", Hour: 4*0.01 + 16*0.001, CPUs: 4, GiB: 16, Source: "api"},
		medium: {Currency: "USD", Hour: 0.02 + 4*0.003, CPUs: 2, GiB: 4, Source: "api"},
	} {
		p := got[machine]
		if p.At.IsZero() || p.Hour-want.Hour > 1e-9 || want.Hour-p.Hour > 1e-9 {
			t.Errorf("%v: %+v", machine, p)
		}
		p.At, p.Hour = want.At, want.Hour
		if p != want {
			t.Errorf("%v: %+v", machine, p)
		}
	}
	if currency, perGiB, err := f.Egress(t.Context(), region); err != nil || currency != "USD" || perGiB != 0.12 {
		t.Error(currency, perGiB, err)
	}
	if _, _, err := f.Egress(t.Context(), "mars-north1"); cloud.KindOf(err) != cloud.NotFound {
		t.Error(err)
	}
	pages := s.Calls("cloudbilling.skus.list")
	if _, err := f.Machines(t.Context(), region, []cloud.Machine{n2}); err != nil || pages < 2 || s.Calls("cloudbilling.skus.list") != pages {
		t.Errorf("the catalog had %d pages, and was read again: %v", pages, err)
	}
}

func TestSnapshotOnlyWhereTheCatalogCannotBeReached(t *testing.T) {
	for name, c := range map[string]struct {
		fault gcptest.Fault
		kind  cloud.ErrorKind // none: the snapshot
	}{
		"unavailable": {fault: gcptest.Fault{Error: gcptest.Unavailable}},
		"throttled":   {fault: gcptest.Fault{Error: gcptest.Exhausted}},
		"looping":     {fault: gcptest.Fault{Loop: true}},
		"denied":      {fault: gcptest.Fault{Error: gcptest.Disabled("cloudbilling.googleapis.com")}, kind: cloud.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := start(t)
			c.fault.Operation, c.fault.Always = "cloudbilling.skus.list", true
			s.Fail(c.fault)
			got, err := f.Machines(t.Context(), region, []cloud.Machine{n2})
			if c.kind != "" {
				if cloud.KindOf(err) != c.kind || !strings.Contains(err.Error(), "gcloud services enable cloudbilling.googleapis.com") {
					t.Error(got, err)
				}
			} else if p := got[n2]; err != nil || !strings.HasPrefix(p.Source, "snapshot 20") || p.Hour < 0.1 || p.Hour > 1 {
				t.Error(got, err)
			}
			calls := s.Calls("cloudbilling.skus.list")
			_, _ = f.Machines(t.Context(), region, []cloud.Machine{n2})
			if s.Calls("cloudbilling.skus.list") != calls {
				t.Error("the catalog is asked again at once")
			}
		})
	}
}
