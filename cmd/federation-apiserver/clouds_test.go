package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestCloudConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		name, path string
		accounts   int
		want       string
	}{
		{name: "none"},
		{name: "one account", path: write("clouds.yaml", "accounts: [{name: a, provider: aws, credentials: [{static: {file: keys}}]}]"), accounts: 1},
		{name: "wrong", path: write("wrong.yaml", "accounts: [{name: a, provider: azure}]"), want: "--cloud-config: cloud configuration " + filepath.Join(dir, "wrong.yaml") + ": accounts[0].provider"},
		{name: "no file", path: filepath.Join(dir, "none"), want: "--cloud-config: reading the cloud configuration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newControllerOptions()
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			o.addFlags(fs)
			if err := fs.Parse([]string{"--cloud-config=" + test.path}); err != nil {
				t.Fatal(err)
			}
			err := o.validate()
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q in it", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c, err := o.clouds.load()
			if err != nil || (c == nil) != (test.path == "") || c != nil && len(c.Accounts) != test.accounts {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}
