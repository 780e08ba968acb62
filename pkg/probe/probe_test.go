package probe_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
)

func TestAsk(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host == "shop.example.com" && r.URL.Path == "/healthz":
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := closed.Addr().String()
	closed.Close()
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for name, test := range map[string]struct {
		target probe.Target
		want   string
	}{
		"TCP":              {probe.Target{Address: at(plain)}, ""},
		"TCP, refused":     {probe.Target{Address: gone}, "connection refused"},
		"HTTP":             {probe.Target{Address: at(plain), Type: federation.ProbeHTTP, Host: "shop.example.com", Path: "healthz"}, ""},
		"HTTP, other host": {probe.Target{Address: at(plain), Type: federation.ProbeHTTP, Path: "/healthz"}, "status 500"},
		"HTTP, redirect":   {probe.Target{Address: at(plain), Type: federation.ProbeHTTP, Path: "/moved"}, ""},
		"HTTP, status":     {probe.Target{Address: at(plain), Type: federation.ProbeHTTP, Path: "/x", MinStatus: 500, MaxStatus: 500}, ""},
		"HTTPS":            {probe.Target{Address: at(secure), Type: federation.ProbeHTTPS, Host: "shop.example.com", Path: "/healthz"}, ""},
		"hanging":          {probe.Target{Address: silent.Addr().String(), Type: federation.ProbeHTTP, Timeout: 50 * time.Millisecond}, "no answer within 50ms"},
	} {
		t.Run(name, func(t *testing.T) {
			err := probe.Ask(t.Context(), test.target)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestStatusRange(t *testing.T) {
	for text, want := range map[string][2]int{"200": {200, 200}, "200-399": {200, 399}, "": {}, "399-200": {}, "20": {}, "200-900": {}} {
		low, high, ok := probe.StatusRange(text)
		if ok != (want != [2]int{}) || ok && [2]int{low, high} != want {
			t.Errorf("%q: %d-%d, %v", text, low, high, ok)
		}
	}
}
