package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
	"pgregory.net/rapid"

	"kubefed.dev/kubefed/pkg/dns"
)

func TestBadPackets(t *testing.T) {
	s := newServer(t, Config{})
	header := func(flags, qd, an, ns, ar string) string { return "abcd" + flags + qd + an + ns + ar }
	q := "03777777" + "00" + "0001" + "0001"
	for _, test := range []struct {
		name, packet string
		rcode        int // -1: no answer
	}{
		{"empty", "", -1},
		{"half a header", "abcd01", -1},
		{"an answer", header("8100", "0001", "0000", "0000", "0000") + q, -1},
		{"no question", header("0100", "0000", "0000", "0000", "0000"), rcodeFormErr},
		{"two questions", header("0100", "0002", "0000", "0000", "0000") + q + q, rcodeFormErr},
		{"a question cut off", header("0100", "0001", "0000", "0000", "0000") + "0377", rcodeFormErr},
		{"a pointer in the question", header("0100", "0001", "0000", "0000", "0000") + "c00c00010001", rcodeFormErr},
		{"records in the answer section", header("0100", "0001", "0001", "0000", "0000") + q + "00000100010000000000047f000001", rcodeFormErr},
		{"two OPT records", header("0100", "0001", "0000", "0000", "0002") + q + strings.Repeat("000029100000000000"+"0000", 2), rcodeFormErr},
		{"an OPT record not at the root", header("0100", "0001", "0000", "0000", "0001") + q + "01610000291000000000000000", rcodeFormErr},
		{"an option cut off", header("0100", "0001", "0000", "0000", "0001") + q + "00002910000000000000040003ffff", rcodeFormErr},
		{"a cookie of 9 octets", header("0100", "0001", "0000", "0000", "0001") + q + "000029100000000000000d" + "000a0009" + strings.Repeat("ab", 9), rcodeFormErr},
		{"a client subnet with bits beyond its prefix", header("0100", "0001", "0000", "0000", "0001") + q + "000029100000000000000b" + "00080007" + "00010f00" + "c0ffff", rcodeFormErr},
		{"EDNS 1", header("0100", "0001", "0000", "0000", "0001") + q + "0000291000000100000000", rcodeBadVers},
		{"UPDATE", header("2800", "0001", "0000", "0000", "0000") + q, rcodeFormErr},
		{"NOTIFY", header("2000", "0001", "0000", "0000", "0000") + q, rcodeNotImp},
		{"class CHAOS", header("0100", "0001", "0000", "0000", "0000") + "0776657273696f6e0462696e6400" + "0010" + "0003", rcodeRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw, err := hex.DecodeString(test.packet)
			if err != nil {
				t.Fatal(err)
			}
			out := s.respond(nil, raw, resolver, false)
			if out == nil || test.rcode < 0 {
				if (out == nil) != (test.rcode < 0) {
					t.Errorf("answer %x", out)
				}
				return
			}
			m := new(miekg.Msg)
			if err := m.Unpack(out); err != nil {
				t.Fatalf("%v: %x", err, out)
			}
			rcode := m.Rcode
			if opt := m.IsEdns0(); opt != nil {
				rcode = opt.ExtendedRcode() | m.Rcode
			}
			if rcode != test.rcode || m.Id != 0xabcd || !m.Response {
				t.Errorf("%v", m)
			}
		})
	}
}

