package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// pull transfers the zone as a secondary does; serial 0 asks for all of it.
func pull(t *testing.T, s *Server, k *Key, serial uint32) ([]miekg.RR, error) {
	t.Helper()
	m := new(miekg.Msg)
	if serial == 0 {
		m.SetAxfr("fed.example.")
	} else {
		m.SetIxfr("fed.example.", serial, "ns1.fed.example.", "hostmaster.fed.example.")
	}
	tr := new(miekg.Transfer)
	if k != nil {
		k, err := checkKey(*k)
		if err != nil {
			t.Fatal(err)
		}
		tr.TsigSecret = map[string]string{k.Name: k.Secret}
		m.SetTsig(k.Name, k.Algorithm, 300, time.Now().Unix())
	}
	envelopes, err := tr.In(m, s.Addresses()[0].String())
	if err != nil {
		return nil, err
	}
	var rrs []miekg.RR
	for e := range envelopes {
		if e.Error != nil {
			err = e.Error
		}
		rrs = append(rrs, e.RR...)
	}
	return rrs, err
}

// replica applies a transfer, as a secondary does.
type replica map[string]bool

func (r replica) apply(t *testing.T, rrs []miekg.RR) {
	t.Helper()
	soas := 0
	incremental := len(rrs) > 1 && rrs[1].Header().Rrtype == typeSOA
	if !incremental && len(rrs) > 1 {
		clear(r)
	}
	for _, rr := range rrs {
		if rr.Header().Rrtype == typeSOA {
			soas++
			continue
		}
		if line := rr.String(); incremental && soas%2 == 0 {
			if !r[line] {
				t.Errorf("%s goes and was not there", line)
			}
			delete(r, line)
		} else {
			if r[line] {
				t.Errorf("%s comes and was there", line)
			}
			r[line] = true
		}
	}
}

func transferable() Config {
	zone := fedZone()
	zone.TransferKeys = []string{"Transfer"}
	return Config{Zones: []Zone{zone}, Keys: []Key{key, {Name: "other", Secret: key.Secret}}}
}

