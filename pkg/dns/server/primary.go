package server

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// Zone is a zone that the server is to serve.
type Zone struct {
	// Name is the zone's.
	Name string
	// Servers are its name servers as the world finds them: host name to addresses. Those inside the zone need addresses.
	Servers map[string][]netip.Addr
	// Mailbox is the address of who is responsible, as a name (RFC 1035 section 3.3.13). By default "hostmaster" in the zone.
	Mailbox string
	// NegativeTTL is how long resolvers may believe that a name does not exist, in seconds; 10 by default.
	NegativeTTL uint32
	// Secondaries are told of changes, at HOST:PORT.
	Secondaries []Secondary
	// TransferKeys name the keys with which the zone may be transferred. Without any it may not.
	TransferKeys []string
	// UpdateKeys name the keys with which others than the federation may change what is not its own (RFC 2136), such as ACME clients.
	UpdateKeys []string
	// Signed: answers are signed with the key in the server's directory, which is made if it is not there. A signed zone is not transferred.
	Signed bool
}

// Secondary is a server that carries a zone.
type Secondary struct {
	Address string
	// Key signs what is sent to it; empty for none.
	Key string
}

const (
	soaTTL             = 300
	defaultNegativeTTL = 10
	soaRefresh         = 300
	soaRetry           = 60
	// soaExpire lets secondaries serve for two weeks without the primary.
	soaExpire = 14 * 24 * 3600
	// maxJournal is how many changes back secondaries can follow with IXFR.
	maxJournal = 200
)

// primary is a zone's changeable side. Readers use the zone that it publishes.
type primary struct {
	config Zone
	apex   string // wire format
	signer *signer
	// fixed are the records of the zone's configuration, by name: name servers and their addresses.
	fixed map[string][]dns.RecordSet

	mu      sync.Mutex
	content *dns.Content
	serving *zone
	journal []delta
	store   store
}

// delta is what a change removes and adds, in presentation form.
type delta struct {
	from, to       uint32
	removed, added []string
}

func newPrimary(config Zone, directory string) (*primary, error) {
	config.Name = dns.Absolute(config.Name)
	apex, err := packName(config.Name)
	if err != nil {
		return nil, err
	}
	if config.NegativeTTL == 0 {
		config.NegativeTTL = defaultNegativeTTL
	}
	if config.Mailbox == "" {
		config.Mailbox = "hostmaster." + config.Name
	}
	config.Mailbox = dns.Absolute(config.Mailbox)
	p := &primary{config: config, apex: string(apex), fixed: map[string][]dns.RecordSet{}}
	if len(config.Servers) == 0 {
		return nil, fmt.Errorf("zone %s has no name servers; name at least one, such as ns1.%s", config.Name, config.Name)
	}
	if config.Signed && len(config.TransferKeys) > 0 {
		return nil, fmt.Errorf("zone %s: a signed zone cannot be transferred; leave out the transfer keys, or the signing", config.Name)
	}
	if err := p.fix(); err != nil {
		return nil, err
	}
	base := ""
	if directory != "" {
		base = directory + "/" + strings.ReplaceAll(strings.TrimSuffix(config.Name, "."), "/", "_")
		p.store.path = base + ".zone"
	}
	if config.Signed {
		if base == "" {
			return nil, fmt.Errorf("zone %s: signing needs a directory for the key", config.Name)
		}
		if p.signer, err = loadSigner(config.Name, base+".key"); err != nil {
			return nil, err
		}
	}
	return p, p.load()
}

// fix makes the records of the configuration.
func (p *primary) fix() error {
	ns := dns.RecordSet{Name: p.config.Name, Type: "NS", TTL: soaTTL}
	for host, addresses := range p.config.Servers {
		host = dns.Absolute(host)
		ns.Data = append(ns.Data, host)
		if !dns.InZone(host, p.config.Name) {
			continue
		}
		if len(addresses) == 0 {
			return fmt.Errorf("name server %s is inside its zone and has no address; give it one", host)
		}
		for _, t := range []dns.Type{dns.A, dns.AAAA} {
			set := dns.RecordSet{Name: host, Type: t, TTL: soaTTL}
			for _, a := range addresses {
				if a.Unmap().Is4() == (t == dns.A) {
					set.Data = append(set.Data, a.Unmap().String())
				}
			}
			if len(set.Data) > 0 {
				p.fixed[host] = append(p.fixed[host], set.Canonical())
			}
		}
	}
	slices.Sort(ns.Data)
	p.fixed[p.config.Name] = append(p.fixed[p.config.Name], ns)
	return nil
}

