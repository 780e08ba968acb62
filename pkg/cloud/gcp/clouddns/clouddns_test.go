package clouddns

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gdns "google.golang.org/api/dns/v1"

	"kubefed.dev/kubefed/pkg/cloud/gcp/clouddns/clouddnstest"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/dnstest"
)

const testZone = "fed.example."

var fence = dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}

// provider asks a server through the real client.
func provider(t *testing.T, url string, zones map[string]string) *Provider {
	t.Helper()
	service, err := NewService(t.Context(), Account{Endpoint: url, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	return New(service, Options{Project: clouddnstest.Project, Zones: zones, PollInterval: time.Millisecond, RetryInterval: time.Millisecond})
}

func TestCredentialsFile(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"no JSON":      {"hush", "give the key of a service account"},
		"another kind": {`{"type": "authorized_user", "refresh_token": "hush"}`, "give the key of a service account"},
		"a broken key": {`{"type": "service_account", "private_key": "hush"}`, "credentials of Google Cloud"},
		"not there":    {"", "credentialsFile"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.json")
			if test.content != "" {
				if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			service, err := NewService(t.Context(), Account{CredentialsFile: path})
			if err == nil {
				_, err = service.ManagedZones.List("p").Do()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestTokens: what the issuer of tokens says is classified, and not quoted.
func TestTokens(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ answer, want string }{
		"a clock that is wrong":   {`{"error": "invalid_grant", "error_description": "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."}`, "set the clock"},
		"an account that is gone": {`{"error": "invalid_grant", "error_description": "Invalid grant: account not found, hush"}`, "check the credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, test.answer)
			}))
			t.Cleanup(issuer.Close)
			file, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "dns@example.iam.gserviceaccount.com", "private_key_id": "1",
				"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": issuer.URL})
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "key.json")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			server := clouddnstest.New(t)
			server.AddZone("fed", testZone, false)
			service, err := NewService(t.Context(), Account{Endpoint: server.URL, CredentialsFile: path})
			if err != nil {
				t.Fatal(err)
			}
			p := New(service, Options{Project: clouddnstest.Project, Zones: map[string]string{testZone: ""}, RetryInterval: time.Millisecond})
			_, err = p.Records(t.Context(), testZone)
			if dns.KindOf(err) != dns.Denied || !strings.Contains(fmt.Sprint(err), test.want) || strings.Contains(fmt.Sprint(err), "hush") {
				t.Errorf("error %v, want one of kind Denied with %q", err, test.want)
			}
		})
	}
}

func start(t *testing.T) (*clouddnstest.Server, *Provider) {
	t.Helper()
	server := clouddnstest.New(t)
	server.AddZone("fed", testZone, false)
	return server, provider(t, server.URL, map[string]string{testZone: ""})
}

func TestConforms(t *testing.T) {
	for name, prepare := range map[string]func(*clouddnstest.Server){
		"plain":        func(*clouddnstest.Server) {},
		"small pages":  func(s *clouddnstest.Server) { s.Page(3) },
		"slow to take": func(s *clouddnstest.Server) { s.Pending(2) },
	} {
		t.Run(name, func(t *testing.T) {
			server, p := start(t)
			server.AddZone("other", "other.example.", false)
			server.AddZone("hidden", testZone, true)
			prepare(server)
			dnstest.Run(t, p, testZone)
		})
	}
}

func TestLives(t *testing.T) {
	server := clouddnstest.New(t)
	n := 0
	dnstest.Lives(t, func() (dns.Provider, string) {
		n++
		server.RemoveZone(fmt.Sprint("z", n-1))
		zone := fmt.Sprintf("z%d.example.", n)
		server.AddZone(fmt.Sprint("z", n), zone, false)
		return provider(t, server.URL, map[string]string{zone: ""}), zone
	})
}

func address(label string, data ...string) dns.RecordSet {
	return dns.RecordSet{Name: label + "." + testZone, Type: dns.A, TTL: 20, Data: data}
}

func create(sets ...dns.RecordSet) dns.Change { return dns.Change{Name: sets[0].Name, After: sets} }

func failures(r dns.Receipt) map[string]dns.ErrorKind {
	kinds := map[string]dns.ErrorKind{}
	for _, f := range r.Failed {
		kinds[f.Change.Name] = dns.KindOf(f.Err)
	}
	return kinds
}

