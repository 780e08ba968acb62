package server

import (
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

const updateSecret = "dXBkYXRlIHVwZGF0ZSB1cGRhdGUgdXBkYXRlIHVwZA=="

func updateServer(t *testing.T) *Server {
	t.Helper()
	zone := fedZone()
	zone.UpdateKeys = []string{"acme"}
	s, err := New(Config{Zones: []Zone{zone}, Keys: []Key{{Name: "acme", Secret: updateSecret}, {Name: "other", Secret: updateSecret}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send has the server answer an update, signed with a key if one is named, and returns the code.
func sendUpdate(t *testing.T, s *Server, m *miekg.Msg, key string) int {
	t.Helper()
	raw, err := m.Pack()
	mac := ""
	if key != "" && err == nil {
		m.SetTsig(key, miekg.HmacSHA256, tsigFudge, time.Now().Unix())
		raw, mac, err = miekg.TsigGenerate(m, updateSecret, "", false)
	}
	if err != nil {
		t.Fatal(err)
	}
	answer := s.respond(nil, raw, resolver, true)
	reply := new(miekg.Msg)
	if err := reply.Unpack(answer); err != nil {
		t.Fatal(err)
	}
	if key != "" && reply.Rcode != rcodeNotAuth {
		if err := miekg.TsigVerify(answer, updateSecret, mac, false); err != nil {
			t.Errorf("the answer's signature: %v", err)
		}
	}
	return reply.Rcode
}

// TestUpdate: others than the federation change what is theirs, and nothing else.
func TestUpdate(t *testing.T) {
	s := updateServer(t)
	const owned, challenge = "web.fed.example.", "_acme-challenge.web.fed.example."
	fence := dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}
	ours := []dns.RecordSet{set(owned, dns.A, "192.0.2.1"), set(dns.OwnerName(owned), dns.TXT, dns.Quote("v=1 fed=earth uid=1 owner=svc/shop/web h=1"))}
	if r, err := s.Apply(t.Context(), "fed.example.", fence, []dns.Change{{Name: owned, After: ours}}); err != nil || len(r.Failed) > 0 {
		t.Fatal(err, r)
	}
	rr := func(text string) []miekg.RR {
		rr, err := miekg.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		return []miekg.RR{rr}
	}
	text := challenge + ` 60 IN TXT "token"`
	update := func(fill func(*miekg.Msg)) *miekg.Msg {
		m := new(miekg.Msg).SetUpdate("fed.example.")
		fill(m)
		return m
	}
	for _, test := range []struct {
		name string
		m    *miekg.Msg
		key  string
		want int
	}{
		{"unsigned", update(func(m *miekg.Msg) { m.Insert(rr(text)) }), "", rcodeRefused},
		{"with a key that may not", update(func(m *miekg.Msg) { m.Insert(rr(text)) }), "other.", rcodeRefused},
		{"with an unknown key", update(func(m *miekg.Msg) { m.Insert(rr(text)) }), "nobody.", rcodeNotAuth},
		{"of another zone", new(miekg.Msg).SetUpdate("elsewhere.example."), "acme.", rcodeNotAuth},
		{"a challenge", update(func(m *miekg.Msg) { m.Insert(rr(text)) }), "acme.", rcodeSuccess},
		{"a second text", update(func(m *miekg.Msg) { m.Used(rr(text)); m.Insert(rr(challenge + ` 60 IN TXT "other"`)) }), "acme.", rcodeSuccess},
		{"a prerequisite that does not hold", update(func(m *miekg.Msg) { m.Used(rr(text)); m.RemoveName(rr(text)) }), "acme.", miekg.RcodeNXRrset},
		{"a name that must not be there", update(func(m *miekg.Msg) { m.NameNotUsed(rr(text)); m.RemoveName(rr(text)) }), "acme.", miekg.RcodeYXDomain},
		{"a set that must not be there", update(func(m *miekg.Msg) { m.RRsetNotUsed(rr(text)); m.RemoveName(rr(text)) }), "acme.", miekg.RcodeYXRrset},
		{"a name that must be there", update(func(m *miekg.Msg) { m.NameUsed(rr("none.fed.example. 0 IN A 192.0.2.1")) }), "acme.", rcodeNXDomain},
		{"one text goes", update(func(m *miekg.Msg) { m.Remove(rr(challenge + ` 60 IN TXT "other"`)) }), "acme.", rcodeSuccess},
		{"a name of the federation", update(func(m *miekg.Msg) { m.RemoveName(rr(owned + " 0 IN A 192.0.2.1")) }), "acme.", rcodeRefused},
		{"data beside that of the federation", update(func(m *miekg.Msg) { m.Insert(rr(owned + ` 60 IN TXT "x"`)) }), "acme.", rcodeRefused},
		{"an ownership record", update(func(m *miekg.Msg) { m.Insert(rr(dns.OwnerName(challenge) + ` 60 IN TXT "x"`)) }), "acme.", rcodeRefused},
		{"the lease", update(func(m *miekg.Msg) { m.RemoveName(rr(dns.LeaseName("fed.example.", "earth") + ` 0 IN TXT "x"`)) }), "acme.", rcodeRefused},
		{"the apex", update(func(m *miekg.Msg) { m.RemoveName(rr("fed.example. 0 IN NS ns9.")) }), "acme.", rcodeRefused},
		{"a name outside", update(func(m *miekg.Msg) { m.Insert(rr("x.example. 60 IN A 192.0.2.1")) }), "acme.", miekg.RcodeNotZone},
		{"a type that the zone has no room for", update(func(m *miekg.Msg) { m.Insert(rr("x.fed.example. 60 IN MX 10 mail.")) }), "acme.", rcodeRefused},
		{"half of it refused", update(func(m *miekg.Msg) {
			m.Insert(rr("y.fed.example. 60 IN A 192.0.2.1"))
			m.Insert(rr(owned + " 60 IN A 192.0.2.9"))
		}), "acme.", rcodeRefused},
	} {
		if got := sendUpdate(t, s, test.m, test.key); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, miekg.RcodeToString[got], miekg.RcodeToString[test.want])
		}
	}
	snapshot, err := s.Records(t.Context(), "fed.example.")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{owned: "192.0.2.1", challenge: `"token"`}
	for _, have := range snapshot.Sets {
		if data, ok := want[have.Name]; ok && have.Data[0] == data && len(have.Data) == 1 {
			delete(want, have.Name)
		} else if have.Name != dns.OwnerName(owned) && have.Name != dns.LeaseName("fed.example.", "earth") {
			t.Errorf("%s should not be there", have)
		}
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
	// Where someone else's record is, the federation has a conflict.
	r, err := s.Apply(t.Context(), "fed.example.", fence, []dns.Change{{Name: challenge, After: []dns.RecordSet{set(challenge, dns.TXT, `"mine"`)}}})
	if err != nil || len(r.Failed) != 1 || dns.KindOf(r.Failed[0].Err) != dns.Conflict {
		t.Errorf("%+v, error %v; want a conflict", r, err)
	}
}
