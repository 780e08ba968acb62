package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"

	miekg "github.com/miekg/dns"
)

// ask puts one question. What is cut short over UDP is asked again over TCP, as any client does.
func (a Asker) ask(ctx context.Context, protocol, address, name string, qtype uint16) (*miekg.Msg, error) {
	m := new(miekg.Msg).SetQuestion(name, qtype)
	m.RecursionDesired = false
	m.SetEdns0(1232, false)
	tries := 1
	if protocol == "udp" {
		tries = attempts
	}
	var err error
	for range tries {
		client := &miekg.Client{Net: protocol, Timeout: a.timeout()}
		var reply *miekg.Msg
		if reply, _, err = client.ExchangeContext(ctx, m, address); err == nil {
			if reply.Truncated && protocol == "udp" {
				return a.ask(ctx, "tcp", address, name, qtype)
			}
			return reply, nil
		}
		if ctx.Err() != nil || errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
	}
	return nil, plainly(err)
}

// plainly says what a failed exchange means to who runs the server.
func plainly(err error) error {
	var late net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nobody listens there")
	case errors.As(err, &late) && late.Timeout():
		return errors.New("no answer in time")
	}
	return err
}

func rcode(reply *miekg.Msg) string {
	code := miekg.RcodeToString[reply.Rcode]
	if reply.Rcode == miekg.RcodeSuccess {
		return "no data"
	}
	return code
}

// Head is what stands at a zone's apex, as one of its servers tells it.
type Head struct {
	SOA string
	// Servers are the NS records and, of name servers inside the zone, the addresses.
	Servers []string
}

// Head asks the first of the servers that answers for the zone's SOA and name servers.
func (a Asker) Head(ctx context.Context, zone string, servers []string) (Head, error) {
	var errs []error
	for _, given := range servers {
		for _, s := range a.locate(ctx, given) {
			if s.Address == "" {
				errs = append(errs, fmt.Errorf("server %s %s", given, s.UDP))
				continue
			}
			h, err := a.head(ctx, s.Address, zone)
			if err == nil {
				return h, nil
			}
			errs = append(errs, fmt.Errorf("server %s: %w", s.Address, err))
		}
	}
	return Head{}, errors.Join(errs...)
}

func (a Asker) head(ctx context.Context, address, zone string) (Head, error) {
	var h Head
	soa, err := a.ask(ctx, "tcp", address, zone, miekg.TypeSOA)
	if err != nil {
		return h, err
	}
	for _, rr := range soa.Answer {
		if rr.Header().Rrtype == miekg.TypeSOA {
			h.SOA = rr.String()
		}
	}
	if h.SOA == "" {
		return h, fmt.Errorf("does not serve the zone: %s", rcode(soa))
	}
	ns, err := a.ask(ctx, "tcp", address, zone, miekg.TypeNS)
	if err != nil {
		return h, err
	}
	for _, rr := range ns.Answer {
		record, is := rr.(*miekg.NS)
		if !is {
			continue
		}
		h.Servers = append(h.Servers, rr.String())
		if !miekg.IsSubDomain(zone, record.Ns) {
			continue
		}
		for _, t := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
			glue, err := a.ask(ctx, "tcp", address, record.Ns, t)
			if err != nil {
				return h, err
			}
			for _, rr := range glue.Answer {
				if rr.Header().Rrtype == t {
					h.Servers = append(h.Servers, rr.String())
				}
			}
		}
	}
	return h, nil
}

// Delegation is whether the world finds a zone's servers.
type Delegation struct {
	// State is Delegated, NotDelegated, Elsewhere or Unknown.
	State string `json:"state"`
	// NameServers are those that the resolver finds.
	NameServers []string `json:"nameServers,omitempty"`
	Message     string   `json:"message,omitempty"`
}

// States of a Delegation.
const (
	Delegated    = "Delegated"
	NotDelegated = "NotDelegated" // the parent zone does not know of the zone
	Elsewhere    = "Elsewhere"    // it sends clients to other servers than those that were checked
	Unknown      = "Unknown"      // the resolver can't tell
)

// Delegation asks a resolver, at ADDRESS:PORT, for the zone's name servers and their addresses, and compares these with
// the servers that were checked.
func (a Asker) Delegation(ctx context.Context, resolver, zone string, servers []Server) Delegation {
	resolver = WithPort(resolver)
	reply, err := a.resolve(ctx, resolver, zone, miekg.TypeNS)
	if err != nil {
		return Delegation{State: Unknown, Message: fmt.Sprintf("resolver %s: %v", resolver, err)}
	}
	var d Delegation
	for _, rr := range reply.Answer {
		if ns, is := rr.(*miekg.NS); is && strings.EqualFold(ns.Hdr.Name, zone) {
			d.NameServers = append(d.NameServers, strings.ToLower(ns.Ns))
		}
	}
	slices.Sort(d.NameServers)
	switch {
	case reply.Rcode == miekg.RcodeServerFailure:
		d.State, d.Message = Unknown, "the resolver gets no answer for the zone: it is delegated to servers that do not answer, or its signatures do not hold"
		return d
	case len(d.NameServers) == 0:
		d.State, d.Message = NotDelegated, "the parent zone does not point to the zone's servers: add NS records there, and addresses (glue) for name servers inside the zone"
		return d
	}
	known := map[string]bool{}
	for _, s := range servers {
		if host, _, err := net.SplitHostPort(s.Address); err == nil {
			known[host] = true
		}
	}
	var strange []string
	for _, name := range d.NameServers {
		addresses := a.addresses(ctx, resolver, name)
		if !slices.ContainsFunc(addresses, func(address string) bool { return known[address] }) {
			strange = append(strange, fmt.Sprintf("%s (%s)", name, strings.Join(addresses, ", ")))
		}
	}
	d.State = Delegated
	if len(strange) > 0 {
		d.State, d.Message = Elsewhere, "name servers that were not checked: "+strings.Join(strange, "; ")+"; name them by --server, or correct the delegation"
	}
	return d
}

func (a Asker) addresses(ctx context.Context, resolver, name string) []string {
	var all []string
	for _, t := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
		reply, err := a.resolve(ctx, resolver, name, t)
		if err != nil {
			continue
		}
		for _, rr := range reply.Answer {
			switch rr := rr.(type) {
			case *miekg.A:
				all = append(all, rr.A.String())
			case *miekg.AAAA:
				all = append(all, rr.AAAA.String())
			}
		}
	}
	return all
}

// resolve asks a resolver, which is to recurse.
func (a Asker) resolve(ctx context.Context, resolver, name string, qtype uint16) (*miekg.Msg, error) {
	m := new(miekg.Msg).SetQuestion(name, qtype)
	m.SetEdns0(1232, false)
	var err error
	for _, protocol := range []string{"udp", "udp", "tcp"} {
		client := &miekg.Client{Net: protocol, Timeout: a.timeout()}
		var reply *miekg.Msg
		if reply, _, err = client.ExchangeContext(ctx, m, resolver); err == nil && !reply.Truncated {
			return reply, nil
		}
	}
	if err == nil {
		err = errors.New("its answer is cut short")
	}
	return nil, plainly(err)
}
