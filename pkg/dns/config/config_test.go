package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const secret = "c2VjcmV0IG9mIHNpeHRlZW4gb2N0ZXRz"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, file string
		// want are parts of the error, in any order; none for no error.
		want []string
	}{
		{"the least", "zones: [{name: example.com}]", nil},
		{"every provider", `
server:
  listen: [":5353", "[::1]:53"]
  tsigKeys: [{name: transfer, secret: ` + secret + `}]
zones:
- name: Global.Example.com.
  embedded:
    nameServers: [{name: ns1.global.example.com, addresses: [192.0.2.53]}]
    secondaries: [{address: "198.51.100.53:53", key: transfer}]
    transferKeys: [transfer]
- {name: a.example, provider: rfc2136, rfc2136: {server: "192.0.2.1:53", key: {name: k, algorithm: hmac-sha512, secretFile: /x}}}
- {name: b.example, provider: aws-route53}
- {name: c.example, provider: google-clouddns, google-clouddns: {project: p}}
- {name: d.example, provider: coredns, coredns: {endpoints: ["http://127.0.0.1:2379"]}}
`, nil},
		{"no zone", "{}", []string{"zones: name at least one"}},
		{"an unknown field", "zones: [{name: example.com, ttl: 3}]", []string{`unknown field "zones[0].ttl"`}},
		{"an unknown provider", "zones: [{name: example.com, provider: bind}]", []string{`zones[0].provider "bind"`, "rfc2136"}},
		{"options of another provider", "zones: [{name: example.com, rfc2136: {server: \"192.0.2.1:53\"}}]", []string{"zones[0].rfc2136: the zone's provider is embedded"}},
		{"a zone twice", "zones: [{name: example.com}, {name: EXAMPLE.com.}]", []string{"zones[1].name: zone example.com. is there twice"}},
		{"no name and a bad one", "zones: [{name: \"\"}, {name: a..b}]", []string{"zones[0].name: name the zone", "zones[1].name"}},
		{"a key that nobody knows", "zones: [{name: example.com, embedded: {transferKeys: [k]}}]", []string{`zones[0].embedded: key "k" is not among server.tsigKeys`}},
		{"a weak secret", "zones: [{name: example.com}]\nserver: {tsigKeys: [{name: k, secret: aGVsbG8=}]}", []string{"server.tsigKeys[0].secret", "openssl rand"}},
		{"secret and file", "zones: [{name: example.com}]\nserver: {tsigKeys: [{name: k, secret: " + secret + ", secretFile: f}]}", []string{"server.tsigKeys[0]: give either"}},
		{"a name server without address", "zones: [{name: example.com, embedded: {nameServers: [{name: ns1.example.com}]}}]", []string{"nameServers[0].addresses"}},
		{"signed and transferred", "zones: [{name: example.com, embedded: {dnssec: true, transferKeys: [k]}}]\nserver: {tsigKeys: [{name: k, secret: " + secret + "}]}", []string{"a signed zone is not transferred"}},
		{"addresses", "zones: [{name: example.com, provider: rfc2136, rfc2136: {server: ns1}}]\nserver: {listen: [53], listenTLS: [\":853\"]}", []string{"server.listen"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.file))
			if len(test.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			for _, s := range []string{secret, "aGVsbG8="} {
				if strings.Contains(err.Error(), s) {
					t.Errorf("error %q holds a secret", err)
				}
			}
		})
	}
}

func TestSecretsAreHidden(t *testing.T) {
	c, err := Parse([]byte("zones: [{name: example.com}]\nserver: {tsigKeys: [{name: k, secret: " + secret + "}]}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v", *c), fmt.Sprintf("%+v", c.Server), fmt.Sprintf("%#v", c.Server.TSIGKeys)} {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds the secret", text)
		}
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range []TSIGKey{c.Server.TSIGKeys[0], {Name: "k", SecretFile: file}} {
		if got, err := k.Read(); err != nil || got != secret {
			t.Errorf("read %v, %v", got == secret, err)
		}
	}
	if _, err := (TSIGKey{Name: "k", SecretFile: file + ".gone"}).Read(); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestFor(t *testing.T) {
	c, err := Parse([]byte("zones: [{name: example.com}, {name: shop.example.com}]"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range []string{"a.example.com.", "shop.example.com.", "a.shop.example.com.", "myshop.example.com.", "example.org."} {
		z, _ := c.For(name)
		got[name] = z.Name
	}
	want := map[string]string{"a.example.com.": "example.com.", "shop.example.com.": "shop.example.com.", "a.shop.example.com.": "shop.example.com.",
		"myshop.example.com.": "example.com.", "example.org.": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "dns.yaml")
	file := "zones: [{name: a.example, provider: rfc2136, rfc2136: {server: \"192.0.2.1:53\", key: {name: k, secretFile: key}, transferKey: {name: k, secretFile: /etc/key}}}]"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Zones[0].RFC2136.Key.SecretFile, c.Zones[0].RFC2136.TransferKey.SecretFile}
	if diff := cmp.Diff([]string{filepath.Join(dir, "key"), "/etc/key"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
