package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newCA(t *testing.T, name string) *CA {
	t.Helper()
	ca, err := NewCA(name)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestServerAndClientTrustEachOther(t *testing.T) {
	ca := newCA(t, "test-ca")
	server := pair(t)(ca.Server("api", []string{"api.example.com", "127.0.0.1", "::1"}))
	client := pair(t)(ca.Client("sam", "gardeners", "ringbearers"))

	left, right := net.Pipe()
	serverSide := tls.Server(left, &tls.Config{
		Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	})
	done := make(chan error, 1)
	go func() { done <- serverSide.HandshakeContext(t.Context()) }()
	clientSide := tls.Client(right, &tls.Config{
		Certificates: []tls.Certificate{client}, RootCAs: ca.Pool(), ServerName: "127.0.0.1",
	})
	if err := clientSide.HandshakeContext(t.Context()); err != nil {
		t.Fatalf("client: %v", err)
	}
	if err := <-done; err != nil {
		t.Fatalf("server: %v", err)
	}
	subject := serverSide.ConnectionState().PeerCertificates[0].Subject
	if subject.CommonName != "sam" {
		t.Errorf("user is %q, want sam", subject.CommonName)
	}
	if diff := cmp.Diff([]string{"gardeners", "ringbearers"}, subject.Organization); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestCertificatesAreForOnePurpose(t *testing.T) {
	ca, other := newCA(t, "test-ca"), newCA(t, "other-ca")
	client := pair(t)(ca.Client("sam"))
	server := pair(t)(ca.Server("api", []string{"api.example.com"}))
	for _, test := range []struct {
		name string
		leaf *x509.Certificate
		opts x509.VerifyOptions
		want bool
	}{
		{"server as server", server.Leaf, x509.VerifyOptions{Roots: ca.Pool(), DNSName: "api.example.com"}, true},
		{"server under another name", server.Leaf, x509.VerifyOptions{Roots: ca.Pool(), DNSName: "example.com"}, false},
		{"server of another authority", server.Leaf, x509.VerifyOptions{Roots: other.Pool()}, false},
		{"client as server", client.Leaf, x509.VerifyOptions{Roots: ca.Pool()}, false},
		{"client as client", client.Leaf, x509.VerifyOptions{
			Roots: ca.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.leaf.Verify(test.opts); (err == nil) != test.want {
				t.Errorf("accepted: %t, want %t (%v)", err == nil, test.want, err)
			}
		})
	}
}

func TestLoadCA(t *testing.T) {
	ca, other := newCA(t, "test-ca"), newCA(t, "other-ca")
	leafCert, leafKey, err := ca.Client("sam")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		cert, key []byte
		wantError string
	}{
		{"its own", ca.CertPEM, ca.KeyPEM, ""},
		{"another's key", ca.CertPEM, other.KeyPEM, "does not belong"},
		{"not an authority", leafCert, leafKey, "not an authority"},
		{"no certificate", []byte("x"), ca.KeyPEM, "no CERTIFICATE block"},
		{"a key as the certificate", ca.KeyPEM, ca.KeyPEM, "no CERTIFICATE block"},
		{"no key", ca.CertPEM, nil, "no block in PEM form"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := LoadCA(test.cert, test.key)
			if test.wantError == "" && err != nil {
				t.Fatal(err)
			}
			if test.wantError != "" && (err == nil || !strings.Contains(err.Error(), test.wantError)) {
				t.Errorf("error %v, want one with %q", err, test.wantError)
			}
		})
	}
}

func pair(t *testing.T) func(certPEM, keyPEM []byte, err error) tls.Certificate {
	return func(certPEM, keyPEM []byte, err error) tls.Certificate {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		cert, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
}