// load brings up the last known good zone.
func (p *primary) load() error {
	sets, serial, err := loadStore(p.store.path)
	if err != nil {
		return err
	}
	if serial == 0 {
		serial = nextSerial(0)
	}
	p.content = dns.NewContent(p.config.Name, sets)
	names := maps.Clone(p.fixed)
	for _, s := range sets {
		names[s.Name] = nil
	}
	p.serving = &zone{name: p.config.Name, apex: []byte(p.apex), nodes: newTree(), signer: p.signer, standby: p.store.stoodBy()}
	served, err := p.compile(serial, maps.Keys(names))
	if err != nil {
		return err
	}
	p.serving = served
	return p.store.append(entry{Serial: serial}, p.content.Sets)
}

// nextSerial is the time, or one more than the serial where that is ahead: so it grows also if the file was lost
// (RFC 1982; a zone changes less than once a second on average).
func nextSerial(serial uint32) uint32 {
	now := uint32(time.Now().Unix())
	if int32(now-serial) > 0 {
		return now
	}
	if serial++; serial == 0 {
		serial = 1
	}
	return serial
}

// compile makes the zone that has the content's sets at the names given, and the serving zone's at all others.
func (p *primary) compile(serial uint32, names func(func(string) bool)) (*zone, error) {
	z := *p.serving
	z.serial = serial
	e := edit(z.nodes)
	apexSets, err := p.compileApex(&z)
	if err != nil {
		return nil, err
	}
	for name := range names {
		if name == p.config.Name {
			continue
		}
		wire, err := packName(name)
		if err != nil {
			return nil, err
		}
		sets, err := compile(p.at(name))
		if err != nil {
			return nil, err
		}
		e.update(p.apex, string(wire), sets)
	}
	e.update(p.apex, p.apex, apexSets)
	z.nodes = e.tree
	return &z, nil
}

// at are all sets at a name, those of the configuration first.
func (p *primary) at(name string) []dns.RecordSet {
	return append(slices.Clone(p.fixed[name]), p.content.At(name)...)
}

func (p *primary) compileApex(z *zone) ([]rrset, error) {
	sets, err := compile(p.at(p.config.Name))
	if err != nil {
		return nil, err
	}
	z.hosts = nil
	for _, host := range p.fixed[p.config.Name][0].Data {
		if dns.InZone(host, p.config.Name) {
			wire, err := packName(host)
			if err != nil {
				return nil, err
			}
			z.hosts = append(z.hosts, wire)
		}
	}
	rr := p.soa(z.serial)
	data, err := packRR(rr)
	if err != nil {
		return nil, err
	}
	set := func(ttl uint32) rrset {
		return rrset{rrtype: typeSOA, plain: choice{ttl: ttl, count: 1, wire: appendRecord(nil, typeSOA, ttl, data)}}
	}
	// In a negative answer its TTL is how long to believe it (RFC 2308 section 5).
	z.soa = set(min(soaTTL, p.config.NegativeTTL))
	sets = append(sets, set(soaTTL))
	if p.signer != nil {
		keys, err := p.signer.sets()
		if err != nil {
			return nil, err
		}
		sets = append(sets, keys...)
	}
	return sets, nil
}

func (p *primary) soa(serial uint32) *miekg.SOA {
	return &miekg.SOA{Hdr: miekg.RR_Header{Name: p.config.Name, Rrtype: typeSOA, Class: classIN, Ttl: soaTTL},
		Ns: p.fixed[p.config.Name][0].Data[0], Mbox: p.config.Mailbox, Serial: serial,
		Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: p.config.NegativeTTL}
}

// flat are the records of sets as secondaries get them: those that routing chooses among are one set with all data.
func flat(sets []dns.RecordSet) []string {
	var merged []dns.RecordSet
	for _, s := range sets {
		i := slices.IndexFunc(merged, func(m dns.RecordSet) bool { return m.Name == s.Name && m.Type == s.Type })
		if i < 0 {
			merged = append(merged, dns.RecordSet{Name: s.Name, Type: s.Type, TTL: s.TTL, Data: slices.Clone(s.Data)})
			continue
		}
		merged[i].TTL = min(merged[i].TTL, s.TTL)
		merged[i].Data = append(merged[i].Data, s.Data...)
	}
	var records []string
	for _, m := range merged {
		for _, d := range m.Data {
			records = append(records, fmt.Sprintf("%s\t%d\tIN\t%s\t%s", m.Name, m.TTL, m.Type, d))
		}
	}
	slices.Sort(records)
	return slices.Compact(records)
}
