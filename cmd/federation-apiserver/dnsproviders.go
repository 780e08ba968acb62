package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/config"
	"kubefed.dev/kubefed/pkg/dns/coredns"
	"kubefed.dev/kubefed/pkg/dns/rfc2136"
)

// providers are those that a DNS configuration can name, beside the embedded one, for the federation of that name.
func providers(federation string) config.Constructors {
	return config.Constructors{
		config.RFC2136:  newRFC2136,
		config.CoreDNS:  newCoreDNS,
		config.Route53:  newRoute53(federation),
		config.CloudDNS: newCloudDNS,
	}
}

// newRFC2136 makes the provider of a zone that is changed by dynamic update.
func newRFC2136(ctx context.Context, zone config.Zone) (dns.Provider, error) {
	o := zone.RFC2136
	key, err := tsigKey(o.Key)
	if err != nil {
		return nil, fmt.Errorf("rfc2136.key: %w", err)
	}
	transferKey, err := tsigKey(o.TransferKey)
	if err != nil {
		return nil, fmt.Errorf("rfc2136.transferKey: %w", err)
	}
	return rfc2136.New(rfc2136.Config{Server: o.Server, Zones: []string{zone.Name}, Key: key, TransferKey: transferKey, Servers: o.Servers,
		Log: log.FromContext(ctx).WithName("dns").WithValues("zone", zone.Name)})
}

func tsigKey(k *config.TSIGKey) (*rfc2136.Key, error) {
	if k == nil {
		return nil, nil
	}
	secret, err := k.Read()
	if err != nil {
		return nil, err
	}
	return &rfc2136.Key{Name: k.Name, Algorithm: k.Algorithm, Secret: secret}, nil
}

// newCoreDNS makes the provider of a zone that CoreDNS reads from etcd. Its connections end with ctx.
func newCoreDNS(ctx context.Context, zone config.Zone) (dns.Provider, error) {
	o := zone.CoreDNS
	c := coredns.Config{Endpoints: o.Endpoints, Zones: []string{zone.Name}, Prefix: o.Prefix, Username: o.Username, Servers: o.Servers}
	if o.PasswordFile != "" {
		password, err := os.ReadFile(o.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("coredns.passwordFile: %w", err)
		}
		c.Password = strings.TrimSpace(string(password))
	}
	var err error
	if c.TLS, err = clientTLS(o.TLS); err != nil {
		return nil, fmt.Errorf("coredns.tls: %w", err)
	}
	provider, err := coredns.New(c)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = provider.Close() })
	return provider, nil
}

// clientTLS is what a client shows and whom it trusts; nil for no files.
func clientTLS(files *config.TLSFiles) (*tls.Config, error) {
	if files == nil {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: files.ServerName}
	if files.CAFile != "" {
		pem, err := os.ReadFile(files.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("caFile %s holds no certificate in PEM", files.CAFile)
		}
	}
	if cmp.Or(files.CertFile, files.KeyFile) == "" {
		return c, nil
	}
	certificate, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{certificate}
	return c, nil
}
