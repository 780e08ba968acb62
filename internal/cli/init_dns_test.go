package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/controlplane"
	"kubefed.dev/kubefed/pkg/dns/config"
)

func TestInitDNSFlags(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("key", "c2VjcmV0IG9mIHNpeHRlZW4gb2N0ZXRz")
	keyed := write("keyed.yaml", "zones: [{name: example.com, provider: rfc2136, rfc2136: {server: \"192.0.2.9:53\", key: {name: k, secretFile: key}, transferKey: {name: k, secretFile: key}}}]")
	for _, test := range []struct {
		name, line string
		want       string // part of the error
		provider   string // of the main zone; empty where nothing is said
		files      map[string][]byte
	}{
		{name: "nothing"},
		{name: "a provider that needs no options", line: "--dns-provider=aws-route53", provider: config.Route53},
		{name: "the default, typed", line: "--dns-provider=embedded", provider: config.Embedded},
		{name: "a provider that needs options", line: "--dns-provider=rfc2136", want: "zones[0].rfc2136.server"},
		{name: "an unknown provider", line: "--dns-provider=azure-azuredns", want: "use one of embedded, rfc2136, aws-route53, google-clouddns, coredns"},
		{name: "a file, and the files that it names", line: "--dns-provider-config=" + keyed, provider: config.RFC2136,
			files: map[string][]byte{"file-1": []byte("c2VjcmV0IG9mIHNpeHRlZW4gb2N0ZXRz")}},
		{name: "a provider that the file contradicts", line: "--dns-provider=coredns --dns-provider-config=" + keyed, want: "is rfc2136; leave the flag out"},
		{name: "a wrong field", line: "--dns-provider-config=" + write("wrong.yaml", "zones: [{name: example.com, ttl: 3}]"), want: `unknown field "zones[0].ttl"`},
		{name: "a file that is not there", line: "--dns-provider-config=" + write("lost.yaml", "zones: [{name: example.com, provider: google-clouddns, google-clouddns: {project: p, credentialsFile: lost.json}}]"), want: "lost.json"},
		{name: "no file", line: "--dns-provider-config=" + dir + "/none", want: "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &initFlags{Options: controlplane.DefaultOptions(), dnsProvider: config.Embedded}
			f.DNSZone = "example.com"
			for word := range strings.FieldsSeq(test.line) {
				if value, ok := strings.CutPrefix(word, "--dns-provider="); ok {
					f.dnsProvider, f.dnsProviderGiven = value, true
				}
				if value, ok := strings.CutPrefix(word, "--dns-provider-config="); ok {
					f.dnsConfigFile = value
				}
			}
			c, files, err := f.dnsConfig()
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			provider := ""
			if c != nil {
				provider = c.Zones[0].Provider
				for _, path := range c.Files() {
					if *path != "file-1" {
						t.Errorf("the pod is to read %s", *path)
					}
				}
			}
			if len(files) != len(test.files) || provider != test.provider {
				t.Errorf("main zone by %q, want %q; %d files", provider, test.provider, len(files))
			}
			if diff := cmp.Diff(test.files, files); diff != "" && len(files) > 0 {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInitSaysWhatIsNext(t *testing.T) {
	parse := func(text string) *config.Config {
		c, err := config.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var all strings.Builder
	for _, test := range []struct {
		name string
		dns  controlplane.DNS
		why  string
	}{
		{"load balancer", controlplane.DNS{Reached: controlplane.DNSEndpoint{Hosts: []string{"192.0.2.53", "2001:db8::53", "lb.example.net"}, Port: 53}}, ""},
		{"node port, not answering", controlplane.DNS{Reached: controlplane.DNSEndpoint{Hosts: []string{"192.0.2.7"}, Port: 30053}}, "UDP: no answer in time; TCP: ok"},
		{"cluster IP", controlplane.DNS{Reached: controlplane.DNSEndpoint{Hosts: []string{"10.96.0.53"}, Port: 53, Inside: true}}, ""},
		{"not exposed", controlplane.DNS{ServiceType: controlplane.NotExposed}, ""},
		{"another provider", controlplane.DNS{Config: parse("zones: [{name: example.com, provider: aws-route53}]")}, ""},
		{"both", controlplane.DNS{Reached: controlplane.DNSEndpoint{Hosts: []string{"192.0.2.53"}, Port: 53},
			Config: parse("zones: [{name: example.com, provider: aws-route53}, {name: shop.example, embedded: {nameServers: [{name: ns.example.net}]}}]")}, ""},
	} {
		var errs bytes.Buffer
		printDNS(controlplane.Options{DNSZone: "example.com."}, controlplane.Result{DNS: test.dns, DNSSilent: test.why}, Streams{Err: &errs})
		all.WriteString("--- " + test.name + "\n" + errs.String())
	}
	wantGolden(t, "init-dns.txt", all.String())
}
