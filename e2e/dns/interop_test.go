// Package dns_test holds the embedded DNS server against programs of others: secondaries (BIND 9, Knot, NSD) that carry its zone, and
// clients (dig, kdig, delv, named-checkzone) that judge its answers. Run it with make dns-interop.
package dns_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/server"
)

const (
	zoneName = "fed.example."
	secret   = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="
)

var packages = "bind9 bind9-utils bind9-dnsutils knot knot-dnsutils nsd"

// tool finds a program, also where the system's daemons are.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		if path := filepath.Join(dir, name); executable(path) {
			return path
		}
	}
	t.Fatalf("%s is not installed: run make dns-interop, or apt-get install %s", name, packages)
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// freePort is one that nobody has for TCP or UDP just now.
func freePort(t *testing.T) int {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		p, err := net.ListenPacket("udp", l.Addr().String())
		_ = l.Close()
		if err == nil {
			_ = p.Close()
			return port
		}
	}
	t.Fatal("no port is free for TCP and UDP")
	return 0
}

// secondary is a program that carries zones.
type secondary struct {
	program string
	// configure writes its files into a directory and returns its arguments.
	configure func(dir string, port, primary int) (files map[string]string, args []string)
}

var secondaries = []secondary{
	{"named", func(dir string, port, primary int) (map[string]string, []string) {
		return map[string]string{"named.conf": fmt.Sprintf(`
key transfer { algorithm hmac-sha256; secret "%[1]s"; };
options { directory "%[2]s"; listen-on port %[3]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no;
  allow-transfer { any; }; notify no; min-refresh-time 1; transfers-in 20; serial-query-rate 200; session-keyfile none; };
controls { };
zone "fed.example" { type secondary; file "fed.zone"; masterfile-format text; primaries { 127.0.0.1 port %[4]d key transfer; }; allow-notify { any; }; };
`, secret, dir, port, primary)}, []string{"-g", "-c", dir + "/named.conf"}
	}},
	{"knotd", func(dir string, port, primary int) (map[string]string, []string) {
		return map[string]string{"knot.conf": fmt.Sprintf(`
server:
  rundir: "%[2]s"
  listen: 127.0.0.1@%[3]d
database:
  storage: "%[2]s"
key:
- id: transfer
  algorithm: hmac-sha256
  secret: "%[1]s"
remote:
- id: primary
  address: 127.0.0.1@%[4]d
  key: transfer
acl:
- id: notify
  key: transfer
  action: notify
- id: out
  address: 127.0.0.1
  action: transfer
zone:
- domain: fed.example
  storage: "%[2]s"
  master: primary
  acl: [ notify, out ]
`, secret, dir, port, primary)}, []string{"-c", dir + "/knot.conf"}
	}},
	{"nsd", func(dir string, port, primary int) (map[string]string, []string) {
		return map[string]string{"nsd.conf": fmt.Sprintf(`
server:
  ip-address: 127.0.0.1@%[3]d
  username: ""
  chroot: ""
  zonesdir: "%[2]s"
  zonelistfile: "%[2]s/zone.list"
  database: ""
  pidfile: ""
  xfrdfile: "%[2]s/xfrd.state"
  xfrdir: "%[2]s"
  rrl-ratelimit: 0
  xfrd-reload-timeout: 0
remote-control:
  control-enable: no
key:
  name: transfer
  algorithm: hmac-sha256
  secret: "%[1]s"
zone:
  name: fed.example
  allow-notify: 127.0.0.1 transfer
  request-xfr: 127.0.0.1@%[4]d transfer
  provide-xfr: 127.0.0.1 NOKEY
`, secret, dir, port, primary)}, []string{"-d", "-c", dir + "/nsd.conf"}
	}},
}

// begin starts a secondary; the test ends it.
func (s secondary) begin(t *testing.T, port, primary int) {
	t.Helper()
	dir := t.TempDir()
	files, args := s.configure(dir, port, primary)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(tool(t, s.program), args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &log, &log, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		ended := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		_ = cmd.Wait()
		ended.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", s.program, log.String())
		}
	})
}

func start(t *testing.T, config server.Config) (*server.Server, int) {
	t.Helper()
	config.RateLimit = -1
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Wait)
	return s, int(s.Addresses()[0].Port())
}

