package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/plan"
)

// clustersFlags say which clusters a command means: by name, and by where they are.
type clustersFlags struct {
	FederationFlags
	output                    string
	zones, regions, providers []string
}

func (f *clustersFlags) addFlags(cmd *cobra.Command) {
	f.FederationFlags.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.zones, "zone", nil, "all clusters whose only zone this is")
	flags.StringSliceVar(&f.regions, "region", nil, "all clusters of this region")
	flags.StringSliceVar(&f.providers, "provider", nil, "all clusters of this provider")
	flags.StringVarP(&f.output, "output", "o", "", "json or yaml")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// domains are what was named.
func (f *clustersFlags) domains(args []string) ([]plan.Domain, error) {
	if err := checkOutput(f.output); err != nil {
		return nil, err
	}
	var all []plan.Domain
	for _, named := range []struct {
		field  string
		values []string
	}{{federation.FieldName, args}, {federation.FieldZone, f.zones}, {federation.FieldRegion, f.regions}, {federation.FieldProvider, f.providers}} {
		for _, value := range named.values {
			all = append(all, plan.Domain{Field: named.field, Value: value})
		}
	}
	if len(all) == 0 {
		return nil, &ExitError{ExitUsage, errors.New("say which clusters: by name, --zone, --region or --provider")}
	}
	return all, nil
}

// chosen are the clusters that the domains mean, by name.
func chosen(w *plan.World, domains []plan.Domain) ([]string, error) {
	loss, err := w.LossOf(domains...)
	if err != nil {
		return nil, &ExitError{ExitUsage, err}
	}
	if len(loss.Clusters) == 0 {
		return nil, &ExitError{ExitUsage, fmt.Errorf("%s is one of several zones of %v: name the clusters themselves", failing(domains), loss.Partly)}
	}
	return loss.Clusters, nil
}

const cordonLong = `Keep new placements away from clusters. What is there stays. Taint federation.kubefed.dev/cordoned:NoSchedule says so; a policy
can tolerate it. kubefed uncordon takes it back.`

func newCordon(s Streams) *cobra.Command {
	f := &clustersFlags{}
	cmd := &cobra.Command{
		Use:               "cordon CLUSTER...",
		Short:             "Keep new placements away from clusters",
		Long:              cordonLong,
		Example:           "  kubefed cordon gondor\n  kubefed cordon --region=us-east-1",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeMoreClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTaint(cmd.Context(), f, args, s, "cordoned", func(taints []corev1.Taint) []corev1.Taint {
				return withTaint(taints, federation.TaintCordoned, corev1.TaintEffectNoSchedule)
			})
		},
	}
	f.addFlags(cmd)
	return cmd
}

const uncordonLong = `Let clusters take placements again, after kubefed cordon or kubefed drain. Replicas that a drain moved away come back step by
step, as the policies' moves say: each is ready here before one goes there.`

func newUncordon(s Streams) *cobra.Command {
	f := &clustersFlags{}
	cmd := &cobra.Command{
		Use:               "uncordon CLUSTER...",
		Short:             "Let clusters take placements again, after cordon or drain",
		Long:              uncordonLong,
		Example:           "  kubefed uncordon gondor\n  kubefed uncordon --provider=aws",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeMoreClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTaint(cmd.Context(), f, args, s, "uncordoned", func(taints []corev1.Taint) []corev1.Taint {
				return slices.DeleteFunc(slices.Clone(taints), func(t corev1.Taint) bool {
					return t.Value == "" && (t.Key == federation.TaintCordoned || t.Key == federation.TaintDrain) // a drill's own is the drill's
				})
			})
		},
	}
	f.addFlags(cmd)
	return cmd
}

// taintedCluster is what cordon and uncordon print of a cluster.
type taintedCluster struct {
	Name    string `json:"name"`
	Changed bool   `json:"changed"`
}

func runTaint(ctx context.Context, f *clustersFlags, args []string, s Streams, done string, change func([]corev1.Taint) []corev1.Taint) error {
	domains, err := f.domains(args)
	if err != nil {
		return err
	}
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	api, err := newClient(found.Config)
	if err != nil {
		return err
	}
	w := &plan.World{}
	var clusters federation.ClusterList
	if err := api.List(ctx, &clusters); err != nil {
		return fmt.Errorf("reading the clusters of federation %q: %w", found.Name, err)
	}
	for i := range clusters.Items {
		w.Clusters = append(w.Clusters, placement.ClusterFacts(&clusters.Items[i]))
	}
	names, err := chosen(w, domains)
	if err != nil {
		return err
	}
	report := []taintedCluster{}
	for _, name := range names {
		changed, err := changeTaints(ctx, api, name, change)
		if err != nil {
			return err
		}
		report = append(report, taintedCluster{name, changed})
	}
	if f.output != "" {
		return printAs(s, f.output, map[string]any{"clusters": report})
	}
	for _, c := range report {
		already := ""
		if !c.Changed {
			already = "already "
		}
		fmt.Fprintf(s.Out, "cluster %s %s%s\n", c.Name, already, done)
	}
	return nil
}

// changeTaints changes a cluster's own taints, and says whether there was anything to change.
func changeTaints(ctx context.Context, api client.Client, name string, change func([]corev1.Taint) []corev1.Taint) (changed bool, err error) {
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var c federation.Cluster
		if err := api.Get(ctx, client.ObjectKey{Name: name}, &c); err != nil {
			return err
		}
		taints := change(c.Spec.Taints)
		if changed = len(taints) != len(c.Spec.Taints); !changed {
			return nil
		}
		c.Spec.Taints = taints
		return api.Update(ctx, &c, client.FieldOwner("kubefed-cli"))
	})
	if err != nil {
		return false, fmt.Errorf("changing the taints of cluster %s: %w", name, err)
	}
	return changed, nil
}

// withTaint adds a taint where there is none of its key and effect.
func withTaint(taints []corev1.Taint, key string, effect corev1.TaintEffect) []corev1.Taint {
	if slices.ContainsFunc(taints, func(t corev1.Taint) bool { return t.Key == key && t.Effect == effect && t.Value == "" }) {
		return taints
	}
	return append(slices.Clone(taints), corev1.Taint{Key: key, Effect: effect})
}
