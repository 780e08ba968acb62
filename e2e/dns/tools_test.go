// Package dns_test holds the DNS providers against programs of others: the embedded server with secondaries (BIND 9, Knot, NSD) that
// carry its zone, and clients (dig, kdig, delv, unbound) that judge its answers; and primaries (BIND 9, Knot, PowerDNS) that take dynamic
// updates. Run it with make e2e-dns.
package dns_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	zoneName = "fed.example."
	secret   = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="
)

const packages = "bind9 bind9-utils bind9-dnsutils knot knot-dnsutils nsd pdns-server pdns-backend-sqlite3 sqlite3 unbound ldnsutils faketime"

// tool finds a program, also where the system's daemons are.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		if path := filepath.Join(dir, name); executable(path) {
			return path
		}
	}
	t.Fatalf("%s is not installed: run make e2e-dns, or apt-get install %s", name, packages)
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// freePort is one that nobody has for TCP or UDP just now.
func freePort(t *testing.T) int {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		p, err := net.ListenPacket("udp", l.Addr().String())
		_ = l.Close()
		if err == nil {
			_ = p.Close()
			return port
		}
	}
	t.Fatal("no port is free for TCP and UDP")
	return 0
}

// launch starts a program in a directory with files; the test ends it.
func launch(t *testing.T, program, dir string, env []string, files map[string]string, args ...string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(tool(t, program), args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = &log, &log, dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		ended := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		_ = cmd.Wait()
		ended.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", program, log.String())
		}
	})
}
