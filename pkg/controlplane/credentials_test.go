package controlplane

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func complete(t *testing.T, have Credentials, now time.Time, exposed ...string) Credentials {
	t.Helper()
	c, err := CompleteCredentials(have, "fellowship", ServingHosts(exposed), now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func servingCert(t *testing.T, c Credentials) *x509.Certificate {
	t.Helper()
	cert, err := parseCert(c.ServingCert)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCompleteCredentials(t *testing.T) {
	now := time.Now()
	first := complete(t, Credentials{}, now, "192.0.2.1")
	for _, host := range []string{"192.0.2.1", "127.0.0.1", "::1", "localhost", "federation-apiserver.federation-system.svc"} {
		if err := servingCert(t, first).VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if !first.Lasting() {
		t.Error("something that must last is missing")
	}

	t.Run("what is good stays", func(t *testing.T) {
		if diff := cmp.Diff(first, complete(t, first, now, "192.0.2.1")); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
	t.Run("a new address gets a new certificate that covers the old one too", func(t *testing.T) {
		second := complete(t, first, now, "api.example.com")
		for _, host := range []string{"192.0.2.1", "api.example.com"} {
			if err := servingCert(t, second).VerifyHostname(host); err != nil {
				t.Error(err)
			}
		}
		second.ServingCert, second.ServingKey = first.ServingCert, first.ServingKey
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("more than the serving certificate changed (-first +second):\n%s", diff)
		}
	})
	t.Run("a certificate near its end is renewed", func(t *testing.T) {
		end := servingCert(t, first).NotAfter
		if c := complete(t, first, end.Add(-100*24*time.Hour), "192.0.2.1"); !cmp.Equal(c, first) {
			t.Error("renewed 100 days before its end")
		}
		if c := complete(t, first, end.Add(-80*24*time.Hour), "192.0.2.1"); cmp.Equal(c.ServingCert, first.ServingCert) {
			t.Error("not renewed 80 days before its end")
		}
	})
	t.Run("a broken authority is not replaced", func(t *testing.T) {
		broken := first
		broken.CAKey = []byte("x")
		if _, err := CompleteCredentials(broken, "fellowship", nil, now); err == nil {
			t.Error("no error")
		}
	})
}

func TestCredentialsSurviveTheirSecrets(t *testing.T) {
	want := complete(t, Credentials{}, time.Now())
	stored := map[string]corev1.Secret{}
	for _, s := range secrets(validated(t, nil), want) {
		stored[s.Name] = s
	}
	if diff := cmp.Diff(want, CredentialsFrom(stored)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAdminCertificate(t *testing.T) {
	now := time.Now()
	c, other := complete(t, Credentials{}, now), complete(t, Credentials{}, now)
	certPEM, keyPEM, err := c.AdminCertificate()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := parseCert(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Subject.CommonName != "admin" || !cmp.Equal(cert.Subject.Organization, []string{"system:masters"}) {
		t.Errorf("it is of %s", cert.Subject)
	}
	for _, test := range []struct {
		name string
		c    Credentials
		at   time.Time
		want bool
	}{
		{"of this authority", c, now, true},
		{"of another", other, now, false},
		{"near its end", c, cert.NotAfter.Add(-24 * time.Hour), false},
	} {
		if got := test.c.adminValid(certPEM, keyPEM, test.at); got != test.want {
			t.Errorf("%s: valid is %t, want %t", test.name, got, test.want)
		}
	}
}
