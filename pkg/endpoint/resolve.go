package endpoint

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// refreshAfter is how long an answer is used where its TTL is not shorter, refreshAtLeast where it is very short.
	refreshAfter   = 30 * time.Second
	refreshAtLeast = 2 * time.Second
	// retryAfter a failure.
	retryAfter = 5 * time.Second
	// lastGood is how long the last answer stands in for failures.
	lastGood      = 10 * time.Minute
	lookupTimeout = 5 * time.Second
	maxLookups    = 64
)

// Resolved is what a host name resolves to. TTL is 0 where it is unknown.
type Resolved struct {
	Addresses []netip.Addr
	TTL       time.Duration
}

// host is a load balancer's host name.
type host struct {
	users     map[*entry]bool
	addresses []netip.Addr
	good      time.Time // when it was resolved last
}

// name has a host name resolved for an entry, and returns what it resolves to as far as that is known.
func (c *Collector) name(name string, e *entry) []netip.Addr {
	h := c.hosts[name]
	if h == nil {
		h = &host{users: map[*entry]bool{}}
		c.hosts[name] = h
		c.resolver.set(name, time.Now())
	}
	h.users[e] = true
	return h.addresses
}

func (c *Collector) unname(name string, e *entry) {
	h := c.hosts[name]
	if h == nil {
		return
	}
	if delete(h.users, e); len(h.users) == 0 {
		delete(c.hosts, name)
		c.resolver.set(name, time.Time{})
	}
}

// lookups bounds how many names are looked up at a time.
var lookups = make(chan struct{}, maxLookups)

// lookup begins to look a name up, and returns at once.
func (c *Collector) lookup(ctx context.Context, name string) {
	go func() {
		select {
		case lookups <- struct{}{}:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, lookupTimeout)
		found, err := c.options.Resolve(limited, name)
		cancel()
		<-lookups
		if ctx.Err() == nil {
			c.resolved(name, found, err)
		}
	}()
}

func (c *Collector) resolved(name string, found Resolved, err error) {
	var changes news
	c.mu.Lock()
	defer func() { c.mu.Unlock(); c.publish(changes) }()
	h := c.hosts[name]
	if h == nil {
		return
	}
	now := time.Now()
	addresses, next := h.addresses, retryAfter
	switch {
	case err == nil && len(found.Addresses) > 0:
		addresses, next = slices.Clone(found.Addresses), refreshAfter
		if found.TTL > 0 {
			next = min(max(found.TTL, refreshAtLeast), refreshAfter)
		}
		slices.SortFunc(addresses, netip.Addr.Compare)
		h.good = now
	case now.Sub(h.good) > lastGood:
		addresses = nil
	}
	c.resolver.set(name, now.Add(next*9/10+rand.N(next/10)))
	if slices.Equal(addresses, h.addresses) {
		return
	}
	h.addresses = addresses
	for e := range h.users {
		c.retarget(e)
		changes.add(e.key, c.evaluate(e, now))
	}
}

// resolve looks a name up as the system does.
func resolve(ctx context.Context, name string) (Resolved, error) {
	return lookUp(ctx, name, new(net.Dialer).DialContext)
}

// lookUp asks servers that dial reaches. net.Resolver hides how long answers hold, so they are read over its shoulder.
func lookUp(ctx context.Context, name string, dial func(ctx context.Context, network, address string) (net.Conn, error)) (Resolved, error) {
	shoulder := &shoulder{}
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if udp, ok := conn.(*net.UDPConn); ok && err == nil {
			return &readUDP{udp, shoulder}, nil
		}
		return conn, err // a TCP answer's TTL stays unknown
	}}
	if strings.Contains(name, ".") {
		name = strings.TrimSuffix(name, ".") + "." // no search domains
	}
	addresses, err := resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		var missing *net.DNSError
		if errors.As(err, &missing) && missing.IsNotFound {
			return Resolved{}, errors.New("there is no such name")
		}
		return Resolved{}, err
	}
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	return Resolved{Addresses: slices.Compact(addresses), TTL: shoulder.ttl()}, nil
}

// shoulder reads the shortest TTL of the answers that a resolver gets.
type shoulder struct {
	mu    sync.Mutex
	least time.Duration
}

func (s *shoulder) ttl() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.least
}

// readUDP is a net.PacketConn still, by which net.Resolver knows that messages have no length in front.
type readUDP struct {
	*net.UDPConn
	shoulder *shoulder
}

func (r *readUDP) Read(b []byte) (int, error) {
	n, err := r.UDPConn.Read(b)
	if err == nil {
		r.shoulder.read(b[:n])
	}
	return n, err
}

func (s *shoulder) read(message []byte) {
	var p dnsmessage.Parser
	if _, err := p.Start(message); err != nil || p.SkipAllQuestions() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		header, err := p.AnswerHeader()
		if err != nil {
			return
		}
		if ttl := max(time.Second, time.Duration(header.TTL)*time.Second); s.least == 0 || ttl < s.least {
			s.least = ttl
		}
		if p.SkipAnswer() != nil {
			return
		}
	}
}
