package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"kubefed.dev/kubefed/internal/simulatedcloud"
	"kubefed.dev/kubefed/pkg/cloud"
)

// newPlaygroundCloudCommand keeps the simulated clouds of a playground.
func newPlaygroundCloudCommand(s Streams, dir *string) *cobra.Command {
	command := &cobra.Command{
		Use:   "cloud",
		Short: "Simulate the clouds that the clusters pretend to be in",
		Long: `Simulate the clouds that the clusters pretend to be in: an AWS and a Google Cloud on loopback addresses, which a federation
asks as it asks the real ones, and a file of sites for all other providers. Zones fail, prices move and credentials are revoked
on command; no cluster is touched by that.`,
		Example: "  kubefed playground cloud up\n  kubefed playground cloud impair us-east-1a\n  kubefed playground cloud status",
		Args:    cobra.ArbitraryArgs,
		RunE:    chooseCommand,
	}
	change := func(use, short, example string, count int, change func(*simulatedcloud.State, []string) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Example: "  kubefed playground cloud " + example,
			Args: func(cmd *cobra.Command, args []string) error {
				if err := cobra.ExactArgs(count)(cmd, args); err != nil {
					return &ExitError{Code: ExitUsage, Err: fmt.Errorf("write kubefed playground cloud %s: %w", use, err)}
				}
				return nil
			},
			RunE: func(cmd *cobra.Command, args []string) error {
				return changeClouds(cmd.Context(), s, *dir, func(state *simulatedcloud.State) error { return change(state, args) })
			},
		}
	}
	unavailable := false
	impair := change("impair ZONE", "Have a zone's cloud say that the zone is impaired", "impair us-east-1a", 1,
		func(state *simulatedcloud.State, args []string) error {
			if unavailable {
				return state.SetZone(args[0], cloud.ZoneUnavailable)
			}
			return state.SetZone(args[0], cloud.ZoneImpaired)
		})
	impair.Flags().BoolVar(&unavailable, "unavailable", false, "have it say that the zone is unavailable")
	command.AddCommand(
		newPlaygroundCloudUpCommand(s, dir),
		newPlaygroundCloudStatusCommand(s, dir),
		impair,
		change("heal ZONE", "Have a zone's cloud say that the zone is available", "heal us-east-1a", 1,
			func(state *simulatedcloud.State, args []string) error {
				return state.SetZone(args[0], cloud.ZoneAvailable)
			}),
		change("price CLUSTER FACTOR", "Have machines cost so many times what they usually do, where a cluster is", "price gondor 3", 2,
			func(state *simulatedcloud.State, args []string) error {
				factor, err := strconv.ParseFloat(args[1], 64)
				if err != nil {
					return &ExitError{Code: ExitUsage, Err: fmt.Errorf("factor %q: write a number such as 1.5", args[1])}
				}
				return state.SetPrice(args[0], factor)
			}),
		change("revoke ACCOUNT", "Have an account's credentials refused", "revoke aws", 1,
			func(state *simulatedcloud.State, args []string) error { return state.SetRevoked(args[0], true) }),
		change("restore ACCOUNT", "Have an account's credentials accepted again", "restore aws", 1,
			func(state *simulatedcloud.State, args []string) error { return state.SetRevoked(args[0], false) }),
	)
	return command
}

func changeClouds(ctx context.Context, s Streams, dir string, change func(*simulatedcloud.State) error) error {
	p, err := openPlayground(s, dir)
	if err != nil {
		return err
	}
	return p.ChangeClouds(ctx, change)
}

func newPlaygroundCloudUpCommand(s Streams, dir *string) *cobra.Command {
	return &cobra.Command{
		Use:     "up",
		Short:   "Start the clouds, and write the file that tells a federation of them",
		Example: "  kubefed playground cloud up",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := openPlayground(s, *dir)
			if err != nil {
				return err
			}
			if err := p.CloudUp(cmd.Context()); err != nil {
				return err
			}
			noteTo(s)("next: kubefed init fellowship --host-cluster-context=rivendell --dns-zone-name=example.com --cloud-config=%s", p.CloudConfig())
			_, err = fmt.Fprintf(s.Out, "Clouds are up; their accounts and sites are in %s.\n", p.CloudConfig())
			return err
		},
	}
}

func newPlaygroundCloudStatusCommand(s Streams, dir *string) *cobra.Command {
	var format string
	command := &cobra.Command{
		Use:     "status",
		Short:   "Show what the clouds say of each zone",
		Example: "  kubefed playground cloud status",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := openPlayground(s, *dir)
			if err != nil {
				return err
			}
			clouds, err := p.Clouds()
			if err != nil {
				return err
			}
			return printClouds(s.Out, clouds.Rows(), format)
		},
	}
	command.Flags().StringVarP(&format, "output", "o", "", "output format: json or yaml")
	return command
}

func printClouds(out io.Writer, rows []simulatedcloud.Row, format string) error {
	switch format {
	case "json":
		data, err := json.MarshalIndent(rows, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", data)
		return err
	case "yaml":
		data, err := yaml.Marshal(rows)
		if err != nil {
			return err
		}
		_, err = out.Write(data)
		return err
	case "":
	default:
		return &ExitError{Code: ExitUsage, Err: fmt.Errorf("--output %q: must be json or yaml", format)}
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "CLUSTER\tPROVIDER\tREGION\tZONE\tSTATE\tPRICE\tCREDENTIALS")
	for _, r := range rows {
		credentials := "accepted"
		if r.Refused {
			credentials = "revoked"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\tx %g\t%s\n", r.Cluster, r.Provider, r.Region, r.Zone, r.State, r.Factor, credentials)
	}
	return table.Flush()
}
