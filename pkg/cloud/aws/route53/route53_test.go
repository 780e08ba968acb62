package route53

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/cloud/aws/route53/route53test"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/dnstest"
)

const (
	testZone = "fed.example."
	secret   = "not-to-be-seen"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": secret,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	for _, name := range []string{"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// provider asks a server through the real client of the SDK.
func provider(t *testing.T, url string, zones map[string]string) *Provider {
	t.Helper()
	client, err := NewClient(t.Context(), Account{Endpoint: url, RequestsPerSecond: 10000})
	if err != nil {
		t.Fatal(err)
	}
	return New(client, Options{Federation: "earth", Zones: zones, PollInterval: time.Millisecond})
}

// start is a server with one zone, and a provider for it.
func start(t *testing.T) (*route53test.Server, *Provider, string) {
	t.Helper()
	server := route53test.New(t)
	id := server.AddZone(testZone, false)
	return server, provider(t, server.URL, map[string]string{testZone: ""}), id
}

// checking is a provider that has Route 53 ask endpoints.
func checking(t *testing.T, url string, zones map[string]string) *Provider {
	p := provider(t, url, zones)
	p.options.HealthChecks = true
	return p
}

func TestConforms(t *testing.T) {
	for name, prepare := range map[string]func(*route53test.Server){
		"plain":               func(*route53test.Server) {},
		"small pages":         func(s *route53test.Server) { s.Page(3) },
		"slow to take effect": func(s *route53test.Server) { s.Pending(2) },
	} {
		t.Run(name, func(t *testing.T) {
			server := route53test.New(t)
			server.AddZone("other.example.", false)
			server.AddZone("checked.example.", false)
			server.AddZone(testZone, true)
			server.AddZone(testZone, false)
			prepare(server)
			dnstest.Run(t, provider(t, server.URL, map[string]string{testZone: ""}), testZone)
			if n := len(server.HealthChecks()); n > 0 {
				t.Errorf("%d health checks that nobody asked for", n)
			}
			dnstest.Run(t, checking(t, server.URL, map[string]string{"checked.example.": ""}), "checked.example.")
			if n := server.Dangling(); n > 0 {
				t.Errorf("%d sets name a health check that is not there", n)
			}
		})
	}
}

func TestLives(t *testing.T) {
	server := route53test.New(t)
	id, n := "", 0
	dnstest.Lives(t, func() (dns.Provider, string) {
		n++
		server.RemoveZone(id)
		zone := fmt.Sprintf("z%d.example.", n)
		id = server.AddZone(zone, false)
		if n%2 == 0 {
			return checking(t, server.URL, map[string]string{zone: id}), zone
		}
		return provider(t, server.URL, map[string]string{zone: id}), zone
	})
}

var fence = dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}

func address(label string, data ...string) dns.RecordSet {
	return dns.RecordSet{Name: label + "." + testZone, Type: dns.A, TTL: 20, Data: data}
}

func create(sets ...dns.RecordSet) dns.Change {
	return dns.Change{Name: sets[0].Name, After: sets}
}

// failures are the kinds of what failed, by name.
func failures(r dns.Receipt) map[string]dns.ErrorKind {
	kinds := map[string]dns.ErrorKind{}
	for _, f := range r.Failed {
		kinds[f.Change.Name] = dns.KindOf(f.Err)
	}
	return kinds
}

