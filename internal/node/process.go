package node

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// program is what to run: a container, or a command in one.
type program struct {
	path, dir string
	args, env []string // args without the program's name
	mounts    mountTable
	input     io.Reader // nil: nothing
	output    io.Writer
	errors    io.Writer // nil: to output
}

// inside is a command in the container that p runs: in its folder, with its environment and mounts.
func (p program) inside(command []string) program {
	words := p.mounts.rewriteAll(command)
	if filepath.Base(words[0]) == filepath.Base(p.path) {
		words[0] = p.path
	}
	return program{path: words[0], dir: p.dir, args: words[1:], env: p.env, mounts: p.mounts}
}

// spawner starts processes. They all start from one thread that lives as long as they may: Linux kills a process
// whose parent-death signal is set when the thread that started it ends, and Go ends threads when it likes.
type spawner struct{ starts chan func() }

func newSpawner() *spawner { return &spawner{make(chan func())} }

// run starts processes until ctx ends. Ending it kills what still runs: end it last.
func (s *spawner) run(ctx context.Context) {
	runtime.LockOSThread() // and never unlock: the thread is not to serve others
	for {
		select {
		case start := <-s.starts:
			start()
		case <-ctx.Done():
			return
		}
	}
}

// start starts p in a process group of its own.
func (s *spawner) start(ctx context.Context, p program) (*exec.Cmd, error) {
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if p.errors != nil {
		cmd.Stderr = p.errors
	}
	if err := p.feed(cmd); err != nil {
		return nil, err
	}
	cmd.WaitDelay = time.Second // grandchildren may hold the output open
	cmd.SysProcAttr = ownGroup()
	result := make(chan error, 1)
	select {
	case s.starts <- func() { result <- cmd.Start() }:
		return cmd, <-result
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// feed gives a process its input. The process's end does not wait for the input's.
func (p program) feed(cmd *exec.Cmd) error {
	if p.input == nil {
		return nil
	}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	go func() {
		io.Copy(pipe, p.input) // until one of them ends
		pipe.Close()
	}()
	return nil
}

// runToEnd runs p, kills it when ctx ends, and returns its exit code.
func (s *spawner) runToEnd(ctx context.Context, p program) (int, error) {
	cmd, err := s.start(ctx, p)
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { signalGroup(cmd.Process, syscall.SIGKILL) })
	defer stop()
	return exitCode(cmd.Wait(), cmd.ProcessState), ctx.Err()
}

// exitCode is 128 and the signal's number for a process that a signal ended, as shells and container runtimes say it.
func exitCode(err error, state *os.ProcessState) int {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && state == nil {
		return 128
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
