package rfc2136

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// TestTransfer: what a transfer that goes wrong leaves is an error, never a part of the zone.
func TestTransfer(t *testing.T) {
	web := "web.fed.example. 20 IN A 192.0.2.1"
	for _, test := range []struct {
		name     string
		clock    time.Duration
		unsigned bool
		replies  []*miekg.Msg
		want     int
		kind     dns.ErrorKind
	}{
		{name: "in one message", replies: []*miekg.Msg{message(t, soa, web, soa)}, want: 1},
		{name: "in three messages", replies: []*miekg.Msg{message(t, soa), message(t, web, "web.fed.example. 20 IN A 192.0.2.2"), message(t, soa)}, want: 1},
		{name: "by a server whose clock is an hour ahead", clock: time.Hour, replies: []*miekg.Msg{message(t, soa), message(t, web, soa)}, want: 1},
		{name: "by a server whose clock is an hour behind", clock: -time.Hour, replies: []*miekg.Msg{message(t, soa, web, soa)}, want: 1},
		{name: "of a signed zone", replies: []*miekg.Msg{message(t, soa, "fed.example. 300 IN NS ns1.fed.example.", web,
			"web.fed.example. 20 IN RRSIG A 13 4 20 20270101000000 20260101000000 1 fed.example. AAAA", "web.fed.example. 10 IN NSEC fed.example. A RRSIG NSEC", soa)}, want: 1},
		{name: "cut off after the first message", replies: []*miekg.Msg{message(t, soa, web)}, kind: dns.Unavailable},
		{name: "that fails midway", replies: []*miekg.Msg{message(t, soa, web), {MsgHdr: miekg.MsgHdr{Rcode: miekg.RcodeServerFailure}}}, kind: dns.Unavailable},
		{name: "with an empty message", replies: []*miekg.Msg{message(t, soa, web), message(t)}, kind: dns.Unavailable},
		{name: "that does not begin with the SOA", replies: []*miekg.Msg{message(t, web, soa)}, kind: dns.Unavailable},
		{name: "without signatures", unsigned: true, replies: []*miekg.Msg{message(t, soa, web, soa)}, kind: dns.Denied},
		{name: "that is refused", replies: []*miekg.Msg{{MsgHdr: miekg.MsgHdr{Rcode: miekg.RcodeRefused}}}, kind: dns.Denied},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			p := (&fake{clock: test.clock, unsigned: test.unsigned, answer: func(*miekg.Msg) []*miekg.Msg {
				if asked++; asked > 1 && test.kind != "" {
					return nil
				}
				var replies []*miekg.Msg
				for _, m := range test.replies {
					replies = append(replies, m.Copy())
				}
				if test.kind != "" { // The connection ends after these.
					return append(replies, &miekg.Msg{MsgHdr: miekg.MsgHdr{Rcode: miekg.RcodeServerFailure}})
				}
				return replies
			}}).start(t)
			snapshot, err := p.Records(t.Context(), zoneName)
			if test.kind != "" {
				if err == nil || dns.KindOf(err) != test.kind || len(snapshot.Sets) > 0 {
					t.Errorf("%+v, error %v; want one of kind %s and no records", snapshot, err, test.kind)
				}
				return
			}
			if err != nil || len(snapshot.Sets) != test.want || snapshot.Version != "7" {
				t.Errorf("%+v, error %v; want %d sets", snapshot, err, test.want)
			}
		})
	}
}

// TestLeftOut: a server that answers NOERROR and leaves a CNAME out, because data of a type that no prerequisite names stands there, is
// found out.
func TestLeftOut(t *testing.T) {
	odd := `web.fed.example. 60 IN TYPE65280 \# 1 00`
	updated := false
	p := (&fake{answer: func(m *miekg.Msg) []*miekg.Msg {
		switch {
		case m.Opcode == miekg.OpcodeUpdate:
			updated = true
			return []*miekg.Msg{message(t)}
		case m.Question[0].Qtype == miekg.TypeAXFR:
			if updated {
				return []*miekg.Msg{message(t, soa, odd, soa)}
			}
			return []*miekg.Msg{message(t, soa, "web.fed.example. 60 IN A 192.0.2.1", soa)}
		case m.Question[0].Qtype == miekg.TypeSOA:
			return []*miekg.Msg{message(t, soa)}
		}
		return []*miekg.Msg{message(t)}
	}}).start(t)
	name := "web." + zoneName
	receipt, err := p.Apply(t.Context(), zoneName, dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, []dns.Change{{Name: name,
		Before: []dns.RecordSet{set(name, dns.A, "192.0.2.1")}, After: []dns.RecordSet{set(name, dns.CNAME, "x."+zoneName)}}})
	if err != nil || len(receipt.Failed) != 1 || dns.KindOf(receipt.Failed[0].Err) != dns.Conflict || !strings.Contains(receipt.Failed[0].Err.Error(), "left out") {
		t.Errorf("%+v, error %v; want a conflict", receipt, err)
	}
}