func servers() map[string][]netip.Addr {
	return map[string][]netip.Addr{"ns1.fed.example.": {netip.MustParseAddr("127.0.0.1")}}
}

func set(name string, t dns.Type, data ...string) dns.RecordSet {
	return dns.RecordSet{Name: name, Type: t, TTL: 20, Data: data}
}

func apply(t *testing.T, p dns.Provider, name string, before, after []dns.RecordSet) dns.Receipt {
	t.Helper()
	r, err := p.Apply(t.Context(), zoneName, dns.Fence{Holder: "test", Epoch: 1}, []dns.Change{{Name: name, Before: before, After: after}})
	if err != nil || len(r.Failed) > 0 {
		t.Fatalf("changing %s: %v %+v", name, err, r.Failed)
	}
	return r
}

func fill(t *testing.T, p dns.Provider) {
	t.Helper()
	for _, s := range []dns.RecordSet{
		set("web.shop.earth.svc.fed.example.", dns.A, "192.0.2.1", "192.0.2.2"),
		set("v6.fed.example.", dns.AAAA, "2001:db8::1"),
		set("_http._tcp.web.shop.earth.svc.fed.example.", dns.SRV, "0 1 80 web.shop.earth.svc.fed.example."),
		set("alias.fed.example.", dns.CNAME, "web.shop.earth.svc.fed.example."),
		set("*.wild.fed.example.", dns.A, "192.0.2.9"),
		set("_kubefed.x.fed.example.", dns.TXT, dns.Quote(`v=1 "quoted" \ and long `+strings.Repeat("x", 300))),
	} {
		apply(t, p, strings.TrimPrefix(s.Name, "_kubefed."), nil, []dns.RecordSet{s})
	}
}

