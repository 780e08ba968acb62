package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"

	"kubefed.dev/kubefed/pkg/dns"
)

// Config is what a server is made of.
type Config struct {
	// ID is what the server tells who asks for its name (NSID, RFC 5001); empty for nothing.
	ID string
	// Listen are addresses for UDP and TCP, HOST:PORT; port 0 is any, no HOST is all.
	Listen []string
	// ListenTLS are addresses for DNS over TLS (RFC 7858); they need TLS.
	ListenTLS []string
	TLS       *tls.Config
	// Directory keeps zones and keys over a restart; empty for memory only.
	Directory string
	Zones     []Zone
	Keys      []Key
	// Networks say where clients are, for policy Nearest.
	Networks []Network
	// RateLimit is how many alike answers a second go to one network over UDP; 200 by default, negative for no limit.
	RateLimit int
	Log       logr.Logger
}

const defaultRateLimit = 200

// Server serves zones.
type Server struct {
	config    Config
	id        string
	log       logr.Logger
	keys      map[string]Key
	primaries map[string]*primary
	networks  networks
	cookies   cookies
	limiter   *limiter
	notifiers []*notifier

	// catalog is what readers use.
	catalog atomic.Pointer[catalog]
	swapMu  sync.Mutex

	addresses []netip.AddrPort
	streams   streams
	tasks     sync.WaitGroup
}

// catalog are the zones that are served, by apex in wire format. It is immutable.
type catalog struct {
	zones map[string]*zone
	// lengths says how many octets the name of a zone may have, so that most parts of a name need not be looked up.
	lengths [maxName + 1]bool
}

func newCatalog(zones map[string]*zone) *catalog {
	c := &catalog{zones: zones}
	for apex := range zones {
		c.lengths[len(apex)] = true
	}
	return c
}

// New loads the zones as they were last. It serves nothing before Start.
func New(config Config) (*Server, error) {
	s := &Server{config: config, id: config.ID, log: config.Log, keys: map[string]Key{}, primaries: map[string]*primary{},
		networks: newNetworks(config.Networks)}
	var err error
	if s.cookies, err = newCookies(config.Directory); err != nil {
		return nil, err
	}
	if config.RateLimit == 0 {
		s.config.RateLimit = defaultRateLimit
	}
	s.limiter = newLimiter(s.config.RateLimit, s.now)
	if len(config.ListenTLS) > 0 && config.TLS == nil {
		return nil, errors.New("listening for DNS over TLS needs a certificate")
	}
	for _, k := range config.Keys {
		k, err := checkKey(k)
		if err != nil {
			return nil, err
		}
		s.keys[k.Name] = k
	}
	served := map[string]*zone{}
	for _, z := range config.Zones {
		if err := s.checkKeysOf(&z); err != nil {
			return nil, err
		}
		p, err := newPrimary(z, config.Directory)
		if err != nil {
			return nil, fmt.Errorf("loading zone %s: %w", z.Name, err)
		}
		s.primaries[p.config.Name] = p
		served[p.apex] = p.serving
		for _, secondary := range p.config.Secondaries {
			s.notifiers = append(s.notifiers, &notifier{zone: p, secondary: secondary, wake: make(chan struct{}, 1)})
		}
	}
	s.catalog.Store(newCatalog(served))
	return s, nil
}

// checkKeysOf makes the key names of a zone absolute.
func (s *Server) checkKeysOf(z *Zone) error {
	check := func(name *string) error {
		*name = dns.Absolute(*name)
		if _, ok := s.keys[*name]; !ok {
			return fmt.Errorf("zone %s names key %s, which is not configured", z.Name, *name)
		}
		return nil
	}
	z.TransferKeys = append([]string(nil), z.TransferKeys...)
	for i := range z.TransferKeys {
		if err := check(&z.TransferKeys[i]); err != nil {
			return err
		}
	}
	z.UpdateKeys = append([]string(nil), z.UpdateKeys...)
	for i := range z.UpdateKeys {
		if err := check(&z.UpdateKeys[i]); err != nil {
			return err
		}
	}
	z.Secondaries = append([]Secondary(nil), z.Secondaries...)
	for i := range z.Secondaries {
		if z.Secondaries[i].Key != "" {
			if err := check(&z.Secondaries[i].Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// swap puts a zone into service.
func (s *Server) swap(z *zone) {
	s.swapMu.Lock()
	defer s.swapMu.Unlock()
	old := s.catalog.Load()
	next := maps.Clone(old.zones)
	next[string(z.apex)] = z
	s.catalog.Store(newCatalog(next))
}

// DS is the record that the parent of a signed zone is to publish; empty for one that is not signed.
func (s *Server) DS(zone string) string {
	p, ok := s.primaries[dns.Absolute(zone)]
	if !ok || p.signer == nil {
		return ""
	}
	return p.signer.key.ToDS(2).String() // SHA-256
}

// Start begins to listen, and serves until the context ends; Wait then returns. It tells secondaries of the zones.
func (s *Server) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var closers []func() error
	fail := func(err error) error {
		cancel()
		for _, c := range closers {
			_ = c()
		}
		return err
	}
	for _, address := range s.config.Listen {
		stream, packets, err := listen(ctx, address)
		if err != nil {
			return fail(fmt.Errorf("listening for DNS at %s: %w", address, err))
		}
		closers = append(closers, stream.Close, packets.Close)
		s.addresses = append(s.addresses, packets.LocalAddr().(*net.UDPAddr).AddrPort())
		s.serveStream(ctx, stream)
		s.servePackets(ctx, packets)
	}
	for _, address := range s.config.ListenTLS {
		stream, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return fail(fmt.Errorf("listening for DNS over TLS at %s: %w", address, err))
		}
		closers = append(closers, stream.Close)
		s.addresses = append(s.addresses, stream.Addr().(*net.TCPAddr).AddrPort())
		s.serveStream(ctx, tls.NewListener(stream, s.config.TLS))
	}
	for _, n := range s.notifiers {
		s.tasks.Go(func() { n.run(ctx, s) })
		n.wake <- struct{}{}
	}
	s.tasks.Go(func() {
		<-ctx.Done()
		cancel()
		for _, c := range closers {
			_ = c()
		}
		s.streams.closeAll()
	})
	return nil
}

// Wait returns when everything that Start began has ended, and the zones' files are closed.
func (s *Server) Wait() {
	s.tasks.Wait()
	for _, p := range s.primaries {
		p.mu.Lock()
		p.store.close()
		p.mu.Unlock()
	}
}
