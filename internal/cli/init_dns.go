package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"kubefed.dev/kubefed/pkg/controlplane"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/config"
)

// dnsConfig reads what the flags say of DNS; nil where they say nothing. Files that the configuration names are brought along.
func (f *initFlags) dnsConfig() (*config.Config, map[string][]byte, error) {
	if !slices.Contains(config.Providers, f.dnsProvider) {
		return nil, nil, fmt.Errorf("--dns-provider=%s: use one of %s", f.dnsProvider, strings.Join(config.Providers, ", "))
	}
	switch {
	case f.dnsConfigFile != "":
		return f.readDNSConfig()
	case !f.dnsProviderGiven:
		return nil, nil, nil
	}
	c, err := config.Parse(fmt.Appendf(nil, "zones: [{name: %q, provider: %s}]", f.DNSZone, f.dnsProvider))
	if err != nil {
		return nil, nil, fmt.Errorf("--dns-provider=%s needs to be told more, in a file that --dns-provider-config names: %w", f.dnsProvider, err)
	}
	return c, nil, nil
}

func (f *initFlags) readDNSConfig() (*config.Config, map[string][]byte, error) {
	c, err := config.Load(f.dnsConfigFile)
	if err != nil {
		return nil, nil, fmt.Errorf("--dns-provider-config: %w", err)
	}
	if f.dnsProviderGiven && c.Zones[0].Provider != f.dnsProvider {
		return nil, nil, fmt.Errorf("--dns-provider=%s: the main zone's provider in %s is %s; leave the flag out, or correct zones[0].provider", f.dnsProvider, f.dnsConfigFile, c.Zones[0].Provider)
	}
	files, err := bringAlong("dns-provider-config", c.Files())
	if err != nil {
		return nil, nil, err
	}
	return c, files, nil
}

// bringAlong reads the files that a configuration names, and gives them names beside it.
func bringAlong(flag string, paths []*string) (map[string][]byte, error) {
	files := map[string][]byte{}
	names := map[string]string{}
	var errs []error
	for i, path := range paths {
		local := *path
		data, err := os.ReadFile(local)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: a file that it names: %w", flag, err))
			continue
		}
		if names[local] == "" {
			names[local] = fmt.Sprintf("file-%d", i+1)
			files[names[local]] = data
		}
		*path = names[local]
	}
	return files, errors.Join(errs...)
}

// printDNS says where names are published, and what is to be done so that the world finds them.
func printDNS(o controlplane.Options, r controlplane.Result, s Streams) {
	note := noteTo(s)
	c := r.DNS.Config
	if c == nil {
		c = config.Default(o.DNSZone)
	}
	var elsewhere []string
	for _, z := range c.Zones {
		if z.Provider != config.Embedded {
			elsewhere = append(elsewhere, fmt.Sprintf("%s (%s)", strings.TrimSuffix(z.Name, "."), z.Provider))
		}
	}
	if len(elsewhere) > 0 {
		note("Its names are written to %s; look with: kubefed dns check", strings.Join(elsewhere, ", "))
	}
	if !c.HasEmbedded() {
		return
	}
	at := r.DNS.Reached
	switch {
	case len(at.Hosts) == 0:
		note("Its DNS server is not exposed (--dns-service-type=None): secondaries that it can reach may carry the zone.")
	case at.Inside:
		note("Its DNS server answers inside the host cluster alone, at %s (UDP and TCP); --dns-service-type exposes it.", at.Servers()[0])
	default:
		note("Its DNS server answers at %s (UDP and TCP).", strings.Join(at.Servers(), ", "))
		for _, z := range c.Zones {
			if z.Embedded != nil {
				delegate(z, at, note)
			}
		}
		note("  in a cluster's CoreDNS:  kubefed dns coredns\n  then look:               kubefed dns check")
	}
	if r.DNSSilent != "" {
		note("It does not answer there yet (%s): look with kubefed dns check.", r.DNSSilent)
	}
}

// delegate says what the parent of a zone is to hold.
func delegate(z config.Zone, at controlplane.DNSEndpoint, note func(string, ...any)) {
	zone := strings.TrimSuffix(z.Name, ".")
	if at.Port != 53 {
		note("Nobody is sent to zone %s yet, and the world asks at port 53: put a load balancer there, or let secondaries carry the zone (docs/dns.md).", zone)
		return
	}
	_, parent, _ := strings.Cut(z.Name, ".")
	if parent == "" {
		parent = "."
	}
	note("Nobody is sent to zone %s yet. To send them there:\n  in its parent, %s", zone, parent)
	servers := at.NameServers(z)
	for _, ns := range servers {
		note("    %s NS %s", z.Name, dns.Absolute(ns.Name))
	}
	for _, ns := range servers {
		for _, address := range ns.Addresses {
			kind := "A"
			if strings.Contains(address, ":") {
				kind = "AAAA"
			}
			note("    %s %s %s", dns.Absolute(ns.Name), kind, address)
		}
	}
}
