package server

import (
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

func signedServer(t *testing.T) *Server {
	t.Helper()
	zone := fedZone()
	zone.Signed = true
	s := newServer(t, Config{Zones: []Zone{zone}, Directory: t.TempDir(), RateLimit: -1})
	t.Cleanup(s.Wait)
	return s
}

// verify checks each set of a section against the key, and returns the types that are signed.
func verifySection(t *testing.T, key *miekg.DNSKEY, rrs []miekg.RR) map[uint16]bool {
	t.Helper()
	type id struct {
		name string
		t    uint16
	}
	sets := map[id][]miekg.RR{}
	signatures := map[id]*miekg.RRSIG{}
	for _, rr := range rrs {
		if sig, ok := rr.(*miekg.RRSIG); ok {
			signatures[id{sig.Hdr.Name, sig.TypeCovered}] = sig
		} else {
			k := id{rr.Header().Name, rr.Header().Rrtype}
			sets[k] = append(sets[k], rr)
		}
	}
	verified := map[uint16]bool{}
	for k, set := range sets {
		sig := signatures[k]
		if sig == nil {
			t.Errorf("%v is not signed", set)
			continue
		}
		if err := sig.Verify(key, set); err != nil || !sig.ValidityPeriod(time.Now()) {
			t.Errorf("%v: %v", sig, err)
		}
		verified[k.t] = true
	}
	return verified
}

func TestSignedAnswers(t *testing.T) {
	s := signedServer(t)
	ds, err := miekg.NewRR(s.DS("fed.example"))
	if err != nil {
		t.Fatal(err)
	}
	secure := func(name string, qtype uint16) *miekg.Msg {
		m := question(name, qtype)
		m.SetEdns0(4096, true)
		return ask(t, s, m)
	}
	keys := secure("fed.example.", typeDNSKEY)
	key, ok := keys.Answer[0].(*miekg.DNSKEY)
	if !ok || !strings.EqualFold(key.ToDS(miekg.SHA256).Digest, ds.(*miekg.DS).Digest) {
		t.Fatalf("keys %v do not match %v", keys, ds)
	}
	for _, test := range []struct {
		name   string
		qtype  uint16
		rcode  int
		answer []uint16
		denial []uint16 // the types of the NSEC record
	}{
		{"fed.example.", typeDNSKEY, 0, []uint16{typeDNSKEY}, nil},
		{"fed.example.", typeCDS, 0, []uint16{typeCDS}, nil},
		{"fed.example.", typeSOA, 0, []uint16{typeSOA}, nil},
		{"Web.shop.fed.example.", typeA, 0, []uint16{typeA}, nil},
		{"alias.fed.example.", typeA, 0, []uint16{typeCNAME, typeA}, nil},
		{"x.wild.fed.example.", typeA, 0, []uint16{typeA}, nil},
		{"near.fed.example.", typeA, 0, []uint16{typeA}, nil},
		{"weighted.fed.example.", typeA, 0, []uint16{typeA}, nil},
		{"web.shop.fed.example.", typeTXT, 0, nil, []uint16{typeA, typeAAAA, typeRRSIG, typeNSEC}},
		{"shop.fed.example.", typeA, 0, nil, []uint16{typeRRSIG, typeNSEC}},
		{"nothing.fed.example.", typeA, 0, nil, []uint16{typeRRSIG, typeNSEC, typeNXNAME}},
	} {
		reply := secure(test.name, test.qtype)
		if reply.Rcode != test.rcode || reply.Truncated {
			t.Errorf("%s: %v", test.name, reply)
		}
		verified := verifySection(t, key, reply.Answer)
		for _, want := range test.answer {
			if !verified[want] {
				t.Errorf("%s %s: %v", test.name, miekg.TypeToString[test.qtype], reply)
			}
		}
		if test.denial == nil {
			continue
		}
		if v := verifySection(t, key, reply.Ns); !v[typeSOA] || !v[typeNSEC] {
			t.Errorf("%s: authority %v", test.name, reply.Ns)
		}
		for _, rr := range reply.Ns {
			if nsec, ok := rr.(*miekg.NSEC); ok && (len(nsec.TypeBitMap) != len(test.denial) || nsec.NextDomain != "\\000."+test.name) {
				t.Errorf("%s: %v", test.name, nsec)
			}
		}
	}
	plain := ask(t, s, question("nothing.fed.example.", typeA))
	if plain.Rcode != miekg.RcodeNameError || len(plain.Ns) != 1 {
		t.Errorf("without DNSSEC: %v", plain)
	}
	m := question("nothing.fed.example.", typeA)
	m.SetEdns0(4096, true)
	m.IsEdns0().Hdr.Ttl |= 1 << 14
	if reply := ask(t, s, m); reply.Rcode != miekg.RcodeNameError {
		t.Errorf("compact answers accepted: %v", reply)
	}
}

func TestKeyAndSignaturesLast(t *testing.T) {
	zone := fedZone()
	zone.Signed = true
	config := Config{Zones: []Zone{zone}, Directory: t.TempDir()}
	first := newServer(t, config)
	ds := first.DS("fed.example.")
	first.Wait()
	again, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Wait()
	if again.DS("fed.example.") != ds {
		t.Error("another key after a restart")
	}
	signer := again.primaries["fed.example."].signer
	name, _ := packName("web.shop.fed.example.")
	sets, err := compile([]dns.RecordSet{set("web.shop.fed.example.", dns.A, "192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(at time.Time) string {
		sig, err := signer.sign(name, typeA, sets[0].plain.wire, at)
		if err != nil {
			t.Fatal(err)
		}
		return string(sig)
	}
	now := time.Now()
	if sign(now) != sign(now.Add(signatureLife-signatureLeft-time.Minute)) {
		t.Error("a signature is made anew too early")
	}
	if sign(now) == sign(now.Add(signatureLife-signatureLeft+time.Minute)) {
		t.Error("a signature is not made anew")
	}
}
