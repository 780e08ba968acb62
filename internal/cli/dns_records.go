package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/explain"
)

const dnsRecordsLong = `Show what is published in DNS for Services, Ingresses and Gateways: each name with its answers, the clusters that they come
from and why, and the clusters that are withheld and why. The function that decides in production answers, from the
endpoints' states that the federation last saw.

A name alone is a Service's.`

type dnsRecordsFlags struct {
	dnsFlags
	output string
}

func newDNSRecords(s Streams) *cobra.Command {
	f := &dnsRecordsFlags{}
	cmd := &cobra.Command{
		Use:               "records [SERVICE|KIND/NAME ...]",
		Short:             "Show which names answer with what, and why",
		Long:              dnsRecordsLong,
		Example:           "  kubefed dns records web\n  kubefed dns records ingress/front -n shop -o wide\n  kubefed dns records -A -o json",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return runDNSRecords(cmd.Context(), f, args, s) },
	}
	f.addFlags(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "table, wide, json or yaml")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"table", "wide", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runDNSRecords(ctx context.Context, f *dnsRecordsFlags, args []string, s Streams) error {
	wide := f.output == "wide"
	if f.output == "table" || wide {
		f.output = ""
	}
	if err := checkOutput(f.output); err != nil {
		return &ExitError{ExitUsage, fmt.Errorf("--output=%s: use table, wide, json or yaml", f.output)}
	}
	found, namespace, err := f.find(ctx)
	if err != nil {
		return err
	}
	w, err := gatherDNS(ctx, found, namespace, args)
	if err != nil {
		return err
	}
	if f.output != "" {
		return printAs(s, f.output, map[string]any{"objects": w.objects})
	}
	if len(w.objects) == 0 {
		where := "namespace " + namespace
		if namespace == "" {
			where = "the federation"
		}
		noteTo(s)("Nothing in %s has names. Services of type LoadBalancer or NodePort, or with external IPs, get them, and the hosts of Ingresses and Gateways in the federation's zones.", where)
		return nil
	}
	for i, o := range w.objects {
		if i > 0 {
			fmt.Fprintln(s.Out)
		}
		printNames(s.Out, o, wide)
	}
	return nil
}

func printNames(out io.Writer, o explain.Object, wide bool) {
	fmt.Fprintf(out, "%s\n", objectName(o.Object))
	fmt.Fprintf(out, "  Published  %s\n", published(o))
	fmt.Fprintf(out, "  Settings   %s\n", settings(o.Settings))
	if len(o.OtherHosts) > 0 {
		fmt.Fprintf(out, "  Elsewhere  %s: in none of the federation's zones\n", strings.Join(o.OtherHosts, ", "))
	}
	for _, refused := range o.Refused {
		fmt.Fprintf(out, "  Refused    %s\n", refused)
	}
	columns := []string{"NAME", "TYPE", "ANSWERS", "FROM", "WHY"}
	if wide {
		columns = []string{"NAME", "LEVEL", "TTL", "TYPE", "ANSWERS", "FROM", "WHY"}
	}
	if len(o.Names) > 0 {
		fmt.Fprintln(out)
		table(out, columns...)(func(row func(...string)) {
			for _, n := range o.Names {
				nameRows(n, wide, row)
			}
		})
	}
	if len(o.Withheld) == 0 {
		return
	}
	fmt.Fprintln(out)
	table(out, "WITHHELD", "STATE", "SINCE", "ADDRESSES", "WHY")(func(row func(...string)) {
		for _, w := range o.Withheld {
			since := "-"
			if w.Since != nil {
				since = age(w.Since.Time)
			}
			row(w.Cluster, w.State, since, dash(strings.Join(w.Addresses, ",")), oneLine(w.Why))
		}
	})
}

func nameRows(n explain.Name, wide bool, row func(...string)) {
	name, from := strings.TrimSuffix(n.Name, "."), dash(strings.Join(n.Clusters, ","))
	if len(n.Records) == 0 {
		if wide {
			row(name, n.Level, "-", "-", "-", from, n.Why)
		} else {
			row(name, "-", "-", from, n.Why)
		}
	}
	for _, set := range n.Records {
		answers, from := strings.Join(set.Data, ","), from
		if set.Alias != (dns.Alias{}) {
			answers = "alias of " + strings.TrimSuffix(set.Alias.Name, ".")
		}
		if set.SetID != "" {
			from = set.SetID
			if set.Routing.Weight > 0 {
				from += fmt.Sprintf(" (weight %d)", set.Routing.Weight)
			}
		}
		if wide {
			row(name, n.Level, fmt.Sprint(set.TTL), string(set.Type), answers, from, n.Why)
		} else {
			row(name, string(set.Type), answers, from, n.Why)
		}
	}
}

func published(o explain.Object) string {
	why := strings.TrimSuffix(o.Reason+": "+oneLine(o.Message), ": ")
	switch o.Published {
	case "True":
		return "yes"
	case "False":
		return "NO: " + why
	}
	return strings.TrimSuffix("not yet: "+why, ": ")
}

// settings reads "routing All, TTL 20 s, fallback Flatten, when dead Static".
func settings(s federation.DNSSettings) string {
	return fmt.Sprintf("routing %s, TTL %d s, fallback %s, when dead %s", cmp.Or(s.Routing, federation.RoutingAll), ptr.Deref(s.TTLSeconds, defaultTTL),
		cmp.Or(s.Fallback, federation.FallbackFlatten), cmp.Or(s.WhenDead, federation.WhenDeadStatic))
}

// defaultTTL is that of names without one of their own, in seconds.
const defaultTTL = 20
