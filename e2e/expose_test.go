package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	addresses "kubefed.dev/kubefed/internal/playground"
)

// bareHost is a host cluster of its own that has no load balancers; its name is also its context.
const bareHost = "erebor"

// startBareHost starts it for the time of a story, with a kubeconfig of its own.
func startBareHost(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "kubefed-bare-") // short: a unix socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, err := exec.LookPath("federation-apiserver")
	if err != nil {
		t.Fatal(err)
	}
	table, _ := json.Marshal(map[string]string{"kubefed.dev/federation-apiserver": program}) // strings alone
	images := filepath.Join(dir, "images.json")
	if err := os.WriteFile(images, table, 0o600); err != nil {
		t.Fatal(err)
	}
	ipRange, err := addresses.Reserve(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = addresses.Release(ipRange, dir) })
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the cluster has its own
	cluster := exec.Command("local-cluster", "--name="+bareHost, "--dir="+filepath.Join(dir, "c"), "--load-balancers=false",
		"--ip-range="+ipRange.String(), "--images-file="+images)
	cluster.Stdout, cluster.Stderr = log, log
	if err := cluster.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cluster.Process.Signal(syscall.SIGTERM)
		if err := cluster.Wait(); err != nil || t.Failed() {
			data, _ := os.ReadFile(log.Name())
			t.Logf("the host cluster ended: %v\n%s", err, data[max(0, len(data)-2000):])
		}
	})
	w := &world{dir: dir, env: append(os.Environ(), "KUBECONFIG="+filepath.Join(dir, "c", "kubeconfig"))}
	eventually(t, "the host cluster's nodes and storage", 60*time.Second, func() (bool, string) {
		out, err := w.run(t.Context(), "kubectl", "--context="+bareHost, "get", "nodes,storageclasses", "-o", "name")
		return err == nil && strings.Count(out, "node/") == 3 && strings.Contains(out, "storageclass"), fmt.Sprintf("%s %v", out, err)
	})
	return w
}

// TestExposure: a federation on a host without load balancers, reached by node port and by port-forward, and its init and
// join stopped by Ctrl-C, resumed and undone.
func TestExposure(t *testing.T) {
	w := startBareHost(t)
	initCommand := []string{"kubefed", "init", "mountain", "--host-cluster-context=" + bareHost, "--dns-zone-name=example.com"}

	t.Run("interrupted while it waits for a load balancer, and undone", func(t *testing.T) {
		said := w.interrupt(t, initCommand, "services", "federation-apiserver")
		w.typed(t, advised(t, said, "kubefed deinit"))
		w.holdsNothing(t)
	})
	t.Run("by node port, interrupted and resumed", func(t *testing.T) {
		said := w.interrupt(t, append(initCommand, "--api-server-service-type=NodePort"), "deployments", "federation-apiserver")
		if out := w.typed(t, advised(t, said, "kubefed init")); !strings.Contains(out, `Federation "mountain" created.`) {
			t.Errorf("init says %s", out)
		}
		server := w.must(t, "kubectl", "config", "view", "-o", `jsonpath={.clusters[?(@.name=="mountain")].cluster.server}`)
		address := w.must(t, "kubectl", "--context="+bareHost, "get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}")
		if !strings.HasPrefix(server, "https://"+address+":3") {
			t.Errorf("the federation is at %s, the first node at %s", server, address)
		}
		w.must(t, "kubectl", "--context=mountain", "get", "clusters")
	})
	t.Run("DNS by node port, and then not exposed", func(t *testing.T) {
		byPort := append(initCommand, "--api-server-service-type=NodePort")
		eventually(t, "the zone's servers are known and answer", 60*time.Second, func() (bool, string) {
			out, err := w.run(t.Context(), "kubefed", "dns", "check", "--context=mountain", "--wait=0s")
			return err == nil && strings.Contains(out, ":3"), fmt.Sprint(out, err)
		})
		w.must(t, append(byPort, "--dns-service-type=None")...)
		if out := w.must(t, "kubectl", "--context="+bareHost, "-n", "federation-system", "get", "services", "-o", "name"); strings.Contains(out, "federation-dns") {
			t.Errorf("the DNS server is exposed by %s", out)
		}
		w.must(t, byPort...)
	})
	t.Run("join interrupted and resumed", func(t *testing.T) {
		join := []string{"kubefed", "join", bareHost, "--context=mountain", "--labels=tier=prod"}
		said := w.interrupt(t, join, "clusterroles", "federation.kubefed.dev:member")
		w.typed(t, advised(t, said, "kubefed join"))
		if out := w.must(t, "kubectl", "--context=mountain", "get", "clusters", "-l", "tier=prod"); !strings.Contains(out, bareHost) {
			t.Errorf("the clusters are %s", out)
		}
		w.typed(t, advised(t, said, "kubefed unjoin"))
		w.must(t, "kubefed", "deinit", "mountain", "--host-cluster-context="+bareHost)
		w.holdsNothing(t)
	})
	t.Run("by port-forward, where no load balancer comes", func(t *testing.T) {
		_, err := w.run(t.Context(), append(initCommand, "--load-balancer-timeout=1s")...)
		if err == nil {
			t.Fatal("init succeeded without a load balancer")
		}
		port := freePort(t)
		command := advised(t, err.Error(), "--api-server-service-type=ClusterIP") + fmt.Sprintf(" --api-server-port=%d", port)
		w.typed(t, strings.Replace(command, "   (reached by kubectl port-forward)", "", 1))
		w.portForward(t, port)
		w.must(t, "kubectl", "--context=mountain", "get", "clusters")
		w.must(t, "kubectl", "--context=mountain", "create", "configmap", "through", "--from-literal=a=b")
		w.must(t, "kubefed", "deinit", "mountain", "--host-cluster-context="+bareHost)
		w.holdsNothing(t)
	})
}

