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
	// configure writes its files, with the zones that it is to have, and returns its arguments.
	configure func(t *testing.T, dir string, port int, zones []string) (files map[string]string, args []string)
}

const emptyZone = "$TTL 300\n@ IN SOA ns1 hostmaster 1 300 60 1209600 10\n@ IN NS ns1\nns1 IN A 127.0.0.1\n"

var primaries = []primary{
	{"named", func(_ *testing.T, dir string, port int, zones []string) (map[string]string, []string) {
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
	{"knotd", func(_ *testing.T, dir string, port int, zones []string) (map[string]string, []string) {
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
	{"pdns_server", func(t *testing.T, dir string, port int, zones []string) (map[string]string, []string) {
		conf := fmt.Sprintf(`launch=gsqlite3
gsqlite3-database=%[1]s/pdns.sqlite
local-address=127.0.0.1
local-port=%[2]d
socket-dir=%[1]s
dnsupdate=yes
allow-dnsupdate-from=127.0.0.1
allow-axfr-ips=127.0.0.1
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
	launch(t, p.program, dir, files, args...)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	provider := dynamic(t, addr, zones...)
	for _, zone := range zones {
		if err := provider.Await(ctx, zone, dns.Receipt{Version: "0"}); err != nil {
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
