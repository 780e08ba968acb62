// Package cli holds the kubefed commands, one file each. A command parses flags, calls the room that does the work and
// prints; it imports nothing of k8s.io/kubernetes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Streams are where a command reads and prints. Results go to Out, progress and errors to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Exit codes of kubefed.
const (
	ExitOK     = 0
	ExitFailed = 1 // the command did not do what was asked
	ExitUsage  = 2 // reserved for answers that scripts gate on, and for wrong flags
)

// ExitError carries an exit code other than ExitFailed.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }
func (e *ExitError) Unwrap() error { return e.Err }

// Main runs kubefed and returns its exit code. Ctrl-C cancels the running command, which cleans up and says what it
// left.
func Main(args []string, s Streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := NewRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(s.Err, "error: %v\n", err)
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	return ExitFailed
}

// NewRoot builds the command tree.
func NewRoot(s Streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubefed",
		Short:         "Make many Kubernetes clusters behave like one",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	// Each command's constructor is in the file named after it.
	root.AddCommand(
		newInit(s),
		newDeinit(s),
		newStatus(s),
		newVersion(s),
		newCompletion(s),
		newPlaygroundCommand(s),
		newJoin(s),
		newUnjoin(s),
	)
	return root
}
