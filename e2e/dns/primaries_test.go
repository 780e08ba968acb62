package dns_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/dnstest"
	"kubefed.dev/kubefed/pkg/dns/rfc2136"
)

// primary is a program that takes dynamic updates.
type primary struct {
	program string
	// env is beside the test's own environment.
	env []string
	// configure writes its files, with the zones that it is to have, and returns its arguments.
	configure func(t *testing.T, dir string, port int, zones []string) (files map[string]string, args []string)
}

const emptyZone = "$TTL 300\n@ IN SOA ns1 hostmaster 1 300 60 1209600 10\n@ IN NS ns1\nns1 IN A 127.0.0.1\n"

var primaries = []primary{
	{program: "named", configure: func(_ *testing.T, dir string, port int, zones []string) (map[string]string, []string) {
		files := map[string]string{}
		var conf strings.Builder
		fmt.Fprintf(&conf, `
key update { algorithm hmac-sha256; secret "%[1]s"; };
key transfer { algorithm hmac-sha256; secret "%[1]s"; };
options { directory "%[2]s"; listen-on port %[3]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no;
  session-keyfile none; notify no; };
controls { };
`, secret, dir, port)
		for _, zone := range zones {
			files[zone+"zone"] = emptyZone
			fmt.Fprintf(&conf, "zone \"%[1]s\" { type primary; file \"%[1]szone\"; allow-transfer { key transfer; }; update-policy { grant update. zonesub ANY; }; };\n", zone)
		}
		files["named.conf"] = conf.String()
		return files, []string{"-g", "-c", dir + "/named.conf"}
	}},
	{program: "knotd", configure: func(_ *testing.T, dir string, port int, zones []string) (map[string]string, []string) {
		files := map[string]string{}
		var conf strings.Builder
		fmt.Fprintf(&conf, `
server:
  rundir: "%[2]s"
  listen: 127.0.0.1@%[3]d
database:
  storage: "%[2]s"
key:
- id: update
  algorithm: hmac-sha256
  secret: "%[1]s"
- id: transfer
  algorithm: hmac-sha256
  secret: "%[1]s"
acl:
- id: update
  key: update
  action: update
- id: transfer
  key: transfer
  action: transfer
zone:
`, secret, dir, port)
		for _, zone := range zones {
			files[zone+"zone"] = emptyZone
			fmt.Fprintf(&conf, "- domain: %[1]s\n  storage: \"%[2]s\"\n  file: %[1]szone\n  acl: [ update, transfer ]\n", zone, dir)
		}
		files["knot.conf"] = conf.String()
		return files, []string{"-c", dir + "/knot.conf"}
	}},
	{program: "pdns_server", configure: func(t *testing.T, dir string, port int, zones []string) (map[string]string, []string) {
		conf := fmt.Sprintf(`launch=gsqlite3
gsqlite3-database=%[1]s/pdns.sqlite
local-address=127.0.0.1
local-port=%[2]d
socket-dir=%[1]s
dnsupdate=yes
allow-dnsupdate-from=127.0.0.1
allow-axfr-ips=
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
daemon=no
guardian=no
write-pid=no
`, dir, port)
		if err := os.WriteFile(filepath.Join(dir, "pdns.conf"), []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		schema, err := os.ReadFile("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
		if err != nil {
			t.Fatalf("%v: run make e2e-dns, or apt-get install %s", err, packages)
		}
		create := exec.CommandContext(t.Context(), tool(t, "sqlite3"), filepath.Join(dir, "pdns.sqlite"))
		create.Stdin = strings.NewReader(string(schema))
		if out, err := create.CombinedOutput(); err != nil {
			t.Fatalf("making PowerDNS' database: %v\n%s", err, out)
		}
		pdnsutil := func(args ...string) {
			run(t, "pdnsutil", append([]string{"--config-dir=" + dir}, args...)...)
		}
		for _, key := range []string{"update", "transfer"} {
			pdnsutil("import-tsig-key", key, "hmac-sha256", secret)
		}
		for _, zone := range zones {
			pdnsutil("create-zone", zone, "ns1."+zone)
			pdnsutil("set-meta", zone, "TSIG-ALLOW-DNSUPDATE", "update")
			pdnsutil("set-meta", zone, "TSIG-ALLOW-AXFR", "transfer")
			pdnsutil("set-meta", zone, "SOA-EDIT-DNSUPDATE", "INCREASE")
		}
		return nil, []string{"--config-dir=" + dir}
	}},
}

// begin starts a primary with zones, and returns its address when it serves them.
func (p primary) begin(t *testing.T, zones ...string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	files, args := p.configure(t, dir, port, zones)
	launch(t, p.program, dir, p.env, files, args...)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	anybody, err := rfc2136.New(rfc2136.Config{Server: addr, Zones: zones})
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range zones {
		if err := anybody.Await(ctx, zone, dns.Receipt{Version: "0"}); err != nil {
			t.Fatalf("%s does not serve %s: %v", p.program, zone, err)
		}
	}
	return addr
}

func dynamic(t *testing.T, addr string, zones ...string) *rfc2136.Provider {
	t.Helper()
	provider, err := rfc2136.New(rfc2136.Config{Server: addr, Zones: zones, Key: &rfc2136.Key{Name: "update", Secret: secret},
		TransferKey: &rfc2136.Key{Name: "transfer", Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

// TestConformance holds the provider for dynamic updates to what is asked of every provider, on real servers.
func TestConformance(t *testing.T) {
	for _, program := range primaries {
		t.Run(program.program, func(t *testing.T) {
			addr := program.begin(t, zoneName)
			dnstest.Run(t, dynamic(t, addr, zoneName), zoneName)
		})
	}
}

// TestRefusals: what a server refuses is told apart, with advice.
func TestRefusals(t *testing.T) {
	other := "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIhIQ=="
	good := &rfc2136.Key{Name: "update", Secret: secret}
	transfers := &rfc2136.Key{Name: "transfer", Secret: secret}
	for _, program := range primaries {
		t.Run(program.program, func(t *testing.T) {
			addr := program.begin(t, zoneName)
			for _, test := range []struct {
				name   string
				config rfc2136.Config
				kind   dns.ErrorKind
				advice string
			}{
				{"a key that the server does not know", rfc2136.Config{Key: &rfc2136.Key{Name: "nobody", Secret: secret}}, dns.Denied, "key"},
				{"another secret", rfc2136.Config{Key: &rfc2136.Key{Name: "update", Secret: other}}, dns.Denied, "secret"},
				{"another algorithm", rfc2136.Config{Key: &rfc2136.Key{Name: "update", Algorithm: "hmac-sha512", Secret: secret}}, dns.Denied, "key"},
				{"a key that may not transfer", rfc2136.Config{Key: good}, dns.Denied, "key"},
				{"no key", rfc2136.Config{}, dns.Denied, "give a key"},
			} {
				config := test.config
				config.Server, config.Zones = addr, []string{zoneName}
				provider, err := rfc2136.New(config)
				if err != nil {
					t.Fatal(err)
				}
				_, err = provider.Records(t.Context(), zoneName)
				if err == nil || dns.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.advice) {
					t.Errorf("%s: error %v, want one of kind %s with %q", test.name, err, test.kind, test.advice)
				}
			}
			elsewhere, err := rfc2136.New(rfc2136.Config{Server: addr, Zones: []string{"elsewhere.example."}, Key: good, TransferKey: transfers})
			if err != nil {
				t.Fatal(err)
			}
			_, err = elsewhere.Records(t.Context(), "elsewhere.example.")
			if kind := dns.KindOf(err); err == nil || kind != dns.NotFound && kind != dns.Denied {
				t.Errorf("a zone that the server does not have: error %v", err)
			}
		})
	}
}

// TestBulk writes many names in one call, and moves them all.
func TestBulk(t *testing.T) {
	const names = 1000
	for _, program := range primaries {
		t.Run(program.program, func(t *testing.T) {
			provider := dynamic(t, program.begin(t, zoneName), zoneName)
			fence := dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}
			state := func(generation int) (changes []dns.Change) {
				for i := range names {
					name := fmt.Sprintf("s%d.bulk.%s", i, zoneName)
					sets := func(generation int) []dns.RecordSet {
						if generation == 0 {
							return nil
						}
						return []dns.RecordSet{set(name, dns.A, fmt.Sprintf("10.%d.%d.%d", generation, i/256, i%256)),
							set(dns.OwnerName(name), dns.TXT, dns.Quote(fmt.Sprintf("v=1 generation=%d", generation)))}
					}
					changes = append(changes, dns.Change{Name: name, Before: sets(generation - 1), After: sets(generation)})
				}
				return changes
			}
			for generation := 1; generation <= 2; generation++ {
				begin := time.Now()
				receipt, err := provider.Apply(t.Context(), zoneName, fence, state(generation))
				if err != nil || len(receipt.Failed) > 0 {
					t.Fatalf("%v; failed: %+v", err, receipt.Failed)
				}
				t.Logf("%s: %d names written in %s", program.program, names, time.Since(begin).Round(time.Millisecond))
			}
			begin := time.Now()
			snapshot, err := provider.Records(t.Context(), zoneName)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d sets read in %s", program.program, len(snapshot.Sets), time.Since(begin).Round(time.Millisecond))
			moved := 0
			for _, s := range snapshot.Sets {
				if strings.HasSuffix(s.Name, ".bulk."+zoneName) && s.Type == dns.A && strings.HasPrefix(s.Data[0], "10.2.") {
					moved++
				}
			}
			if moved != names {
				t.Errorf("%d of %d names moved", moved, names)
			}
			// One name that someone else changed must not hold up the others.
			changes := state(3)
			changes[17].Before = state(1)[17].After
			receipt, err := provider.Apply(t.Context(), zoneName, fence, changes)
			if err != nil || len(receipt.Failed) != 1 || dns.KindOf(receipt.Failed[0].Err) != dns.Conflict {
				t.Errorf("error %v, failed %+v; want one conflict", err, receipt.Failed)
			}
		})
	}
}

// TestClocks: a server whose clock is an hour ahead is written to with its time; one that does not tell its time is told apart.
func TestClocks(t *testing.T) {
	found, err := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	if err != nil || len(found) == 0 {
		t.Fatalf("faketime is not installed: run make e2e-dns, or apt-get install %s", packages)
	}
	for _, program := range primaries[1:] { // BIND does not start with another clock.
		t.Run(program.program, func(t *testing.T) {
			program.env = []string{"LD_PRELOAD=" + found[0], "FAKETIME=+1h"}
			provider := dynamic(t, program.begin(t, zoneName), zoneName)
			name := "clock." + zoneName
			receipt, err := provider.Apply(t.Context(), zoneName, dns.Fence{Federation: "earth", Holder: "test", Epoch: 1},
				[]dns.Change{{Name: name, After: []dns.RecordSet{set(name, dns.A, "192.0.2.1")}}})
			if program.program == "pdns_server" {
				if dns.KindOf(err) != dns.Denied || !strings.Contains(err.Error(), "clock") {
					t.Errorf("error %v, want one that speaks of the clock", err)
				}
				return
			}
			if err != nil || len(receipt.Failed) > 0 {
				t.Errorf("%v, %+v", err, receipt.Failed)
			}
		})
	}
}
