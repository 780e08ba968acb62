package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

const statusLong = `Show on one page how a federation is: its control plane, its members with verdicts and evidence,
what moves between them and what that waits for, the objects that are not where they should be,
the DNS zones and the names that are not as they should be, copies still to be removed from members that were away
(tombstones), and the latest warnings.

Exit codes: 0 all is as it should be; 1 the federation could not be asked; 3 it answers, but something is not as it
should be; 4 the control plane takes itself to be cut off from its members, and moves nothing.`

type statusFlags struct {
	FederationFlags
	output string
	watch  bool
}

func newStatus(s Streams) *cobra.Command {
	f := &statusFlags{}
	cmd := &cobra.Command{
		Use:               "status",
		Short:             "Show how the federation is, on one page",
		Long:              statusLong,
		Example:           "  kubefed status\n  kubefed status --watch\n  kubefed status --context=fellowship -o json",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), f, s) },
	}
	f.addFlags(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "json or yaml")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "show it again and again: a page on a terminal, else a line for each change, with -o json an object in a line")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runStatus(ctx context.Context, f *statusFlags, s Streams) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	if f.watch && f.output == "yaml" {
		return &ExitError{ExitUsage, errors.New("--watch goes with -o json, or with no output format")}
	}
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return fmt.Errorf("%w\nis the control plane up? In its host cluster: kubectl -n federation-system get pods,services", err)
	}
	if f.watch {
		return watchStatus(ctx, found, f.output, s)
	}
	report, err := gatherStatus(ctx, found)
	if err != nil {
		return err
	}
	report.Problems = problems(report)
	if f.output == "" {
		printStatus(s.Out, report)
	} else if err := printAs(s, f.output, report); err != nil {
		return err
	}
	if n := len(report.Problems); n > 0 {
		code := ExitDegraded
		if report.Federation.Isolated != "" {
			code = ExitIsolated
		}
		return &ExitError{code, fmt.Errorf("federation %q is degraded: %s", report.Federation.Name, report.Problems[0]+more(n-1))}
	}
	return nil
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d more", n)
}

func checkOutput(output string) error {
	if output != "" && output != "json" && output != "yaml" {
		return &ExitError{ExitUsage, fmt.Errorf("--output=%s: use json or yaml", output)}
	}
	return nil
}

// printAs prints a value as JSON or YAML.
func printAs(s Streams, output string, value any) error {
	var text []byte
	var err error
	if output == "yaml" {
		text, err = yaml.Marshal(value)
	} else {
		text, err = json.MarshalIndent(value, "", "  ")
		text = append(text, '\n')
	}
	if err != nil {
		return fmt.Errorf("printing as %s: %w", output, err)
	}
	_, err = s.Out.Write(text)
	return err
}
