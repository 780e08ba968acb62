package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kubefed.dev/kubefed/pkg/plan"
)

const costLong = `Show what the federation costs while it runs, in an hour and in a month of 730 hours: by the decisions in force, what their
pods request, and the prices of clusters. It is what workloads have a right to use, not what they use, and no bill.

The price of a cluster is spec.price of the Cluster, else what its cloud says of its machines (status.price). Lines (idle) are
what nodes cost beyond what federated workloads request. Unknown is what has no price, or requests nothing: it is not in the
sums. Different currencies are not added up.`

type costFlags struct {
	FederationFlags
	by, namespace, output string
	all                   bool
}

func newCost(s Streams) *cobra.Command {
	f := &costFlags{}
	cmd := &cobra.Command{
		Use:               "cost",
		Short:             "Show what the federation costs while it runs",
		Long:              costLong,
		Example:           "  kubefed cost\n  kubefed cost --by namespace\n  kubefed cost --by workload -n shop -o wide\n  kubefed cost -o csv",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runCost(cmd.Context(), f, s) },
	}
	f.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.by, "by", plan.ByCluster, "cluster, namespace or workload")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "workloads of this namespace alone, without idle capacity")
	flags.BoolVarP(&f.all, "all-namespaces", "A", false, "workloads of all namespaces (the default)")
	flags.StringVarP(&f.output, "output", "o", "", "wide, csv, json or yaml")
	completeFlag(cmd, "by", cobra.FixedCompletions([]string{plan.ByCluster, plan.ByNamespace, plan.ByWorkload}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"wide", "csv", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// check finds what does not go together before anything is asked.
func (f *costFlags) check() error {
	switch {
	case !slices.Contains([]string{plan.ByCluster, plan.ByNamespace, plan.ByWorkload}, f.by):
		return &ExitError{ExitUsage, fmt.Errorf("--by=%s: use cluster, namespace or workload", f.by)}
	case f.all && f.namespace != "":
		return &ExitError{ExitUsage, errors.New("--namespace and --all-namespaces: leave one of them out")}
	case !slices.Contains([]string{"", "wide", "csv", "json", "yaml"}, f.output):
		return &ExitError{ExitUsage, fmt.Errorf("--output=%s: use wide, csv, json or yaml", f.output)}
	}
	return nil
}

func runCost(ctx context.Context, f *costFlags, s Streams) error {
	if err := f.check(); err != nil {
		return err
	}
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	w, _, err := readWorld(ctx, found.Config)
	if err != nil {
		return fmt.Errorf("federation %q: %w", found.Name, err)
	}
	return f.printCost(s, w.Cost(f.by, f.namespace))
}

func (f *costFlags) printCost(s Streams, r plan.CostReport) error {
	switch f.output {
	case "json", "yaml":
		return printAs(s, f.output, r)
	case "csv":
		return writeCosts(s.Out, r)
	}
	wide := f.output == "wide"
	if len(r.Items) == 0 {
		fmt.Fprintln(s.Out, "No federated workload runs")
	} else {
		printItems(s.Out, r, wide)
		all := r.Total
		for _, item := range r.Items {
			if len(item.Hour) == 0 {
				all.Unknown++
			}
		}
		fmt.Fprintf(s.Out, "In all %s an hour, %s a month (730 h)\n", hourly(all), monthly(all))
	}
	if wide {
		fmt.Fprintln(s.Out)
		printPrices(s.Out, r)
	}
	if unpriced := unpricedIn(r); len(unpriced) > 0 {
		fmt.Fprintf(s.Out, "No price is known of %s. Set spec.price of the Cluster:\n  kubectl patch cluster %s --type=merge -p '{\"spec\":{\"price\":{\"currency\":\"EUR\",\"cpuHour\":\"0.02\",\"gibHour\":\"0.003\"}}}'\nor have its cloud, or a file of sites, say so: kubefed init --cloud-config (docs/cost.md)\n",
			strings.Join(unpriced, ", "), unpriced[0])
	}
	return nil
}

func printItems(out io.Writer, r plan.CostReport, wide bool) {
	columns := append(map[string][]string{plan.ByCluster: {"CLUSTER"}, plan.ByNamespace: {"NAMESPACE"}, plan.ByWorkload: {"WORKLOAD"}}[r.By],
		"PODS", "SPOT", "COST/HOUR", "COST/MONTH")
	if r.By == plan.ByCluster {
		columns = append(columns, "PRICES", "AGE")
	}
	if wide {
		columns = append(columns, "PODS OF UNKNOWN COST")
	}
	table(out, columns...)(func(row func(...string)) {
		for _, item := range r.Items {
			cells := []string{subject(item), pods(item), fmt.Sprintf("%d%%", item.Spot), hourly(item.Cost), monthly(item.Cost)}
			if r.By == plan.ByCluster {
				p := priceOf(r, item.Cluster)
				cells = append(cells, dash(p.Source), since(p.At, r.At))
			}
			if wide {
				cells = append(cells, count(item.Unknown))
			}
			row(cells...)
		}
	})
}

// printPrices lists what running pods costs in each cluster.
func printPrices(out io.Writer, r plan.CostReport) {
	table(out, "CLUSTER", "CPU-HOUR", "GIB-HOUR", "EGRESS-GIB", "SPOT", "PRICES", "AGE", "NODES WITHOUT PRICE")(func(row func(...string)) {
		for _, p := range r.Clusters {
			if p.Currency == "" {
				row(p.Cluster, "unknown", "unknown", "unknown", fmt.Sprintf("%d%%", p.Spot), "-", "-", "-")
				continue
			}
			egress := "unknown"
			if p.EgressGiB != nil {
				egress = fmt.Sprintf("%.4f %s", *p.EgressGiB, p.Currency)
			}
			row(p.Cluster, fmt.Sprintf("%.6f %s", p.CPUHour, p.Currency), fmt.Sprintf("%.6f %s", p.GiBHour, p.Currency), egress,
				fmt.Sprintf("%d%%", p.Spot), dash(p.Source), since(p.At, r.At), count(p.Unpriced))
		}
	})
}

// writeCosts writes one line for each item and currency; what is not known is empty.
func writeCosts(out io.Writer, r plan.CostReport) error {
	w := csv.NewWriter(out)
	lines := [][]string{{"cluster", "namespace", "kind", "name", "idle", "pods", "pods_of_unknown_cost", "spot_percent", "currency", "cost_per_hour", "cost_per_month_730h", "price_source", "price_at"}}
	for _, item := range r.Items {
		p := plan.ClusterPrice{}
		if item.Cluster != "" {
			p = priceOf(r, item.Cluster)
		}
		at := ""
		if p.At != nil {
			at = p.At.UTC().Format(time.RFC3339)
		}
		currencies := item.Hour.Currencies()
		if len(currencies) == 0 {
			currencies = []string{""}
		}
		for _, currency := range currencies {
			hour, month := "", ""
			if currency != "" {
				hour, month = decimal(item.Hour[currency]), decimal(item.Hour[currency]*plan.HoursPerMonth)
			}
			lines = append(lines, []string{item.Cluster, item.Namespace, item.Kind, item.Name, strconv.FormatBool(item.Idle), fmt.Sprint(item.Pods),
				fmt.Sprint(item.Unknown), fmt.Sprint(item.Spot), currency, hour, month, p.Source, at})
		}
	}
	if err := w.WriteAll(lines); err != nil {
		return fmt.Errorf("printing as csv: %w", err)
	}
	return nil
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }

func subject(item plan.CostItem) string {
	switch {
	case item.Idle:
		return item.Cluster + " (idle)"
	case item.Kind != "":
		return qualified(item.Kind, item.Namespace, item.Name)
	}
	return item.Cluster + item.Namespace
}

func pods(item plan.CostItem) string {
	if item.Idle {
		return "-"
	}
	return fmt.Sprint(item.Pods)
}

func priceOf(r plan.CostReport, cluster string) plan.ClusterPrice {
	if i := slices.IndexFunc(r.Clusters, func(p plan.ClusterPrice) bool { return p.Cluster == cluster }); i >= 0 {
		return r.Clusters[i]
	}
	return plan.ClusterPrice{}
}

func unpricedIn(r plan.CostReport) (names []string) {
	for _, p := range r.Clusters {
		if p.Currency == "" {
			names = append(names, p.Cluster)
		}
	}
	return names
}

func since(at *time.Time, now time.Time) string {
	if at == nil {
		return "-"
	}
	return wait(max(now.Sub(*at), time.Second))
}
