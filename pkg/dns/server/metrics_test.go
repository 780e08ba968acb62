package server

import (
	"net/netip"
	"testing"

	miekg "github.com/miekg/dns"
	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus"
)

func valueOf(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// TestMetrics counts answers by transport and code.
func TestMetrics(t *testing.T) {
	s, err := New(Config{Listen: []string{"127.0.0.1:0"}, Zones: []Zone{fedZone()}, RateLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Wait)
	for _, test := range []struct {
		network, name string
		counter       prometheus.Counter
	}{
		{"udp", "fed.example.", answeredPackets[miekg.RcodeSuccess]},
		{"udp", "nothing.fed.example.", answeredPackets[miekg.RcodeNameError]},
		{"udp", "elsewhere.example.", answeredPackets[miekg.RcodeRefused]},
		{"tcp", "nothing.fed.example.", answeredStreams[miekg.RcodeNameError]},
	} {
		before := valueOf(t, test.counter)
		client := &miekg.Client{Net: test.network}
		// The answer is counted before the next one is given.
		for range 2 {
			if _, _, err := client.Exchange(question(test.name, typeA), s.Addresses()[0].String()); err != nil {
				t.Fatal(err)
			}
		}
		if n := valueOf(t, test.counter) - before; n < 1 || n > 2 {
			t.Errorf("%s over %s: counted %v times", test.name, test.network, n)
		}
	}
}

// TestCookiesOutliveARestart: a client's cookie of before is good after.
func TestCookiesOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	before, err := newCookies(dir)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr("192.0.2.1")
	var cookie [24]byte
	before.write(cookie[:], []byte("01234567"), addr, 1000)
	after, err := newCookies(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !after.valid(cookie[:], addr, 1010) {
		t.Error("the cookie is not taken after a restart")
	}
	if other, err := newCookies(t.TempDir()); err != nil || other.valid(cookie[:], addr, 1010) {
		t.Errorf("another server takes the cookie; error %v", err)
	}
}
