package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/config"
	"kubefed.dev/kubefed/pkg/dns/publish"
	dnsserver "kubefed.dev/kubefed/pkg/dns/server"
	"kubefed.dev/kubefed/pkg/mcs"
)

// dnsOptions say which zones the federation publishes to, and where its own server answers. Without any of them nothing is
// published.
type dnsOptions struct {
	config    string
	listen    []string
	directory string
}

func (o *dnsOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.config, "dns-config", "", "File that lists the DNS zones to publish to, and their providers. Without it the federation's own zone is served by the embedded server, if --dns-listen says where.")
	fs.StringSliceVar(&o.listen, "dns-listen", nil, "Addresses, HOST:PORT, at which the embedded DNS server answers over UDP and TCP, unless --dns-config names others.")
	fs.StringVar(&o.directory, "dns-directory", "", "Directory in which the embedded DNS server keeps its zones and keys, so that it answers at once after a restart; dns in --data-dir by default.")
}

// zones are what the federation publishes to, and its own server.
type zones struct {
	file *config.Config
	// ctx ends with the process, and with it what providers run beside calls.
	ctx context.Context
	// server is nil where no zone is embedded.
	server *dnsserver.Server

	once      sync.Once
	published []publish.Zone
	err       error
}

// open starts the embedded server, which answers with the zones as they were last, whoever holds the lease and whether or not the
// federation API is up. It serves until ctx ends.
func (o *dnsOptions) open(ctx context.Context, zone, dataDir string) (*zones, error) {
	file, err := o.read(zone)
	if err != nil {
		return nil, err
	}
	opened := &zones{file: file, ctx: ctx}
	if file == nil {
		return opened, nil
	}
	if o.directory == "" && dataDir != "" {
		o.directory = filepath.Join(dataDir, "dns")
	}
	opened.server, err = o.serve(ctx, file)
	return opened, err
}

// of are the zones with their providers, for the federation of that name.
func (z *zones) of(federation string) ([]publish.Zone, error) {
	z.once.Do(func() { z.published, z.err = z.connect(federation) })
	return z.published, z.err
}

func (z *zones) connect(federation string) (published []publish.Zone, err error) {
	if z.file == nil {
		return nil, nil
	}
	known := providers(federation)
	for _, zone := range z.file.Zones {
		one := publish.Zone{Name: zone.Name, Kind: zone.Provider}
		if zone.Provider == config.Embedded {
			one.Provider, one.Servers, one.DS = z.server, serversOf(z.server, z.file, zone), z.server.DS(zone.Name)
			one.Current = z.inService(zone.Name)
		} else {
			construct, ok := known[zone.Provider]
			if !ok {
				return nil, fmt.Errorf("DNS zone %s: this program has no provider %s; use one of those that docs/dns.md lists", zone.Name, zone.Provider)
			}
			if one.Provider, err = construct(z.ctx, zone); err != nil {
				return nil, fmt.Errorf("DNS zone %s: %w", zone.Name, err)
			}
			one.Servers = authorities(zone)
		}
		published = append(published, one)
	}
	return published, nil
}

// authorities are the servers of a zone that is not embedded, where the configuration names them.
func authorities(z config.Zone) (servers []string) {
	switch {
	case z.RFC2136 != nil:
		servers = append([]string{z.RFC2136.Server}, z.RFC2136.Servers...)
	case z.CoreDNS != nil:
		servers = z.CoreDNS.Servers
	}
	slices.Sort(servers)
	return slices.Compact(servers)
}

// read is the configuration, nil for none.
func (o *dnsOptions) read(zone string) (*config.Config, error) {
	switch {
	case o.config != "":
		file, err := config.Load(o.config)
		if err == nil && len(file.Server.Listen) == 0 {
			file.Server.Listen = o.listen
		}
		return file, err
	case len(o.listen) == 0:
		return nil, nil
	case zone == "":
		return nil, errors.New("--dns-listen: there is no zone to serve; name it with --dns-zone-name, or name zones with --dns-config")
	}
	return config.Default(zone, o.listen...), nil
}

// serve starts the embedded server, if a zone is its.
func (o *dnsOptions) serve(ctx context.Context, file *config.Config) (*dnsserver.Server, error) {
	settings, err := serverConfig(file, o.directory)
	if err != nil || len(settings.Zones) == 0 {
		return nil, err
	}
	if len(settings.Listen)+len(settings.ListenTLS) == 0 {
		return nil, fmt.Errorf("zone %s is embedded; say where to listen, such as --dns-listen=:5353", settings.Zones[0].Name)
	}
	if o.directory != "" {
		if err := os.MkdirAll(o.directory, 0o700); err != nil {
			return nil, fmt.Errorf("making --dns-directory: %w", err)
		}
	}
	settings.Log = klog.FromContext(ctx).WithName("dns-server")
	s, err := dnsserver.New(settings)
	if err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, fmt.Errorf("%w: choose other addresses with --dns-listen, or in the DNS configuration", err)
	}
	klog.FromContext(ctx).Info("DNS is served", "addresses", s.Addresses(), "zones", len(settings.Zones))
	return s, nil
}

