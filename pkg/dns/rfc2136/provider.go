package rfc2136

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// Config is what a provider is made of.
type Config struct {
	// Server is the primary, HOST:PORT.
	Server string
	// Zones are those that the server takes updates for.
	Zones []string
	// Key signs updates and questions, and transfers without a TransferKey. Nil: nothing is signed.
	Key *Key
	// TransferKey signs transfers where that is another key.
	TransferKey *Key
	// Servers are the authoritative servers that Await asks, HOST:PORT; the primary alone by default.
	Servers []string
	// Timeout is how long one answer may take; 10 s by default.
	Timeout time.Duration
	Log     logr.Logger
}

// Key is a TSIG key.
type Key struct {
	Name string
	// Algorithm is "hmac-sha256", "hmac-sha384" or "hmac-sha512"; hmac-sha256 by default.
	Algorithm string
	// Secret is in base64.
	Secret string
}

const (
	defaultTimeout = 10 * time.Second
	// fudge is how many seconds the clocks may differ (RFC 8945 section 10).
	fudge = 300
)

// Provider writes zones of one server.
type Provider struct {
	config Config
	// skew is what to add to this machine's clock, in seconds, so that the server takes a signature.
	skew atomic.Int64

	mu     sync.Mutex
	copies map[string]*contents
}

var (
	_ dns.Provider = (*Provider)(nil)
	_ dns.Waiter   = (*Provider)(nil)
)

// New checks the configuration. It asks the server nothing.
func New(config Config) (*Provider, error) {
	if _, _, err := net.SplitHostPort(config.Server); err != nil {
		return nil, fmt.Errorf("DNS server %q: give HOST:PORT, such as 192.0.2.53:53: %w", config.Server, err)
	}
	if len(config.Zones) == 0 {
		return nil, errors.New("no zone: name at least one that the server takes updates for")
	}
	config.Zones = slices.Clone(config.Zones)
	for i := range config.Zones {
		config.Zones[i] = dns.Absolute(config.Zones[i])
	}
	if len(config.Servers) == 0 {
		config.Servers = []string{config.Server}
	}
	if config.Timeout == 0 {
		config.Timeout = defaultTimeout
	}
	var err error
	if config.Key, err = checkKey(config.Key); err != nil {
		return nil, err
	}
	if config.TransferKey, err = checkKey(config.TransferKey); err != nil {
		return nil, err
	}
	if config.TransferKey == nil {
		config.TransferKey = config.Key
	}
	return &Provider{config: config, copies: map[string]*contents{}}, nil
}

func checkKey(k *Key) (*Key, error) {
	if k == nil {
		return nil, nil
	}
	checked := Key{Name: dns.Absolute(k.Name), Algorithm: "hmac-sha256", Secret: k.Secret}
	if k.Algorithm != "" {
		checked.Algorithm = k.Algorithm
	}
	checked.Algorithm = dns.Absolute(checked.Algorithm)
	if !slices.Contains([]string{miekg.HmacSHA256, miekg.HmacSHA384, miekg.HmacSHA512}, checked.Algorithm) {
		return nil, fmt.Errorf("key %s: algorithm %s; use hmac-sha256, hmac-sha384 or hmac-sha512", k.Name, k.Algorithm)
	}
	if secret, err := base64.StdEncoding.DecodeString(k.Secret); err != nil || len(secret) < 16 {
		return nil, fmt.Errorf("key %s: the secret is not base64 of at least 16 octets; make one with: openssl rand -base64 32", k.Name)
	}
	return &checked, nil
}

// Zones implements dns.Provider.
func (p *Provider) Zones(context.Context) ([]dns.Zone, error) {
	var zones []dns.Zone
	for _, name := range p.config.Zones {
		zones = append(zones, dns.Zone{Name: name})
	}
	return zones, nil
}

// Records implements dns.Provider. The server transfers the zone if it has another serial than at the last time.
func (p *Provider) Records(ctx context.Context, zone string) (dns.Snapshot, error) {
	if err := p.known(zone); err != nil {
		return dns.Snapshot{}, err
	}
	s, err := p.dial(ctx, p.config.Server, p.config.Key)
	if err != nil {
		return dns.Snapshot{}, p.explain(ctx, zone, err)
	}
	defer s.close()
	c, err := p.read(ctx, s, zone, false)
	if err != nil {
		return dns.Snapshot{}, p.explain(ctx, zone, err)
	}
	return dns.Snapshot{Version: version(c.serial), Sets: slices.Clone(c.sets)}, nil
}

// explain classifies an error. PowerDNS answers NOTAUTH alike to a zone that it does not have and to a key that it does not take:
// asked without a key it tells which it is.
func (p *Provider) explain(ctx context.Context, zone string, err error) error {
	if answer, ok := errors.AsType[*rcodeError](err); ok && answer.rcode == miekg.RcodeNotAuth && answer.tsig == 0 {
		answer.served = p.has(ctx, p.config.Server, nil, zone, 0) == nil
		err = answer
	}
	return classify(zone, err)
}

func (p *Provider) known(zone string) error {
	if !slices.Contains(p.config.Zones, zone) {
		return &dns.Error{Kind: dns.NotFound, Subject: zone, Err: errors.New("not among the zones of this provider")}
	}
	return nil
}

// read is what the zone holds: the copy if the serial is still the same and nothing fresh is asked for.
func (p *Provider) read(ctx context.Context, s *session, zone string, fresh bool) (*contents, error) {
	p.mu.Lock()
	c := p.copies[zone]
	p.mu.Unlock()
	if c != nil && !fresh {
		serial, err := s.serial(zone)
		if err != nil {
			return nil, err
		}
		if serial == c.serial {
			return c, nil
		}
	}
	c, err := p.transfer(ctx, zone)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.copies[zone] = c
	p.mu.Unlock()
	return c, nil
}

func version(serial uint32) string { return strconv.FormatUint(uint64(serial), 10) }
