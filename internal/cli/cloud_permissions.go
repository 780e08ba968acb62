package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/permissions"
)

const permissionsLong = `Print the least that an account must be allowed: for AWS a policy document of IAM, for Google Cloud a custom role, as
"gcloud iam roles create --file" reads it. With -o wide, a table that says what each permission is for.

Features: discover lists clusters, join joins them by reference, facts are states of zones and regions, prices what machines cost,
balancers the health of load balancers, dns writes names to Route 53 or Cloud DNS. To join a cluster one has to be its administrator
besides: on EKS by an access entry, on GKE by roles/container.admin. Nothing but DNS is ever written.`

func newCloudPermissions(s Streams) *cobra.Command {
	var features []string
	var output string
	cmd := &cobra.Command{
		Use:       "permissions aws|gcp",
		Short:     "Print the permissions that an account needs",
		Long:      permissionsLong,
		Example:   "  kubefed cloud permissions aws > policy.json\n  kubefed cloud permissions gcp --feature=facts,prices\n  kubefed cloud permissions aws -o wide",
		Args:      oneProvider,
		ValidArgs: cloudProviders,
		RunE:      func(_ *cobra.Command, args []string) error { return runPermissions(s, args[0], features, output) },
	}
	cmd.Flags().StringSliceVar(&features, "feature", nil, "features that are meant: "+strings.Join(permissions.Features, ", ")+" (default: all)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "output format: json, yaml or wide (default: as the cloud's own tools read it)")
	completeFlag(cmd, "feature", cobra.FixedCompletions(permissions.Features, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml", "wide"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runPermissions(s Streams, provider string, features []string, output string) error {
	for _, f := range features {
		if !slices.Contains(permissions.Features, f) {
			return &ExitError{ExitUsage, fmt.Errorf("--feature=%s: use some of %s", f, strings.Join(permissions.Features, ", "))}
		}
	}
	needed := permissions.Of(provider, features...)
	if len(needed) == 0 {
		noteTo(s)("%s: %s tells it to everybody who has an account; no permission is needed.", strings.Join(features, ", "), provider)
	}
	switch {
	case output == "wide":
		aligned(s.Out, "", []string{"PERMISSION", "FEATURES", "FOR"})(func(row func(...string)) {
			for _, p := range needed {
				row(p.Name, strings.Join(p.Features, ","), p.Why)
			}
		})
		return nil
	case output != "" && output != "json" && output != "yaml":
		return &ExitError{ExitUsage, fmt.Errorf("--output=%s: use json, yaml or wide", output)}
	case provider == config.AWS:
		if output == "" {
			output = "json"
		}
		return printAs(s, output, permissions.PolicyOf(needed))
	case output != "":
		return printAs(s, output, permissions.RoleOf(needed))
	}
	printRole(s.Out, needed)
	return nil
}

// printRole prints a role as YAML that says which feature needs each permission.
func printRole(out io.Writer, needed []permissions.Permission) {
	role := permissions.RoleOf(needed)
	fmt.Fprintf(out, "title: %s\ndescription: %s\nstage: %s\nincludedPermissions:\n", role.Title, role.Description, role.Stage)
	for _, p := range needed {
		fmt.Fprintf(out, "- %s # %s\n", p.Name, strings.Join(p.Features, ", "))
	}
}
