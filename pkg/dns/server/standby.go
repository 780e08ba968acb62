package server

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"kubefed.dev/kubefed/pkg/dns"
)

// Of several processes that serve the same zones one has them written by the federation. What the others have grows old: they say
// SERVFAIL, upon which resolvers ask the zone's next server, until they are the one.

// StandBy has a zone answered with SERVFAIL, and neither transferred nor notified, or answered again. It holds over a restart.
func (s *Server) StandBy(zone string, on bool) error {
	p, ok := s.primaries[zone]
	if !ok {
		return &dns.Error{Kind: dns.NotFound, Subject: zone}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serving.standby == on {
		return nil
	}
	z := *p.serving
	z.standby = on
	p.serving = &z
	s.swap(&z)
	s.log.Info("zone answered or not", "zone", zone, "standby", on)
	if !on {
		s.notify(p)
	}
	return p.store.standBy(on)
}

// StandByAll has all zones stand by. With fresh only those that were never written.
func (s *Server) StandByAll(fresh bool) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.primaries)) {
		p := s.primaries[name]
		p.mu.Lock()
		written := len(p.content.Sets()) > 0
		p.mu.Unlock()
		if !fresh || !written {
			errs = append(errs, s.StandBy(name, true))
		}
	}
	return errors.Join(errs...)
}

// standsBy says whether a zone is not answered.
func (p *primary) standsBy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.serving.standby
}

func (s *store) marker() string { return s.path + ".standby" }

func (s *store) standBy(on bool) error {
	switch {
	case s.path == "":
		return nil
	case on:
		return os.WriteFile(s.marker(), nil, 0o600)
	}
	if err := os.Remove(s.marker()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *store) stoodBy() bool {
	if s.path == "" {
		return false
	}
	_, err := os.Stat(s.marker())
	return err == nil
}
