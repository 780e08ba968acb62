package facts

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/aws/awstest"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/permissions"
)

const (
	region = "us-east-1"
	secret = "a/secret+key"
)

// simulate is an account with something of everything, and Facts of it that have a clock of their own.
func simulate(t *testing.T) (*awstest.Cloud, *Facts, func(time.Duration)) {
	t.Helper()
	c := awstest.New()
	c.SetKey(awstest.Key{ID: "AKID", Secret: secret, ARN: "arn:aws:iam::123456789012:user/ops"})
	c.SetPage(2)
	for i, name := range []string{"a", "b", "c"} {
		c.SetZone(region, awstest.Zone{Name: region + name, ID: fmt.Sprintf("use1-az%d", i+1)})
		c.SetSpot(region, "m7i.large", region+name, 0.03+0.01*float64(i))
	}
	c.SetMachine(region, awstest.Machine{Type: "m7i.large", CPUs: 2, GiB: 8, Hour: 0.11})
	c.SetMachine(region, awstest.Machine{Type: "x9.huge", CPUs: 128, GiB: 4096, Hour: 30})
	c.SetMachine("eu-west-1", awstest.Machine{Type: "m7i.large", CPUs: 2, GiB: 8, Hour: 0.13})
	c.SetEgress(region, 0.08)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	f := of(session(t, server.URL))
	ahead := time.Duration(0)
	f.now = func() time.Time { return start.Add(ahead) }
	t.Cleanup(func() {
		for _, asked := range c.Operations() {
			if !slices.ContainsFunc(permissions.Of(config.AWS), func(p permissions.Permission) bool { return p.Name == asked }) {
				t.Errorf("%s is asked for, and no permission that is listed", asked)
			}
		}
	})
	return c, f, func(d time.Duration) { ahead += d }
}

