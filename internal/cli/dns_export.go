package cli

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/check"
	"kubefed.dev/kubefed/pkg/dns/explain"
)

const dnsExportLong = `Print a zone with all names of the federation as a master file (RFC 1035), for another server, a backup or a look at the
whole. It is what "kubefed dns records" shows, with the ownership records beside the names: a provider that loads it
holds names that the federation knows as its own.

The head of the zone (SOA and NS) is that of a server of the zone; where none answers, it is made up.`

type dnsExportFlags struct {
	FederationFlags
	servers []string
	timeout time.Duration
}

func newDNSExport(s Streams) *cobra.Command {
	f := &dnsExportFlags{}
	cmd := &cobra.Command{
		Use:               "export [ZONE]",
		Short:             "Print a zone as a master file",
		Long:              dnsExportLong,
		Example:           "  kubefed dns export > zone.txt\n  kubefed dns export shop.example.org --server=192.0.2.53",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeZones,
		RunE:              func(cmd *cobra.Command, args []string) error { return runDNSExport(cmd.Context(), f, args, s) },
	}
	f.addFlags(cmd)
	cmd.Flags().StringSliceVar(&f.servers, "server", nil, "servers to ask for the head of the zone instead of those that the federation knows: ADDRESS or HOST, with :PORT where it is not 53")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 3*time.Second, "how long one answer may take")
	return cmd
}

func runDNSExport(ctx context.Context, f *dnsExportFlags, args []string, s Streams) error {
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	w, err := gatherDNS(ctx, found, "", nil)
	if err != nil {
		return err
	}
	zone := federation.ZoneStatus{Name: w.Zones[0].Name}
	if len(args) > 0 {
		zone.Name = dns.Absolute(args[0])
	}
	known := false
	for _, z := range w.Zones {
		known = known || z.Name == zone.Name
	}
	if !known {
		return &ExitError{ExitUsage, fmt.Errorf("zone %s: the federation's zones are %s", args[0], zoneNames(w))}
	}
	for _, z := range w.zones {
		if z.Name == zone.Name {
			zone = z
		}
	}
	if len(f.servers) > 0 {
		zone.Servers = f.servers
	}
	head, err := check.Asker{Timeout: f.timeout}.Head(ctx, zone.Name, zone.Servers)
	if err != nil || head.SOA == "" {
		apex := madeUp(zone, time.Now())
		noteTo(s)("The head of the zone is made up: %s", oneLine(headless(err)))
		_, err = fmt.Fprint(s.Out, w.ZoneFile(zone.Name, apex, w.objects))
		return err
	}
	_, err = fmt.Fprint(s.Out, w.ZoneFile(zone.Name, explain.Apex{SOA: head.SOA, Records: head.Servers}, w.objects))
	return err
}

func headless(err error) string {
	if err == nil {
		return "no server of the zone is known; name one by --server"
	}
	return err.Error()
}

// madeUp is a head for a zone whose servers do not tell theirs: with the servers that are known, else with this machine as a
// stand-in that whoever loads the file replaces.
func madeUp(zone federation.ZoneStatus, now time.Time) explain.Apex {
	var apex explain.Apex
	add := func(format string, args ...any) { apex.Records = append(apex.Records, fmt.Sprintf(format, args...)) }
	first := ""
	for i, server := range zone.Servers {
		host := server
		if h, _, err := net.SplitHostPort(server); err == nil {
			host = h
		}
		name := dns.Absolute(host)
		if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			name = fmt.Sprintf("ns%d.%s", i+1, zone.Name)
			kind := "A"
			if address.Is6() {
				kind = "AAAA"
			}
			add("%s\t300\tIN\t%s\t%s", name, kind, address)
		}
		add("%s\t300\tIN\tNS\t%s", zone.Name, name)
		if first == "" {
			first = name
		}
	}
	if first == "" {
		first = "ns1." + zone.Name
		add("%s\t300\tIN\tNS\t%s", zone.Name, first)
		add("%s\t300\tIN\tA\t127.0.0.1", first)
	}
	apex.SOA = fmt.Sprintf("%s\t300\tIN\tSOA\t%s hostmaster.%s %d 300 60 1209600 10", zone.Name, first, zone.Name, uint32(now.Unix()))
	return apex
}