// TestUpdate: what stands in the message of a change.
func TestUpdate(t *testing.T) {
	name := "web." + zoneName
	was, will := set(name, dns.A, "192.0.2.1"), set(name, dns.A, "192.0.2.2")
	u := newUpdate(zoneName, "earth", []miekg.RR{rr(t, `_lease.earth._kubefed.fed.example. 0 IN TXT "v=1 holder=a epoch=1"`)})
	taken, err := u.add(edit{change: dns.Change{Name: name, Before: []dns.RecordSet{was}, After: []dns.RecordSet{will}},
		before: [][]miekg.RR{{rr(t, "web.fed.example. 60 IN A 192.0.2.1")}}, removed: []dns.RecordSet{was}, added: []dns.RecordSet{will}})
	if err != nil || !taken {
		t.Fatal(taken, err)
	}
	m := u.message()
	var got []string
	for _, section := range [][]miekg.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			h := rr.Header()
			got = append(got, strings.Join(strings.Fields(fmt.Sprintf("%s %d %s %s %s", h.Name, h.Ttl, miekg.Class(h.Class), miekg.Type(h.Rrtype), strings.TrimPrefix(rr.String(), h.String()))), " "))
		}
	}
	want := []string{
		`_lease.earth._kubefed.fed.example. 0 IN TXT "v=1 holder=a epoch=1"`,
		"web.fed.example. 0 IN A 192.0.2.1",
		"web.fed.example. 0 NONE CNAME",
		"web.fed.example. 0 CLASS255 A",
		"web.fed.example. 60 IN A 192.0.2.2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if taken, err := u.add(edit{change: dns.Change{Name: name, Before: []dns.RecordSet{will}}, before: [][]miekg.RR{nil}}); taken || err != nil {
		t.Errorf("a second change of one name is in the same message: %v", err)
	}
	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf("2001:db8::%x", i+1))
	}
	large := set(name, dns.AAAA, many...).Canonical()
	if taken, err := newUpdate(zoneName, "earth", nil).add(edit{change: dns.Change{Name: name, After: []dns.RecordSet{large}}, added: []dns.RecordSet{large}}); taken || err == nil {
		t.Error("a change that is larger than a message was taken")
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		kind dns.ErrorKind
		text string
	}{
		{&rcodeError{rcode: miekg.RcodeNotAuth, tsig: miekg.RcodeBadKey, signed: true}, dns.Denied, "BADKEY"},
		{&rcodeError{rcode: miekg.RcodeNotAuth, tsig: miekg.RcodeBadSig, signed: true}, dns.Denied, "another secret"},
		{&rcodeError{rcode: miekg.RcodeNotAuth, tsig: miekg.RcodeBadTime, signed: true}, dns.Denied, "NTP"},
		{&rcodeError{rcode: miekg.RcodeNotAuth, signed: true}, dns.NotFound, "primary"},
		{&rcodeError{rcode: miekg.RcodeRefused, signed: true}, dns.Denied, "allow the key"},
		{&rcodeError{rcode: miekg.RcodeRefused}, dns.Denied, "give a key"},
		{&rcodeError{rcode: miekg.RcodeNXRrset}, dns.Conflict, "NXRRSET"},
		{&rcodeError{rcode: miekg.RcodeYXRrset}, dns.Conflict, "YXRRSET"},
		{&rcodeError{rcode: miekg.RcodeYXDomain}, dns.Conflict, "YXDOMAIN"},
		{&rcodeError{rcode: miekg.RcodeNotZone}, dns.Invalid, "NOTZONE"},
		{&rcodeError{rcode: miekg.RcodeServerFailure}, dns.Unavailable, "log"},
		{&rcodeError{rcode: miekg.RcodeNotImplemented}, dns.Denied, "another provider"},
		{errors.New("i/o timeout"), dns.Unavailable, "timeout"},
	} {
		err := classify(zoneName, fmt.Errorf("doing it: %w", test.err))
		if dns.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%v: want kind %s and %q", err, test.kind, test.text)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := Config{Server: "192.0.2.1:53", Zones: []string{zoneName}}
	for name, spoil := range map[string]func(*Config){
		"no port":        func(c *Config) { c.Server = "192.0.2.1" },
		"no zone":        func(c *Config) { c.Zones = nil },
		"short secret":   func(c *Config) { c.Key = &Key{Name: "k", Secret: "c2hvcnQ="} },
		"weak algorithm": func(c *Config) { c.TransferKey = &Key{Name: "k", Algorithm: "hmac-md5", Secret: secret} },
	} {
		config := good
		spoil(&config)
		if _, err := New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
