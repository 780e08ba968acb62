package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// kubeconfigAccess finds the kubeconfig as kubectl does: the flag, else $KUBECONFIG, else ~/.kube/config.
func kubeconfigAccess(path string) clientcmd.ConfigAccess {
	options := clientcmd.NewDefaultPathOptions()
	options.LoadingRules.ExplicitPath = path
	return options
}

// contextConfig reads how to reach the cluster of a kubeconfig context. flag is the flag that named the context.
func contextConfig(access clientcmd.ConfigAccess, flag, context string) (*rest.Config, error) {
	config, err := access.GetStartingConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if _, ok := config.Contexts[context]; !ok {
		known := strings.Join(slices.Sorted(maps.Keys(config.Contexts)), ", ")
		if known == "" {
			return nil, fmt.Errorf("--%s=%s: the kubeconfig %s has no contexts: name another file with --kubeconfig", flag, context, access.GetDefaultFilename())
		}
		return nil, fmt.Errorf("--%s=%s: no such context in the kubeconfig; there are: %s", flag, context, known)
	}
	clusterConfig, err := clientcmd.NewDefaultClientConfig(*config, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading context %s of the kubeconfig: %w", context, err)
	}
	clusterConfig.UserAgent = "kubefed"
	return clusterConfig, nil
}

// completeContexts offers the kubeconfig's contexts to the shell.
func completeContexts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	path, _ := cmd.Flags().GetString("kubeconfig")
	config, err := kubeconfigAccess(path).GetStartingConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return slices.Sorted(maps.Keys(config.Contexts)), cobra.ShellCompDirectiveNoFileComp
}
