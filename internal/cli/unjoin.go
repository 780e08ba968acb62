package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cluster"
)

type unjoinFlags struct {
	FederationFlags
	accountFlags
	clusterContext string
	workloads      string
	force          bool
	timeout        time.Duration
}

func newUnjoin(s Streams, known clouds) *cobra.Command {
	var f unjoinFlags
	cmd := &cobra.Command{
		Use:   "unjoin NAME",
		Short: "Take a cluster out of the federation",
		Long: `Take a cluster out of the federation.

The federation lets go of the cluster first, so that nothing is written there any more. Then everything that join made
there is removed. --workloads=keep leaves the federation's objects running as your own; --workloads=remove deletes them.

A cluster that can't be reached is left as it is, and a Tombstone remembers what is to be done: joining the same
cluster again does it first.

A cluster that was joined by its cloud's reference is asked as then: its cloud proves who you are.`,
		Example: `  kubefed unjoin gondor --host-cluster-context=rivendell
  kubefed unjoin gondor --workloads=remove
  kubefed unjoin prod-a --cloud-config=clouds.yaml`,
		Args:              oneName("cluster"),
		ValidArgsFunction: completeClusters,
		RunE:              func(cmd *cobra.Command, args []string) error { return runUnjoin(cmd.Context(), s, known, args[0], f) },
	}
	flags := cmd.Flags()
	f.FederationFlags.addFlags(cmd)
	f.accountFlags.addFlags(cmd)
	flags.StringVar(&f.clusterContext, "cluster-context", "", "kubeconfig context of the cluster (default: NAME, else as its cloud leads to it)")
	flags.StringVar(&f.workloads, "workloads", string(cluster.WorkloadsKeep), "what happens to the federation's objects in the cluster: keep or remove")
	flags.BoolVar(&f.force, "force", false, "leave the cluster as it is although the federation still reaches it")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "how long each wait may take")
	completeFlag(cmd, "cluster-context", completeContexts)
	completeFlag(cmd, "workloads", cobra.FixedCompletions([]string{"keep", "remove"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runUnjoin(ctx context.Context, s Streams, known clouds, name string, f unjoinFlags) error {
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	member, err := memberContext(found.Kubeconfig, name, f.clusterContext)
	if err == nil && member == nil {
		member, err = known.memberByReference(ctx, s, f.accountFlags, found, name)
	}
	if err != nil {
		return err
	}
	result, err := cluster.Unjoin(ctx, cluster.UnjoinOptions{
		Name: name, Federation: found.Config, Member: member, Workloads: cluster.Workloads(f.workloads), Force: f.force,
		Timeout: f.timeout, Progress: progressTo(s),
	})
	if err != nil {
		return err
	}
	printUnjoined(s.Out, name, result)
	return nil
}

// memberContext is the way to the member, nil where no context was named and none is called as the cluster: whoever
// removed it with the cluster can still unjoin.
func memberContext(access clientcmd.ConfigAccess, name, context string) (*rest.Config, error) {
	if context == "" {
		config, err := access.GetStartingConfig()
		if err != nil {
			return nil, fmt.Errorf("reading the kubeconfig: %w", err)
		}
		if config.Contexts[name] == nil {
			return nil, nil
		}
		context = name
	}
	return contextConfig(access, "cluster-context", context)
}

// memberByReference is the way that the cluster's cloud knows, nil where it was not joined by that or its cloud does not lead to it.
func (c clouds) memberByReference(ctx context.Context, s Streams, f accountFlags, found Federation, name string) (*rest.Config, error) {
	reader, err := newReader(found.Config)
	if err != nil {
		return nil, err
	}
	var joined federation.Cluster
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, &joined); err != nil {
		return nil, nil //nolint:nilerr // Unjoin says what is wrong.
	}
	r, err := cloud.ParseReference(joined.Annotations[federation.AnnotationReference])
	if err != nil {
		return nil, nil //nolint:nilerr // It was joined by a context.
	}
	m, err := c.find(ctx, s, f, r)
	if err != nil {
		noteTo(s)("%v", err) // Unjoin goes on without where the federation does not reach it either.
		return nil, nil
	}
	return m.config, nil
}

func printUnjoined(out io.Writer, name string, r cluster.UnjoinResult) {
	fmt.Fprintf(out, "Cluster %q unjoined from federation %q.\n", name, r.Federation)
	if r.Cleaning == nil {
		fmt.Fprintf(out, "It was left as it is: %s.\n", r.Unreachable)
		fmt.Fprintf(out, "What the federation made there stays until the cluster joins again: Tombstone %q remembers it. "+
			"If the cluster is gone for good: kubectl delete tombstone %s\n", r.Tombstone, r.Tombstone)
		return
	}
	fmt.Fprintf(out, "%s.\n", capital(objects(*r.Cleaning)))
	for _, what := range r.Cleaning.Remains {
		fmt.Fprintf(out, "Remains: %s\n", what)
	}
}

func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
