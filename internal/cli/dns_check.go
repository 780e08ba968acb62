package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/check"
)

const dnsCheckLong = `Ask every authoritative server of every zone, over UDP and TCP, for the zone's serial and for each name, and compare with
what should be there, as "kubefed dns records" shows it. Changes take a moment to reach all servers: what differs is
asked again until --wait has passed.

With --resolver a resolver is asked as well whether the zone's parent points to these servers.

Exit codes: 0 all servers answer as they should; 1 something differs, or could not be asked.`

type dnsCheckFlags struct {
	dnsFlags
	servers        []string
	zone, resolver string
	timeout, wait  time.Duration
	output         string
}

func newDNSCheck(s Streams) *cobra.Command {
	f := &dnsCheckFlags{}
	cmd := &cobra.Command{
		Use:               "check [SERVICE|KIND/NAME ...]",
		Short:             "Ask the zones' servers whether they answer as they should",
		Long:              dnsCheckLong,
		Example:           "  kubefed dns check -A\n  kubefed dns check web -n shop\n  kubefed dns check --server=192.0.2.53 --resolver=9.9.9.9",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return runDNSCheck(cmd.Context(), f, args, s) },
	}
	f.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.servers, "server", nil, "servers to ask instead of those that the federation knows: ADDRESS or HOST, with :PORT where it is not 53")
	flags.StringVar(&f.zone, "zone", "", "this zone alone")
	flags.StringVar(&f.resolver, "resolver", "", "resolver to ask whether the zone is delegated: ADDRESS[:PORT]")
	flags.DurationVar(&f.timeout, "timeout", 3*time.Second, "how long one answer may take")
	flags.DurationVar(&f.wait, "wait", 5*time.Second, "how long answers may differ before that is a finding")
	flags.StringVarP(&f.output, "output", "o", "", "json or yaml")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "zone", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeZones(cmd, nil, toComplete)
	})
	return cmd
}

// zoneReport is what kubefed dns check prints of a zone. Fields are added, not renamed.
type zoneReport struct {
	check.Report
	Provider string `json:"provider,omitempty"`
	State    string `json:"state,omitempty"`
	Message  string `json:"message,omitempty"`
}

const checkPause = 500 * time.Millisecond

func runDNSCheck(ctx context.Context, f *dnsCheckFlags, args []string, s Streams) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	found, namespace, err := f.find(ctx)
	if err != nil {
		return err
	}
	var reports []zoneReport
	compared := 0
	for end := time.Now().Add(f.wait); ; {
		w, err := gatherDNS(ctx, found, namespace, args)
		if err != nil {
			return err
		}
		compared = len(w.objects)
		if reports, err = f.askAll(ctx, w); err != nil {
			return err
		}
		if differing(reports) == nil || time.Now().After(end) {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(checkPause):
		}
	}
	if f.output != "" {
		if err := printAs(s, f.output, map[string]any{"zones": reports}); err != nil {
			return err
		}
	} else {
		for i, r := range reports {
			if i > 0 {
				fmt.Fprintln(s.Out)
			}
			printReport(s.Out, r)
		}
	}
	if compared == 0 && namespace != "" {
		noteTo(s)("Nothing in namespace %s has names, so none were compared: -A compares those of all namespaces.", namespace)
	}
	return differing(reports)
}

