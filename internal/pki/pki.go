// Package pki makes certificate authorities and the server and client certificates that they sign, as PEM. Keys are
// ECDSA P-256: making one takes microseconds where RSA takes a noticeable part of a second. It reads and writes no
// files, renews nothing and keeps no state; callers store what it returns.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	// authorityLifetime and leafLifetime are generous because nothing renews these certificates by itself.
	authorityLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime      = 5 * 365 * 24 * time.Hour
	// skew lets a machine with a clock that is a little behind accept a certificate that was just made.
	skew = 10 * time.Minute
)

// CA is a certificate authority. Safe for concurrent use.
type CA struct {
	// CertPEM is public: it is what peers need to verify certificates of this authority.
	CertPEM []byte
	// KeyPEM is secret: whoever has it can sign.
	KeyPEM []byte

	cert *x509.Certificate
	key  crypto.Signer
}

// NewCA makes a self-signed authority.
func NewCA(commonName string) (*CA, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("making the key of authority %s: %w", commonName, err)
	}
	template, err := template(pkix.Name{CommonName: commonName}, authorityLifetime)
	if err != nil {
		return nil, fmt.Errorf("making authority %s: %w", commonName, err)
	}
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing authority %s: %w", commonName, err)
	}
	return LoadCA(encode("CERTIFICATE", der), keyPEM)
}

// LoadCA reads an authority from the PEM that NewCA made. It refuses a certificate that may not sign, and a key that
// does not belong to the certificate.
func LoadCA(certPEM, keyPEM []byte) (*CA, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("reading the authority's certificate: no CERTIFICATE block in PEM form")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's certificate: %w", err)
	}
	if !cert.IsCA {
		return nil, fmt.Errorf("certificate %q is not an authority: it may not sign others", cert.Subject.CommonName)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("reading the key of authority %q: %w", cert.Subject.CommonName, err)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("the key does not belong to the certificate of authority %q", cert.Subject.CommonName)
	}
	return &CA{CertPEM: certPEM, KeyPEM: keyPEM, cert: cert, key: key}, nil
}

// Server issues a certificate for a server that is reached by the given host names and IP addresses.
func (c *CA) Server(commonName string, hosts []string) (certPEM, keyPEM []byte, err error) {
	return c.issue(pkix.Name{CommonName: commonName}, hosts, x509.ExtKeyUsageServerAuth)
}

// Client issues a certificate for a client. Kubernetes takes the common name as the user and the groups as the user's
// groups.
func (c *CA) Client(commonName string, groups ...string) (certPEM, keyPEM []byte, err error) {
	return c.issue(pkix.Name{CommonName: commonName, Organization: groups}, nil, x509.ExtKeyUsageClientAuth)
}

// Pool holds the authority's certificate alone.
func (c *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return pool
}

func (c *CA) issue(subject pkix.Name, hosts []string, usage x509.ExtKeyUsage) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, fmt.Errorf("making a key for %s: %w", subject.CommonName, err)
	}
	template, err := template(subject, leafLifetime)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing a certificate for %s: %w", subject.CommonName, err)
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if template.NotAfter.After(c.cert.NotAfter) {
		template.NotAfter = c.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key.Public(), c.key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the certificate of %s: %w", subject.CommonName, err)
	}
	return encode("CERTIFICATE", der), keyPEM, nil
}

// NewKey makes a private key that belongs to no certificate, for example to sign service-account tokens.
func NewKey() (keyPEM []byte, err error) {
	_, keyPEM, err = newKey()
	return keyPEM, err
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, encode("EC PRIVATE KEY", der), nil
}

func parseKey(keyPEM []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("no block in PEM form")
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func template(subject pkix.Name, lifetime time.Duration) (*x509.Certificate, error) {
	// RFC 5280 section 4.1.2.2: positive, unique for the authority, at most 20 octets.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               subject,
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(lifetime),
		BasicConstraintsValid: true,
	}, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
