package testprogram

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestProcessEndsAsToldAndLeavesItsOutput(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p := Start(t, log, "sh", "-c", "echo ready; exit 3")
	if err := <-p.Done(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("ended with %v", err)
	}
	if err := p.Stop(syscall.SIGTERM); err != nil {
		t.Errorf("stopping what ended: %v", err)
	}
	if data, err := os.ReadFile(log); err != nil || string(data) != "ready\n" {
		t.Errorf("log %q, %v", data, err)
	}
	sleeper := Start(t, log, "sleep", "60")
	if err := sleeper.Stop(syscall.SIGKILL); err == nil || err.Error() != "signal: killed" {
		t.Errorf("killed process ended with %v", err)
	}
}

func TestMissingProgramSaysHowToMakeIt(t *testing.T) {
	if _, err := Path("no-such-program"); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
}
