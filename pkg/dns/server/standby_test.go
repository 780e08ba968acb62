package server

import (
	"context"
	"testing"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// TestStandBy: a zone that stands by is written and not answered, also after a restart, until it is current.
func TestStandBy(t *testing.T) {
	const zone, name = "fed.example.", "web.fed.example."
	dir := t.TempDir()
	config := Config{Directory: dir, Zones: []Zone{{Name: zone, Servers: fedZone().Servers, TransferKeys: []string{"transfer"}}}, Keys: []Key{key}, Listen: []string{"127.0.0.1:0"}}
	serve := func() (s *Server, end func()) {
		t.Helper()
		s, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.Start(ctx); err != nil {
			t.Fatal(err)
		}
		return s, func() { cancel(); s.Wait() }
	}
	says := func(s *Server, want string) {
		t.Helper()
		for _, network := range []string{"udp", "tcp"} {
			reply, _, err := (&miekg.Client{Net: network}).Exchange(new(miekg.Msg).SetQuestion(name, miekg.TypeA), s.Addresses()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			got := miekg.RcodeToString[reply.Rcode]
			if len(reply.Answer) > 0 {
				got = reply.Answer[0].(*miekg.A).A.String()
			}
			if got != want || reply.Authoritative == (want == "SERVFAIL") {
				t.Errorf("over %s: %s (authoritative: %v), want %s", network, got, reply.Authoritative, want)
			}
		}
	}
	transferred := func(s *Server) bool {
		m := new(miekg.Msg).SetAxfr(zone)
		m.SetTsig("transfer.", miekg.HmacSHA256, 300, int64(s.now()))
		envelopes, err := (&miekg.Transfer{TsigSecret: map[string]string{"transfer.": key.Secret}}).In(m, s.Addresses()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		ok := false
		for e := range envelopes {
			ok = e.Error == nil
		}
		return ok
	}
	stand := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	s, end := serve()
	stand(s.StandByAll(true)) // nothing was ever written
	says(s, "SERVFAIL")
	put(t, s, set(name, dns.A, "192.0.2.1"))
	says(s, "SERVFAIL")
	stand(s.StandBy(zone, false))
	stand(s.StandByAll(true))
	says(s, "192.0.2.1")
	if !transferred(s) {
		t.Error("the zone is not transferred")
	}
	stand(s.StandByAll(false))
	says(s, "SERVFAIL")
	if transferred(s) {
		t.Error("an old zone is transferred")
	}
	end()

	s, end = serve()
	says(s, "SERVFAIL")
	stand(s.StandBy(zone, false))
	says(s, "192.0.2.1")
	end()

	s, end = serve()
	says(s, "192.0.2.1")
	end()
	if err := s.StandBy("elsewhere.example.", true); dns.KindOf(err) != dns.NotFound {
		t.Errorf("a zone that is not served: %v", err)
	}
}
