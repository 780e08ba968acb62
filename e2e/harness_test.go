// Package e2e tells the stories of a federation's users, black box: through the built programs and an unmodified kubectl,
// on real local clusters. The stories share one federation of a host cluster and three members; each has a namespace of
// its own and leaves the federation as it found it.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	federationName = "fellowship"
	host           = "rivendell"
)

var members = []string{"gondor", "rohan", "shire"}

// initCommand makes the federation; pods without a node are counted, members that return are used, and clouds are asked, sooner than by
// default. TestMain adds the clouds.
var initCommand = []string{"kubefed", "init", federationName, "--host-cluster-context=" + host, "--dns-zone-name=example.com",
	"--apiserver-arg-overrides=--unschedulable-after=4s,--cluster-stable-for=1s,--cloud-zone-period=1s,--cloud-price-period=1s,--cloud-price-list-period=1s"}

// world is the playground with the federation in it.
type world struct {
	dir string // of the playground
	env []string
}

// federation is shared by all stories; TestMain makes it.
var federation *world

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kubefed-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin, err := filepath.Abs("../bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// exec looks programs up in the process's own PATH.
	os.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	federation = &world{dir: filepath.Join(dir, "playground"), env: append(os.Environ(), "KUBECONFIG="+filepath.Join(dir, "kubeconfig"))}
	ctx := context.Background()
	defer federation.run(ctx, "kubefed", "playground", "down", "--dir="+federation.dir)
	initCommand = append(initCommand, "--cloud-config="+filepath.Join(federation.dir, "clouds.d", "clouds.yaml"))
	steps := [][]string{
		{"kubefed", "playground", "up", "--dir=" + federation.dir},
		{"kubefed", "playground", "cloud", "up", "--dir=" + federation.dir},
		initCommand,
		{"kubectl", "config", "use-context", federationName},
	}
	for _, name := range members {
		steps = append(steps, []string{"kubefed", "join", name, "--host-cluster-context=" + host})
	}
	for _, step := range steps {
		start := time.Now()
		out, err := federation.run(ctx, step...)
		fmt.Printf("%6.2fs %s\n", time.Since(start).Seconds(), strings.Join(step, " "))
		if err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s\n", err, out)
			federation.explain(os.Stderr)
			return 1
		}
	}
	code := m.Run()
	if code != 0 {
		federation.explain(os.Stderr)
	}
	return code
}

// explain prints the end of each cluster's log.
func (w *world) explain(to *os.File) {
	logs, _ := filepath.Glob(filepath.Join(w.dir, "*", "log"))
	for _, path := range logs {
		data, _ := os.ReadFile(path)
		fmt.Fprintf(to, "--- end of %s\n%s\n", path, data[max(0, len(data)-2000):])
	}
	out, _ := w.run(context.Background(), "kubectl", "--context="+host, "-n", "federation-system", "logs", "deployment/federation-apiserver", "--tail=60")
	fmt.Fprintf(to, "--- control plane\n%s\n", out)
}

// run runs a command and returns what it printed on standard output; an error carries the rest.
func (w *world) run(ctx context.Context, words ...string) (string, error) {
	return w.runInput(ctx, "", words...)
}

func (w *world) runInput(ctx context.Context, input string, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Stdin = w.env, &stdout, &stderr, strings.NewReader(input)
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// must runs a command that has to succeed.
func must(t *testing.T, words ...string) string {
	t.Helper()
	out, err := federation.run(t.Context(), words...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused runs a command that has to fail, and whose complaint has to name all of words.
func refused(t *testing.T, command []string, complaint ...string) {
	t.Helper()
	out, err := federation.run(t.Context(), command...)
	if err == nil {
		t.Errorf("%s succeeded:\n%s", strings.Join(command, " "), out)
		return
	}
	for _, word := range complaint {
		if !strings.Contains(err.Error()+out, word) {
			t.Errorf("%s: the complaint does not name %q:\n%v", strings.Join(command, " "), word, err)
		}
	}
}

// kubectl runs kubectl against the federation.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return must(t, append([]string{"kubectl", "--context=" + federationName}, args...)...)
}

// inMember runs kubectl against one member.
func inMember(t *testing.T, member string, args ...string) string {
	t.Helper()
	return must(t, append([]string{"kubectl", "--context=" + member}, args...)...)
}

// apply applies a manifest to the federation, or to the cluster of another context.
func apply(t *testing.T, kubeContext, manifest string) {
	t.Helper()
	if _, err := federation.runInput(t.Context(), manifest, "kubectl", "--context="+kubeContext, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// get reads one object as JSON; ok is false where it is not there.
func get(t *testing.T, kubeContext string, args ...string) (obj map[string]any, ok bool) {
	t.Helper()
	out, err := federation.run(t.Context(), append([]string{"kubectl", "--context=" + kubeContext, "get", "-o", "json", "--ignore-not-found"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(out) == "" {
		return nil, false
	}
	if err := json.Unmarshal([]byte(out), &obj); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return obj, true
}

// items reads a list as JSON.
func items(t *testing.T, kubeContext string, args ...string) []map[string]any {
	t.Helper()
	list, _ := get(t, kubeContext, args...)
	var out []map[string]any
	raw, _ := list["items"].([]any)
	for _, item := range raw {
		out = append(out, item.(map[string]any))
	}
	return out
}

// field reads a path of a JSON object, nil where there is none.
func field(obj map[string]any, path ...string) any {
	var value any = obj
	for _, key := range path {
		m, _ := value.(map[string]any)
		value = m[key]
	}
	return value
}

func text(obj map[string]any, path ...string) string {
	s, _ := field(obj, path...).(string)
	return s
}

func number(obj map[string]any, path ...string) int {
	n, _ := field(obj, path...).(float64)
	return int(n)
}

// eventually waits until check is true, and fails with the last reason why it was not.
func eventually(t *testing.T, what string, within time.Duration, check func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		ok, why := check()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %s", within, what, why)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// namespace makes a namespace for one story and deletes it afterwards, which has to leave nothing in any member.
func namespace(t *testing.T, name string) string {
	t.Helper()
	kubectl(t, "create", "namespace", name)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		defer cancel()
		if out, err := federation.run(ctx, "kubectl", "--context="+federationName, "delete", "namespace", name, "--ignore-not-found", "--timeout=60s"); err != nil {
			t.Errorf("deleting namespace %s: %v\n%s", name, err, out)
		}
	})
	return name
}

// synced waits until every decision of a namespace says that its object is where it should be.
func synced(t *testing.T, ns string, within time.Duration) {
	t.Helper()
	eventually(t, "all of namespace "+ns+" synced", within, func() (bool, string) {
		decisions := items(t, federationName, "placementdecisions", "-n", ns)
		if len(decisions) == 0 {
			return false, "there are no decisions"
		}
		for _, d := range decisions {
			if c := condition(d, "Synced"); text(c, "status") != "True" {
				return false, fmt.Sprintf("%s: %v %v", text(d, "metadata", "name"), text(c, "reason"), text(c, "message"))
			}
		}
		return true, ""
	})
}

func condition(obj map[string]any, kind string) map[string]any {
	list, _ := field(obj, "status", "conditions").([]any)
	for _, c := range list {
		if m, _ := c.(map[string]any); m["type"] == kind {
			return m
		}
	}
	return nil
}
