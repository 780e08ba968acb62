package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/plan"
)

const rebalanceLong = `Divide an object's replicas anew, once, as its policy says: by default only new replicas follow a policy, and nothing
moves without need. Replicas move step by step, each new one ready before an old one goes, as the policy's moves say.

An object whose policy was deleted is decided by the defaults again.

--plan shows what would move and writes nothing.`

type rebalanceFlags struct {
	FederationFlags
	namespace, output string
	plan              bool
}

func newRebalance(s Streams) *cobra.Command {
	f := &rebalanceFlags{}
	cmd := &cobra.Command{
		Use:               "rebalance TYPE/NAME",
		Short:             "Divide an object's replicas anew",
		Long:              rebalanceLong,
		Example:           "  kubefed rebalance deployment/web --plan\n  kubefed rebalance deployment/web -n shop",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return runRebalance(cmd.Context(), f, args, s) },
	}
	f.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of the object (default: the context's)")
	flags.BoolVar(&f.plan, "plan", false, "show what would move, write nothing")
	flags.StringVarP(&f.output, "output", "o", "", "with --plan: json or yaml")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runRebalance(ctx context.Context, f *rebalanceFlags, args []string, s Streams) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	if f.output != "" && !f.plan {
		return &ExitError{ExitUsage, fmt.Errorf("--output goes with --plan")}
	}
	kind, name, err := splitObject(args)
	if err != nil {
		return err
	}
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	if f.namespace == "" {
		f.namespace = contextNamespace(found)
	}
	api, err := newFinder(found.Config)
	if err != nil {
		return err
	}
	obj, err := api.get(ctx, kind, f.namespace, name)
	if err != nil {
		return err
	}
	request := time.Now().UTC().Format(time.RFC3339Nano)
	if !f.plan {
		mapping, err := api.mapping(kind)
		if err != nil {
			return err
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{federation.AnnotationRebalance: request}}})
		if err != nil {
			return err
		}
		if _, err := api.resource(mapping, f.namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubefed-cli"}); err != nil {
			return fmt.Errorf("asking for %s %q to be rebalanced: %w", mapping.Resource.Resource, name, err)
		}
		_, err = fmt.Fprintf(s.Out, "%s/%s rebalance requested: kubefed why %s/%s shows how it goes\n", mapping.Resource.Resource, name, mapping.Resource.Resource, name)
		return err
	}
	before, kinds, err := readWorld(ctx, found.Config)
	if err != nil {
		return fmt.Errorf("federation %q: %w", found.Name, err)
	}
	k, known := kinds[obj.GroupVersionKind().GroupKind()]
	if !known {
		return fmt.Errorf("%s is a kind that is never federated: see docs/operating.md, \"What is federated\"", obj.GetKind())
	}
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[federation.AnnotationRebalance] = request
	obj.SetAnnotations(annotations)
	obj.SetGroupVersionKind(k.GroupVersionKind)
	after := before.Clone()
	after.Add(k, obj)
	show := &planFlags{output: f.output}
	return show.printPlan(s, planReport{Objects: len(after.Objects), Changes: plan.Compare(before, after, after.Settle(), false)})
}
