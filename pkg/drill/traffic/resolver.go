package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// lookupTimeout is for one question to one server.
	lookupTimeout = time.Second
	// aliasLimit bounds a chain of CNAMEs.
	aliasLimit = 8
)

// resolver keeps the latest answer as long as its time to live allows, as a client's resolver does. It is safe for concurrent
// use; questions of the same time wait for one answer.
type resolver struct {
	mu        sync.Mutex
	addresses []string
	ttl       time.Duration
	err       error
	expires   time.Time
	asked     int
	now       func() time.Time
}

func newResolver() *resolver { return &resolver{now: time.Now} }

// address is one of the addresses that the name has, another one each turn, and how long they are kept.
func (r *resolver) address(ctx context.Context, name string, servers []string, turn int) (string, time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.now().Before(r.expires) {
		r.asked++
		r.addresses, r.ttl, r.err = lookup(ctx, name, servers, r.asked)
		// A lookup that failed is tried again by the next request.
		r.expires = r.now().Add(r.ttl)
	}
	if r.err != nil {
		return "", 0, fmt.Errorf("looking up %s: %w", name, r.err)
	}
	return r.addresses[turn%len(r.addresses)], r.ttl, nil
}

// lookup asks the servers in turn, beginning with another one each time, for IPv4 and, without any, IPv6 addresses.
func lookup(ctx context.Context, name string, servers []string, first int) ([]string, time.Duration, error) {
	var failed error
	for i := range servers {
		server := servers[(first+i)%len(servers)]
		addresses, ttl, err := askServer(ctx, name, server, dns.TypeA)
		if err == nil && len(addresses) == 0 {
			addresses, ttl, err = askServer(ctx, name, server, dns.TypeAAAA)
		}
		switch {
		case err == nil && len(addresses) > 0:
			return addresses, ttl, nil
		case err == nil:
			err = errors.New("it has no address")
		}
		failed = err
	}
	if failed == nil {
		failed = errors.New("no DNS server is known")
	}
	return nil, 0, failed
}

func askServer(ctx context.Context, name, server string, kind uint16) ([]string, time.Duration, error) {
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), kind)
	question.RecursionDesired = false
	answer, err := exchange(ctx, question, server)
	if err != nil {
		return nil, 0, err
	}
	if answer.Rcode != dns.RcodeSuccess {
		return nil, 0, fmt.Errorf("%s answered %s", server, dns.RcodeToString[answer.Rcode])
	}
	return read(ctx, answer, dns.Fqdn(name))
}

func exchange(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	answer, _, err := (&dns.Client{Timeout: lookupTimeout}).ExchangeContext(ctx, question, server)
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Net: "tcp", Timeout: lookupTimeout}).ExchangeContext(ctx, question, server)
	}
	if err != nil {
		return nil, fmt.Errorf("asking DNS server %s: %w", server, err)
	}
	return answer, nil
}

// read takes the addresses of a name from an answer. An alias that leads out of the answer is left to the machine's own
// resolver, as it would be by a client's.
func read(ctx context.Context, answer *dns.Msg, name string) (addresses []string, ttl time.Duration, err error) {
	ttl = time.Hour
	for range aliasLimit {
		alias := ""
		for _, rr := range answer.Answer {
			if dns.CanonicalName(rr.Header().Name) != dns.CanonicalName(name) {
				continue
			}
			switch record := rr.(type) {
			case *dns.A:
				addresses = append(addresses, record.A.String())
			case *dns.AAAA:
				addresses = append(addresses, record.AAAA.String())
			case *dns.CNAME:
				alias = record.Target
			default:
				continue
			}
			ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
		}
		if len(addresses) > 0 || alias == "" {
			return addresses, ttl, nil
		}
		name = alias
		if !owns(answer, alias) {
			addresses, err = new(net.Resolver).LookupHost(ctx, alias)
			return addresses, ttl, err
		}
	}
	return nil, 0, fmt.Errorf("more than %d aliases in a row", aliasLimit)
}

func owns(answer *dns.Msg, name string) bool {
	for _, rr := range answer.Answer {
		if dns.CanonicalName(rr.Header().Name) == dns.CanonicalName(name) {
			return true
		}
	}
	return false
}
