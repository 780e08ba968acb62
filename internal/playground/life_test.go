package playground

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/internal/testprogram"
)

// program finds a built program; the playground itself then finds it on PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	path := testprogram.Find(t, name)
	t.Setenv("PATH", filepath.Dir(path)+string(os.PathListSeparator)+os.Getenv("PATH"))
	return path
}

// shared collects what the playground says.
func shared(t *testing.T) (*Playground, *bytes.Buffer) {
	t.Helper()
	program(t, "local-cluster")
	home := t.TempDir()
	t.Setenv("KUBECONFIG", filepath.Join(home, "config"))
	progress := &bytes.Buffer{}
	return &Playground{Dir: filepath.Join(home, "p"), Progress: progress}, progress
}

func TestALifeOfAPlayground(t *testing.T) {
	p, progress := shared(t)
	kubectl := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), program(t, "kubectl"), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	wish := Wish{Host: "lorien", Members: []Spec{{"mordor", Member, "aws", "us-west-2", []string{"us-west-2a", "us-west-2b"}}}}
	t.Cleanup(func() {
		if err := p.Down(context.WithoutCancel(t.Context())); err != nil && !errors.Is(err, ErrNone) {
			t.Errorf("taking down: %v\n%s", err, progress)
		}
	})
	if err := p.Up(t.Context(), wish); err != nil {
		t.Fatalf("%v\n%s", err, progress)
	}
	first := look(t, p)
	if diff := cmp.Diff(map[string]string{"lorien": Running, "mordor": Running}, states(first)); diff != "" {
		t.Errorf("after up (-want +got):\n%s", diff)
	}

	zones := kubectl("--context=mordor", "get", "nodes", "-o", `jsonpath={.items[*].metadata.labels.topology\.kubernetes\.io/zone}`)
	if zones != "us-west-2a us-west-2b us-west-2a" {
		t.Errorf("zones of the nodes: %q", zones)
	}
	kubectl("--context=mordor", "create", "deployment", "web", "--image=nginx", "--replicas=2")
	kubectl("--context=mordor", "rollout", "status", "deployment/web", "--timeout=60s")
	kubectl("--context=mordor", "logs", "deployment/web")
	if current := kubectl("config", "current-context"); current != "lorien" {
		t.Errorf("current context %q, want the host", current)
	}

	progress.Reset()
	if err := p.Up(t.Context(), Wish{}); err != nil {
		t.Fatalf("up again: %v", err)
	}
	if diff := cmp.Diff(first, look(t, p)); diff != "" {
		t.Errorf("up again changed something (-first +second):\n%s", diff)
	}
	if got, want := progress.String(), "lorien: running already\nmordor: running already\n"; got != want {
		t.Errorf("up again said %q, want %q", got, want)
	}
	if err := p.Up(t.Context(), Wish{Members: DefaultMembers()}); !matches(err, "there is a playground already") {
		t.Errorf("up with other clusters: %v", err)
	}

	if err := p.Kill(t.Context(), "mordor"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"lorien": Running, "mordor": Stopped}, states(look(t, p))); diff != "" {
		t.Errorf("after kill (-want +got):\n%s", diff)
	}
	if err := p.Start(t.Context(), "mordor"); err != nil {
		t.Fatal(err)
	}
	if available := kubectl("--context=mordor", "get", "deployment", "web", "-o", "jsonpath={.status.availableReplicas}"); available != "2" {
		t.Errorf("after kill and start %q replicas are available, want 2", available)
	}
	if err := p.Kill(t.Context(), "shire"); !matches(err, `no cluster "shire"`) {
		t.Errorf("killing an unknown cluster: %v", err)
	}

	last := look(t, p)
	if err := p.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	nothingIsLeft(t, p, last)
	if err := p.Down(t.Context()); !errors.Is(err, ErrNone) {
		t.Errorf("down again: %v, want %v", err, ErrNone)
	}
}

