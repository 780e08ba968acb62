package server

import (
	"testing"

	miekg "github.com/miekg/dns"
)

// FuzzRespond: whatever comes, there is no panic, no answer to an answer, and no answer larger than the client takes.
func FuzzRespond(f *testing.F) {
	zone := fedZone()
	zone.TransferKeys = []string{"transfer"}
	s := newServer(f, Config{Zones: []Zone{zone}, Keys: []Key{key}, RateLimit: -1, ID: "x"})
	seed := func(m *miekg.Msg) {
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, name := range []string{"web.shop.fed.example.", "alias.fed.example.", "x.wild.fed.example.", "big.fed.example.", "."} {
		m := question(name, typeA)
		seed(m)
		m.SetEdns0(1232, true)
		m.IsEdns0().Option = []miekg.EDNS0{&miekg.EDNS0_NSID{Code: miekg.EDNS0NSID}, &miekg.EDNS0_COOKIE{Code: miekg.EDNS0COOKIE, Cookie: "0123456789abcdef"},
			&miekg.EDNS0_SUBNET{Code: miekg.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}}
		seed(m)
		m.SetTsig("transfer.", miekg.HmacSHA256, 300, 0)
		m.IsTsig().MAC, m.IsTsig().MACSize = "00", 1
		seed(m)
	}
	seed(new(miekg.Msg).SetIxfr("fed.example.", 1, "ns.", "m."))
	seed(new(miekg.Msg).SetUpdate("fed.example."))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) > maxQuery {
			return
		}
		for _, stream := range []bool{false, true} {
			out := s.respond(make([]byte, 0, maxUDP), msg, resolver, stream)
			if out == nil {
				continue
			}
			if msg[2]&0x80 != 0 || out[2]&0x80 == 0 || out[0] != msg[0] || out[1] != msg[1] {
				t.Errorf("answer %x", out)
			}
			if !stream && len(out) > maxUDP+maxSignature {
				t.Errorf("%d octets", len(out))
			}
			var q query
			if q.parse(msg) == serve && !q.signed {
				if err := new(miekg.Msg).Unpack(out); err != nil {
					t.Errorf("%v: %x", err, out)
				}
			}
		}
	})
}
