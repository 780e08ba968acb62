package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"kubefed.dev/kubefed/internal/playground"
)

// newPlaygroundCommand keeps local clusters for trying things out.
func newPlaygroundCommand(s Streams) *cobra.Command {
	var dir string
	command := &cobra.Command{
		Use:   "playground",
		Short: "Run local clusters to try a federation on",
		Long: `Run local clusters to try a federation on.

Each cluster is a real Kubernetes control plane in one process. Its nodes run this project's own images as local
processes and simulate all others. All state is in one folder; nothing is left after "kubefed playground down".`,
		Example: "  kubefed playground up\n  kubefed playground status\n  kubefed playground down",
		Args:    cobra.ArbitraryArgs,
		RunE:    chooseCommand,
	}
	command.PersistentFlags().StringVar(&dir, "dir", "", "folder for everything the clusters keep (default: kubefed/playground in the user's cache folder)")
	command.AddCommand(
		newPlaygroundUpCommand(s, &dir),
		newPlaygroundStatusCommand(s, &dir),
		newPlaygroundDownCommand(s, &dir),
		newPlaygroundKillCommand(s, &dir),
		newPlaygroundStartCommand(s, &dir),
		newPlaygroundPartitionCommand(s, &dir),
		newPlaygroundHealCommand(s, &dir),
		newPlaygroundCloudCommand(s, &dir),
	)
	return command
}

func openPlayground(s Streams, dir string) (playground.Playground, error) {
	var err error
	if dir == "" {
		dir, err = playground.DefaultDir()
	} else {
		dir, err = filepath.Abs(dir)
	}
	return playground.Playground{Dir: dir, Progress: progressWriter(s)}, err
}

func newPlaygroundUpCommand(s Streams, dir *string) *cobra.Command {
	var clusters []string
	var wish playground.Wish
	command := &cobra.Command{
		Use:   "up",
		Short: "Start the clusters that do not run yet",
		Example: `  kubefed playground up
  kubefed playground up --clusters gondor=aws/us-east-1/us-east-1a,us-east-1b,rohan=gcp/europe-west1,shire=on-premises/shire`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := openPlayground(s, *dir)
			if err != nil {
				return err
			}
			if len(clusters) > 0 {
				if wish.Members, err = playground.ParseMembers(clusters); err != nil {
					return &ExitError{Code: ExitUsage, Err: fmt.Errorf("--clusters: %w", err)}
				}
			}
			if err := p.Up(cmd.Context(), wish); err != nil {
				return err
			}
			return printPlaygroundReady(cmd.Context(), s, p)
		},
	}
	flags := command.Flags()
	flags.StringArrayVar(&clusters, "clusters", nil, "member clusters as name=provider/region/zones,...; without zones those usual for the provider (default: gondor, rohan and shire)")
	flags.StringVar(&wish.Host, "host", "", "name of the host cluster (default: "+playground.DefaultHost+")")
	flags.StringVar(&wish.Kubeconfig, "kubeconfig", "", "file that gets the clusters' contexts (default: where kubectl config writes)")
	return command
}

func printPlaygroundReady(ctx context.Context, s Streams, p playground.Playground) error {
	status, err := p.Status(ctx)
	if err != nil {
		return err
	}
	var host string
	var members []string
	for _, c := range status.Clusters {
		if c.Role == playground.Host {
			host = c.Name
		} else {
			members = append(members, c.Name)
		}
	}
	noteTo(s)("next: kubefed init fellowship --host-cluster-context=%s --dns-zone-name=example.com", host)
	_, err = fmt.Fprintf(s.Out, "Playground is up: host cluster %s, member clusters %s.\n", host, strings.Join(members, ", "))
	return err
}

func newPlaygroundDownCommand(s Streams, dir *string) *cobra.Command {
	return &cobra.Command{
		Use:     "down",
		Short:   "End all clusters and remove everything they left",
		Example: "  kubefed playground down",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := openPlayground(s, *dir)
			if err != nil {
				return err
			}
			if err := p.Down(cmd.Context()); errors.Is(err, playground.ErrNone) {
				_, err = fmt.Fprintf(s.Out, "There is no playground in %s.\n", p.Dir)
				return err
			} else if err != nil {
				return err
			}
			_, err = fmt.Fprintln(s.Out, "Playground is down.")
			return err
		},
	}
}

func newPlaygroundKillCommand(s Streams, dir *string) *cobra.Command {
	return &cobra.Command{
		Use:     "kill NAME",
		Short:   "End one cluster at once with all its pods, as a power cut would",
		Example: "  kubefed playground kill gondor",
		Args:    oneName("cluster"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := openPlayground(s, *dir)
			if err != nil {
				return err
			}
			return p.Kill(cmd.Context(), args[0])
		},
	}
}

func newPlaygroundStartCommand(s Streams, dir *string) *cobra.Command {
	return &cobra.Command{
		Use:     "start NAME",
		Short:   "Bring back a killed cluster with its data, at the same address",
		Example: "  kubefed playground start gondor",
		Args:    oneName("cluster"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := openPlayground(s, *dir)
			if err != nil {
				return err
			}
			return p.Start(cmd.Context(), args[0])
		},
	}
}

func newPlaygroundPartitionCommand(s Streams, dir *string) *cobra.Command {
	return &cobra.Command{
		Use:     "partition NAME",
		Short:   "Cut one cluster's API off from the outside; its pods and load balancers go on",
		Example: "  kubefed playground partition gondor",
		Args:    oneName("cluster"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := openPlayground(s, *dir)
			if err != nil {
				return err
			}
			return p.Partition(cmd.Context(), args[0])
		},
	}
}

func newPlaygroundHealCommand(s Streams, dir *string) *cobra.Command {
	return &cobra.Command{
		Use:     "heal NAME",
		Short:   "Make a cluster reachable again that was cut off",
		Example: "  kubefed playground heal gondor",
		Args:    oneName("cluster"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := openPlayground(s, *dir)
			if err != nil {
				return err
			}
			return p.Heal(cmd.Context(), args[0])
		},
	}
}
