package coredns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

const (
	// awaited is how many sets of one receipt are asked for, and of how many receipts they are kept.
	awaited, receipts = 20, 64
	exchangeLimit     = 2 * time.Second
	firstPause        = 20 * time.Millisecond
	lastPause         = 500 * time.Millisecond
)

var _ dns.Waiter = (*Provider)(nil)

// remember keeps what a receipt promises: sets whose answer shows that CoreDNS has them.
func (p *Provider) remember(version string, sets []dns.RecordSet) {
	sets = slices.DeleteFunc(slices.Clone(sets), func(s dns.RecordSet) bool {
		return s.Type != dns.A && s.Type != dns.AAAA && s.Type != dns.CNAME || s.Name[0] == '*'
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, there := p.promised[version]; !there {
		p.order = append(p.order, version)
	}
	p.promised[version] = sets[:min(awaited, len(sets))]
	for len(p.order) > receipts {
		delete(p.promised, p.order[0])
		p.order = p.order[1:]
	}
}

// Await implements dns.Waiter: it asks the configured servers of CoreDNS for some of the sets that came with the version, until they
// answer with them. CoreDNS reads etcd for each answer, so only a cache in front of the plugin, or an etcd that lags, delays one. It
// gives no version of its own to ask for; without servers there is nothing to wait for.
func (p *Provider) Await(ctx context.Context, zone string, r dns.Receipt) error {
	p.mu.Lock()
	sets := p.promised[r.Version]
	p.mu.Unlock()
	var late []error
	for _, server := range p.config.Servers {
		for _, set := range sets {
			if err := await(ctx, server, set); err != nil {
				late = append(late, fmt.Errorf("server %s: %w", server, err))
				break
			}
		}
	}
	if len(late) > 0 {
		return &dns.Error{Kind: dns.Unavailable, Subject: zone, Err: errors.Join(append(late, ctx.Err())...)}
	}
	return nil
}

func await(ctx context.Context, server string, set dns.RecordSet) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := answers(ctx, server, set)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// answers tells why a server's answer is not the set.
func answers(ctx context.Context, server string, set dns.RecordSet) error {
	client := &miekg.Client{Net: "tcp", Timeout: exchangeLimit}
	m := new(miekg.Msg).SetQuestion(set.Name, miekg.StringToType[string(set.Type)])
	reply, _, err := client.ExchangeContext(ctx, m, server)
	if err != nil {
		return err
	}
	got := dns.RecordSet{Name: set.Name, Type: set.Type}
	for _, rr := range reply.Answer {
		if h := rr.Header(); h.Rrtype == m.Question[0].Qtype && miekg.CanonicalName(h.Name) == set.Name {
			got.Data = append(got.Data, rr.String()[len(h.String()):])
		}
	}
	if got = got.Canonical(); !slices.Equal(got.Data, set.Data) {
		return fmt.Errorf("answers %s %s with %q, not yet %q", set.Name, set.Type, got.Data, set.Data)
	}
	return nil
}
