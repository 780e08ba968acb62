package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"kubefed.dev/kubefed/internal/playground"
)

func newPlaygroundStatusCommand(s Streams, dir *string) *cobra.Command {
	var format string
	command := &cobra.Command{
		Use:     "status",
		Short:   "Show the clusters and whether they run",
		Long:    "Show the clusters and whether they run. The exit code is 3 where one does not.",
		Example: "  kubefed playground status\n  kubefed playground status -o wide",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := openPlayground(s, *dir)
			if err != nil {
				return err
			}
			status, err := p.Status(cmd.Context())
			if err != nil {
				return err
			}
			if err := printPlaygroundStatus(s.Out, status, format); err != nil {
				return err
			}
			for _, c := range status.Clusters {
				if c.State != playground.Running {
					return &ExitError{Code: ExitDegraded, Err: fmt.Errorf("cluster %s does not run: `kubefed playground up` starts it", c.Name)}
				}
			}
			return nil
		},
	}
	command.Flags().StringVarP(&format, "output", "o", "", "output format: json, yaml or wide")
	return command
}

func printPlaygroundStatus(out io.Writer, status *playground.Status, format string) error {
	switch format {
	case "json":
		data, err := json.MarshalIndent(status, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", data)
		return err
	case "yaml":
		data, err := yaml.Marshal(status)
		if err != nil {
			return err
		}
		_, err = out.Write(data)
		return err
	case "", "wide":
	default:
		return &ExitError{Code: ExitUsage, Err: fmt.Errorf("--output %q: must be json, yaml or wide", format)}
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	header, row := "NAME\tROLE\tPROVIDER\tREGION\tSTATE\tSERVER", "%s\t%s\t%s\t%s\t%s\t%s"
	if format == "wide" {
		header += "\tZONES\tADDRESSES\tPID\tLOG"
	}
	fmt.Fprintln(table, header)
	for _, c := range status.Clusters {
		fmt.Fprintf(table, row, c.Name, c.Role, c.Provider, c.Region, c.State, c.Server)
		if format == "wide" {
			fmt.Fprintf(table, "\t%s\t%s\t%d\t%s", strings.Join(c.Zones, ","), c.IPRange, c.PID, c.Log)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
