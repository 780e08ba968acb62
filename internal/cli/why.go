package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/plan"
)

const whyLong = `Show why an object is where it is: the policy in force and the others that select it, every cluster with its share, its
bounds and the reason why it takes nothing new, what is missing, and the timers that run. The engine that decides in
production answers.

What is copied whole has yes in the columns HAS and GETS instead of numbers.`

type whyFlags struct {
	objectFlags
	cluster string
}

func newWhy(s Streams) *cobra.Command {
	f := &whyFlags{}
	cmd := &cobra.Command{
		Use:               "why TYPE/NAME",
		Short:             "Show why an object is where it is",
		Long:              whyLong,
		Example:           "  kubefed why deployment/web\n  kubefed why deploy web -n shop --cluster=gondor\n  kubefed why secret/tls -o json",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return runWhy(cmd.Context(), f, args, s) },
	}
	f.addFlags(cmd, "json or yaml")
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "this cluster alone")
	completeFlag(cmd, "cluster", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeClusters(cmd, nil, toComplete)
	})
	return cmd
}

func runWhy(ctx context.Context, f *whyFlags, args []string, s Streams) error {
	obj, err := f.find(ctx, args)
	if err != nil {
		return err
	}
	w, k, err := obj.world(ctx)
	if err != nil {
		return err
	}
	r, err := w.Why(plan.KeyOf(k, obj.Unstructured))
	if err != nil {
		return err
	}
	if f.cluster != "" {
		if !slices.ContainsFunc(w.Clusters, func(c placement.Cluster) bool { return c.Name == f.cluster }) {
			return &ExitError{ExitUsage, fmt.Errorf("--cluster=%s: no cluster of this name has joined; see kubectl get clusters", f.cluster)}
		}
		r.Clusters = slices.DeleteFunc(r.Clusters, func(c placement.Candidate) bool { return c.Cluster != f.cluster })
	}
	if f.output != "" {
		return printAs(s, f.output, r)
	}
	printReasons(s.Out, r, w.Now)
	return nil
}

func printReasons(out io.Writer, r plan.Reasons, now time.Time) {
	fmt.Fprintf(out, "%s\n", objectName(r.Object))
	fmt.Fprintf(out, "  Reason   %s\n", r.Reason)
	if r.Missing != "" {
		fmt.Fprintf(out, "  Missing  %s\n", r.Missing)
	}
	for i, p := range r.Policies {
		label, note := "Policy ", "selected by "+p.By
		if i > 0 {
			label, note = "  after", "selected by "+p.By+", less specific"
			if p.Tie {
				note = "selected by " + p.By + ", as specific but younger"
			}
		}
		fmt.Fprintf(out, "  %s  %s/%s (%s)\n", label, p.Kind, p.Name, note)
	}
	if gone := goneFrom(r); gone != nil {
		fmt.Fprintf(out, "  Policy   %s/%s (deleted, or it selects the object no more)\n", gone.Kind, gone.Name)
	}
	switch {
	case r.Decision == nil:
		fmt.Fprintf(out, "  Decision none yet: is the control plane up? kubefed status\n")
	case r.Outdated:
		fmt.Fprintf(out, "  Decision about to change: the facts have changed since it was made\n")
	}
	fmt.Fprintln(out)
	table(out, "CLUSTER", "GROUP", "HAS", "READY", "TARGET", "GETS", "WEIGHT", "BOUNDS", "FITS", "PRICE", "WHY NOT MORE")(func(row func(...string)) {
		for _, c := range r.Clusters {
			why := c.Out
			if c.Detail != "" {
				why = strings.TrimPrefix(why+": "+c.Detail, ": ")
			}
			has, gets, weight := number(c.Has), number(c.Gets), fmt.Sprint(c.Weight)
			if c.Gets == nil {
				has, gets, weight = copied(c.Holds), copied(c.Given), "-"
			}
			row(c.Cluster, dash(c.Group), has, number(c.Ready), number(c.Target), gets, weight, bounds(c), number(c.Fits), price(c), dash(why))
		}
	})
	for _, c := range r.Clusters {
		for _, t := range c.Timers {
			fmt.Fprintf(out, "%s: %s in %s\n", c.Cluster, t.What, wait(t.Until.Sub(now)))
		}
	}
}

// copied stands for a number where an object is copied whole.
func copied(yes bool) string {
	if yes {
		return "yes"
	}
	return "-"
}

// goneFrom is the policy by which an object was placed, where none selects it any more.
func goneFrom(r plan.Reasons) *federation.PolicyReference {
	if r.Decision == nil || len(r.Policies) > 0 || r.Decision.Policy == nil || r.Decision.Policy.Kind == federation.PolicyAnnotations {
		return nil
	}
	return r.Decision.Policy
}

func number(n *int32) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

// bounds reads "2..5", "2.." or "-".
func bounds(c placement.Candidate) string {
	if c.Min == 0 && c.Max == nil {
		return "-"
	}
	if c.Max == nil {
		return fmt.Sprintf("%d..", c.Min)
	}
	return fmt.Sprintf("%d..%d", c.Min, ptr.Deref(c.Max, 0))
}

// price is what a replica costs in an hour.
func price(c placement.Candidate) string {
	if c.Currency == "" {
		return "-"
	}
	return fmt.Sprintf("%.4f %s/h", c.Price, c.Currency)
}
