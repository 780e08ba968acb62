package simulatedcloud

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws/awstest"
	awsfacts "kubefed.dev/kubefed/pkg/cloud/aws/facts"
	"kubefed.dev/kubefed/pkg/cloud/config"
	gcpfacts "kubefed.dev/kubefed/pkg/cloud/gcp/facts"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gcptest"
	"kubefed.dev/kubefed/pkg/cloud/static"
)

// asker is what the control plane asks with.
type asker interface {
	cloud.Regions
	cloud.Prices
}

// clouds are served, and asked as a federation asks them.
func clouds(t *testing.T) (dir string, change func(func(*State)), aws, gcp, site asker) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"} {
		t.Setenv(name, "not-mine")
	}
	dir = t.TempDir()
	w := &world{dir: dir, aws: awstest.New(), gcp: gcptest.New(project)}
	w.gcp.AllowAnonymous()
	one, two := httptest.NewServer(w.current(w.aws)), httptest.NewServer(w.current(w.gcp))
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	state := &State{AWS: strings.TrimPrefix(one.URL, "http://"), GCP: strings.TrimPrefix(two.URL, "http://"), Clusters: []Cluster{
		{Name: "gondor", Provider: "aws", Region: "us-east-1", Zones: []string{"us-east-1a", "us-east-1b"}},
		{Name: "rohan", Provider: "gcp", Region: "europe-west1", Zones: []string{"europe-west1-b", "europe-west1-c"}},
		{Name: "shire", Provider: "on-premises", Region: "shire", Zones: []string{"shire"}},
	}}
	change = func(f func(*State)) {
		t.Helper()
		f(state)
		if err := state.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	change(func(*State) {})
	c, err := config.Load(ConfigFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	account := func(name string) config.Account {
		a, has := c.Account(name)
		if !has {
			t.Fatalf("%s has no account %s", ConfigFile(dir), name)
		}
		return a
	}
	ofAWS, err := awsfacts.New(t.Context(), account("aws"))
	if err != nil {
		t.Fatal(err)
	}
	ofGCP, err := gcpfacts.New(t.Context(), account("gcp"))
	if err != nil {
		t.Fatal(err)
	}
	sites, err := static.Open(ConfigFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	return dir, change, ofAWS, ofGCP, sites.Provider("on-premises")
}

func states(t *testing.T, of cloud.Regions, region string) map[string]cloud.ZoneState {
	t.Helper()
	zones, err := of.Zones(t.Context(), region)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]cloud.ZoneState{}
	for _, z := range zones {
		found[z.Name] = z.State
	}
	return found
}

func TestZonesFailOnCommand(t *testing.T) {
	_, change, aws, gcp, site := clouds(t)
	for region, of := range map[string]cloud.Regions{"us-east-1": aws, "europe-west1": gcp, "shire": site} {
		for name, state := range states(t, of, region) {
			if state != cloud.ZoneAvailable {
				t.Errorf("zone %s is %s", name, state)
			}
		}
	}
	change(func(s *State) {
		for name, state := range map[string]cloud.ZoneState{"us-east-1a": cloud.ZoneImpaired, "europe-west1-c": cloud.ZoneImpaired, "europe-west1-b": cloud.ZoneUnavailable, "shire": cloud.ZoneUnavailable} {
			if err := s.SetZone(name, state); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SetZone("moria", cloud.ZoneImpaired); err == nil {
			t.Error("there is no zone moria")
		}
	})
	for region, k := range map[string]struct {
		of   cloud.Regions
		want map[string]cloud.ZoneState
	}{
		"us-east-1":    {aws, map[string]cloud.ZoneState{"us-east-1a": cloud.ZoneImpaired, "us-east-1b": cloud.ZoneAvailable}},
		"europe-west1": {gcp, map[string]cloud.ZoneState{"europe-west1-b": cloud.ZoneUnavailable, "europe-west1-c": cloud.ZoneImpaired}},
		"shire":        {site, map[string]cloud.ZoneState{"shire": cloud.ZoneUnavailable}},
	} {
		if diff := cmp.Diff(k.want, states(t, k.of, region)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", region, diff)
		}
	}
	change(func(s *State) {
		if err := s.SetZone("us-east-1a", cloud.ZoneAvailable); err != nil {
			t.Fatal(err)
		}
	})
	if got := states(t, aws, "us-east-1")["us-east-1a"]; got != cloud.ZoneAvailable {
		t.Errorf("healed, and %s", got)
	}
}

func TestCredentialsAreRevokedOnCommand(t *testing.T) {
	dir, change, aws, gcp, _ := clouds(t)
	for account, of := range map[string]cloud.Regions{"aws": aws, "gcp": gcp} {
		region := map[string]string{"aws": "us-east-1", "gcp": "europe-west1"}[account]
		revoke := func(revoked bool) {
			change(func(s *State) {
				if err := s.SetRevoked(account, revoked); err != nil {
					t.Fatal(err)
				}
			})
		}
		states(t, of, region)
		revoke(true)
		if _, err := of.Zones(t.Context(), region); err == nil || cloud.KindOf(err) != cloud.Denied {
			t.Errorf("%s: %v, want Denied", account, err)
		}
		revoke(false)
		states(t, of, region)
	}
	loaded, err := Load(dir)
	if err != nil || loaded.SetRevoked("azure", true) == nil || len(loaded.Revoked) > 0 {
		t.Errorf("%+v, %v", loaded, err)
	}
}

// TestPricesMoveOnCommand: who asks anew sees other prices. Clients keep prices for a time of their own, so each time is a new one.
func TestPricesMoveOnCommand(t *testing.T) {
	dir, change, _, _, site := clouds(t)
	ask := func() map[string]float64 {
		c, err := config.Load(ConfigFile(dir))
		if err != nil {
			t.Fatal(err)
		}
		aws, err := awsfacts.New(t.Context(), c.Accounts[0])
		if err != nil {
			t.Fatal(err)
		}
		gcp, err := gcpfacts.New(t.Context(), c.Accounts[1])
		if err != nil {
			t.Fatal(err)
		}
		hours := map[string]float64{}
		for _, k := range []struct {
			of     cloud.Prices
			region string
			m      cloud.Machine
		}{
			{aws, "us-east-1", cloud.Machine{Type: awsMachine, Zone: "us-east-1a"}}, {aws, "us-east-1", cloud.Machine{Type: awsMachine, Zone: "us-east-1a", Spot: true}},
			{gcp, "europe-west1", cloud.Machine{Type: "n2-standard-16", Zone: "europe-west1-b"}}, {site, "shire", cloud.Machine{Type: "local", Zone: "shire"}},
		} {
			found, err := k.of.Machines(t.Context(), k.region, []cloud.Machine{k.m})
			if err != nil {
				t.Fatal(err)
			}
			p, known := found[k.m]
			if !known || p.Source != "api" && p.Source != "file" {
				t.Fatalf("%+v: %+v", k.m, found)
			}
			name := k.m.Type
			if k.m.Spot {
				name += " spot"
			}
			hours[name] = p.Hour
		}
		return hours
	}
	before := ask()
	change(func(s *State) {
		for _, cluster := range []string{"gondor", "rohan", "shire"} {
			if err := s.SetPrice(cluster, 3); err != nil {
				t.Fatal(err)
			}
		}
		if s.SetPrice("mordor", 2) == nil || s.SetPrice("gondor", 0) == nil || s.SetPrice("gondor", -1) == nil {
			t.Error("there is no such price")
		}
	})
	for name, hour := range ask() {
		if ratio := hour / before[name]; ratio < 2.99 || ratio > 3.01 {
			t.Errorf("%s costs %g, before %g", name, hour, before[name])
		}
	}
}

func TestRows(t *testing.T) {
	s := &State{Clusters: []Cluster{{Name: "gondor", Provider: "aws", Region: "r", Zones: []string{"a", "b"}}, {Name: "shire", Provider: "x", Region: "y", Zones: []string{"z"}}}}
	for _, err := range []error{s.SetZone("b", cloud.ZoneImpaired), s.SetPrice("gondor", 2), s.SetRevoked("aws", true)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []Row{
		{Cluster: "gondor", Provider: "aws", Region: "r", Zone: "a", State: cloud.ZoneAvailable, Factor: 2, Refused: true},
		{Cluster: "gondor", Provider: "aws", Region: "r", Zone: "b", State: cloud.ZoneImpaired, Factor: 2, Refused: true},
		{Cluster: "shire", Provider: "x", Region: "y", Zone: "z", State: cloud.ZoneAvailable, Factor: 1},
	}
	if diff := cmp.Diff(want, s.Rows()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if Exists(t.TempDir()) || ConfigFile("d") != filepath.Join("d", "clouds.yaml") {
		t.Error("files")
	}
}
