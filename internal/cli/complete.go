package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// completeTimeout bounds what a press of the tab key may wait for.
const completeTimeout = 3 * time.Second

// completeMoreClusters offers clusters that are not named yet, for every argument.
func completeMoreClusters(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	names, directive := completeClusters(cmd, nil, toComplete)
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) }), directive
}

// completing offers what list reads of the federation that the flags typed so far mean.
func completing(cmd *cobra.Command, list func(context.Context, Federation, client.Reader) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	var f FederationFlags
	for flag, into := range map[string]*string{"kubeconfig": &f.Kubeconfig, "context": &f.Context, "host-cluster-context": &f.HostContext} {
		if value, err := cmd.Flags().GetString(flag); err == nil {
			*into = value
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), completeTimeout)
	defer cancel()
	found, err := FindFederation(ctx, f)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	reader, err := newReader(found.Config)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names, err := list(ctx, found, reader)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeClusters offers the names of the federation's clusters for a command's first argument.
func completeClusters(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completing(cmd, func(ctx context.Context, _ Federation, reader client.Reader) ([]string, error) {
		var clusters federation.ClusterList
		if err := reader.List(ctx, &clusters); err != nil {
			return nil, err
		}
		names := make([]string, 0, len(clusters.Items))
		for _, c := range clusters.Items {
			names = append(names, c.Name)
		}
		return names, nil
	})
}
