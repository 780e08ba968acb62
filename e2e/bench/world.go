package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const federationName = "bench"

var memberNames = []string{"gondor", "rohan", "shire"}

// server is a running API server.
type server struct {
	name       string
	kubeconfig string
	log        string
	command    *exec.Cmd
	end        context.CancelFunc
	ended      chan struct{}
	config     *rest.Config
	client     kubernetes.Interface
}

// world is everything that runs.
type world struct {
	federation *server
	plain      *server // the federation API without controllers
	members    []*server
	all        []*server
}

// startWorld starts all servers and joins the members. The world is to be stopped also after an error.
func startWorld(ctx context.Context, dir string, progress io.Writer) (*world, error) {
	w := &world{}
	launch := func(name, program, kubeconfig string, args ...string) (*server, error) {
		s, err := launch(ctx, dir, name, program, kubeconfig, args...)
		if err == nil {
			w.all = append(w.all, s)
		}
		return s, err
	}
	fmt.Fprintln(progress, "starting two federation API servers and three members")
	var err error
	if w.federation, err = launch("federation", "federation-apiserver", "admin.kubeconfig", "--federation-name="+federationName, "--secure-port=0", "--default-down-toleration=0s"); err != nil {
		return w, err
	}
	if w.plain, err = launch("plain", "federation-apiserver", "admin.kubeconfig", "--federation-name=plain", "--secure-port=0", "--controllers="); err != nil {
		return w, err
	}
	for i, name := range memberNames {
		address := fmt.Sprintf("127.%d.0.1", 57+i)
		port, err := freePort(address)
		if err != nil {
			return w, err
		}
		m, err := launch(name, "local-cluster", "kubeconfig", "--name="+name, "--api-only",
			fmt.Sprintf("--ip-range=127.%d.0.0/16", 57+i), fmt.Sprintf("--port=%d", port))
		if err != nil {
			return w, err
		}
		w.members = append(w.members, m)
	}
	files := make([]string, 0, len(w.all))
	for _, s := range w.all {
		if err := s.ready(ctx); err != nil {
			return w, err
		}
		files = append(files, s.kubeconfig)
	}
	for _, m := range w.members {
		join := exec.CommandContext(ctx, "kubefed", "join", m.name, "--context="+federationName)
		join.Env = append(os.Environ(), "KUBECONFIG="+strings.Join(files, string(os.PathListSeparator)))
		if out, err := join.CombinedOutput(); err != nil {
			return w, fmt.Errorf("joining %s: %w\n%s%s", m.name, err, out, w.federation.lastWords())
		}
	}
	return w, nil
}

// launch starts a program in a folder of its own.
func launch(ctx context.Context, dir, name, program, kubeconfig string, args ...string) (*server, error) {
	own := filepath.Join(dir, name)
	if err := os.Mkdir(own, 0o700); err != nil {
		return nil, err
	}
	s := &server{name: name, kubeconfig: filepath.Join(own, kubeconfig), log: filepath.Join(own, "log"), ended: make(chan struct{})}
	output, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	flag := "--data-dir="
	if program == "local-cluster" {
		flag = "--dir="
	}
	ctx, s.end = context.WithCancel(ctx)
	s.command = exec.CommandContext(ctx, program, append([]string{flag + own}, args...)...)
	s.command.Stdout, s.command.Stderr = output, output
	s.command.Cancel = func() error { return s.command.Process.Signal(syscall.SIGTERM) }
	s.command.WaitDelay = 20 * time.Second
	if err := s.command.Start(); err != nil {
		s.end()
		return nil, fmt.Errorf("starting %s: %w: build the programs by `make build`", name, err)
	}
	go func() {
		_ = s.command.Wait() // how it ends is of interest only while it is needed; see ready
		close(s.ended)
	}()
	return s, nil
}

func freePort(address string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready waits for a server and connects to it with client-go's defaults, but without a limit on the client's side.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		err := s.connect(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%s ended while starting: %s", s.name, s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w", s.name, ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *server) connect(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if _, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").MaxRetries(0).DoRaw(ctx); err != nil {
		return err
	}
	if _, err := client.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return err
	}
	s.config, s.client = config, client
	return nil
}

// stop ends all servers.
func (w *world) stop() {
	for _, s := range w.all {
		s.end()
	}
	for _, s := range w.all {
		<-s.ended
	}
}

// alive says which server has ended.
func (w *world) alive() error {
	var errs []error
	for _, s := range w.all {
		select {
		case <-s.ended:
			errs = append(errs, fmt.Errorf("%s ended: %s", s.name, s.lastWords()))
		default:
		}
	}
	return errors.Join(errs...)
}

// lastWords is the end of a server's log.
func (s *server) lastWords() string {
	data, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return "end of its log:\n" + string(bytes.TrimSpace(data[max(0, len(data)-2000):]))
}