func TestOneBadNameDoesNotStopTheOthers(t *testing.T) {
	many, huge := address("many"), dns.RecordSet{Name: "huge." + testZone, Type: dns.TXT, TTL: 20}
	for i := range 101 {
		many.Data = append(many.Data, fmt.Sprintf("10.0.0.%d", i))
	}
	for i := range 90 {
		huge.Data = append(huge.Data, dns.Quote(strings.Repeat(string(rune('a'+i%26)), 1200+i)))
	}
	for _, test := range []struct {
		name  string
		bad   dns.RecordSet
		want  map[string]dns.ErrorKind
		calls int
	}{
		{"all good", address("good", "192.0.2.1"), map[string]dns.ErrorKind{}, 1},
		{"there already", address("taken", "192.0.2.1"), map[string]dns.ErrorKind{"taken." + testZone: dns.Conflict}, 2},
		{"a CNAME is there", address("alias", "192.0.2.1"), map[string]dns.ErrorKind{"alias." + testZone: dns.Conflict}, 2},
		{"Cloud DNS does not take it", many.Canonical(), map[string]dns.ErrorKind{"many." + testZone: dns.Invalid}, 20},
		{"more than a call takes", huge.Canonical(), map[string]dns.ErrorKind{"huge." + testZone: dns.Invalid}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, p := start(t)
			server.Put("fed", &gdns.ResourceRecordSet{Name: "taken." + testZone, Type: "A", Ttl: 20, Rrdatas: []string{"192.0.2.9"}})
			server.Put("fed", &gdns.ResourceRecordSet{Name: "alias." + testZone, Type: "CNAME", Ttl: 20, Rrdatas: []string{"elsewhere.example."}})
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
				t.Errorf("failed (-want +got):\n%s\n%v", diff, r.Failed)
			}
			if calls := server.Calls("change"); calls > test.calls {
				t.Errorf("%d calls, want at most %d", calls, test.calls)
			}
			if s, err := p.Records(t.Context(), testZone); err != nil || len(s.Sets) < 303 {
				t.Errorf("%d sets, %v, want all good ones", len(s.Sets), err)
			}
		})
	}
}

func TestAnotherWriterTookOver(t *testing.T) {
	server, one := start(t)
	if _, err := one.Apply(t.Context(), testZone, fence, []dns.Change{create(address("a", "192.0.2.1"))}); err != nil {
		t.Fatal(err)
	}
	other := provider(t, server.URL, map[string]string{testZone: "fed"})
	if _, err := other.Apply(t.Context(), testZone, dns.Fence{Federation: "earth", Holder: "next", Epoch: 2}, []dns.Change{create(address("b", "192.0.2.1"))}); err != nil {
		t.Fatal(err)
	}
	// The first has the lease of epoch 1 in mind.
	if _, err := one.Apply(t.Context(), testZone, fence, []dns.Change{create(address("c", "192.0.2.1"))}); dns.KindOf(err) != dns.Fenced {
		t.Errorf("error %v, want one of kind Fenced", err)
	}
	if s, err := one.Records(t.Context(), testZone); err != nil || len(s.Sets) != 3 {
		t.Errorf("%v, %v, want a, b and the lease", s.Sets, err)
	}
}

// TestForeignForms: what another hand wrote is read in one form, and can be replaced although it is in another.
func TestForeignForms(t *testing.T) {
	server, p := start(t)
	server.Put("fed", &gdns.ResourceRecordSet{Name: "six." + testZone, Type: "AAAA", Ttl: 20, Rrdatas: []string{"2001:DB8:0::2", "2001:db8::1"}})
	server.Put("fed", &gdns.ResourceRecordSet{Name: "routed." + testZone, Type: "A", Ttl: 20, RoutingPolicy: &gdns.RRSetRoutingPolicy{
		Wrr: &gdns.RRSetRoutingPolicyWrrPolicy{Items: []*gdns.RRSetRoutingPolicyWrrPolicyWrrPolicyItem{{Weight: 1, Rrdatas: []string{"192.0.2.1"}}}}}})
	s, err := p.Records(t.Context(), testZone)
	if err != nil {
		t.Fatal(err)
	}
	want := []dns.RecordSet{
		{Name: "routed." + testZone, Type: dns.A, TTL: 20, Data: []string{"weighted 192.0.2.1"}},
		{Name: "six." + testZone, Type: dns.AAAA, TTL: 20, Data: []string{"2001:db8::1", "2001:db8::2"}},
	}
	if diff := cmp.Diff(want, s.Sets); diff != "" {
		t.Fatal(diff)
	}
	next := dns.RecordSet{Name: "six." + testZone, Type: dns.AAAA, TTL: 30, Data: []string{"2001:db8::3"}}
	r, err := p.Apply(t.Context(), testZone, fence, []dns.Change{{Name: next.Name, Before: want[1:], After: []dns.RecordSet{next}},
		{Name: want[0].Name, Before: want[:1], After: []dns.RecordSet{address("routed", "192.0.2.7")}}})
	if err != nil || len(r.Failed) > 0 {
		t.Errorf("%v %v", err, r.Failed)
	}
}

