package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInitCloudConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("keys", "[default]\naws_secret_access_key = wJalrXUtnFEMI")
	good := write("clouds.yaml", "accounts: [{name: prod, provider: aws, credentials: [{static: {file: keys}}]}]")
	line := []string{"init", "fellowship", "--dns-zone-name=example.com", "--host-cluster-context=rivendell", "--dry-run=client", "-o", "yaml",
		"--service-account-annotations=eks.amazonaws.com/role-arn=arn:aws:iam::123456789012:role/kubefed"}
	code, out, errs := typed(t, append(line, "--cloud-config="+good)...)
	if code != ExitOK {
		t.Fatal(errs)
	}
	for _, want := range []string{"name: federation-apiserver-cloud", "--cloud-config=/etc/federation/cloud/config.yaml", "mountPath: /etc/federation/cloud",
		"file-1: W2RlZmF1bHRd", "eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/kubefed"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in what would be written", want)
		}
	}
	for name, want := range map[string]string{
		"accounts: [{name: prod, provider: aws, credentials: [{static: {file: lost}}]}]":            "--cloud-config: a file that it names",
		"accounts: [{name: prod, provider: aws, credentials: [{profile: {}}]}]":                     "profile: names no file",
		"accounts: [{name: prod, provider: aws, credentials: [{static: {file: keys, x: secret}}]}]": `unknown field "accounts[0].credentials[0].static.x"`,
	} {
		if code, _, errs := typed(t, append(line, "--cloud-config="+write("wrong.yaml", name))...); code != ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %s", name, code, errs)
		}
	}
	if _, out, _ := typed(t, line...); strings.Contains(out, "cloud-config") {
		t.Error("without a file there is one")
	}
}