// TestSizes holds I20: no answer is larger than the client takes, unless it says that it is truncated.
func TestSizes(t *testing.T) {
	dir := t.TempDir()
	plainServer := newServer(t, Config{RateLimit: -1})
	zone := fedZone()
	zone.Signed = true
	signedServer := newServer(t, Config{RateLimit: -1, Zones: []Zone{zone}, Directory: dir})
	defer signedServer.Wait()
	names := []string{"web.shop.fed.example.", "alias.fed.example.", "big.fed.example.", "near.fed.example.", "x.wild.fed.example.", "nothing.fed.example.", "fed.example.", "loop.fed.example."}
	rapid.Check(t, func(r *rapid.T) {
		s := rapid.SampledFrom([]*Server{plainServer, signedServer}).Draw(r, "server")
		m := question(rapid.SampledFrom(names).Draw(r, "name"), rapid.SampledFrom([]uint16{typeA, typeTXT, typeNS, typeANY, typeSOA, typeDNSKEY}).Draw(r, "type"))
		limit := 512
		if rapid.Bool().Draw(r, "edns") {
			size := rapid.Uint16Range(0, 4096).Draw(r, "size")
			m.SetEdns0(size, rapid.Bool().Draw(r, "do"))
			limit = min(max(512, int(size)), maxUDP)
			if rapid.Bool().Draw(r, "cookie") {
				m.IsEdns0().Option = append(m.IsEdns0().Option, &miekg.EDNS0_COOKIE{Code: miekg.EDNS0COOKIE, Cookie: "0123456789abcdef"})
			}
		}
		raw, err := m.Pack()
		if err != nil {
			r.Fatal(err)
		}
		out := s.respond(nil, raw, resolver, false)
		reply := new(miekg.Msg)
		if err := reply.Unpack(out); err != nil {
			r.Fatal(err)
		}
		if len(out) > limit {
			r.Errorf("%d octets, the limit is %d: %v", len(out), limit, reply)
		}
		over := new(miekg.Msg)
		if err := over.Unpack(s.respond(nil, raw, resolver, true)); err != nil {
			r.Fatal(err)
		}
		if over.Truncated {
			r.Errorf("truncated over TCP: %v", over)
		}
		if !reply.Truncated && len(over.Answer) != len(reply.Answer) {
			r.Errorf("%d records over UDP, %d over TCP: %v", len(reply.Answer), len(over.Answer), reply)
		}
	})
}

