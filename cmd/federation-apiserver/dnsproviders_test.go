package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefed.dev/kubefed/pkg/dns/config"
)

// TestDNSProviders makes providers of a file's zones, and tells which field is wrong without a secret.
func TestDNSProviders(t *testing.T) {
	dir := t.TempDir()
	secret := "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="
	for name, text := range map[string]string{"key": secret + "\n", "password": "hush\n", "ca.pem": "not a certificate"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	constructors := providers("earth")
	for _, test := range []struct{ name, zone, want string }{
		{"dynamic updates", `{name: a.example, provider: rfc2136, rfc2136: {server: "192.0.2.1:53", key: {name: update, secretFile: DIR/key}, servers: ["192.0.2.2:53"]}}`, ""},
		{"dynamic updates without a key", `{name: a.example, provider: rfc2136, rfc2136: {server: "192.0.2.1:53"}}`, ""},
		{"a key that is not there", `{name: a.example, provider: rfc2136, rfc2136: {server: "192.0.2.1:53", transferKey: {name: update, secretFile: DIR/other}}}`, "rfc2136.transferKey"},
		{"CoreDNS", `{name: b.example, provider: coredns, coredns: {endpoints: ["http://127.0.0.1:1"], username: u, passwordFile: DIR/password}}`, ""},
		{"CoreDNS without its password", `{name: b.example, provider: coredns, coredns: {endpoints: ["http://127.0.0.1:1"], passwordFile: DIR/other}}`, "coredns.passwordFile"},
		{"CoreDNS with a wrong CA", `{name: b.example, provider: coredns, coredns: {endpoints: ["https://127.0.0.1:1"], tls: {caFile: DIR/ca.pem}}}`, "coredns.tls"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := config.Parse([]byte("zones: [" + strings.ReplaceAll(test.zone, "DIR", dir) + "]"))
			if err != nil {
				t.Fatal(err)
			}
			zone := c.Zones[0]
			provider, err := constructors[zone.Provider](t.Context(), zone)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
					t.Errorf("error %v, want one with %q and without the secret", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if zones, err := provider.Zones(t.Context()); err != nil || len(zones) != 1 || zones[0].Name != zone.Name {
				t.Errorf("zones %+v, error %v", zones, err)
			}
		})
	}
}
