package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/drill/report"
)

const drillLong = `Rehearse failures: have clusters fail on purpose, with guardrails, a measured result and a way back.

Services are asked all the time, by name, through the federation's DNS servers. The first guardrail that breaks ends a drill and
takes everything back.`

// newDrill holds the commands about drills.
func newDrill(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "drill",
		Short:   "Rehearse failures, with guardrails and a measured result",
		Long:    drillLong,
		Example: "  kubefed drill run --cluster=gondor --service=shop/web --dry-run\n  kubefed drill run --cluster=gondor --service=shop/web\n  kubefed drill list",
		Args:    cobra.ArbitraryArgs,
		RunE:    chooseCommand,
	}
	cmd.AddCommand(newDrillRun(s), newDrillList(s), newDrillShow(s), newDrillAbort(s), newDrillReport(s))
	return cmd
}

// drillFlags are those of commands on one drill.
type drillFlags struct {
	FederationFlags
	output, file string
}

func newDrillList(s Streams) *cobra.Command {
	f := &drillFlags{}
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short:             "List drills and how they went",
		Example:           "  kubefed drill list",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(f.output); err != nil {
				return err
			}
			_, api, err := drillAPI(cmd.Context(), f.FederationFlags)
			if err != nil {
				return err
			}
			var list federation.FailoverDrillList
			if err := api.List(cmd.Context(), &list); err != nil {
				return fmt.Errorf("reading drills: %w", err)
			}
			if f.output != "" {
				return printAs(s, f.output, list)
			}
			printDrills(s.Out, list.Items)
			return nil
		},
	}
	f.addFlags(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "json or yaml")
	return cmd
}

func printDrills(out io.Writer, drills []federation.FailoverDrill) {
	if len(drills) == 0 {
		fmt.Fprintln(out, "No drills: see kubefed drill run --help")
		return
	}
	table(out, "NAME", "WHAT", "PHASE", "RUN", "RESULT", "RECOVERY", "FAILED", "AGE")(func(row func(...string)) {
		for i := range drills {
			d := &drills[i]
			result, took, failed := "-", "-", "-"
			if h := d.Status.History; len(h) > 0 {
				result, failed = h[0].Result, fmt.Sprintf("%d/%d", h[0].Failed, h[0].Requests)
				if h[0].RecoveryTime != nil {
					took = fmt.Sprintf("%.1fs", h[0].RecoveryTime.Seconds())
				}
			}
			row(d.Name, report.What(d), dash(d.Status.Phase), fmt.Sprint(d.Status.Run), result, took, failed, age(d.CreationTimestamp.Time))
		}
	})
}

func newDrillShow(s Streams) *cobra.Command {
	f := &drillFlags{}
	cmd := &cobra.Command{
		Use:               "show NAME",
		Short:             "Show how a drill goes or went",
		Example:           "  kubefed drill show monday",
		Args:              oneName("drill"),
		ValidArgsFunction: completeDrills,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(f.output); err != nil {
				return err
			}
			d, err := readDrill(cmd.Context(), f.FederationFlags, args[0])
			if err != nil {
				return err
			}
			if f.output != "" {
				return printAs(s, f.output, d)
			}
			report.Table(s.Out, d)
			return nil
		},
	}
	f.addFlags(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "json or yaml")
	return cmd
}

func newDrillAbort(s Streams) *cobra.Command {
	f := &drillFlags{}
	cmd := &cobra.Command{
		Use:               "abort NAME",
		Short:             "End a drill now and take everything back",
		Example:           "  kubefed drill abort monday",
		Args:              oneName("drill"),
		ValidArgsFunction: completeDrills,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, api, err := drillAPI(cmd.Context(), f.FederationFlags)
			if err != nil {
				return err
			}
			if err := abortDrill(cmd.Context(), api, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.Out, "Drill %q is being taken back: kubefed drill show %s tells when nothing is left.\n", args[0], args[0])
			return err
		},
	}
	f.addFlags(cmd)
	return cmd
}

const drillReportLong = `Write what a drill measured: the timeline, what requests met with, what moved, and the objectives.

The HTML report is one page that needs nothing else.`

func newDrillReport(s Streams) *cobra.Command {
	f := &drillFlags{}
	cmd := &cobra.Command{
		Use:               "report NAME",
		Short:             "Write what a drill measured",
		Long:              drillReportLong,
		Example:           "  kubefed drill report monday\n  kubefed drill report monday -o html --file=monday.html",
		Args:              oneName("drill"),
		ValidArgsFunction: completeDrills,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkReport(f.output); err != nil {
				return err
			}
			d, err := readDrill(cmd.Context(), f.FederationFlags, args[0])
			if err != nil {
				return err
			}
			return writeReport(s, f.output, f.file, d)
		},
	}
	f.addFlags(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", strings.Join(reportFormats, ", "))
	cmd.Flags().StringVar(&f.file, "file", "", "write to this file (default: standard output)")
	completeFlag(cmd, "output", cobra.FixedCompletions(reportFormats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

var reportFormats = []string{"table", "json", "yaml", "markdown", "html"}

func checkReport(output string) error {
	if !slices.Contains(reportFormats, output) {
		return &ExitError{ExitUsage, fmt.Errorf("--output=%s: use one of %s", output, strings.Join(reportFormats, ", "))}
	}
	return nil
}

// writeReport writes a report to a file or, without one, to the result.
func writeReport(s Streams, output, file string, d *federation.FailoverDrill) (err error) {
	if file != "" {
		f, createErr := os.Create(file)
		if createErr != nil {
			return fmt.Errorf("writing the report: %w", createErr)
		}
		defer func() {
			if closeErr := f.Close(); err == nil {
				err = closeErr
			}
		}()
		s.Out = f
	}
	switch output {
	case "json", "yaml":
		return printAs(s, output, d)
	case "markdown":
		report.Markdown(s.Out, d)
	case "html":
		return report.HTML(s.Out, d)
	default:
		report.Table(s.Out, d)
	}
	return nil
}

// drillAPI finds the federation and reaches its drills.
func drillAPI(ctx context.Context, f FederationFlags) (Federation, client.Client, error) {
	found, err := FindFederation(ctx, f)
	if err != nil {
		return found, nil, err
	}
	api, err := newClient(found.Config)
	return found, api, err
}

func readDrill(ctx context.Context, f FederationFlags, name string) (*federation.FailoverDrill, error) {
	found, api, err := drillAPI(ctx, f)
	if err != nil {
		return nil, err
	}
	d := &federation.FailoverDrill{}
	if err := api.Get(ctx, client.ObjectKey{Name: name}, d); apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("federation %q has no drill %q: see kubefed drill list", found.Name, name)
	} else if err != nil {
		return nil, fmt.Errorf("reading drill %s: %w", name, err)
	}
	d.ManagedFields = nil
	return d, nil
}

func abortDrill(ctx context.Context, api client.Client, name string) error {
	d := &federation.FailoverDrill{}
	d.Name = name
	if err := api.Patch(ctx, d, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"abort":true}}`))); apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no drill %q: see kubefed drill list", name)
	} else if err != nil {
		return fmt.Errorf("aborting drill %s: %w", name, err)
	}
	return nil
}

func completeDrills(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completing(cmd, func(ctx context.Context, _ Federation, reader client.Reader) ([]string, error) {
		var drills federation.FailoverDrillList
		if err := reader.List(ctx, &drills); err != nil {
			return nil, err
		}
		var names []string
		for i := range drills.Items {
			names = append(names, drills.Items[i].Name)
		}
		return names, nil
	})
}
