package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
)

const (
	firstPause = 20 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// Await implements dns.Waiter: it asks the servers until all have the version. The primary is asked with the key, the others without.
func (p *Provider) Await(ctx context.Context, zone string, r dns.Receipt) error {
	if err := p.known(zone); err != nil {
		return err
	}
	version, err := strconv.ParseUint(r.Version, 10, 32)
	if err != nil {
		return &dns.Error{Kind: dns.Invalid, Subject: zone, Err: err}
	}
	var late []error
	for _, server := range p.config.Servers {
		for pause := firstPause; ; pause = min(2*pause, lastPause) {
			err := p.has(ctx, server, p.keyFor(server), zone, uint32(version))
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
				continue
			}
			late = append(late, fmt.Errorf("server %s: %w", server, err))
			break
		}
	}
	if len(late) > 0 {
		return &dns.Error{Kind: dns.Unavailable, Subject: zone, Err: errors.Join(append(late, ctx.Err())...)}
	}
	return nil
}

func (p *Provider) keyFor(server string) *Key {
	if server == p.config.Server {
		return p.config.Key
	}
	return nil
}

// has asks one server; the error says why it does not have the version.
func (p *Provider) has(ctx context.Context, server string, key *Key, zone string, version uint32) error {
	s, err := p.dial(ctx, server, key)
	if err != nil {
		return err
	}
	defer s.close()
	serial, err := s.serial(zone)
	if err != nil {
		return err
	}
	if version != 0 && int32(serial-version) < 0 { // RFC 1982
		return fmt.Errorf("has serial %d, not yet %d", serial, version)
	}
	return nil
}