func TestUpThatIsInterruptedLeavesNothing(t *testing.T) {
	p, progress := shared(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		result <- p.Up(ctx, Wish{Host: "lorien", Members: []Spec{{"mordor", Member, "x", "y", []string{"z"}}}})
	}()
	// Interrupted when both clusters have a process.
	var status *Status
	deadline := time.Now().Add(30 * time.Second)
	for {
		var err error
		status, err = p.Status(t.Context())
		if err == nil && status.Clusters[0].PID != 0 && status.Clusters[1].PID != 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the processes did not start: %+v %v", status, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v\n%s", err, context.Canceled, progress)
	}
	nothingIsLeft(t, p, status)
}

func TestAClusterThatCannotStartSaysWhy(t *testing.T) {
	p, progress := shared(t)
	failing := t.TempDir()
	script := "#!/bin/sh\necho 'error: no room' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(failing, "local-cluster"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", failing+string(os.PathListSeparator)+os.Getenv("PATH"))
	err := p.Up(t.Context(), Wish{Host: "lorien", Members: []Spec{}})
	if !matches(err, "cluster lorien ended: no room") {
		t.Errorf("error %v\n%s", err, progress)
	}
	nothingIsLeft(t, p, &Status{})
}

// nothingIsLeft checks that no process, file, address or context of a playground is there any more.
func nothingIsLeft(t *testing.T, p *Playground, before *Status) {
	t.Helper()
	for _, c := range before.Clusters {
		if _, running, err := birthOf(c.PID); c.PID != 0 && err == nil && running {
			t.Errorf("cluster %s has process %d still", c.Name, c.PID)
		}
		links, err := filepath.Glob(filepath.Join(os.TempDir(), "kubefed-playground-*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			if owner, err := os.Readlink(link); err == nil && owner == p.folder(c.Name) {
				t.Errorf("cluster %s keeps its addresses: %s", c.Name, link)
			}
		}
	}
	left, err := os.ReadDir(filepath.Dir(p.Dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range left {
		t.Errorf("left behind: %s", file.Name())
	}
}

func look(t *testing.T, p *Playground) *Status {
	t.Helper()
	status, err := p.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func states(s *Status) map[string]string {
	found := map[string]string{}
	for _, c := range s.Clusters {
		found[c.Name] = c.State
	}
	return found
}

func TestLocalClusterRefusesBadFlags(t *testing.T) {
	bin := program(t, "local-cluster")
	bad := filepath.Join(t.TempDir(), "images.json")
	if err := os.WriteFile(bad, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, want string
		args       []string
	}{
		{"no name", "--name", []string{"--dir=x"}},
		{"name with a capital", `--name "Gondor"`, []string{"--name=Gondor", "--dir=x"}},
		{"no folder", "--dir is missing", []string{"--name=gondor"}},
		{"no range", `--ip-range: netip.ParsePrefix("x")`, []string{"--name=gondor", "--dir=x", "--ip-range=x"}},
		{"range of the network", "--ip-range 10.0.0.0/16: must be a /16 inside 127.0.0.0/8", []string{"--name=gondor", "--dir=x", "--ip-range=10.0.0.0/16"}},
		{"no nodes", "--nodes 0", []string{"--name=gondor", "--dir=x", "--nodes=0"}},
		{"port", "--port 0", []string{"--name=gondor", "--dir=x", "--port=0"}},
		{"zone with a space", `--zones "a b"`, []string{"--name=gondor", "--dir=x", "--zones=a b"}},
		{"images missing", "--images-file", []string{"--name=gondor", "--dir=x", "--images-file=/does/not/exist"}},
		{"images unreadable", "give an object such as", []string{"--name=gondor", "--dir=x", "--images-file=" + bad}},
		{"argument", `unexpected argument "gondor"`, []string{"gondor"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), bin, test.args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("%v, output %q, want %q in it", err, out, test.want)
			}
		})
	}
}
