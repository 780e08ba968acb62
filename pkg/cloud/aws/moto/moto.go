// Package moto runs moto's server for tests: an AWS of another hand, which shows what this project's own fakes and its clients could
// have misunderstood alike. MOTO_SERVER names the program; make e2e-clouds installs it.
package moto

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Start runs a server that ends with the test, and returns its URL; empty, and said in the test's log, where none is installed.
func Start(t *testing.T) string {
	t.Helper()
	program := os.Getenv("MOTO_SERVER")
	if program == "" {
		t.Log("not run: MOTO_SERVER names no server; use make e2e-clouds")
		return ""
	}
	// moto takes no port 0: a free one is looked for, and another one if it is taken meanwhile.
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		_, port, _ := net.SplitHostPort(address)
		_ = l.Close()
		var output bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program, "-H", "127.0.0.1", "-p", port)
		cmd.Stdout, cmd.Stderr = &output, &output
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-done
			if t.Failed() {
				t.Logf("moto says:\n%s", output.String())
			}
		})
		if err := answers(t.Context(), "http://"+address, done); err == nil {
			return "http://" + address
		} else if !bytes.Contains(output.Bytes(), []byte("in use")) {
			t.Fatalf("%v\n%s", err, output.String())
		}
	}
	t.Fatal("no port was free")
	return ""
}

// answers waits for an answer of any kind.
func answers(ctx context.Context, url string, done chan error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		reply, err := http.DefaultClient.Do(r)
		if err == nil {
			return reply.Body.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("moto does not answer: %w", err)
		case err := <-done:
			done <- err
			return fmt.Errorf("moto ended: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