// zoneAt is what a server hands out of the zone, sorted, without the SOA.
func zoneAt(t *testing.T, port int, signed bool) []string {
	t.Helper()
	m := new(miekg.Msg).SetAxfr(zoneName)
	tr := new(miekg.Transfer)
	if signed {
		m.SetTsig("transfer.", miekg.HmacSHA256, 300, time.Now().Unix())
		tr.TsigSecret = map[string]string{"transfer.": secret}
	}
	envelopes, err := tr.In(m, fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for e := range envelopes {
		if e.Error != nil {
			t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			if rr.Header().Rrtype != miekg.TypeSOA {
				lines = append(lines, rr.String())
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// TestSecondaries lets real secondaries follow a zone through changes.
func TestSecondaries(t *testing.T) {
	for _, program := range secondaries {
		t.Run(program.program, func(t *testing.T) {
			port := freePort(t)
			var incremental atomic.Int32
			log := funcr.New(func(_, line string) {
				if strings.Contains(line, `"incremental"=true`) {
					incremental.Add(1)
				}
			}, funcr.Options{Verbosity: 1})
			s, primary := start(t, server.Config{Log: log, Listen: []string{"127.0.0.1:0"}, Directory: t.TempDir(), Keys: []server.Key{{Name: "transfer", Secret: secret}},
				Zones: []server.Zone{{Name: zoneName, Servers: servers(), TransferKeys: []string{"transfer"},
					Secondaries: []server.Secondary{{Address: fmt.Sprintf("127.0.0.1:%d", port), Key: "transfer"}}}}})
			fill(t, s)
			program.begin(t, port, primary)
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			settled := apply(t, s, "first.fed.example.", nil, []dns.RecordSet{set("first.fed.example.", dns.A, "192.0.2.1")})
			if err := s.Await(ctx, zoneName, settled); err != nil {
				t.Fatalf("the first transfer: %v", err)
			}
			var took []time.Duration
			before := []dns.RecordSet(nil)
			for i := range 20 {
				after := []dns.RecordSet{set("moving.fed.example.", dns.A, fmt.Sprintf("192.0.2.%d", i+100))}
				begin := time.Now()
				r := apply(t, s, "moving.fed.example.", before, after)
				if err := s.Await(ctx, zoneName, r); err != nil {
					t.Fatalf("change %d: %v", i, err)
				}
				took, before = append(took, time.Since(begin)), after
			}
			slices.Sort(took)
			t.Logf("%s: a change is visible after %s (median), %s (longest)", program.program, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
			if n := incremental.Load(); n == 0 {
				t.Error("no transfer was incremental")
			}
			if ours, theirs := zoneAt(t, primary, true), zoneAt(t, port, false); !slices.Equal(ours, theirs) {
				t.Errorf("the primary has\n%s\nthe secondary has\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
			}
		})
	}
}

// TestZoneFile has BIND's checker read a transferred zone.
func TestZoneFile(t *testing.T) {
	s, primary := start(t, server.Config{Listen: []string{"127.0.0.1:0"}, Keys: []server.Key{{Name: "transfer", Secret: secret}},
		Zones: []server.Zone{{Name: zoneName, Servers: servers(), TransferKeys: []string{"transfer"}}}})
	fill(t, s)
	out := run(t, "dig", "@127.0.0.1", "-p", fmt.Sprint(primary), "-y", "hmac-sha256:transfer:"+secret, "axfr", zoneName, "+onesoa")
	lines := slices.DeleteFunc(strings.Split(out, "\n"), func(line string) bool { return strings.Contains(line, "TSIG") })
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Log(run(t, "named-checkzone", "-i", "local", "fed.example", path))
}

// TestClients asks with the usual clients.
func TestClients(t *testing.T) {
	certificate := certify(t)
	s, port := start(t, server.Config{ID: "ns-1", Listen: []string{"127.0.0.1:0"}, ListenTLS: []string{"127.0.0.1:0"},
		TLS:   &tls.Config{Certificates: []tls.Certificate{certificate}},
		Zones: []server.Zone{{Name: zoneName, Servers: servers()}}})
	fill(t, s)
	at := func(port int) []string { return []string{"@127.0.0.1", "-p", fmt.Sprint(port)} }
	overTLS := int(s.Addresses()[1].Port())
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"dig", append(at(port), "alias.fed.example", "A", "+nsid", "+subnet=198.51.100.0/24", "+cookie"), []string{"status: NOERROR", "flags: qr aa", "192.0.2.2", "ns-1", "CLIENT-SUBNET: 198.51.100.0/24/0", "(good)"}},
		{"dig", append(at(port), "nothing.fed.example", "A", "+tcp"), []string{"status: NXDOMAIN", "SOA"}},
		{"dig", append(at(port), "fed.example", "ANY", "+notcp"), []string{"status: NOERROR", "NS"}},
		{"kdig", append(at(port), "x.wild.fed.example", "A"), []string{"NOERROR", "192.0.2.9"}},
		{"kdig", append(at(overTLS), "x.wild.fed.example", "A", "+tls"), []string{"NOERROR", "192.0.2.9"}},
	} {
		out := run(t, test.name, test.args...)
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s %s: no %q in\n%s", test.name, strings.Join(test.args, " "), want, out)
			}
		}
	}
}

// TestValidation has delv validate signed answers from the zone's key as its only trust anchor.
func TestValidation(t *testing.T) {
	s, port := start(t, server.Config{Listen: []string{"127.0.0.1:0"}, Directory: t.TempDir(),
		Zones: []server.Zone{{Name: zoneName, Servers: servers(), Signed: true}}})
	fill(t, s)
	ds := strings.Fields(s.DS(zoneName))
	anchor := filepath.Join(t.TempDir(), "anchor")
	if err := os.WriteFile(anchor, fmt.Appendf(nil, "trust-anchors { \"fed.example\" static-ds %s %s %s \"%s\"; };\n", ds[4], ds[5], ds[6], ds[7]), 0o600); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"web.shop.earth.svc.fed.example A":    "192.0.2.1",
		"alias.fed.example A":                 "192.0.2.1",
		"x.wild.fed.example A":                "192.0.2.9",
		"fed.example SOA":                     "SOA",
		"fed.example NS":                      "ns1",
		"web.shop.earth.svc.fed.example AAAA": "negative response, fully validated",
		"shop.earth.svc.fed.example A":        "negative response, fully validated",
		"nothing.fed.example A":               "negative response, fully validated",
	} {
		args := append([]string{"@127.0.0.1", "-p", fmt.Sprint(port), "-a", anchor, "+root=fed.example"}, strings.Fields(query)...)
		if out := run(t, "delv", args...); !strings.Contains(out, want) || !strings.Contains(out, "fully validated") {
			t.Errorf("%s: no %q, or not validated:\n%s", query, want, out)
		}
	}
}

func certify(t *testing.T) tls.Certificate {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, priv.Public(), priv)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: priv}
}
