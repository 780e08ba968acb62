package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"

	"kubefed.dev/kubefed/internal/version"
)

type versionFlags struct {
	FederationFlags
	output string
	client bool
}

// versions is what `kubefed version` prints.
type versions struct {
	Client version.Info     `json:"client"`
	Server *apiversion.Info `json:"server,omitempty"`
	Error  string           `json:"serverError,omitempty"`
}

func newVersion(s Streams) *cobra.Command {
	f := &versionFlags{}
	cmd := &cobra.Command{
		Use:               "version",
		Short:             "Print the versions of kubefed and of the federation",
		Example:           "  kubefed version\n  kubefed version --client -o json",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runVersion(cmd.Context(), f, s) },
	}
	f.addFlags(cmd)
	cmd.Flags().BoolVar(&f.client, "client", false, "print kubefed's own version alone, without asking the federation")
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "json or yaml")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// runVersion never fails for want of a federation: the client's version is an answer.
func runVersion(ctx context.Context, f *versionFlags, s Streams) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	v := versions{Client: version.Get()}
	if !f.client {
		info, err := serverVersion(ctx, f.FederationFlags)
		if err != nil {
			v.Error = err.Error()
		}
		v.Server = info
	}
	if f.output != "" {
		return printAs(s, f.output, v)
	}
	fmt.Fprintf(s.Out, "kubefed %s (%s, %s)\n", v.Client.Version, v.Client.Platform, v.Client.GoVersion)
	if v.Server != nil {
		fmt.Fprintf(s.Out, "federation %s\n", v.Server.GitVersion)
	}
	if v.Error != "" {
		noteTo(s)("federation: not known: %s", v.Error)
	}
	return nil
}

func serverVersion(ctx context.Context, f FederationFlags) (*apiversion.Info, error) {
	found, err := FindFederation(ctx, f)
	if err != nil {
		return nil, err
	}
	asker, err := discovery.NewDiscoveryClientForConfig(found.Config)
	if err != nil {
		return nil, err
	}
	return asker.ServerVersion()
}