// TestOneBadNameDoesNotStopTheOthers, and costs few calls.
func TestOneBadNameDoesNotStopTheOthers(t *testing.T) {
	tooHeavy := address("heavy", "192.0.2.1")
	tooHeavy.SetID, tooHeavy.Routing = "gondor", dns.Routing{Policy: dns.Weighted, Weight: 256}
	huge := address("huge")
	for i := range 1001 {
		huge.Data = append(huge.Data, fmt.Sprintf("10.0.%d.%d", i/256, i%256))
	}
	for _, test := range []struct {
		name  string
		bad   dns.RecordSet
		fault []route53test.Fault
		want  map[string]dns.ErrorKind
		calls int
	}{
		{"all good", address("good", "192.0.2.1"), nil, map[string]dns.ErrorKind{}, 1},
		{"there already", address("taken", "192.0.2.1"), nil, map[string]dns.ErrorKind{"taken." + testZone: dns.Conflict}, 2},
		{"a CNAME is there", address("alias", "192.0.2.1"), nil, map[string]dns.ErrorKind{"alias." + testZone: dns.Conflict}, 2},
		{"Route 53 does not take it", tooHeavy, nil, map[string]dns.ErrorKind{"heavy." + testZone: dns.Invalid}, 3},
		{"more than a call takes", huge.Canonical(), nil, map[string]dns.ErrorKind{"huge." + testZone: dns.Invalid}, 1},
		{"Route 53 does not say which", address("good", "192.0.2.1"),
			[]route53test.Fault{{Operation: "ChangeResourceRecordSets", Status: 400, Code: "InvalidChangeBatch"}}, map[string]dns.ErrorKind{}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, p, id := start(t)
			server.Put(id, "taken."+testZone, "A", 20, "192.0.2.9")
			server.Put(id, "alias."+testZone, "CNAME", 20, "elsewhere.example.")
			server.Fail(test.fault...)
			var changes []dns.Change
			for i := range 300 {
				if i == 123 {
					changes = append(changes, create(test.bad))
				}
				changes = append(changes, create(address(fmt.Sprintf("n%d", i), "192.0.2.1")))
			}
			r, err := p.Apply(t.Context(), testZone, fence, changes)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, failures(r)); diff != "" {
				t.Errorf("failed (-want +got):\n%s", diff)
			}
			if calls := server.Calls("ChangeResourceRecordSets"); calls != test.calls {
				t.Errorf("%d calls, want %d", calls, test.calls)
			}
			s, err := p.Records(t.Context(), testZone)
			if err != nil || len(s.Sets) < 303 {
				t.Errorf("%d sets, %v, want all good ones", len(s.Sets), err)
			}
			if again, err := p.Apply(t.Context(), testZone, fence, changes); err != nil || len(failures(again)) != len(test.want) {
				t.Errorf("again: %v %v", failures(again), err)
			}
		})
	}
}

// TestTwoWriters on one zone, each with its own memory of the lease: none loses an update, and a lower epoch stops.
func TestTwoWriters(t *testing.T) {
	server, one, _ := start(t)
	providers := []*Provider{one, provider(t, server.URL, map[string]string{testZone: ""})}
	var wg sync.WaitGroup
	for i, p := range providers {
		wg.Go(func() {
			for n := range 20 {
				for done := false; !done && t.Context().Err() == nil; {
					done = appendAddress(t, p, fmt.Sprintf("192.0.2.%d", 20*i+n+1))
				}
			}
		})
	}
	wg.Wait()
	s, err := one.Records(t.Context(), testZone)
	if err != nil || len(s.Sets) != 2 || len(s.Sets[1].Data)+len(s.Sets[0].Data) != 41 {
		t.Errorf("%v, %v, want 40 addresses and the lease", s.Sets, err)
	}

	taken := dns.Fence{Federation: "earth", Holder: "next", Epoch: 2}
	if _, err := providers[1].Apply(t.Context(), testZone, taken, []dns.Change{create(address("taken", "192.0.2.1"))}); err != nil {
		t.Fatal(err)
	}
	// The other one has the lease of epoch 1 in mind.
	if _, err := one.Apply(t.Context(), testZone, fence, []dns.Change{create(address("late", "192.0.2.1"))}); dns.KindOf(err) != dns.Fenced {
		t.Errorf("error %v, want one of kind Fenced", err)
	}
}

// appendAddress says whether no other writer was faster.
func appendAddress(t *testing.T, p *Provider, data string) bool {
	s, err := p.Records(t.Context(), testZone)
	if err != nil {
		t.Error(err)
		return true
	}
	c := create(address("shared", data))
	for _, set := range s.Sets {
		if set.Name == c.Name {
			c.Before = []dns.RecordSet{set}
			c.After[0] = address("shared", append(set.Data, data)...).Canonical()
		}
	}
	r, err := p.Apply(t.Context(), testZone, fence, []dns.Change{c})
	if err != nil {
		t.Error(err)
		return true
	}
	for _, kind := range failures(r) {
		if kind != dns.Conflict {
			t.Error(r.Failed)
		}
		return false
	}
	return true
}

