// Package check asks the authoritative servers of zones, over UDP and TCP, and tells where their answers differ from what they
// should be; and asks a resolver whether the world is sent to them. It changes nothing, and does not know why a name is to
// answer so.
package check

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// Zone is what is to be true of a zone.
type Zone struct {
	// Name is absolute.
	Name string
	// Servers are authoritative ones: ADDRESS, ADDRESS:PORT, HOST or HOST:PORT; port 53 by default.
	Servers []string
	Names   []Name
}

// Name is what one name is to answer: its sets, or no data where it has none. Sets with a SetID are those that a provider
// chooses among: an answer is some of their data.
type Name struct {
	Name string
	Sets []dns.RecordSet
}

// Report is how a zone's servers answer.
type Report struct {
	Zone    string   `json:"zone"`
	Servers []Server `json:"servers"`
	// Names is how many names each server was asked for.
	Names       int          `json:"names"`
	Differences []Difference `json:"differences,omitempty"`
	// Delegation is what a resolver says, where one was asked.
	Delegation *Delegation `json:"delegation,omitempty"`
}

// Server is one address of a zone's server.
type Server struct {
	// Name is as it was given, Address where it was asked.
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	// Serial is the zone's there, over UDP.
	Serial uint32 `json:"serial,omitempty"`
	// Milliseconds is how long the first answer took.
	Milliseconds float64 `json:"milliseconds,omitempty"`
	// UDP and TCP are "ok", or why there is no answer.
	UDP string `json:"udp"`
	TCP string `json:"tcp"`
}

// ok is what Server.UDP and TCP say of a server that answers.
const ok = "ok"