func serialOf(t *testing.T, s *Server) uint32 {
	t.Helper()
	r, err := s.Records(t.Context(), "fed.example.")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(r.Version, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func TestTransfer(t *testing.T) {
	s := start(t, transferable())
	sample(t, s)
	all, err := pull(t, s, &key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if all[0].Header().Rrtype != typeSOA || all[len(all)-1].Header().Rrtype != typeSOA {
		t.Error("a transfer begins and ends with the SOA record")
	}
	secondary := replica{}
	secondary.apply(t, all)

	first := serialOf(t, s)
	for i := range 10 {
		name := fmt.Sprintf("n%d.fed.example.", i%3)
		change := dns.Change{Name: name, Before: s.primaries["fed.example."].content.At(name), After: []dns.RecordSet{set(name, dns.A, fmt.Sprintf("192.0.2.%d", i+100), "192.0.2.50")}}
		if i == 9 {
			change.After = nil
		}
		for j := range change.After {
			change.After[j] = change.After[j].Canonical()
		}
		if r, err := s.Apply(t.Context(), "fed.example.", dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, []dns.Change{change}); err != nil || len(r.Failed) > 0 {
			t.Fatal(err, r)
		}
	}
	differences, err := pull(t, s, &key, first)
	if err != nil {
		t.Fatal(err)
	}
	if len(differences) >= len(all) {
		t.Errorf("%d records of differences, the zone has %d", len(differences), len(all))
	}
	secondary.apply(t, differences)
	again, err := pull(t, s, &key, 0)
	if err != nil {
		t.Fatal(err)
	}
	whole := replica{}
	whole.apply(t, again)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(whole)), slices.Sorted(maps.Keys(secondary))); diff != "" {
		t.Errorf("by differences (-whole +differences):\n%s", diff)
	}
	if none, err := pull(t, s, &key, serialOf(t, s)); err != nil || len(none) != 1 {
		t.Errorf("up to date: %d records, %v", len(none), err)
	}
	unknown, err := pull(t, s, &key, first-5)
	if err != nil {
		t.Fatal(err)
	}
	secondary.apply(t, unknown)
	if !maps.Equal(secondary, whole) {
		t.Error("an unknown serial does not get the whole zone")
	}
}

func TestTransferIsRefused(t *testing.T) {
	s := start(t, transferable())
	sample(t, s)
	for name, k := range map[string]*Key{
		"no key":       nil,
		"another key":  {Name: "other", Secret: key.Secret},
		"unknown key":  {Name: "unknown", Secret: key.Secret},
		"wrong secret": {Name: "transfer", Secret: "d3JvbmcgIHdyb25nICB3cm9uZyAgd3Jvbmcg"},
		"other digest": {Name: "transfer", Secret: key.Secret, Algorithm: "hmac-sha512"},
	} {
		if rrs, err := pull(t, s, k, 0); err == nil || len(rrs) > 0 {
			t.Errorf("%s: %d records", name, len(rrs))
		}
	}
	if rrs, err := pull(t, s, &key, 0); err != nil || len(rrs) == 0 {
		t.Errorf("right key: %d records, %v", len(rrs), err)
	}
}

func TestSignedQuestions(t *testing.T) {
	s := start(t, transferable())
	k, _ := checkKey(key)
	for name, test := range map[string]struct {
		signed time.Time
		secret string
		want   error
	}{
		"good":         {time.Now(), k.Secret, nil},
		"skew":         {time.Now().Add(-time.Hour), k.Secret, miekg.ErrAuth},
		"wrong secret": {time.Now(), "d3JvbmcgIHdyb25nICB3cm9uZyAgd3Jvbmcg", miekg.ErrSig},
	} {
		m := question("fed.example.", typeSOA)
		m.SetTsig(k.Name, k.Algorithm, 300, test.signed.Unix())
		client := &miekg.Client{TsigSecret: map[string]string{k.Name: test.secret}}
		reply, _, err := client.Exchange(m, s.Addresses()[0].String())
		if test.want == nil && (err != nil || len(reply.Answer) != 1) {
			t.Errorf("%s: %v, %v", name, reply, err)
		}
		if test.want != nil && (reply == nil || reply.Rcode != miekg.RcodeNotAuth || reply.IsTsig() == nil) {
			t.Errorf("%s: %v, %v", name, reply, err)
		}
		if name == "skew" && reply.IsTsig().Error != miekg.RcodeBadTime {
			t.Errorf("%s: %v", name, reply)
		}
	}
}

// listener is a secondary that does nothing but count the notifications that it hears, and answer with a serial.
type listener struct {
	mu     sync.Mutex
	serial uint32
	heard  chan string
}

func (l *listener) ServeDNS(w miekg.ResponseWriter, m *miekg.Msg) {
	reply := new(miekg.Msg)
	reply.SetReply(m)
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Opcode == miekg.OpcodeNotify {
		l.heard <- m.Question[0].Name
	} else {
		reply.Answer = []miekg.RR{&miekg.SOA{Hdr: miekg.RR_Header{Name: m.Question[0].Name, Rrtype: typeSOA, Class: classIN}, Ns: ".", Mbox: ".", Serial: l.serial}}
	}
	if tsig := m.IsTsig(); tsig != nil && w.TsigStatus() == nil {
		reply.SetTsig(tsig.Hdr.Name, tsig.Algorithm, 300, time.Now().Unix())
	}
	_ = w.WriteMsg(reply)
}

func TestSecondariesAreTold(t *testing.T) {
	k, _ := checkKey(key)
	l := &listener{heard: make(chan string, 100)}
	packets, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secondary := &miekg.Server{PacketConn: packets, Handler: l, TsigSecret: map[string]string{k.Name: k.Secret},
		MsgAcceptFunc: func(miekg.Header) miekg.MsgAcceptAction { return miekg.MsgAccept }}
	done := make(chan error, 1)
	go func() { done <- secondary.ActivateAndServe() }()
	t.Cleanup(func() {
		if err := secondary.ShutdownContext(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		<-done
	})
	config := transferable()
	config.Zones[0].Secondaries = []Secondary{{Address: packets.LocalAddr().String(), Key: "transfer"}}
	s := start(t, config)
	hear := func(what string) {
		t.Helper()
		select {
		case zone := <-l.heard:
			if zone != "fed.example." {
				t.Errorf("%s: told of %s", what, zone)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the secondary was not told", what)
		}
	}
	hear("at the start")
	put(t, s, set("x.fed.example.", dns.A, "192.0.2.1"))
	hear("of a change")

	receipt := dns.Receipt{Version: fmt.Sprint(serialOf(t, s))}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Await(ctx, "fed.example.", receipt); !errors.Is(err, context.DeadlineExceeded) || dns.KindOf(err) != dns.Unavailable {
		t.Errorf("I15: an unconfirmed change is reported: %v", err)
	}
	l.mu.Lock()
	l.serial = serialOf(t, s)
	l.mu.Unlock()
	if err := s.Await(t.Context(), "fed.example.", receipt); err != nil {
		t.Error(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	address := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	servers := map[string][]netip.Addr{"ns1.fed.example.": address}
	for name, config := range map[string]Config{
		"no name servers":    {Zones: []Zone{{Name: "fed.example."}}},
		"no address":         {Zones: []Zone{{Name: "fed.example.", Servers: map[string][]netip.Addr{"ns1.fed.example.": nil}}}},
		"unknown key":        {Zones: []Zone{{Name: "fed.example.", Servers: servers, TransferKeys: []string{"x"}}}},
		"short secret":       {Keys: []Key{{Name: "x", Secret: "c2hvcnQ="}}},
		"weak algorithm":     {Keys: []Key{{Name: "x", Algorithm: "hmac-md5", Secret: key.Secret}}},
		"no certificate":     {ListenTLS: []string{"127.0.0.1:0"}},
		"signed and carried": {Directory: t.TempDir(), Keys: []Key{key}, Zones: []Zone{{Name: "fed.example.", Servers: servers, Signed: true, TransferKeys: []string{"transfer"}}}},
		"signed, no place":   {Zones: []Zone{{Name: "fed.example.", Servers: servers, Signed: true}}},
		"not a name":         {Zones: []Zone{{Name: "fed..example.", Servers: servers}}},
	} {
		if s, err := New(config); err == nil {
			s.Wait()
			t.Errorf("%s: no error", name)
		}
	}
}