// TestForeignForms: what another hand wrote is read in one form, and can be replaced although it is in another.
func TestForeignForms(t *testing.T) {
	server, p, id := start(t)
	server.Put(id, "*."+testZone, "A", 20, "192.0.2.2", "192.0.2.1")
	server.Put(id, "text."+testZone, "TXT", 20, `"a" "b\040c\134"`)
	server.Put(id, "six."+testZone, "AAAA", 20, "2001:DB8:0::1")
	s, err := p.Records(t.Context(), testZone)
	if err != nil {
		t.Fatal(err)
	}
	want := []dns.RecordSet{
		{Name: "*." + testZone, Type: dns.A, TTL: 20, Data: []string{"192.0.2.1", "192.0.2.2"}},
		{Name: "six." + testZone, Type: dns.AAAA, TTL: 20, Data: []string{"2001:db8::1"}},
		{Name: "text." + testZone, Type: dns.TXT, TTL: 20, Data: []string{`"ab c\\"`}},
	}
	if diff := cmp.Diff(want, s.Sets); diff != "" {
		t.Fatal(diff)
	}
	for _, set := range s.Sets {
		next := set
		next.TTL = 30
		r, err := p.Apply(t.Context(), testZone, fence, []dns.Change{{Name: set.Name, Before: []dns.RecordSet{set}, After: []dns.RecordSet{next}}})
		if err != nil || len(r.Failed) > 0 {
			t.Errorf("%s: %v %v", set, err, r.Failed)
		}
	}
}

func TestFaults(t *testing.T) {
	const change, list = "ChangeResourceRecordSets", "ListResourceRecordSets"
	throttled := route53test.Fault{Operation: change, Status: 400, Code: "Throttling"}
	for _, test := range []struct {
		name   string
		faults []route53test.Fault
		// kind of the error, empty for none, and what it says that is to be done.
		kind dns.ErrorKind
	}{
		{"throttled once", []route53test.Fault{throttled}, ""},
		{"an earlier request is not done", []route53test.Fault{{Operation: change, Status: 400, Code: "PriorRequestNotComplete"}}, ""},
		{"throttled", []route53test.Fault{throttled, throttled, throttled}, dns.Throttled},
		{"the answer is lost", []route53test.Fault{{Operation: change, Status: 500, Code: "InternalFailure", Made: true}}, ""},
		{"broken", []route53test.Fault{{Operation: list, Status: 500, Code: "InternalFailure"}, {Operation: list, Status: 503, Code: "ServiceUnavailable"}, {Operation: list, Status: 500, Code: "Odd"}}, dns.Unavailable},
		{"denied", []route53test.Fault{{Operation: change, Status: 403, Code: "AccessDenied"}}, dns.Denied},
		{"wrong key", []route53test.Fault{{Status: 403, Code: "InvalidClientTokenId"}}, dns.Denied},
		{"wrong signature", []route53test.Fault{{Status: 403, Code: "SignatureDoesNotMatch"}}, dns.Denied},
		{"an odd time", []route53test.Fault{{Status: 400, Code: "RequestExpired"}}, dns.Denied},
		{"the zone went", []route53test.Fault{{Operation: change, Status: 404, Code: "NoSuchHostedZone"}}, dns.NotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // The SDK waits between its attempts.
			server, p, _ := start(t)
			server.Fail(test.faults...)
			changes := []dns.Change{create(address("a", "192.0.2.1")), create(address("b", "192.0.2.1"))}
			r, err := p.Apply(t.Context(), testZone, fence, changes)
			if test.kind == "" && (err != nil || len(r.Failed) > 0) || test.kind != "" && (err == nil || dns.KindOf(err) != test.kind) {
				t.Errorf("error %v, failed %v, want %q", err, r.Failed, test.kind)
			}
			if says := map[dns.ErrorKind]string{dns.Denied: "check the credentials", dns.Throttled: "requestsPerSecond"}[test.kind]; says != "" &&
				(err == nil || !strings.Contains(err.Error(), says) && !strings.Contains(err.Error(), "set it (NTP)")) {
				t.Errorf("error %v does not say %q", err, says)
			}
			if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "127.0.0.1")) {
				t.Errorf("error %q holds what is not to be seen", err)
			}
			if r, err = p.Apply(t.Context(), testZone, fence, changes); err != nil || len(r.Failed) > 0 {
				t.Errorf("after it: %v %v", err, r.Failed)
			}
		})
	}
}

