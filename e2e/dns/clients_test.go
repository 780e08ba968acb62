package dns_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/server"
)

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
	r, err := p.Apply(t.Context(), zoneName, dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, []dns.Change{{Name: name, Before: before, After: after}})
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

// TestZoneFile has BIND's checker read a transferred zone, and ldns sign and verify it.
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
	t.Chdir(filepath.Dir(path)) // Where ldns-keygen writes.
	key := strings.TrimSpace(run(t, "ldns-keygen", "-a", "ECDSAP256SHA256", "-r", "/dev/urandom", "fed.example"))
	run(t, "ldns-signzone", "-f", path+".signed", path, key)
	t.Log(run(t, "ldns-verify-zone", path+".signed"))
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

// TestDynamicUpdate: nsupdate, as ACME clients use it, adds a text beside the federation's names and takes it away.
func TestDynamicUpdate(t *testing.T) {
	s, port := start(t, server.Config{Listen: []string{"127.0.0.1:0"}, Keys: []server.Key{{Name: "acme", Secret: secret}},
		Zones: []server.Zone{{Name: zoneName, Servers: servers(), UpdateKeys: []string{"acme"}}}})
	fill(t, s)
	const name = "_acme-challenge.web.fed.example."
	for _, step := range []struct{ command, want string }{
		{"update add " + name + ` 60 TXT "token"`, `"token"`},
		{"update delete " + name + " TXT", ""},
	} {
		script := filepath.Join(t.TempDir(), "script")
		text := fmt.Sprintf("server 127.0.0.1 %d\nzone %s\nkey hmac-sha256:acme %s\n%s\nsend\n", port, zoneName, secret, step.command)
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "nsupdate", "-v", script)
		if got := strings.TrimSpace(run(t, "dig", "@127.0.0.1", "-p", fmt.Sprint(port), name, "TXT", "+short")); got != step.want {
			t.Errorf("after %q: %q, want %q", step.command, got, step.want)
		}
	}
}
