package cli

import (
	"context"
	"encoding/json"
	"errors"
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
	objectFlags
	plan bool
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
	f.addFlags(cmd, "with --plan: json or yaml")
	cmd.Flags().BoolVar(&f.plan, "plan", false, "show what would move, write nothing")
	return cmd
}

func runRebalance(ctx context.Context, f *rebalanceFlags, args []string, s Streams) error {
	if f.output != "" && !f.plan {
		return &ExitError{ExitUsage, errors.New("--output goes with --plan")}
	}
	obj, err := f.find(ctx, args)
	if err != nil {
		return err
	}
	request := time.Now().UTC().Format(time.RFC3339Nano)
	if f.plan {
		return planRebalance(ctx, f, obj, request, s)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{federation.AnnotationRebalance: request}}})
	if err != nil {
		return err
	}
	named := obj.mapping.Resource.Resource + "/" + obj.GetName()
	if _, err := obj.api.Patch(ctx, obj.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubefed-cli"}); err != nil {
		return fmt.Errorf("asking for %s to be rebalanced: %w", named, err)
	}
	_, err = fmt.Fprintf(s.Out, "%s rebalance requested: kubefed why %s shows how it goes\n", named, named)
	return err
}

func planRebalance(ctx context.Context, f *rebalanceFlags, obj foundObject, request string, s Streams) error {
	before, k, err := obj.world(ctx)
	if err != nil {
		return err
	}
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[federation.AnnotationRebalance] = request
	obj.SetAnnotations(annotations)
	after := before.Clone()
	after.Add(k, obj.Unstructured)
	show := &planFlags{output: f.output}
	return show.printPlan(s, planReport{Objects: len(after.Objects), Changes: plan.Compare(before, after, after.Settle(), false)})
}