func TestCookies(t *testing.T) {
	// RFC 9018 appendix A.1: learning a new server cookie.
	secret, _ := hex.DecodeString("e5e973e5a6b2a43f48e7dc849e37bfcf")
	le := func(b []byte) (n uint64) {
		for i := range 8 {
			n |= uint64(b[i]) << (8 * i)
		}
		return n
	}
	c := cookies{le(secret), le(secret[8:])}
	client, _ := hex.DecodeString("2464c4abcf10c957")
	var out [24]byte
	addr := netip.MustParseAddr("198.51.100.100")
	c.write(out[:], client, addr, 1559731985)
	if got := hex.EncodeToString(out[:]); got != "2464c4abcf10c957010000005cf79f111f8130c3eee29480" {
		t.Errorf("cookie %s", got)
	}
	for name, test := range map[string]struct {
		addr netip.Addr
		now  uint32
		want bool
	}{
		"at once":         {addr, 1559731985, true},
		"within the hour": {addr, 1559731985 + 3600, true},
		"too old":         {addr, 1559731985 + 3601, false},
		"of the future":   {addr, 1559731985 - 301, false},
		"another client":  {netip.MustParseAddr("198.51.100.101"), 1559731985, false},
	} {
		if got := c.valid(out[:], test.addr, test.now); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRateLimit(t *testing.T) {
	now := uint32(1000)
	s := newServer(t, Config{RateLimit: 10})
	s.limiter.clock = func() uint32 { return now }
	raw, _ := question("web.shop.fed.example.", typeA).Pack()
	count := func(n int, msg []byte, client string) (full, slipped, dropped int) {
		for range n {
			switch out := s.respond(nil, msg, netip.MustParseAddr(client), false); {
			case out == nil:
				dropped++
			case out[2]&2 != 0:
				slipped++
			default:
				full++
			}
		}
		return full, slipped, dropped
	}
	if full, slipped, dropped := count(1000, raw, "192.0.2.1"); full != 10 || slipped < 400 || dropped < 400 {
		t.Errorf("of 1000: %d answered, %d slipped, %d dropped", full, slipped, dropped)
	}
	if full, _, _ := count(10, raw, "192.0.2.200"); full != 0 {
		t.Errorf("the same network: %d answered", full)
	}
	if full, _, _ := count(10, raw, "198.51.100.1"); full != 10 {
		t.Errorf("another network: %d of 10 answered", full)
	}
	random := 0
	for i := range 100 {
		miss, _ := question(fmt.Sprintf("x%d.fed.example.", i), typeA).Pack()
		full, _, _ := count(1, miss, "203.0.113.1")
		random += full
	}
	if random != 10 {
		t.Errorf("names that do not exist are of one kind: %d answered, want 10", random)
	}
	m := question("web.shop.fed.example.", typeA)
	m.SetEdns0(1232, false)
	var cookie [24]byte
	s.cookies.write(cookie[:], []byte("01234567"), netip.MustParseAddr("192.0.2.1"), s.now())
	m.IsEdns0().Option = []miekg.EDNS0{&miekg.EDNS0_COOKIE{Code: miekg.EDNS0COOKIE, Cookie: hex.EncodeToString(cookie[:])}}
	known, _ := m.Pack()
	if full, _, _ := count(100, known, "192.0.2.1"); full != 100 {
		t.Errorf("with a cookie: %d of 100 answered", full)
	}
	now += limitWindow + 2
	if full, _, _ := count(5, raw, "192.0.2.1"); full != 5 {
		t.Errorf("after the window: %d of 5 answered", full)
	}
}

func addresses(m *miekg.Msg) map[string]bool {
	got := map[string]bool{}
	for _, rr := range m.Answer {
		if a, ok := rr.(*miekg.A); ok {
			got[strings.TrimPrefix(a.A.String(), "192.0.2.")] = true
		}
	}
	return got
}

func TestNearest(t *testing.T) {
	s := newServer(t, Config{RateLimit: -1, Networks: []Network{
		{netip.MustParsePrefix("198.51.0.0/16"), dns.Place{Provider: "gcp", Region: "west"}},
		{netip.MustParsePrefix("198.51.100.0/24"), dns.Place{Provider: "aws", Region: "west"}},
		{netip.MustParsePrefix("2001:db8::/32"), dns.Place{Provider: "gcp", Region: "north"}},
		{netip.MustParsePrefix("192.0.2.0/24"), dns.Place{Region: "east"}},
	}})
	for _, test := range []struct {
		subnet string
		want   string
	}{
		{"198.51.100.0/24", "21"},
		{"198.51.7.0/24", "22"},
		{"198.0.0.0/8", "21 22 23"},
		{"2001:db8:1::/48", "22 23"},
		{"203.0.113.0/24", "21 22 23"},
		{"0.0.0.0/0", "21 22 23"},
		{"", "23"}, // by the resolver's own address
	} {
		m := question("near.fed.example.", typeA)
		m.SetEdns0(1232, false)
		if test.subnet != "" {
			p := netip.MustParsePrefix(test.subnet)
			family := uint16(1)
			if p.Addr().Is6() {
				family = 2
			}
			m.IsEdns0().Option = []miekg.EDNS0{&miekg.EDNS0_SUBNET{Code: miekg.EDNS0SUBNET, Family: family, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice()}}
		}
		reply := ask(t, s, m)
		got := addresses(reply)
		for n := range strings.FieldsSeq(test.want) {
			if !got[n] {
				t.Errorf("%s: %v, want %s", test.subnet, got, test.want)
			}
		}
		if len(got) != len(strings.Fields(test.want)) {
			t.Errorf("%s: %v, want %s", test.subnet, got, test.want)
		}
		if test.subnet == "" {
			continue
		}
		subnet, ok := reply.IsEdns0().Option[0].(*miekg.EDNS0_SUBNET)
		if !ok || subnet.SourceScope != subnet.SourceNetmask {
			t.Errorf("%s: option %v", test.subnet, reply.IsEdns0().Option)
		}
	}
	m := question("web.shop.fed.example.", typeA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []miekg.EDNS0{&miekg.EDNS0_SUBNET{Code: miekg.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(198, 51, 100, 0)}}
	if subnet := ask(t, s, m).IsEdns0().Option[0].(*miekg.EDNS0_SUBNET); subnet.SourceScope != 0 {
		t.Errorf("an answer for all has scope %d", subnet.SourceScope)
	}
}

func TestWeighted(t *testing.T) {
	s := newServer(t, Config{RateLimit: -1})
	hits := map[string]int{}
	const n = 8000
	for range n {
		for a := range addresses(ask(t, s, question("weighted.fed.example.", typeA))) {
			hits[a]++
		}
	}
	if hits["33"] != 0 || hits["31"]+hits["32"] != n || hits["31"] < n*70/100 || hits["31"] > n*80/100 {
		t.Errorf("hits %v, want 3 to 1 to 0", hits)
	}
}

func TestStreams(t *testing.T) {
	certificate, pool := certify(t)
	s := start(t, Config{Zones: []Zone{fedZone()}, ID: "ns-1", Listen: []string{"127.0.0.1:0"}, ListenTLS: []string{"127.0.0.1:0"}, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}})
	sample(t, s)
	m := question("big.fed.example.", typeTXT)
	over := func(client *miekg.Client, address netip.AddrPort) *miekg.Msg {
		t.Helper()
		reply, _, err := client.Exchange(m, address.String())
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	if reply := over(&miekg.Client{}, s.Addresses()[0]); !reply.Truncated {
		t.Errorf("over UDP: %v", reply)
	}
	if reply := over(&miekg.Client{Net: "tcp"}, s.Addresses()[0]); len(reply.Answer) != 100 {
		t.Errorf("over TCP: %d records", len(reply.Answer))
	}
	if reply := over(&miekg.Client{Net: "tcp-tls", TLSConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}}, s.Addresses()[1]); len(reply.Answer) != 100 {
		t.Errorf("over TLS: %d records", len(reply.Answer))
	}
	m = question("web.shop.fed.example.", typeA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []miekg.EDNS0{&miekg.EDNS0_NSID{Code: miekg.EDNS0NSID}}
	reply := over(&miekg.Client{}, s.Addresses()[0])
	if nsid, ok := reply.IsEdns0().Option[0].(*miekg.EDNS0_NSID); !ok || nsid.Nsid != hex.EncodeToString([]byte("ns-1")) {
		t.Errorf("name server identifier: %v", reply)
	}
	pipelined(t, s.Addresses()[0])
}

// TestAllAddresses: an answer comes from the address that was asked.
func TestAllAddresses(t *testing.T) {
	for _, listen := range []string{":0", "0.0.0.0:0"} {
		s := start(t, Config{Zones: []Zone{fedZone()}, Listen: []string{listen}})
		sample(t, s)
		for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
			reply, _, err := new(miekg.Client).Exchange(question("web.shop.fed.example.", typeA), fmt.Sprintf("%s:%d", host, s.Addresses()[0].Port()))
			if err != nil || len(reply.Answer) != 2 {
				t.Errorf("listening at %s, asked at %s: %v, %v", listen, host, reply, err)
			}
		}
	}
}

// pipelined sends several questions before it reads an answer.
func pipelined(t *testing.T, address netip.AddrPort) {
	t.Helper()
	conn, err := miekg.Dial("tcp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	for id := range uint16(50) {
		m := question("web.shop.fed.example.", typeA)
		m.Id = id
		if err := conn.WriteMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	for id := range uint16(50) {
		m, err := conn.ReadMsg()
		if err != nil || m.Id != id || len(m.Answer) != 2 {
			t.Fatalf("answer %d: %v, %v", id, m, err)
		}
	}
}

func certify(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, priv.Public(), priv)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: priv}, pool
}