func (w *world) must(t *testing.T, words ...string) string {
	t.Helper()
	out, err := w.run(t.Context(), words...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// typed runs a command line as a shell does.
func (w *world) typed(t *testing.T, line string) string {
	t.Helper()
	return w.must(t, "sh", "-c", line)
}

// interrupt sends a command Ctrl-C as soon as the host has an object, and returns what the command said.
func (w *world) interrupt(t *testing.T, command []string, kind, name string) string {
	t.Helper()
	appeared := w.watch(t, kind, name)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	var said bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = w.env, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-appeared:
	case <-time.After(30 * time.Second):
		t.Errorf("%s %s has not appeared", kind, name)
	}
	_ = cmd.Process.Signal(os.Interrupt) // where it has ended already, its exit code shows it
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(said.String(), "interrupted") {
		t.Fatalf("%s: exit code %d, want 130:\n%s", strings.Join(command, " "), code, said.String())
	}
	t.Log(said.String())
	return said.String()
}

// watch returns a channel that is closed once the host has an object. A join takes a third of a second: asking now and
// then would come too late.
func (w *world) watch(t *testing.T, kind, name string) (appeared <-chan struct{}) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", "--context="+bareHost, "get", kind, "-A", "--watch", "-o", "name")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = w.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	first, found := make(chan struct{}), make(chan struct{})
	go func() {
		begun, lines := sync.OnceFunc(func() { close(first) }), bufio.NewScanner(out)
		for lines.Scan() {
			begun()
			if strings.HasSuffix(lines.Text(), "/"+name) {
				close(found)
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case <-first: // it watches
	case <-time.After(time.Second): // there may be no object of the kind
	}
	return found
}

// advised finds the command that an error message tells the user to run.
func advised(t *testing.T, said, words string) string {
	t.Helper()
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "kubefed ") && strings.Contains(line, words) {
			return line
		}
	}
	t.Fatalf("no advice with %q:\n%s", words, said)
	return ""
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// portForward runs the command that init told of until the story ends.
func (w *world) portForward(t *testing.T, port int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", "--context="+bareHost, "-n", "federation-system", "port-forward",
		"service/federation-apiserver", fmt.Sprintf("%d:443", port))
	cmd.Env, cmd.Stderr = w.env, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if !strings.HasPrefix(line, "Forwarding from ") {
		t.Fatalf("kubectl port-forward says %q, %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
}

// holdsNothing looks for what a federation leaves in its host and in the kubeconfig.
func (w *world) holdsNothing(t *testing.T) {
	t.Helper()
	if out := w.must(t, "kubectl", "--context="+bareHost, "get", "namespace", "federation-system", "--ignore-not-found", "-o", "name"); out != "" {
		t.Errorf("the host still has %s", out)
	}
	if out := w.must(t, "kubectl", "--context="+bareHost, "get", "clusterroles,clusterrolebindings", "-o", "name"); strings.Contains(out, "federation") {
		t.Errorf("the host still has %s", out)
	}
	eventually(t, "no volume", 20*time.Second, func() (bool, string) { // it goes after its claim
		out := w.must(t, "kubectl", "--context="+bareHost, "get", "persistentvolumes", "-o", "name")
		return out == "", out
	})
	if out := w.must(t, "kubectl", "config", "get-contexts", "-o", "name"); strings.TrimSpace(out) != bareHost {
		t.Errorf("the kubeconfig has the contexts %s", out)
	}
}
