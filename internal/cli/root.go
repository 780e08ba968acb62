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
	"k8s.io/client-go/rest"
)

// Streams are where a command reads and prints. Results go to Out, progress and errors to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Exit codes of kubefed.
const (
	ExitOK     = 0
	ExitFailed = 1 // the command did not do what was asked, as with kubectl
	ExitUsage  = 1 // an argument or a flag is wrong; nothing was tried
	// ExitNotSurvived: kubefed plan found something that would not survive.
	ExitNotSurvived = 2
	// ExitDegraded: what was asked about answers, but is not as it should be.
	ExitDegraded = 3
	// ExitIsolated: the control plane takes itself to be cut off from its members.
	ExitIsolated = 4
	// ExitDrillFailed: a drill was refused, was aborted, or missed an objective.
	ExitDrillFailed = 5
	// ExitInterrupted: Ctrl-C or SIGTERM stopped the command, which says what is left; 128 and SIGINT's number, as shells
	// have it.
	ExitInterrupted = 130
)

// ExitError carries an exit code other than ExitFailed.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }
func (e *ExitError) Unwrap() error { return e.Err }

// Main runs kubefed and returns its exit code. Ctrl-C cancels the running command, which cleans up and says what it
// left; a second one ends it at once. known are the clouds that it can ask.
func Main(args []string, s Streams, known ...Cloud) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := NewRoot(s, known...)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(s.Err, "error: %v\n", err)
	var exit *ExitError
	if ctx.Err() != nil {
		return ExitInterrupted
	}
	if errors.As(err, &exit) {
		return exit.Code
	}
	return ExitFailed
}

const rootLong = `Make many Kubernetes clusters behave like one.

A federation is a Kubernetes API of its own. What kubectl creates there runs in the clusters that have joined it.`

const rootExample = `  # Local clusters to try it on
  kubefed playground up

  # A federation, its first member, and how it is
  kubefed init fellowship --host-cluster-context=rivendell --dns-zone-name=example.com
  kubefed join gondor --host-cluster-context=rivendell
  kubefed status`

// NewRoot builds the command tree.
func NewRoot(s Streams, known ...Cloud) *cobra.Command {
	rest.SetDefaultWarningHandler(rest.NewWarningWriter(s.Err, rest.WarningWriterOptions{Deduplicate: true})) // as kubectl prints them
	root := &cobra.Command{
		Use:           "kubefed",
		Short:         "Make many Kubernetes clusters behave like one",
		Long:          rootLong,
		Example:       rootExample,
		Args:          cobra.ArbitraryArgs,
		RunE:          chooseCommand,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w\nSee '%s --help' for usage", err, cmd.CommandPath())
	})
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	// Each command's constructor is in the file named after it.
	root.AddCommand(
		newInit(s),
		newDeinit(s),
		newStatus(s),
		newPlan(s),
		newCost(s),
		newWhy(s),
		newRebalance(s),
		newDrill(s),
		newRender(s),
		newDNS(s),
		newCordon(s),
		newUncordon(s),
		newDrain(s),
		newVersion(s),
		newCompletion(s),
		newPlaygroundCommand(s),
		newJoin(s, known),
		newDiscover(s, known),
		newCloud(s, known),
		newUnjoin(s, known),
	)
	return root
}
