// Package testprogram runs the project's built programs in tests. In: a program's name and arguments. Out: a process
// whose output is a file, that ends with the test, and whose last words are shown where the test failed. It builds
// nothing: `make build` does, so that no test links Kubernetes.
package testprogram

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Path finds a program in bin/ of the repository, else on PATH. Tests run in the folder of their package, two or three below
// the repository's.
func Path(name string) (string, error) {
	for _, root := range []string{"../..", "../../.."} {
		path, err := filepath.Abs(filepath.Join(root, "bin", name))
		if err != nil {
			continue
		}
		if _, err = os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is neither in bin/ nor on PATH: run `make build` first", name)
	}
	return path, nil
}

// Find is Path for a test that can't go on without the program.
func Find(t testing.TB, name string) string {
	t.Helper()
	path, err := Path(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Process is a program that a test started.
type Process struct {
	cmd  *exec.Cmd
	done chan error
}

// Start runs a program with its output at the end of file log, and stops it when the test ends.
func Start(t testing.TB, log, name string, args ...string) *Process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() // the process has its own
	cmd := exec.Command(Find(t, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: cmd, done: make(chan error, 1)}
	go func() { p.done <- cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		_ = p.Stop(syscall.SIGTERM)
		if data, err := os.ReadFile(log); t.Failed() && err == nil {
			t.Logf("end of %s:\n%s", filepath.Base(log), data[max(0, len(data)-3000):])
		}
	})
	return p
}

// stopLimit is how long a program may take to end.
const stopLimit = 20 * time.Second

// Stop signals the process and waits until it ended, by force after 20 seconds. It returns how the process ended, nil
// where that was known before.
func (p *Process) Stop(signal os.Signal) error {
	_ = p.cmd.Process.Signal(signal)
	select {
	case err := <-p.done:
		return err
	case <-time.After(stopLimit):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %s of signal %s", filepath.Base(p.cmd.Path), stopLimit, signal)
	}
}

// Done gives how the process ended, once; then it is closed.
func (p *Process) Done() <-chan error { return p.done }