// serverConfig is the embedded server's configuration; without Zones where no zone is embedded. clusterset.local is served beside
// the zones of the file.
func serverConfig(file *config.Config, directory string) (dnsserver.Config, error) {
	out := dnsserver.Config{ID: file.Server.ID, Listen: file.Server.Listen, ListenTLS: file.Server.ListenTLS, Directory: directory, RateLimit: file.Server.RateLimit}
	for _, k := range file.Server.TSIGKeys {
		secret, err := k.Read()
		if err != nil {
			return out, err
		}
		out.Keys = append(out.Keys, dnsserver.Key{Name: k.Name, Algorithm: k.Algorithm, Secret: secret})
	}
	if t := file.Server.TLS; t != nil && t.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return out, fmt.Errorf("certificate for DNS over TLS: %w", err)
		}
		out.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	}
	for _, n := range file.Server.Networks {
		prefix, err := netip.ParsePrefix(n.CIDR)
		if err != nil {
			return out, err
		}
		out.Networks = append(out.Networks, dnsserver.Network{Prefix: prefix, Place: dns.Place{Provider: n.Provider, Region: n.Region}})
	}
	own := ownAddress(append(out.Listen, out.ListenTLS...))
	for _, z := range file.Zones {
		if z.Provider == config.Embedded {
			out.Zones = append(out.Zones, embeddedZone(z, own))
		}
	}
	if len(out.Zones) > 0 {
		out.Zones = append(out.Zones, dnsserver.Zone{Name: mcs.ClusterSetZone, Servers: map[string][]netip.Addr{"ns1." + mcs.ClusterSetZone: {own}}})
	}
	return out, nil
}

func embeddedZone(z config.Zone, own netip.Addr) dnsserver.Zone {
	options := z.Embedded
	out := dnsserver.Zone{Name: z.Name, Servers: map[string][]netip.Addr{}, Mailbox: options.Mailbox, NegativeTTL: options.NegativeTTLSeconds,
		TransferKeys: options.TransferKeys, UpdateKeys: options.UpdateKeys, Signed: options.DNSSEC}
	for _, ns := range options.NameServers {
		name := dns.Absolute(ns.Name)
		out.Servers[name] = nil
		for _, text := range ns.Addresses {
			if a, err := netip.ParseAddr(text); err == nil { // config.Parse checked
				out.Servers[name] = append(out.Servers[name], a)
			}
		}
	}
	if len(out.Servers) == 0 {
		out.Servers["ns1."+z.Name] = []netip.Addr{own}
	}
	for _, s := range options.Secondaries {
		out.Secondaries = append(out.Secondaries, dnsserver.Secondary{Address: s.Address, Key: s.Key})
	}
	return out
}

// ownAddress is the address of the zones' name server where the configuration does not say: that on which it listens, else one of this
// machine's.
func ownAddress(listen []string) netip.Addr {
	for _, l := range listen {
		host, _, err := net.SplitHostPort(l)
		if err != nil {
			continue
		}
		if a, err := netip.ParseAddr(host); err == nil && !a.IsUnspecified() {
			return a
		}
	}
	addresses, _ := net.InterfaceAddrs() // without any, the loopback address will do
	for _, each := range addresses {
		if n, ok := each.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			if a, ok := netip.AddrFromSlice(n.IP); ok {
				return a.Unmap()
			}
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// serversOf are where a zone of the embedded server is answered, as the world reaches it: its secondaries are among them.
func serversOf(s *dnsserver.Server, file *config.Config, z config.Zone) []string {
	servers := slices.Clone(file.Server.Advertise)
	if len(servers) == 0 {
		for _, a := range s.Addresses() {
			servers = append(servers, a.String())
		}
	}
	for _, secondary := range z.Embedded.Secondaries {
		servers = append(servers, secondary.Address)
	}
	return servers
}

// clusterSet writes clusterset.local; nil where no server of the federation answers for it.
func (z *zones) clusterSet() dns.Provider {
	if z.server == nil {
		return nil
	}
	return z.server
}

// clusterSetServed has clusterset.local answered.
func (z *zones) clusterSetServed() error {
	if z.server == nil {
		return nil
	}
	return z.server.StandBy(mcs.ClusterSetZone, false)
}

// inService has a zone of the embedded server answered.
func (z *zones) inService(zone string) func() error {
	return func() error { return z.server.StandBy(zone, false) }
}

// standBy has no zone of the embedded server answered; with fresh, none that was never written.
func (z *zones) standBy(fresh bool) error {
	if z.server == nil {
		return nil
	}
	return z.server.StandByAll(fresh)
}

// wait returns when the embedded server has ended and its files are closed; ctx of open has ended before.
func (z *zones) wait() {
	if z.server != nil {
		z.server.Wait()
	}
}
