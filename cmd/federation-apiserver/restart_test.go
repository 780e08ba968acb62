package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// TestRestart stops a server in both ways and looks at what the next one on the same data finds and writes.
func TestRestart(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"terminated": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A path too long for a socket is no reason to fail.
			dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 20))
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			first := startFor(t, dir)
			leader(t, first, time.Minute)
			object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}, Data: map[string]string{"a": "b"}}
			if _, err := first.client.CoreV1().ConfigMaps("default").Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			before := versions(t, first)
			if err := first.end(signal); signal == syscall.SIGTERM && err != nil {
				t.Fatalf("ending: %v", err)
			}
			killed := time.Now()
			second := startFor(t, dir)
			got, err := second.client.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
			if err != nil || got.Data["a"] != "b" {
				t.Fatalf("after the restart: %v %v", got, err)
			}
			if after := versions(t, second); after != before {
				t.Errorf("the restart wrote its own objects again: %s before, %s after", before, after)
			}
			// The lease of a killed server is still valid; only the same identity may take it over.
			leader(t, second, 10*time.Second)
			if lease := readLease(t, second); lease.renewed.Before(killed) {
				t.Errorf("the lease was renewed at %s last, before the restart", lease.renewed)
			}
		})
	}
}

// versions are the resource versions of what a server makes for itself.
func versions(t *testing.T, s *server) string {
	t.Helper()
	crds := s.mustKubectl(t, "", "get", "crds", "-o", "jsonpath={.items[*].metadata.resourceVersion}")
	info := s.mustKubectl(t, "", "get", "cm", "-n", federation.SystemNamespace, federation.InfoConfigMap, "-o", "jsonpath={.metadata.resourceVersion}")
	return crds + " " + info
}

type lease struct {
	holder  string
	renewed time.Time
}

func readLease(t *testing.T, s *server) lease {
	t.Helper()
	object, err := s.client.CoordinationV1().Leases(federation.SystemNamespace).Get(t.Context(), federation.ControllersLease, metav1.GetOptions{})
	if err != nil || object.Spec.HolderIdentity == nil || object.Spec.RenewTime == nil {
		return lease{}
	}
	return lease{holder: *object.Spec.HolderIdentity, renewed: object.Spec.RenewTime.Time}
}

// leader waits until the controllers run.
func leader(t *testing.T, s *server, patience time.Duration) {
	t.Helper()
	started := time.Now()
	mustAwait(t, patience, func() string {
		body, err := s.client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
		if err != nil {
			return err.Error()
		}
		if !strings.Contains(string(body), "leader_election_master_status{name=\"federation-controllers\"} 1") {
			return fmt.Sprintf("not the leader after %s: %v", time.Since(started), readLease(t, s))
		}
		return ""
	})
}

func TestTwoServersOnOneDirectory(t *testing.T) {
	s := sharedFor(t)
	out, err := run(t, "--data-dir", s.dir, "--secure-port=0")
	if err == nil || !strings.Contains(out, "another process uses") {
		t.Errorf("a second server on the same directory: %v\n%s", err, out)
	}
	s.mustKubectl(t, "", "get", "--raw=/readyz")
}

func TestWrongFlags(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"name":          {[]string{"--federation-name=Not_A_Label"}, "--federation-name"},
		"zone":          {[]string{"--dns-zone-name=-.com"}, "--dns-zone-name"},
		"no directory":  {[]string{"--data-dir="}, "--etcd-servers"},
		"half a pair":   {[]string{"--tls-cert-file=x"}, "--tls-private-key-file"},
		"port":          {[]string{"--secure-port=70000"}, "--secure-port"},
		"controller":    {[]string{"--controllers=nobody"}, "choose from"},
		"no kubeconfig": {[]string{"controllers", "--kubeconfig=/does/not/exist"}, "--kubeconfig"},
		"argument":      {[]string{"surplus"}, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := c.args
			if args[0] != "controllers" && args[0] != "surplus" && !strings.HasPrefix(args[0], "--data-dir") {
				args = append([]string{"--data-dir", t.TempDir(), "--secure-port=0"}, args...)
			}
			out, err := run(t, args...)
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("%v: %v, want an error that names %s:\n%s", c.args, err, c.want, out)
			}
		})
	}
}

// run runs the program to its end.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], args...)
	command.Env = append(os.Environ(), asServer+"=1")
	out, err := command.CombinedOutput()
	return string(out), err
}

func TestControllerSelection(t *testing.T) {
	for name, c := range map[string]struct {
		selected []string
		want     bool
	}{
		"all":           {[]string{"*"}, true},
		"named":         {[]string{"a"}, true},
		"all but":       {[]string{"*", "-a"}, false},
		"others":        {[]string{"b"}, false},
		"none":          {nil, false},
		"all but other": {[]string{"*", "-b"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&controllerOptions{selected: c.selected}).enabled("a"); got != c.want {
				t.Errorf("enabled = %v, want %v", got, c.want)
			}
		})
	}
}