func TestFaults(t *testing.T) {
	throttled := clouddnstest.Fault{Operation: "change", Status: 403, Reason: "rateLimitExceeded"}
	busy := clouddnstest.Fault{Operation: "change", Status: 503, Reason: "backendError"}
	for _, test := range []struct {
		name   string
		faults []clouddnstest.Fault
		// kind of the error, empty for none.
		kind dns.ErrorKind
	}{
		{"throttled once", []clouddnstest.Fault{throttled}, ""},
		{"throttled", []clouddnstest.Fault{throttled, throttled, throttled}, dns.Throttled},
		{"too many requests", []clouddnstest.Fault{{Operation: "list", Status: 429}, {Operation: "list", Status: 429}, {Operation: "list", Status: 429}}, dns.Throttled},
		{"the answer is lost", []clouddnstest.Fault{{Operation: "change", Status: 500, Reason: "internalError", Made: true}}, ""},
		{"broken", []clouddnstest.Fault{busy, busy, busy}, dns.Unavailable},
		{"denied", []clouddnstest.Fault{{Operation: "change", Status: 403, Reason: "forbidden"}}, dns.Denied},
		{"no credentials", []clouddnstest.Fault{{Status: 401, Reason: "authError"}}, dns.Denied},
		{"the zone went", []clouddnstest.Fault{{Operation: "list", Status: 404, Reason: "notFound"}}, dns.NotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, p := start(t)
			server.Fail(test.faults...)
			changes := []dns.Change{create(address("a", "192.0.2.1")), create(address("b", "192.0.2.1"))}
			r, err := p.Apply(t.Context(), testZone, fence, changes)
			if test.kind == "" && (err != nil || len(r.Failed) > 0) || test.kind != "" && (err == nil || dns.KindOf(err) != test.kind) {
				t.Errorf("error %v, failed %v, want %q", err, r.Failed, test.kind)
			}
			if err != nil && strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("error %q holds what is not to be seen", err)
			}
			if r, err = p.Apply(t.Context(), testZone, fence, changes); err != nil || len(r.Failed) > 0 {
				t.Errorf("after it: %v %v", err, r.Failed)
			}
		})
	}
}

func TestFindingZones(t *testing.T) {
	server := clouddnstest.New(t)
	server.AddZone("one", "twice.example.", false)
	server.AddZone("two", "twice.example.", false)
	server.AddZone("hidden", "hidden.example.", true)
	server.Page(1)
	for _, test := range []struct{ name, zone, id, want string }{
		{"several", "twice.example.", "", "set managedZone"},
		{"several, one is named", "twice.example.", "two", ""},
		{"another zone's", "other.example.", "two", "is twice.example.; correct managedZone"},
		{"of none", "twice.example.", "three", "does not exist"},
		{"private", "hidden.example.", "", "no public managed zone"},
		{"private, and named", "hidden.example.", "hidden", ""},
		{"none", "none.example.", "", "no public managed zone"},
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
	server, p := start(t)
	server.Pending(1 << 30)
	r, err := p.Apply(t.Context(), testZone, fence, []dns.Change{create(address("a", "192.0.2.1"))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Await(ctx, testZone, r); !errors.Is(err, context.DeadlineExceeded) || dns.KindOf(err) != dns.Unavailable {
		t.Errorf("error %v", err)
	}
}
