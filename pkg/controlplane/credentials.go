package controlplane

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubefed.dev/kubefed/internal/pki"
)

// Keys of the Secrets. Those of the Secrets of type kubernetes.io/tls are Kubernetes' own.
const (
	keyCACert     = "ca.crt"
	keyServiceKey = "service-account.key"
	keyEncryption = "encryption.yaml"
)

// renewBefore is how long before its end Init renews a certificate.
const renewBefore = 90 * 24 * time.Hour

// Credentials are the control plane's keys and certificates, in PEM where that applies.
type Credentials struct {
	CACert, CAKey           []byte
	ServingCert, ServingKey []byte
	// ServiceAccountKey signs and verifies service-account tokens.
	ServiceAccountKey []byte
	// Encryption is the EncryptionConfiguration by which the federation's Secrets are encrypted in etcd.
	Encryption []byte
}

// ServingHosts are the names and addresses at which the API may be called.
func ServingHosts(exposed []string) []string {
	return append([]string{
		Name, Name + "." + Namespace, Name + "." + Namespace + ".svc", Name + "." + Namespace + ".svc.cluster.local",
		"localhost", "127.0.0.1", "::1",
	}, exposed...)
}

// CompleteCredentials fills in what is missing in have, and renews the serving certificate where it does not cover
// hosts or ends within 90 days. What is there and good stays as it is, so that clients and stored data stay valid.
func CompleteCredentials(have Credentials, name string, hosts []string, now time.Time) (Credentials, error) {
	ca, err := authority(have, name)
	if err != nil {
		return have, err
	}
	have.CACert, have.CAKey = ca.CertPEM, ca.KeyPEM
	if !serves(have, ca, hosts, now) {
		// Addresses that the old certificate covered stay covered: somebody may still use them.
		hosts = append(hosts, oldHosts(have.ServingCert, hosts)...)
		if have.ServingCert, have.ServingKey, err = ca.Server(Name, hosts); err != nil {
			return have, err
		}
	}
	if len(have.ServiceAccountKey) == 0 {
		if have.ServiceAccountKey, err = pki.NewKey(); err != nil {
			return have, fmt.Errorf("making the key of service-account tokens: %w", err)
		}
	}
	if len(have.Encryption) == 0 {
		if have.Encryption, err = newEncryption(); err != nil {
			return have, fmt.Errorf("making the key of Secrets at rest: %w", err)
		}
	}
	return have, nil
}

func authority(have Credentials, name string) (*pki.CA, error) {
	if len(have.CACert) == 0 && len(have.CAKey) == 0 {
		return pki.NewCA(name + "-federation-ca")
	}
	ca, err := pki.LoadCA(have.CACert, have.CAKey)
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s/%s: %w; restore it, or undo with kubefed deinit", Namespace, SecretCA, err)
	}
	return ca, nil
}

func serves(have Credentials, ca *pki.CA, hosts []string, now time.Time) bool {
	pair, err := tls.X509KeyPair(have.ServingCert, have.ServingKey)
	if err != nil {
		return false
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), CurrentTime: now.Add(renewBefore)}); err != nil {
		return false
	}
	for _, host := range hosts {
		if pair.Leaf.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

// oldHosts are the names in a certificate that are not in hosts.
func oldHosts(certPEM []byte, hosts []string) []string {
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil
	}
	known := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			h = ip.String()
		}
		known[h] = true
	}
	var old []string
	for _, name := range cert.DNSNames {
		if !known[name] {
			old = append(old, name)
		}
	}
	for _, ip := range cert.IPAddresses {
		if !known[ip.String()] {
			old = append(old, ip.String())
		}
	}
	return old
}

// newEncryption makes an EncryptionConfiguration with a new key. The provider "identity" comes last so that Secrets
// that were stored in clear can still be read.
func newEncryption() ([]byte, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return []byte(`apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox:
      keys:
      - name: key1
        secret: ` + base64.StdEncoding.EncodeToString(key) + `
  - identity: {}
`), nil
}

// CredentialsFrom reads credentials back from the host's Secrets. Missing Secrets leave their fields empty.
func CredentialsFrom(secrets map[string]corev1.Secret) Credentials {
	return Credentials{
		CACert:            secrets[SecretCA].Data[corev1.TLSCertKey],
		CAKey:             secrets[SecretCA].Data[corev1.TLSPrivateKeyKey],
		ServingCert:       secrets[SecretServing].Data[corev1.TLSCertKey],
		ServingKey:        secrets[SecretServing].Data[corev1.TLSPrivateKeyKey],
		ServiceAccountKey: secrets[SecretKeys].Data[keyServiceKey],
		Encryption:        secrets[SecretKeys].Data[keyEncryption],
	}
}

// Lasting says whether the parts are there that can't be made again without losing data or locking clients out.
func (c Credentials) Lasting() bool {
	return len(c.CACert) > 0 && len(c.CAKey) > 0 && len(c.ServiceAccountKey) > 0 && len(c.Encryption) > 0
}

// AdminCertificate issues a client certificate of the federation's administrator.
func (c Credentials) AdminCertificate() (certPEM, keyPEM []byte, err error) {
	ca, err := pki.LoadCA(c.CACert, c.CAKey)
	if err != nil {
		return nil, nil, fmt.Errorf("reading Secret %s/%s: %w", Namespace, SecretCA, err)
	}
	return ca.Client("admin", "system:masters")
}

// adminValid says whether a client certificate is of this authority and good for another 90 days.
func (c Credentials) adminValid(certPEM, keyPEM []byte, now time.Time) bool {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return false
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CACert)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{
		Roots: pool, CurrentTime: now.Add(renewBefore), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

func sameAuthority(a, b []byte) bool {
	return len(a) > 0 && bytes.Equal(bytes.TrimSpace(a), bytes.TrimSpace(b))
}

func parseCert(certPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, errors.New("no certificate in PEM form")
	}
	return x509.ParseCertificate(block.Bytes)
}
