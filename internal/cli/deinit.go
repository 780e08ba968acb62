package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/controlplane"
)

const deinitLong = `Remove a federation's control plane from its host cluster, with its stored data, and its kubeconfig context.

Workloads in member clusters are not touched. While clusters are joined it refuses: let them go with "kubefed unjoin"
first, or leave what the federation made in them with --force. It may be run again, and also removes what a half-done
"kubefed init" left.`

type deinitFlags struct {
	controlplane.DeinitOptions
	hostContext, kubeconfig string
}

func newDeinit(s Streams) *cobra.Command {
	f := &deinitFlags{}
	cmd := &cobra.Command{
		Use:               "deinit NAME --host-cluster-context=HOST",
		Short:             "End a federation: remove its control plane from the host cluster",
		Long:              deinitLong,
		Example:           "  kubefed deinit fellowship --host-cluster-context=rivendell",
		Args:              oneName("federation"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Name = args[0]
			return runDeinit(cmd.Context(), f, s)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.hostContext, "host-cluster-context", "", "kubeconfig context of the cluster that runs the control plane (required)")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file (default $KUBECONFIG or ~/.kube/config)")
	flags.BoolVar(&f.Force, "force", false, "remove it although clusters are joined or can't be listed")
	flags.DurationVar(&f.Timeout, "timeout", 2*time.Minute, "how long to wait until everything is gone")
	completeFlag(cmd, "host-cluster-context", completeContexts)
	return cmd
}

func runDeinit(ctx context.Context, f *deinitFlags, s Streams) error {
	if f.hostContext == "" {
		return &ExitError{ExitUsage, errors.New("--host-cluster-context is required: the kubeconfig context of the cluster that runs the control plane")}
	}
	access := kubeconfigAccess(f.kubeconfig)
	hostConfig, err := contextConfig(access, "host-cluster-context", f.hostContext)
	if err != nil {
		return err
	}
	host, err := controlplane.Connect(f.hostContext, hostConfig)
	if err != nil {
		return err
	}
	removal, err := controlplane.Deinit(ctx, host, f.DeinitOptions, access, progressTo(s))
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted; what is left is removed by running kubefed deinit %s --host-cluster-context=%s again", f.Name, f.hostContext)
		}
		return err
	}
	printDeinit(f, removal, s)
	return nil
}

func printDeinit(f *deinitFlags, r controlplane.Removal, s Streams) {
	note := noteTo(s)
	if r.Found {
		fmt.Fprintf(s.Out, "Federation %q removed.\n", f.Name)
	} else {
		fmt.Fprintf(s.Out, "Federation %q is not in host cluster %q: nothing to remove there.\n", f.Name, f.hostContext)
	}
	if r.Context {
		note("Context %q was removed from the kubeconfig.", f.Name)
	}
	if r.WasCurrent {
		note("It was the current context; choose another with kubectl config use-context.")
	}
	if r.NamespaceKept != "" {
		note("Namespace %s of host cluster %s stays, for it also holds: %s", controlplane.Namespace, f.hostContext, r.NamespaceKept)
	}
	if r.Unknown != "" {
		note("Which clusters were joined is not known (%s).", r.Unknown)
	}
	if len(r.Members) > 0 || r.Unknown != "" {
		note("In member clusters%s stay: the objects with label %s=%s, and namespace %s with the federation's service account and role.",
			ofMembers(r.Members), federation.LabelFederation, f.Name, federation.SystemNamespace)
	}
}

func ofMembers(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}
