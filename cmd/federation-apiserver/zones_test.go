package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	miekg "github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns/config"
	dnsserver "kubefed.dev/kubefed/pkg/dns/server"
)

func TestServerConfig(t *testing.T) {
	file, err := config.Parse([]byte(`
server: {listen: ["127.0.0.9:53"], tsigKeys: [{name: k, secret: c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ==}], networks: [{cidr: 10.0.0.0/8, region: r}]}
zones:
- name: a.example
- name: b.example
  embedded: {nameServers: [{name: ns.b.example, addresses: [192.0.2.1]}, {name: ns.example.org}], secondaries: [{address: "192.0.2.2:53", key: k}], transferKeys: [k], negativeTTLSeconds: 7}
- {name: c.example, provider: rfc2136, rfc2136: {server: "192.0.2.3:53"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := serverConfig(file, "/dir")
	if err != nil {
		t.Fatal(err)
	}
	own := []netip.Addr{netip.MustParseAddr("127.0.0.9")}
	want := []dnsserver.Zone{
		{Name: "a.example.", Servers: map[string][]netip.Addr{"ns1.a.example.": own}},
		{Name: "b.example.", Servers: map[string][]netip.Addr{"ns.b.example.": {netip.MustParseAddr("192.0.2.1")}, "ns.example.org.": nil},
			Secondaries: []dnsserver.Secondary{{Address: "192.0.2.2:53", Key: "k"}}, TransferKeys: []string{"k"}, NegativeTTL: 7},
		{Name: "clusterset.local.", Servers: map[string][]netip.Addr{"ns1.clusterset.local.": own}},
	}
	if diff := cmp.Diff(want, got.Zones, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Keys) != 1 || len(got.Networks) != 1 || got.Directory != "/dir" {
		t.Errorf("%d keys, %d networks, directory %s", len(got.Keys), len(got.Networks), got.Directory)
	}
	if none, err := serverConfig(&config.Config{Zones: file.Zones[2:]}, ""); err != nil || len(none.Zones) > 0 {
		t.Errorf("without an embedded zone %d are served, %v", len(none.Zones), err)
	}
}

func TestDNSOptions(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "dns.yaml")
	if err := os.WriteFile(bad, []byte("zones: [{name: example.com, ttl: 3}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		name    string
		options dnsOptions
		zone    string
		wrong   string
	}{
		{name: "none", zone: "example.com"},
		{name: "no zone", options: dnsOptions{listen: []string{"127.0.0.1:0"}}, wrong: "--dns-zone-name"},
		{name: "a bad file", options: dnsOptions{config: bad}, wrong: `unknown field "zones[0].ttl"`},
		{name: "an address that is taken", options: dnsOptions{listen: []string{taken.Addr().String()}}, zone: "example.com", wrong: "--dns-listen"},
	} {
		t.Run(test.name, func(t *testing.T) {
			opened, err := test.options.open(t.Context(), test.zone, t.TempDir())
			if test.wrong == "" && (err != nil || opened.server != nil) || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("error %v, want %q", err, test.wrong)
			}
		})
	}
}

// TestDNSServed: the program answers for its zone, says so in its Federation, and goes on with the same serial after a restart.
func TestDNSServed(t *testing.T) {
	dir := t.TempDir()
	serial := func() uint32 {
		t.Helper()
		s := startFor(t, dir, "--controllers=*", "--dns-listen=127.0.0.1:0")
		defer s.stop()
		scheme := runtime.NewScheme()
		if err := federation.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		c, err := client.New(s.config, client.Options{Scheme: scheme})
		if err != nil {
			t.Fatal(err)
		}
		var found uint32
		if waiting := await(t.Context(), time.Minute, func() string {
			f := &federation.Federation{}
			if err := c.Get(t.Context(), client.ObjectKey{Name: "fellowship"}, f); err != nil {
				return err.Error()
			}
			if len(f.Status.Zones) != 1 || f.Status.Zones[0].State != "Ready" || len(f.Status.Zones[0].Servers) != 1 {
				return fmt.Sprintf("zones %+v", f.Status.Zones)
			}
			reply, _, err := new(miekg.Client).Exchange(new(miekg.Msg).SetQuestion("example.com.", miekg.TypeSOA), f.Status.Zones[0].Servers[0])
			if err != nil {
				return err.Error()
			}
			if len(reply.Answer) != 1 || !reply.Authoritative {
				return reply.String()
			}
			found = reply.Answer[0].(*miekg.SOA).Serial
			return ""
		}); waiting != "" {
			t.Fatalf("still waiting: %s", waiting)
		}
		return found
	}
	if first, second := serial(), serial(); first != second {
		t.Errorf("a restart took the serial from %d to %d", first, second)
	}
}

// TestDNSOfReplicas: of two servers on one etcd the one that runs the controllers answers for the zone; the other refuses with SERVFAIL,
// upon which resolvers ask the next one, takes over when the first is killed, and keeps the zone when that comes back.
func TestDNSOfReplicas(t *testing.T) {
	flags := append(startEtcd(t), "--controllers=*")
	says := func(address string) string {
		reply, _, err := new(miekg.Client).ExchangeContext(t.Context(), new(miekg.Msg).SetQuestion("example.com.", miekg.TypeSOA), address)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%s, %d answers", miekg.RcodeToString[reply.Rcode], len(reply.Answer))
	}
	const served, refused = "NOERROR, 1 answers", "SERVFAIL, 0 answers"
	becomes := func(who, address, want string) {
		t.Helper()
		began := time.Now()
		mustAwait(t, 2*time.Minute, func() string {
			if got := says(address); got != want {
				return fmt.Sprintf("%s says %s, not %s", who, got, want)
			}
			return ""
		})
		t.Logf("%s says %s after %s", who, want, time.Since(began).Round(time.Millisecond))
	}
	addresses := [2]string{freeAddress(t), freeAddress(t)}
	dirs := [2]string{t.TempDir(), t.TempDir()}
	run := func(i int) *server {
		t.Helper()
		return startFor(t, dirs[i], append(flags, "--dns-listen="+addresses[i])...)
	}
	first := run(0)
	becomes("the first", addresses[0], served)
	if err := os.CopyFS(filepath.Join(dirs[1], "pki"), os.DirFS(filepath.Join(first.dir, "pki"))); err != nil {
		t.Fatal(err)
	}
	run(1)
	becomes("the second", addresses[1], refused)
	if err := first.end(syscall.SIGKILL); err == nil {
		t.Fatal("the first server was not killed")
	}
	becomes("the second", addresses[1], served)
	run(0)
	becomes("the first", addresses[0], refused)
	if got := says(addresses[1]); got != served {
		t.Errorf("the second says %s", got)
	}
}

// freeAddress is one at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
