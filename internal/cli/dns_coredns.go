package cli

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/check"
)

const dnsCoreDNSLong = `Print server blocks for the Corefile of a cluster's CoreDNS, so that its pods find the federation's names.

The first makes the federation's zone a stub domain: questions for it go to the zone's servers. The others answer Federation
v1's short names SERVICE.NAMESPACE.FEDERATION: with the cluster's own Service where it has ready endpoints, else with the
federation's name. CoreDNS needs no plugin for it that is not in its default build.

With --cluster the federation's name is that of this cluster's region, which answers with the region's endpoints, and
with those of the whole federation where it has none.`

type dnsCoreDNSFlags struct {
	FederationFlags
	servers        []string
	cluster        string
	clusterDomain  string
	withoutV1Names bool
}

func newDNSCoreDNS(s Streams) *cobra.Command {
	f := &dnsCoreDNSFlags{}
	cmd := &cobra.Command{
		Use:               "coredns",
		Short:             "Print a Corefile by which a cluster's pods find the federation's names",
		Long:              dnsCoreDNSLong,
		Example:           "  kubefed dns coredns --cluster=gondor\n  kubefed dns coredns --server=192.0.2.53 --cluster-domain=k8s.example.net",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runDNSCoreDNS(cmd.Context(), f, s) },
	}
	f.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.servers, "server", nil, "servers of the federation's main zone instead of those that the federation knows: ADDRESS, with :PORT where it is not 53")
	flags.StringVar(&f.cluster, "cluster", "", "the cluster whose CoreDNS it is: its region comes first")
	flags.StringVar(&f.clusterDomain, "cluster-domain", "cluster.local", "the cluster's own DNS domain")
	flags.BoolVar(&f.withoutV1Names, "without-short-names", false, "the stub domains alone")
	completeFlag(cmd, "cluster", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeClusters(cmd, nil, toComplete)
	})
	return cmd
}

func runDNSCoreDNS(ctx context.Context, f *dnsCoreDNSFlags, s Streams) error {
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	reader, err := newReader(found.Config)
	if err != nil {
		return err
	}
	zones, err := readZones(ctx, reader, found)
	if err != nil {
		return fmt.Errorf("reading zones of federation %q: %w", found.Name, err)
	}
	if len(zones) == 0 {
		zones = []federation.ZoneStatus{{Name: dns.Absolute(found.DNSZone)}}
	}
	if len(f.servers) > 0 {
		zones[0].Servers = f.servers
	}
	c := corefile{federation: found.Name, zones: zones, clusterDomain: strings.Trim(f.clusterDomain, "."), shortNames: !f.withoutV1Names}
	if f.cluster != "" {
		var clusters federation.ClusterList
		if err := reader.List(ctx, &clusters); err != nil {
			return fmt.Errorf("reading clusters of federation %q: %w", found.Name, err)
		}
		at := slices.IndexFunc(clusters.Items, func(c federation.Cluster) bool { return c.Name == f.cluster })
		if at < 0 {
			return &ExitError{ExitUsage, fmt.Errorf("--cluster=%s: no cluster of this name has joined; see kubectl get clusters", f.cluster)}
		}
		c.region = strings.ToLower(clusters.Items[at].Status.Region)
	}
	_, err = fmt.Fprint(s.Out, c.String())
	return err
}

// corefile is what its text is made of.
type corefile struct {
	federation string
	// zones have the main zone first.
	zones         []federation.ZoneStatus
	region        string
	clusterDomain string
	shortNames    bool
}

// hopPort is where CoreDNS asks itself for short names that the cluster has no Service for, on its own loopback address: a
// server block can rewrite a question once, and these need it twice.
const hopPort = "5399"

func (c corefile) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "# For the Corefile of CoreDNS (kubectl -n kube-system edit configmap coredns), beside its other server blocks.\n")
	for _, z := range c.zones {
		c.stub(&out, z)
	}
	if c.shortNames {
		c.short(&out)
	}
	return out.String()
}

func (c corefile) stub(out *strings.Builder, z federation.ZoneStatus) {
	zone := strings.TrimSuffix(z.Name, ".")
	addresses := forwardable(z.Servers)
	switch {
	case len(addresses) > 0:
		fmt.Fprintf(out, "\n# Zone %s: its servers are asked.\n%s:53 {\n    errors\n    cache 20\n    forward . %s\n}\n", zone, zone, strings.Join(addresses, " "))
	case len(z.Servers) > 0:
		fmt.Fprintf(out, "\n# Zone %s is served by %s and found as any public zone: it needs no block.\n", zone, strings.Join(z.Servers, ", "))
	default:
		fmt.Fprintf(out, "\n# Zone %s: no server of it is known; name one by --server=ADDRESS[:PORT], unless it is found as any public zone.\n", zone)
	}
}

// short answers v1's names, which pods ask for as SERVICE.NAMESPACE.FEDERATION.svc.DOMAIN by their search path.
func (c corefile) short(out *strings.Builder) {
	zone, domain := strings.TrimSuffix(c.zones[0].Name, "."), c.clusterDomain
	upstream := strings.Join(forwardable(c.zones[0].Servers), " ")
	if upstream == "" {
		upstream = "/etc/resolv.conf"
	}
	wide := c.federation + ".svc." + zone
	if c.region != "" {
		wide = c.federation + ".svc." + c.region + "." + zone
	}
	local := c.federation + ".svc." + domain
	quote := regexp.QuoteMeta
	fmt.Fprintf(out, `
# SERVICE.NAMESPACE.%[1]s: the cluster's own Service if it has ready endpoints ...
%[2]s:53 {
    errors
    rewrite stop {
        name regex ^([^.]+)\.([^.]+)\.%[3]s\.$ {1}.{2}.svc.%[4]s.
        answer name ^([^.]+)\.([^.]+)\.svc\.%[5]s\.$ {1}.{2}.%[2]s.
    }
    kubernetes %[4]s {
        ignore empty_service
        fallthrough
    }
    forward . 127.0.0.1:%[6]s
}
# ... else the federation's.
%[4]s:%[6]s {
    bind 127.0.0.1
    errors
    rewrite stop {
        name regex ^([^.]+)\.([^.]+)\.svc\.%[5]s\.$ {1}.{2}.%[7]s.
        answer name ^([^.]+)\.([^.]+)\.%[8]s\.$ {1}.{2}.svc.%[4]s.
    }
    cache 20
    forward . %[9]s
}
`, c.federation, local, quote(local), domain, quote(domain), hopPort, wide, quote(wide), upstream)
}

// forwardable are the servers that CoreDNS can forward to: it takes addresses, not names.
func forwardable(servers []string) []string {
	var all []string
	for _, server := range servers {
		host, port, err := net.SplitHostPort(check.WithPort(server))
		if err != nil {
			continue
		}
		if _, err := netip.ParseAddr(host); err != nil {
			continue
		}
		if port == "53" {
			all = append(all, host)
		} else {
			all = append(all, net.JoinHostPort(host, port))
		}
	}
	return all
}