// Difference is one thing that is not as it should be.
type Difference struct {
	Server   string `json:"server"`
	Protocol string `json:"protocol,omitempty"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Want     string `json:"want"`
	Got      string `json:"got"`
}

// Asker asks servers. The zero value is ready to use and safe for concurrent use.
type Asker struct {
	// Timeout of one question; 3 seconds by default.
	Timeout time.Duration
	// Resolver is asked for the addresses of servers that are known by name, as ADDRESS:PORT; the system's by default.
	Resolver string
}

const (
	defaultTimeout = 3 * time.Second
	// attempts are made over UDP, which loses datagrams.
	attempts = 3
	// lanes are how many questions one server has at a time by one protocol.
	lanes = 8
)

func (a Asker) timeout() time.Duration { return cmp.Or(a.Timeout, defaultTimeout) }

// Zone asks all servers of a zone for its serial and for all names, over UDP and TCP.
func (a Asker) Zone(ctx context.Context, z Zone) Report {
	r := Report{Zone: z.Name, Names: len(z.Names)}
	for _, given := range z.Servers {
		r.Servers = append(r.Servers, a.locate(ctx, given)...)
	}
	found := make([][]Difference, len(r.Servers))
	var group sync.WaitGroup
	for i := range r.Servers {
		if r.Servers[i].Address != "" {
			group.Go(func() { found[i] = a.server(ctx, &r.Servers[i], z) })
		}
	}
	group.Wait()
	r.Differences = append(serials(z.Name, r.Servers), slices.Concat(found...)...)
	slices.SortStableFunc(r.Differences, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Server, y.Server), cmp.Compare(x.Protocol, y.Protocol))
	})
	return r
}

// Failing says whether anything is not as it should be. A zone that is not delegated is no failure of its servers.
func (r Report) Failing() bool {
	return len(r.Servers) == 0 || len(r.Differences) > 0 ||
		slices.ContainsFunc(r.Servers, func(s Server) bool { return s.UDP != ok || s.TCP != ok })
}

// locate finds the addresses of a server.
func (a Asker) locate(ctx context.Context, given string) []Server {
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		host, port = strings.Trim(given, "[]"), "53"
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return []Server{{Name: given, Address: net.JoinHostPort(address.String(), port)}}
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout())
	defer cancel()
	addresses, err := a.resolver().LookupNetIP(ctx, "ip", host)
	if err != nil {
		why := fmt.Sprintf("has no address: %v", err)
		return []Server{{Name: given, UDP: why, TCP: why}}
	}
	var all []Server
	for _, address := range addresses {
		all = append(all, Server{Name: given, Address: net.JoinHostPort(address.Unmap().String(), port)})
	}
	return all
}

func (a Asker) resolver() *net.Resolver {
	if a.Resolver == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, WithPort(a.Resolver))
	}}
}

// WithPort is a server's address with port 53 where it has none.
func WithPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), "53")
}

// server asks one server over both protocols.
func (a Asker) server(ctx context.Context, s *Server, z Zone) []Difference {
	var all [2][]Difference
	var group sync.WaitGroup
	for i, protocol := range []string{"udp", "tcp"} {
		group.Go(func() {
			start := time.Now()
			serial, err := a.serial(ctx, protocol, s.Address, z.Name)
			state := ok
			if err != nil {
				state = err.Error()
			}
			if protocol == "udp" {
				s.UDP, s.Serial, s.Milliseconds = state, serial, float64(time.Since(start).Microseconds())/1000
			} else {
				s.TCP = state
			}
			if err == nil {
				all[i] = a.names(ctx, protocol, s.Address, z.Names)
			}
		})
	}
	group.Wait()
	return slices.Concat(all[0], all[1])
}

// serial is the zone's at a server that is authoritative for it.
func (a Asker) serial(ctx context.Context, protocol, address, zone string) (uint32, error) {
	reply, err := a.ask(ctx, protocol, address, zone, miekg.TypeSOA)
	if err != nil {
		return 0, err
	}
	for _, rr := range reply.Answer {
		if soa, is := rr.(*miekg.SOA); is && strings.EqualFold(soa.Hdr.Name, zone) {
			return soa.Serial, nil
		}
	}
	return 0, fmt.Errorf("does not serve the zone: %s", rcode(reply))
}

// serials compares the servers that answer.
func serials(zone string, servers []Server) []Difference {
	highest := slices.MaxFunc(append([]Server{{}}, servers...), func(a, b Server) int { return cmp.Compare(a.Serial, b.Serial) })
	var all []Difference
	for _, s := range servers {
		if s.UDP == ok && s.Serial != highest.Serial {
			all = append(all, Difference{
				Server: s.Address, Name: zone, Type: "SOA", Got: fmt.Sprintf("serial %d", s.Serial),
				Want: fmt.Sprintf("serial %d, as at %s", highest.Serial, highest.Address),
			})
		}
	}
	return all
}

// question is one name and type, and the names's sets of that type.
type question struct {
	name  string
	qtype uint16
	sets  []dns.RecordSet
}

// names asks a server for all names.
func (a Asker) names(ctx context.Context, protocol, address string, names []Name) []Difference {
	var questions []question
	for _, n := range names {
		questions = append(questions, questionsFor(n)...)
	}
	var mu sync.Mutex
	var all []Difference
	var group sync.WaitGroup
	for lane := range min(lanes, len(questions)) {
		group.Go(func() {
			for i := lane; i < len(questions); i += lanes {
				if d, differs := a.compare(ctx, protocol, address, questions[i]); differs {
					mu.Lock()
					all = append(all, d)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return all
}

// questionsFor are the types to ask a name for: those that it has, and the addresses that it is not to have.
func questionsFor(n Name) []question {
	types := []uint16{miekg.TypeA, miekg.TypeAAAA}
	has := func(t dns.Type) bool {
		return slices.ContainsFunc(n.Sets, func(s dns.RecordSet) bool { return s.Type == t })
	}
	switch {
	case has(dns.CNAME):
		types = []uint16{miekg.TypeCNAME}
	case has(dns.SRV) || strings.HasPrefix(n.Name, "_"):
		types = []uint16{miekg.TypeSRV}
	}
	var all []question
	for _, t := range types {
		q := question{name: n.Name, qtype: t}
		for _, s := range n.Sets {
			if miekg.StringToType[string(s.Type)] == t {
				q.sets = append(q.sets, s)
			}
		}
		all = append(all, q)
	}
	return all
}

func (a Asker) compare(ctx context.Context, protocol, address string, q question) (Difference, bool) {
	d := Difference{Server: address, Protocol: protocol, Name: q.name, Type: miekg.TypeToString[q.qtype], Want: wanted(q.sets)}
	reply, err := a.ask(ctx, protocol, address, q.name, q.qtype)
	if err != nil {
		d.Got = err.Error()
		return d, true
	}
	got := dataOf(reply, q)
	switch {
	case !reply.Authoritative:
		d.Got = "an answer without authority"
	case reply.Rcode != miekg.RcodeSuccess && (reply.Rcode != miekg.RcodeNameError || len(q.sets) > 0):
		d.Got = rcode(reply)
	case !matches(q.sets, got):
		d.Got = cmp.Or(strings.Join(got, ", "), "no data")
	default:
		return d, false
	}
	return d, true
}

// matches: all data of plain sets; some of those that are chosen among; any of an alias, whose addresses the zone does not hold.
func matches(sets []dns.RecordSet, got []string) bool {
	var want []string
	routed := false
	for _, s := range sets {
		if s.Alias != (dns.Alias{}) {
			return len(got) > 0
		}
		routed = routed || s.SetID != ""
		want = append(want, s.Data...)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if !routed {
		return slices.Equal(want, got)
	}
	return len(got) > 0 && !slices.ContainsFunc(got, func(d string) bool { return !slices.Contains(want, d) })
}

func wanted(sets []dns.RecordSet) string {
	var all []string
	some := ""
	for _, s := range sets {
		if s.SetID != "" {
			some = "some of "
		}
		if s.Alias != (dns.Alias{}) {
			all = append(all, "those of "+s.Alias.Name)
		}
		all = append(all, s.Data...)
	}
	slices.Sort(all)
	return some + cmp.Or(strings.Join(slices.Compact(all), ", "), "no data")
}

// dataOf is an answer's data of the type asked for, in the spelling of dns.RecordSet.
func dataOf(reply *miekg.Msg, q question) []string {
	set := dns.RecordSet{Name: q.name, Type: dns.Type(miekg.TypeToString[q.qtype])}
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == q.qtype && strings.EqualFold(rr.Header().Name, q.name) {
			set.Data = append(set.Data, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	return set.Canonical().Data
}
