package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// userAgent is how the federation shows in members' audit logs.
const userAgent = "kubefed"

// Limits of every connection to a member. A peer that vanished without a word is noticed by pings after
// pingAfter+pingTimeout, instead of client-go's 45 s; an answer must begin within answerTimeout.
const (
	dialTimeout   = 5 * time.Second
	pingAfter     = 3 * time.Second
	pingTimeout   = 3 * time.Second
	answerTimeout = 30 * time.Second
)

var errNoCertificate = errors.New("holds no PEM certificate")

// newConfig makes the configuration of a connection to server. ca is PEM; without it the system's roots are trusted.
// Every connection has a transport of its own: client-go would share one between members with equal TLS settings, and
// keep it after the member left.
func newConfig(server string, ca []byte, token func() string) (*rest.Config, *http.Transport, error) {
	var roots *x509.CertPool
	if len(ca) > 0 {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			return nil, nil, errNoCertificate
		}
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   25,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	return &rest.Config{
		Host:      server,
		UserAgent: userAgent,
		QPS:       -1, // members protect themselves (API priority and fairness); a queue here would hide who is slow
		Transport: transport,
		WrapTransport: func(next http.RoundTripper) http.RoundTripper {
			return &bearer{token: token, next: next}
		},
	}, transport, nil
}

// bearer sends the token in use at the time of each request, so that a rotation needs no new connection.
type bearer struct {
	token func() string
	next  http.RoundTripper
}

func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") == "" {
		req = utilnet.CloneRequest(req)
		req.Header.Set("Authorization", "Bearer "+b.token())
	}
	return b.next.RoundTrip(req)
}

// WrappedRoundTripper lets proxies find the TLS settings below (k8s.io/apimachinery/pkg/util/net).
func (b *bearer) WrappedRoundTripper() http.RoundTripper { return b.next }