// askAll asks the servers of each zone.
func (f *dnsCheckFlags) askAll(ctx context.Context, w *dnsWorld) ([]zoneReport, error) {
	zones, err := f.chosen(w)
	if err != nil {
		return nil, err
	}
	asker := check.Asker{Timeout: f.timeout, Resolver: f.resolver}
	var reports []zoneReport
	for _, z := range zones {
		expected := check.Zone{Name: z.Name, Servers: z.Servers}
		if len(f.servers) > 0 {
			expected.Servers = f.servers
		}
		for _, o := range w.objects {
			for _, n := range o.Names {
				if n.Zone == z.Name {
					expected.Names = append(expected.Names, check.Name{Name: n.Name, Sets: n.Records})
				}
			}
		}
		r := zoneReport{Report: asker.Zone(ctx, expected), Provider: z.Provider, State: z.State, Message: z.Message}
		if f.resolver != "" {
			d := asker.Delegation(ctx, f.resolver, z.Name, r.Servers)
			r.Delegation = &d
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// chosen are the zones to ask about.
func (f *dnsCheckFlags) chosen(w *dnsWorld) ([]federation.ZoneStatus, error) {
	zones := w.zones
	if len(zones) == 0 {
		zones = []federation.ZoneStatus{{Name: w.Zones[0].Name, Message: "the federation tells nothing of the zone: do the controllers run?"}}
	}
	if f.zone != "" {
		zones = slices.DeleteFunc(slices.Clone(zones), func(z federation.ZoneStatus) bool { return z.Name != dns.Absolute(f.zone) })
		if len(zones) == 0 {
			return nil, &ExitError{ExitUsage, fmt.Errorf("--zone=%s: the federation's zones are %s", f.zone, zoneNames(w))}
		}
	}
	if len(zones) > 1 && len(f.servers) > 0 {
		return nil, &ExitError{ExitUsage, fmt.Errorf("--server: name the zone that it serves by --zone; the federation has %s", zoneNames(w))}
	}
	return zones, nil
}

func zoneNames(w *dnsWorld) string {
	var names []string
	for _, z := range w.Zones {
		names = append(names, strings.TrimSuffix(z.Name, "."))
	}
	return strings.Join(names, ", ")
}

// differing says in one sentence what is wrong.
func differing(reports []zoneReport) error {
	for _, r := range reports {
		if !r.Failing() {
			continue
		}
		zone := strings.TrimSuffix(r.Zone, ".")
		switch silent := slices.IndexFunc(r.Servers, func(s check.Server) bool { return s.UDP != "ok" || s.TCP != "ok" }); {
		case len(r.Servers) == 0:
			return fmt.Errorf("no server of zone %s is known: name one by --server=ADDRESS[:PORT]", zone)
		case len(r.Differences) > 0:
			return fmt.Errorf("zone %s: %d answers are not as they should be", zone, len(r.Differences))
		default:
			s := r.Servers[silent]
			return fmt.Errorf("zone %s: server %s does not answer as it should (UDP: %s; TCP: %s)", zone, s.Name, s.UDP, s.TCP)
		}
	}
	return nil
}

func printReport(out io.Writer, r zoneReport) {
	about := strings.Join(slices.DeleteFunc([]string{r.Provider, r.State}, func(s string) bool { return s == "" }), ", ")
	if about != "" {
		about = " (" + about + ")"
	}
	fmt.Fprintf(out, "Zone %s%s\n", strings.TrimSuffix(r.Zone, "."), about)
	if r.Message != "" {
		fmt.Fprintf(out, "  %s\n", oneLine(r.Message))
	}
	if len(r.Servers) > 0 {
		table(out, "SERVER", "ADDRESS", "SERIAL", "UDP", "TCP", "TIME")(func(row func(...string)) {
			for _, s := range r.Servers {
				serial, took := "-", "-"
				if s.UDP == "ok" {
					serial, took = fmt.Sprint(s.Serial), fmt.Sprintf("%.1f ms", s.Milliseconds)
				}
				row(s.Name, dash(s.Address), serial, s.UDP, s.TCP, took)
			}
		})
	}
	if d := r.Delegation; d != nil {
		line := map[string]string{
			check.Delegated: "delegated to " + strings.Join(d.NameServers, ", "), check.NotDelegated: "NOT DELEGATED: " + d.Message,
			check.Elsewhere: "DELEGATED ELSEWHERE: " + d.Message, check.Unknown: "unknown: " + d.Message,
		}[d.State]
		fmt.Fprintf(out, "  Delegation: %s\n", line)
	}
	if len(r.Differences) == 0 {
		if len(r.Servers) > 0 && !r.Failing() {
			fmt.Fprintf(out, "  %d names, each as it should be at every server\n", r.Names)
		}
		return
	}
	fmt.Fprintln(out)
	table(out, "NAME", "TYPE", "SERVER", "BY", "SHOULD BE", "IS")(func(row func(...string)) {
		for _, d := range r.Differences {
			row(strings.TrimSuffix(d.Name, "."), d.Type, d.Server, dash(strings.ToUpper(d.Protocol)), d.Want, d.Got)
		}
	})
}
