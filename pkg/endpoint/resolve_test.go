package endpoint

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestLookUp asks a real DNS server, over the network.
func TestLookUp(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	zone := map[uint16][]string{
		dns.TypeA:    {"lb.example.com. 60 IN CNAME a.example.net.", "a.example.net. 7 IN A 192.0.2.2", "a.example.net. 7 IN A 192.0.2.1"},
		dns.TypeAAAA: {"lb.example.com. 60 IN CNAME a.example.net.", "a.example.net. 9 IN AAAA 2001:db8::1"},
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Name != "lb.example.com." {
			m.Rcode = dns.RcodeNameError
		} else {
			for _, text := range zone[q.Question[0].Qtype] {
				if rr, err := dns.NewRR(text); err == nil {
					m.Answer = append(m.Answer, rr)
				}
			}
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }() // ends with Shutdown
	t.Cleanup(func() { _ = server.Shutdown() })
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}
	found, err := lookUp(t.Context(), "lb.example.com", dial)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found.Addresses, netip.Addr.Compare)
	if want := []netip.Addr{addr("192.0.2.1"), addr("192.0.2.2"), addr("2001:db8::1")}; !slices.Equal(found.Addresses, want) || found.TTL != 7*time.Second {
		t.Errorf("found %v for %s, not %v for 7s", found.Addresses, found.TTL, want)
	}
	if _, err := lookUp(t.Context(), "gone.example.com", dial); err == nil || err.Error() != "there is no such name" {
		t.Errorf("error %v", err)
	}
}
