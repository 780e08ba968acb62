package playground

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	terminate = syscall.SIGTERM
	kill      = syscall.SIGKILL
	// partition has a cluster look whether it is cut off.
	partition = syscall.SIGUSR1
)

// detached gives a process a session of its own: neither Ctrl-C nor a closed terminal reaches it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

var bootID = sync.OnceValues(func() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data)), err
})

// birthOf identifies a process: the boot, and the clock ticks from boot to its start (proc_pid_stat(5), field
// 22). A zombie has a birth, but does not run any more once its last other thread is gone (field 20): until then it holds
// its files, locks and ports.
func birthOf(pid int) (birth string, running bool, err error) {
	boot, err := bootID()
	if err != nil {
		return "", false, err
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false, err
	}
	// The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return "", false, fmt.Errorf("/proc/%d/stat has %d fields after the name, want 20 and more", pid, len(fields))
	}
	ended := fields[0] == "X" || fields[0] == "Z" && fields[17] == "1"
	return boot + "/" + fields[19], !ended, nil
}

// lock makes callers take turns for a folder, also between processes, until the function it returns is called. It
// calls waiting once if it is not the caller's turn yet.
func lock(ctx context.Context, dir string, waiting func()) (func(), error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	tell := sync.OnceFunc(waiting)
	for {
		err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { folder.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			folder.Close()
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
		tell()
		select {
		case <-ctx.Done():
			folder.Close()
			return nil, fmt.Errorf("waiting for another command that is at work in %s: %w", dir, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
