package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/internal/playground"
)

func TestPlaygroundRefusesBadInput(t *testing.T) {
	for _, test := range []struct {
		name, want string
		args       []string
		code       int
	}{
		{"cluster without a place", `--clusters: cluster "gondor": write name=provider/region/zones`, []string{"up", "--clusters=gondor"}, ExitUsage},
		{"cluster with a bad name", `cluster name "Gondor"`, []string{"up", "--clusters=Gondor=aws/us-east-1"}, ExitFailed},
		{"cluster twice", `"a" is given twice`, []string{"up", "--clusters=a=x/y", "--clusters=a=x/y"}, ExitFailed},
		{"host with a bad name", `cluster name "a b"`, []string{"up", "--host=a b"}, ExitFailed},
		{"status of none", "start one with `kubefed playground up`", []string{"status"}, ExitFailed},
		{"kill in none", "there is no playground", []string{"kill", "gondor"}, ExitFailed},
		{"start without a name", "wants one cluster name", []string{"start"}, ExitUsage},
		{"up with an argument", "takes no arguments", []string{"up", "gondor"}, ExitUsage},
		{"unknown command", `unknown command "ups" for "kubefed playground"; did you mean up?`, []string{"ups"}, ExitFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			t.Setenv("KUBECONFIG", filepath.Join(home, "config"))
			var out, err bytes.Buffer
			code := Main(append([]string{"playground", "--dir=" + filepath.Join(home, "p")}, test.args...), Streams{Out: &out, Err: &err})
			if code != test.code || !strings.Contains(err.String(), test.want) {
				t.Errorf("exit code %d, want %d; error %q, want %q in it", code, test.code, err.String(), test.want)
			}
			left, readErr := os.ReadDir(home)
			if readErr != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, readErr)
			}
		})
	}
}

func TestPlaygroundDownWithoutOneIsDone(t *testing.T) {
	var out, err bytes.Buffer
	dir := filepath.Join(t.TempDir(), "p")
	if code := Main([]string{"playground", "down", "--dir=" + dir}, Streams{Out: &out, Err: &err}); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, err.String())
	}
	if diff := cmp.Diff("There is no playground in "+dir+".\n", out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPrintPlaygroundStatus(t *testing.T) {
	status := &playground.Status{Dir: "/p", Kubeconfig: "/k", Clusters: []playground.ClusterStatus{{
		Spec:  playground.Spec{Name: "gondor", Role: playground.Member, Provider: "aws", Region: "us-east-1", Zones: []string{"us-east-1a", "us-east-1b"}},
		State: playground.Running, Server: "https://127.65.0.1:6443", IPRange: "127.65.0.0/16", PID: 4711, Log: "/p/gondor/log",
	}}}
	for _, test := range []struct{ format, want string }{
		{"", "NAME     ROLE     PROVIDER   REGION      STATE     SERVER\n" +
			"gondor   member   aws        us-east-1   Running   https://127.65.0.1:6443\n"},
		{"wide", "NAME     ROLE     PROVIDER   REGION      STATE     SERVER                    ZONES                   ADDRESSES       PID    LOG\n" +
			"gondor   member   aws        us-east-1   Running   https://127.65.0.1:6443   us-east-1a,us-east-1b   127.65.0.0/16   4711   /p/gondor/log\n"},
	} {
		t.Run("format "+test.format, func(t *testing.T) {
			var out bytes.Buffer
			if err := printPlaygroundStatus(&out, status, test.format); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, format := range []string{"json", "yaml"} {
		var out bytes.Buffer
		if err := printPlaygroundStatus(&out, status, format); err != nil || !strings.Contains(out.String(), "us-east-1b") {
			t.Errorf("%s: %v %s", format, err, out.String())
		}
	}
	if err := printPlaygroundStatus(&bytes.Buffer{}, status, "xml"); err == nil || !strings.Contains(err.Error(), "json, yaml or wide") {
		t.Errorf("format xml: %v", err)
	}
}
