package playground

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

var testRange = netip.MustParsePrefix("127.65.0.0/16")

// entry is a kubeconfig with one context.
func entry(name, server string) *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: name}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return config
}

func TestMergeAndRemoveLeaveTheRestAlone(t *testing.T) {
	ours := []cluster{{Spec: Spec{Name: "gondor"}, IPRange: testRange}}
	for _, test := range []struct {
		name, current string // the user's context before
		use           string // the context in use before the end
		elsewhere     bool   // the user pointed our entry to another server
		want          string
		wantGondor    bool
	}{
		{"not switched", "work", "work", false, "work", false},
		{"switched to ours", "work", "gondor", false, "work", false},
		{"switched to a third", "work", "fellowship", false, "fellowship", false},
		{"none before", "", "gondor", false, "", false},
		{"not ours any more", "work", "gondor", true, "gondor", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sub", "config")
			edit := func(change func(*clientcmdapi.Config)) {
				t.Helper()
				if err := editKubeconfig(t.Context(), path, change); err != nil {
					t.Fatal(err)
				}
			}
			edit(func(c *clientcmdapi.Config) {
				merge(c, []*clientcmdapi.Config{entry("work", "https://work"), entry("fellowship", "https://f")}, "", true)
				c.CurrentContext = test.current
			})
			before := read(t, path)
			edit(func(c *clientcmdapi.Config) {
				merge(c, []*clientcmdapi.Config{entry("gondor", serverURL(testRange))}, "gondor", test.current != "")
			})
			if test.current == "" && read(t, path).CurrentContext != "gondor" {
				t.Error("no context is current although there was none before")
			}
			edit(func(c *clientcmdapi.Config) {
				c.CurrentContext = test.use
				if test.elsewhere {
					c.Clusters["gondor"].Server = "https://elsewhere"
				}
			})
			edit(func(c *clientcmdapi.Config) { remove(c, ours, test.current) })
			after := read(t, path)
			if after.CurrentContext != test.want {
				t.Errorf("current context %q, want %q", after.CurrentContext, test.want)
			}
			if _, exists := after.Contexts["gondor"]; exists != test.wantGondor {
				t.Errorf("context gondor exists: %t, want %t", exists, test.wantGondor)
			}
			if !test.elsewhere {
				before.CurrentContext, after.CurrentContext = "", ""
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("the user's own entries changed (-before +after):\n%s", diff)
				}
			}
			if _, err := os.Stat(path + ".lock"); err == nil {
				t.Error("the lock file is left")
			}
		})
	}
}

func TestAnEmptyKubeconfigIsNotLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	for _, change := range []func(*clientcmdapi.Config){
		func(c *clientcmdapi.Config) {
			merge(c, []*clientcmdapi.Config{entry("gondor", serverURL(testRange))}, "gondor", false)
		},
		func(c *clientcmdapi.Config) {
			remove(c, []cluster{{Spec: Spec{Name: "gondor"}, IPRange: testRange}}, "")
		},
		func(*clientcmdapi.Config) {},
	} {
		if err := editKubeconfig(t.Context(), path, change); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is left although there was none before")
	}
}

func TestForeignNamesAreRefused(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	userOnly := clientcmdapi.NewConfig()
	userOnly.AuthInfos["gondor"] = &clientcmdapi.AuthInfo{}
	for _, test := range []struct {
		name, wantError string
		seen            *clientcmdapi.Config
	}{
		{"free", "", entry("work", "https://work")},
		{"ours", "", entry("gondor", serverURL(testRange))},
		{"somebody else's", `an entry "gondor" for https://work already`, entry("gondor", "https://work")},
		{"a user of that name", `an entry "gondor" already`, userOnly},
		{"of a playground that is gone", "", entry("gondor", "https://127.201.0.1:6443")},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := foreign(test.seen, "gondor", serverURL(testRange)); !matches(err, test.wantError) {
				t.Errorf("error %v, want one with %q", err, test.wantError)
			}
		})
	}
}

func read(t *testing.T, path string) *clientcmdapi.Config {
	t.Helper()
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return config
}
