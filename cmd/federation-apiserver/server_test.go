package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kubefed.dev/kubefed/pkg/apiserver"
)

var update = flag.Bool("update", false, "write golden files")

// asServer makes the test binary the program itself, so that tests see flags, signals and crashes as they are, and one
// binary is linked.
const asServer = "FEDERATION_APISERVER_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	flag.Parse()
	code := m.Run()
	shared.stop()
	os.Exit(code)
}

// server is a running federation-apiserver.
type server struct {
	dir     string
	command *exec.Cmd
	exited  chan error
	config  *rest.Config
	client  kubernetes.Interface
}

// housekeepersOnly selects Kubernetes' own controllers: the federation's have tests of their own.
func housekeepersOnly() string {
	var names []string
	for _, h := range apiserver.Housekeepers() {
		names = append(names, h.Name)
	}
	return "--controllers=" + strings.Join(names, ",")
}

// start runs a server on dir and returns when it is ready.
func start(ctx context.Context, dir string, args ...string) (*server, error) {
	s := &server{dir: dir, exited: make(chan error, 1)}
	args = append([]string{"--data-dir", dir, "--secure-port=0", "--federation-name=fellowship", "--dns-zone-name=example.com"}, args...)
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--controllers=") }) {
		args = append(args, housekeepersOnly())
	}
	s.command = exec.Command(os.Args[0], args...)
	s.command.Env = append(os.Environ(), asServer+"=1")
	output, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	s.command.Stdout, s.command.Stderr = output, output
	kubeconfig := filepath.Join(dir, apiserver.AdminKubeconfig)
	if err := os.Remove(kubeconfig); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() { s.exited <- s.command.Wait() }()
	if waiting := await(ctx, time.Minute, func() string {
		select {
		case err := <-s.exited:
			s.exited <- err
			return fmt.Sprintf("the server ended: %v", err)
		default:
		}
		if s.config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
			return err.Error()
		}
		s.config.QPS = -1
		if s.client, err = kubernetes.NewForConfig(s.config); err != nil {
			return err.Error()
		}
		if body, err := s.client.Discovery().RESTClient().Get().AbsPath("/readyz").MaxRetries(0).DoRaw(ctx); err != nil {
			return fmt.Sprintf("%v: %s", err, body)
		}
		return ""
	}); waiting != "" {
		s.stop()
		log, _ := os.ReadFile(output.Name())
		return nil, fmt.Errorf("the server is not ready: %s\n%s", waiting, log)
	}
	return s, nil
}

func startFor(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s, err := start(t.Context(), dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// stop ends the server as its supervisor would, and kills it where that takes too long.
func (s *server) stop() {
	if s == nil {
		return
	}
	_ = s.end(syscall.SIGTERM)
}

func (s *server) end(signal os.Signal) error {
	if s.command.ProcessState != nil {
		return nil
	}
	_ = s.command.Process.Signal(signal) // fails only for a process that has ended
	select {
	case err := <-s.exited:
		s.exited <- err
		return err
	case <-time.After(20 * time.Second):
		_ = s.command.Process.Kill()
		return errors.New("the server did not end within 20 s of a signal and was killed")
	}
}

// sharedServer is one server for all tests that do not stop it.
type sharedServer struct {
	once sync.Once
	*server
	err error
}

var shared sharedServer

func sharedFor(t *testing.T) *server {
	t.Helper()
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "federation-apiserver-test-")
		if err != nil {
			shared.err = err
			return
		}
		shared.server, shared.err = start(context.WithoutCancel(t.Context()), dir)
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

func (s *sharedServer) stop() {
	if s.server != nil {
		s.server.stop()
		os.RemoveAll(s.dir)
	}
}

// await asks until there is nothing more to wait for, and returns what it still waits for when it gives up.
func await(ctx context.Context, patience time.Duration, waitingFor func() string) string {
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		waiting := waitingFor()
		if waiting == "" {
			return ""
		}
		select {
		case <-ctx.Done():
			return waiting
		case <-deadline:
			return waiting
		case <-tick.C:
		}
	}
}

func mustAwait(t *testing.T, patience time.Duration, waitingFor func() string) {
	t.Helper()
	if waiting := await(t.Context(), patience, waitingFor); waiting != "" {
		t.Fatalf("gave up after %s, still waiting: %s", patience, waiting)
	}
}

// kubectl runs the kubectl on PATH, or else the project's own, as the federation's administrator.
func (s *server) kubectl(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("kubectl")
	if err != nil {
		path = "../../bin/kubectl"
	}
	args = append([]string{"--kubeconfig", filepath.Join(s.dir, apiserver.AdminKubeconfig), "--cache-dir", filepath.Join(s.dir, "kubectl-cache")}, args...)
	command := exec.CommandContext(t.Context(), path, args...)
	command.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err = command.Run()
	return out.String(), err
}

func (s *server) mustKubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := s.kubectl(t, stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}