// TestHalfOfTheBatches: what is not made for want of an answer fails change by change, the rest is done.
func TestHalfOfTheBatches(t *testing.T) {
	server, p, _ := start(t)
	var changes []dns.Change
	for i := range 1500 {
		changes = append(changes, create(address(fmt.Sprintf("n%d", i), "192.0.2.1")))
	}
	server.After("ChangeResourceRecordSets", func() {
		server.After("ChangeResourceRecordSets", func() {
			server.Fail(route53test.Fault{Operation: "ChangeResourceRecordSets", Status: 403, Code: "AccessDenied"})
		})
	})
	r, err := p.Apply(t.Context(), testZone, fence, changes)
	if err != nil || r.Version == "" || len(r.Failed) < 500 || len(r.Failed) > 502 || dns.KindOf(r.Failed[0].Err) != dns.Denied {
		t.Errorf("error %v, version %q, %d failed", err, r.Version, len(r.Failed))
	}
}

func TestFindingZones(t *testing.T) {
	server := route53test.New(t)
	for range 3 {
		server.AddZone("before.example.", false)
	}
	server.AddZone("twice.example.", false)
	second := server.AddZone("twice.example.", false)
	server.AddZone("hidden.example.", true)
	server.Page(2)
	for _, test := range []struct {
		name, zone, id, want string
	}{
		{"by name", "before.example.", "", "3 public hosted zones have this name"},
		{"several", "twice.example.", "", "set zoneID"},
		{"several, one is named", "twice.example.", second, ""},
		{"the other form of an ID", "twice.example.", "/hostedzone/" + second, ""},
		{"an ID of another zone", "other.example.", second, "is twice.example.; correct zoneID"},
		{"an ID of none", "twice.example.", "ZNONE", "NoSuchHostedZone"},
		{"private", "hidden.example.", "", "no public hosted zone"},
		{"none", "none.example.", "", "no public hosted zone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			zones, err := provider(t, server.URL, map[string]string{test.zone: test.id}).Zones(t.Context())
			if test.want == "" {
				if err != nil || len(zones) != 1 || zones[0].Name != test.zone {
					t.Errorf("%v, %v", zones, err)
				}
				return
			}
			if dns.KindOf(err) != dns.NotFound || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestAwaitSaysWhatItWaitsFor(t *testing.T) {
	server, p, _ := start(t)
	server.Pending(1 << 30)
	r, err := p.Apply(t.Context(), testZone, fence, []dns.Change{create(address("a", "192.0.2.1"))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = p.Await(ctx, testZone, r)
	if !errors.Is(err, context.DeadlineExceeded) || dns.KindOf(err) != dns.Unavailable {
		t.Errorf("error %v", err)
	}
	if server.Calls("GetChange") < 2 {
		t.Error("it did not ask again")
	}
}

// stuckAPI gives the same page again and again, as servers do that ignore a cursor.
type stuckAPI struct{ api }

func (stuckAPI) GetHostedZone(context.Context, *route53.GetHostedZoneInput, ...func(*route53.Options)) (*route53.GetHostedZoneOutput, error) {
	return &route53.GetHostedZoneOutput{HostedZone: &types.HostedZone{Name: aws.String(testZone)}}, nil
}

func (stuckAPI) ListResourceRecordSets(context.Context, *route53.ListResourceRecordSetsInput, ...func(*route53.Options)) (*route53.ListResourceRecordSetsOutput, error) {
	return &route53.ListResourceRecordSetsOutput{IsTruncated: true, NextRecordName: aws.String("a." + testZone), NextRecordType: types.RRTypeA}, nil
}

func TestAListThatDoesNotGetOn(t *testing.T) {
	p := newProvider(stuckAPI{}, Options{Zones: map[string]string{testZone: "Z1"}})
	if _, err := p.Records(t.Context(), testZone); dns.KindOf(err) != dns.Unavailable || !strings.Contains(err.Error(), "does not get on") {
		t.Errorf("error %v", err)
	}
}

func TestPace(t *testing.T) {
	server := route53test.New(t)
	server.AddZone(testZone, false)
	client, err := NewClient(t.Context(), Account{Endpoint: server.URL, RequestsPerSecond: 20})
	if err != nil {
		t.Fatal(err)
	}
	p := New(client, Options{Zones: map[string]string{testZone: ""}})
	start := time.Now()
	for range 30 {
		if _, err := p.Records(t.Context(), testZone); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 500*time.Millisecond {
		t.Errorf("31 requests at 20 a second took %s", took)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "v=1 a=b", `"\`, "\x00\xff", strings.Repeat("x", 600)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := dns.Unquote(readText(text(dns.Quote(s)))); err != nil || got != s {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	})
}
