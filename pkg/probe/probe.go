// Package probe asks one address one question: does something there accept a connection, or answer an HTTP request as expected.
// The control plane and witnesses ask the same way. It keeps nothing between two questions and decides nothing.
package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Defaults of a Target.
const (
	DefaultPeriod  = 2 * time.Second
	DefaultTimeout = 2 * time.Second
)

// Target is a question to an address. Targets with the same fields are the same question.
type Target struct {
	// Cluster is the one whose address it is.
	Cluster string `json:"cluster"`
	// Address is HOST:PORT.
	Address string `json:"address"`
	// Type is federation.ProbeTCP, ProbeHTTP or ProbeHTTPS; empty is TCP.
	Type string `json:"type,omitempty"`
	// Host is the Host header and TLS server name; the address where empty.
	Host string `json:"host,omitempty"`
	// Path is "/" where empty.
	Path string `json:"path,omitempty"`
	// MinStatus and MaxStatus are the expected HTTP status; 200 and 399 where both are 0.
	MinStatus int `json:"minStatus,omitempty"`
	MaxStatus int `json:"maxStatus,omitempty"`
	// CA (PEM) has the server's certificate verified; without it, it is not, as kubelet does.
	CA string `json:"ca,omitempty"`
	// Timeout for everything together; DefaultTimeout where 0.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Of is the question that an EndpointProbe asks at an address, and false where it asks none.
func Of(p *federation.EndpointProbe, cluster, address string) (Target, bool) {
	t := Target{Cluster: cluster, Address: address, Type: federation.ProbeTCP}
	if p == nil {
		return t, true
	}
	if p.Type == federation.ProbeNone {
		return Target{}, false
	}
	if p.Type != "" {
		t.Type = p.Type
	}
	t.Host, t.Path = p.Host, p.Path
	if low, high, ok := StatusRange(p.ExpectedStatus); ok {
		t.MinStatus, t.MaxStatus = low, high
	}
	if p.TimeoutSeconds != nil {
		t.Timeout = time.Duration(*p.TimeoutSeconds) * time.Second
	}
	return t, true
}

// StatusRange reads "200" or "200-399".
func StatusRange(text string) (low, high int, ok bool) {
	first, last, ranged := strings.Cut(text, "-")
	low, err := strconv.Atoi(first)
	if err != nil || low < 100 || low > 599 {
		return 0, 0, false
	}
	if !ranged {
		return low, low, true
	}
	high, err = strconv.Atoi(last)
	return low, high, err == nil && high >= low && high <= 599
}

// Ask asks, and returns nil for the expected answer. It never waits for longer than the timeout.
func Ask(ctx context.Context, t Target) error {
	timeout := t.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	err := ask(ctx, t)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return plain(err)
}

func ask(ctx context.Context, t Target) error {
	if t.Type == federation.ProbeHTTP || t.Type == federation.ProbeHTTPS {
		return get(ctx, t)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func get(ctx context.Context, t Target) error {
	scheme := "http"
	// Each question is a new connection: an old one could outlive what it is to tell of.
	transport := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 0}
	if t.Type == federation.ProbeHTTPS {
		scheme = "https"
		transport.TLSClientConfig = &tls.Config{ServerName: t.Host, InsecureSkipVerify: t.CA == ""} //nolint:gosec // who answers is not the question
		if t.CA != "" {
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM([]byte(t.CA)) {
				return errors.New("the certificate authority is no PEM")
			}
			transport.TLSClientConfig.RootCAs = pool
		}
	}
	path := t.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+t.Address+path, nil)
	if err != nil {
		return err
	}
	if t.Host != "" {
		request.Host = t.Host
	}
	request.Header.Set("User-Agent", "kubefed-probe")
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 512)
	low, high := t.MinStatus, t.MaxStatus
	if low == 0 && high == 0 {
		low, high = 200, 399
	}
	if response.StatusCode < low || response.StatusCode > high {
		return fmt.Errorf("status %d, expected %d to %d", response.StatusCode, low, high)
	}
	return nil
}

// plain leaves out of an error what differs from try to try, such as local ports.
func plain(err error) error {
	var operation *net.OpError
	var request *url.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &operation):
		return operation.Err
	case errors.As(err, &request):
		return request.Err
	}
	return err
}
