package playground

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestParsePID(t *testing.T) {
	for _, test := range []struct {
		name, text, wantError string
	}{
		{"as written", "4711 boot/99\n", ""},
		{"pid alone", "4711\n", "is not a pid"},
		{"no number", "x boot/99", "is not a pid"},
		{"init", "1 boot/99", "is not a pid"},
		{"group", "-4711 boot/99", "is not a pid"},
		{"empty", "", "is not a pid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parsePID(test.text)
			if !matches(err, test.wantError) {
				t.Fatalf("error %v, want one with %q", err, test.wantError)
			}
			if err == nil && got.String()+"\n" != test.text {
				t.Errorf("got %q, want %q", got, test.text)
			}
		})
	}
}

func TestAReusedPIDIsNeverSignalled(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	birth, _, err := birthOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}

	predecessor := process{cmd.Process.Pid, birth + "0"}
	if err := predecessor.stop(t.Context()); err != nil {
		t.Errorf("stopping a process that is gone: %v", err)
	}
	if err := predecessor.signal(kill); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal: %v, want %v", err, os.ErrProcessDone)
	}
	itself := process{cmd.Process.Pid, birth}
	if !itself.alive() {
		t.Fatal("the process with the reused pid was ended")
	}
	if err := itself.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-ended
	if itself.alive() {
		t.Error("the process is still there")
	}
}

func TestLockGivesTurns(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(t.Context(), dir, func() { t.Error("waits for a lock that nobody holds") })
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	told := false
	if _, err := lock(short, dir, func() { told = true }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v, want a deadline", err)
	}
	if !told {
		t.Error("the second caller was not told that it waits")
	}
	unlock()
	unlock, err = lock(t.Context(), dir, func() {})
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