// session is one with the key, where the environment has others.
func session(t *testing.T, url string) *aws.Session {
	t.Helper()
	for name, v := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIAHOSTILE", "AWS_SECRET_ACCESS_KEY": "hostile", "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
		"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_PRICING": "http://127.0.0.1:1", "AWS_REGION": "hostile-1"} {
		t.Setenv(name, v)
	}
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = AKID\naws_secret_access_key = "+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := aws.Open(t.Context(), config.Account{Name: "prod", Provider: config.AWS, Endpoints: map[string]string{"*": url}, RequestsPerSecond: 1000,
		Credentials: []config.Credentials{{Static: &config.StaticCredentials{File: file}}}}, aws.Patience(30*time.Second, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var start = time.Now()

func TestZones(t *testing.T) {
	c, f, _ := simulate(t)
	c.SetZone(region, awstest.Zone{Name: region + "b", ID: "use1-az2", State: "impaired", Messages: []string{"We are investigating", "power"}})
	c.SetZone(region, awstest.Zone{Name: region + "c", ID: "use1-az3", State: "information", Messages: []string{"a notice"}})
	c.SetZone(region, awstest.Zone{Name: region + "d", ID: "use1-az4", State: "constrained"})
	c.SetZone(region, awstest.Zone{Name: region + "e", ID: "use1-az5", State: "unavailable"})
	c.SetZone(region, awstest.Zone{Name: region + "f", ID: "use1-az6", State: "something new"})
	got, err := f.Zones(t.Context(), region)
	if err != nil {
		t.Fatal(err)
	}
	want := []cloud.Zone{
		{Name: "us-east-1a", ID: "use1-az1", State: cloud.ZoneAvailable},
		{Name: "us-east-1b", ID: "use1-az2", State: cloud.ZoneImpaired, Message: "We are investigating; power"},
		{Name: "us-east-1c", ID: "use1-az3", State: cloud.ZoneAvailable, Message: "a notice"},
		{Name: "us-east-1d", ID: "use1-az4", State: cloud.ZoneImpaired},
		{Name: "us-east-1e", ID: "use1-az5", State: cloud.ZoneUnavailable},
		{Name: "us-east-1f", ID: "use1-az6", State: cloud.ZoneUnknown},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c.SetRegion(region, "impaired", "the region")
	if got, err = f.Zones(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	for _, z := range got {
		if z.State != cloud.ZoneImpaired || z.Message != "the region" {
			t.Errorf("%+v", z)
		}
	}
	if got, err := f.Zones(t.Context(), "eu-west-9"); err == nil {
		t.Errorf("a region without zones: %v", got)
	}
}

func TestMachines(t *testing.T) {
	c, f, pass := simulate(t)
	on := cloud.Machine{Type: "m7i.large", Zone: "us-east-1a"}
	spotA, spotC := on, on
	spotA.Spot, spotC.Spot, spotC.Zone = true, true, "us-east-1c"
	none, noZone := cloud.Machine{Type: "z1.none", Zone: "us-east-1a"}, spotA
	noZone.Zone = "us-east-1z"
	all := []cloud.Machine{on, spotA, spotC, none, noZone, {}}
	price := func(hour float64, ahead time.Duration) cloud.Price {
		return cloud.Price{Currency: "USD", Hour: hour, CPUs: 2, GiB: 8, At: start.Add(ahead), Source: "api"}
	}
	read := func(want map[cloud.Machine]cloud.Price, partial bool) {
		t.Helper()
		got, err := f.Machines(t.Context(), region, all)
		if cloud.IsPartial(err) != partial || err != nil && !partial {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	read(map[cloud.Machine]cloud.Price{on: price(0.11, 0), spotA: price(0.03, 0), spotC: price(0.05, 0)}, false)
	c.SetSpot(region, "m7i.large", "us-east-1a", 0.09)
	c.SetMachine(region, awstest.Machine{Type: "m7i.large", CPUs: 2, GiB: 8, Hour: 0.12})
	pass(time.Minute)
	read(map[cloud.Machine]cloud.Price{on: price(0.11, 0), spotA: price(0.03, 0), spotC: price(0.05, 0)}, false)
	pass(time.Hour)
	hour := time.Hour + time.Minute
	read(map[cloud.Machine]cloud.Price{on: price(0.11, 0), spotA: price(0.09, hour), spotC: price(0.05, hour)}, false)
	c.Break(awstest.Fault{Kind: awstest.Down})
	pass(48 * time.Hour)
	read(map[cloud.Machine]cloud.Price{on: price(0.11, 0), spotA: price(0.09, hour), spotC: price(0.05, hour)}, true)
	c.Heal()
	pass(time.Second)
	if got, err := f.Machines(t.Context(), region, []cloud.Machine{on}); err != nil || got[on].Hour != 0.12 {
		t.Errorf("%v, %v", got, err)
	}
	large := cloud.Machine{Type: "x9.huge"}
	if got, err := f.Machines(t.Context(), region, []cloud.Machine{large}); err != nil || got[large].GiB != 4096 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := f.Machines(t.Context(), "eu-west-1", []cloud.Machine{on}); err != nil || got[on].Hour != 0.13 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSnapshotUntilThePriceListAnswers(t *testing.T) {
	c, f, _ := simulate(t)
	c.Break(awstest.Fault{Kind: awstest.Deny, Family: "pricing"})
	on := cloud.Machine{Type: "m7i.large", Zone: "us-east-1a"}
	onSpot := cloud.Machine{Type: "m7i.large", Zone: "us-east-1a", Spot: true}
	got, err := f.Machines(t.Context(), region, []cloud.Machine{on, onSpot, {Type: "x9.huge"}, {Type: "c5.large"}})
	if !cloud.IsPartial(err) || cloud.KindOf(err) != cloud.Denied || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	at := time.Date(2026, 2, 9, 0, 0, 0, 0, time.UTC)
	want := cloud.Price{Currency: "USD", Hour: 0.1008, CPUs: 2, GiB: 8, At: at, Source: "snapshot 2026-02-09"}
	if diff := cmp.Diff(want, got[on]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if p := got[onSpot]; p.Hour != 0.03 || p.Source != "api" {
		t.Errorf("%+v", p)
	}
	if n := c.Calls("pricing:GetProducts"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	want.Source += " (us-east-1)"
	if got, err := f.Machines(t.Context(), "sa-east-1", []cloud.Machine{on}); !cloud.IsPartial(err) || !cmp.Equal(want, got[on]) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := f.Machines(t.Context(), region, []cloud.Machine{{Type: "x9.huge"}}); cloud.KindOf(err) != cloud.Denied || cloud.IsPartial(err) || len(got) != 0 ||
		!strings.Contains(err.Error(), "allow pricing:GetProducts") {
		t.Errorf("%v, %v", got, err)
	}
	if currency, price, err := f.Egress(t.Context(), region); !cloud.IsPartial(err) || currency != "USD" || price != 0.09 {
		t.Errorf("%s %v, %v", currency, price, err)
	}
	if _, _, err := f.Egress(t.Context(), "af-south-1"); cloud.KindOf(err) != cloud.Denied || cloud.IsPartial(err) {
		t.Error(err)
	}
	c.Heal()
	if got, err := f.Machines(t.Context(), region, []cloud.Machine{on}); err != nil || got[on].Source != "api" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSnapshotIsSound(t *testing.T) {
	o, err := parse(snapshotText)
	if err != nil || len(o.machines) < 20 || len(o.machines) > 40 || o.region == "" || o.at.IsZero() {
		t.Fatalf("%d machines, %v", len(o.machines), err)
	}
	for name, p := range o.machines {
		// No machine of these families is far from these prices.
		if cpu := p.Hour / (p.CPUs + p.GiB/7.5); !(cpu > 0.01 && cpu < 0.06) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for _, bad := range []string{"machine m5.large 2 8", "date yesterday region x", "price x 1"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestEgress(t *testing.T) {
	c, f, pass := simulate(t)
	for i := range 2 {
		if currency, price, err := f.Egress(t.Context(), region); err != nil || currency != "USD" || price != 0.08 || c.Calls("pricing:GetProducts") != 1 {
			t.Errorf("%d: %s %v, %v", i, currency, price, err)
		}
	}
	if _, _, err := f.Egress(t.Context(), "eu-west-1"); cloud.KindOf(err) != cloud.NotFound {
		t.Error(err)
	}
	pass(48 * time.Hour)
	c.Break(awstest.Fault{Kind: awstest.Reset})
	if _, price, err := f.Egress(t.Context(), region); !cloud.IsPartial(err) || price != 0.08 {
		t.Error(price, err)
	}
}

func TestBalancers(t *testing.T) {
	c, f, _ := simulate(t)
	targets := map[string]string{"i-1": "healthy", "i-2": "unhealthy", "i-3": "draining", "i-4": "unused", "i-5": "initial", "i-6": "unavailable"}
	c.SetBalancer(region, awstest.Balancer{Name: "shop", Addresses: []string{"192.0.2.1", "2001:db8::1"}, AliasZone: "Z1",
		Groups: map[string]map[string]string{"http": targets, "https": {"i-1": "healthy"}, "quic": {}}})
	for i := range 5 {
		c.SetBalancer(region, awstest.Balancer{Name: fmt.Sprint("other-", i), Type: "application", Groups: map[string]map[string]string{"http": {"i-1": "healthy"}}})
	}
	const host = "shop-0123456789abcdef.elb.us-east-1.amazonaws.com"
	want := cloud.Balancer{Hostname: host, Addresses: []string{"192.0.2.1", "2001:db8::1"}, AliasZone: "Z1", Healthy: 2, Targets: 4}
	for _, name := range []string{host, "dualstack." + strings.ToUpper(host) + ".", "192.0.2.1", "2001:db8:0::1"} {
		got, err := f.Find(t.Context(), region, []string{name, "elsewhere.example"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]cloud.Balancer{want}, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	c.SetTarget(region, "shop", "http", "i-2", "healthy")
	c.SetTarget(region, "shop", "http", "i-5", "")
	if got, err := f.Find(t.Context(), region, []string{host, "other-3-0123456789.us-east-1.elb.amazonaws.com"}); err != nil || len(got) != 2 || got[1].Healthy != 3 || got[1].Targets != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := f.Find(t.Context(), "eu-west-1", []string{host}); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if n := c.Calls("elasticloadbalancing:DescribeTargetGroups"); n != 5*2+1 {
		t.Errorf("%d calls: only those that are looked for are asked about", n)
	}
}

// TestFaults: whatever fails, and however, is an error of its kind that names the call, never an answer without content.
func TestFaults(t *testing.T) {
	c, f, _ := simulate(t)
	c.SetBalancer(region, awstest.Balancer{Name: "shop", Addresses: []string{"192.0.2.1"}, Groups: map[string]map[string]string{"http": {"i-1": "healthy"}}})
	asked := map[string]func() error{
		"ec2:DescribeAvailabilityZones": func() error { _, err := f.Zones(t.Context(), region); return err },
		"ec2:DescribeSpotPriceHistory": func() error {
			f.spots = map[spotKey]spot{}
			_, err := f.Machines(t.Context(), region, []cloud.Machine{{Type: "x9.huge", Spot: true, Zone: "us-east-1a"}})
			return err
		},
		"pricing:GetProducts": func() error {
			f.offers = map[offerKey]offer{}
			_, err := f.Machines(t.Context(), region, []cloud.Machine{{Type: "x9.huge"}})
			return err
		},
		"elasticloadbalancing:DescribeLoadBalancers": func() error { _, err := f.Find(t.Context(), region, []string{"192.0.2.1"}); return err },
		"elasticloadbalancing:DescribeTargetGroups":  func() error { _, err := f.Find(t.Context(), region, []string{"192.0.2.1"}); return err },
		"elasticloadbalancing:DescribeTargetHealth":  func() error { _, err := f.Find(t.Context(), region, []string{"192.0.2.1"}); return err },
	}
	for kind, want := range map[awstest.FaultKind]cloud.ErrorKind{awstest.Deny: cloud.Denied, awstest.Throttle: cloud.Throttled, awstest.Down: cloud.Unavailable,
		awstest.Reset: cloud.Unavailable, awstest.Garble: cloud.Unavailable} {
		for operation, ask := range asked {
			c.Break(awstest.Fault{Kind: kind, Operation: operation[strings.Index(operation, ":")+1:]})
			err := ask()
			if e, ok := errors.AsType[*cloud.Error](err); !ok || e.Kind != want || !strings.HasPrefix(e.Operation, operation+" ") ||
				want == cloud.Denied && !strings.Contains(e.Advice, "allow "+operation) {
				t.Errorf("%s, %s: %v", operation, kind, err)
			}
			c.Heal()
			if err := ask(); err != nil {
				t.Errorf("%s after %s: %v", operation, kind, err)
			}
		}
	}
	c.Break(awstest.Fault{Kind: awstest.Stuck})
	for operation, ask := range asked {
		single := operation == "ec2:DescribeAvailabilityZones" || operation == "ec2:DescribeSpotPriceHistory" || operation == "elasticloadbalancing:DescribeTargetHealth"
		if err := ask(); !single && (err == nil || !strings.Contains(err.Error(), "was given before")) {
			t.Errorf("%s: %v", operation, err)
		}
	}
}
