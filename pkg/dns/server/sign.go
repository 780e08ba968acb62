package server

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	miekg "github.com/miekg/dns"
)

const (
	signatureLife = 7 * 24 * time.Hour
	// signatureLeft is when a signature is made anew; no cached answer outlives its signature then.
	signatureLeft = 2 * 24 * time.Hour
	// signatureSlack allows for clocks that are late.
	signatureSlack = time.Hour
	maxSignatures  = 20000
	keyTTL         = 300
)

// signer signs what a zone answers when it is asked (ECDSA P-256, RFC 6605), with one key for data and keys.
type signer struct {
	zone string
	key  *miekg.DNSKEY
	priv crypto.Signer

	mu    sync.Mutex
	cache map[signed]signature
}

type signed struct {
	name   string
	rrtype uint16
	wire   string
}

type signature struct {
	wire    []byte
	expires time.Time
}

// loadSigner reads a zone's key, or makes one.
func loadSigner(zone, path string) (*signer, error) {
	priv, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		priv, err = makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("key of zone %s: %w", zone, err)
	}
	point, err := priv.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("key of zone %s: %w", zone, err)
	}
	key := &miekg.DNSKEY{
		Hdr:   miekg.RR_Header{Name: zone, Rrtype: typeDNSKEY, Class: classIN, Ttl: keyTTL},
		Flags: miekg.ZONE | miekg.SEP, Protocol: 3, Algorithm: miekg.ECDSAP256SHA256,
		PublicKey: base64.StdEncoding.EncodeToString(point[1:]), // Without the octet that says "uncompressed".
	}
	return &signer{zone: zone, key: key, priv: priv, cache: map[signed]signature{}}, nil
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM; restore it, or remove it and publish the new key's DS record", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	priv, ok := key.(*ecdsa.PrivateKey)
	if !ok || priv.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s is not a key of ECDSA P-256", path)
	}
	return priv, nil
}

func makeKey(path string) (*ecdsa.PrivateKey, error) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return nil, err
	}
	return priv, replaceFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// sets are the records of the key at the apex: DNSKEY, and CDS and CDNSKEY for a parent that looks (RFC 7344).
func (s *signer) sets() ([]rrset, error) {
	var sets []rrset
	for _, rr := range []miekg.RR{s.key, s.key.ToDS(miekg.SHA256).ToCDS(), s.key.ToCDNSKEY()} {
		data, err := packRR(rr)
		if err != nil {
			return nil, err
		}
		t := rr.Header().Rrtype
		sets = append(sets, rrset{rrtype: t, plain: choice{ttl: keyTTL, count: 1, wire: appendRecord(nil, t, keyTTL, data)}})
	}
	return sets, nil
}

// sign is the RRSIG record of records in wire format, whose owner is a pointer to the question's name.
func (s *signer) sign(name []byte, rrtype uint16, wire []byte, now time.Time) ([]byte, error) {
	id := signed{string(name), rrtype, string(wire)}
	s.mu.Lock()
	cached, ok := s.cache[id]
	s.mu.Unlock()
	if ok && now.Add(signatureLeft).Before(cached.expires) {
		return cached.wire, nil
	}
	rrs, err := unpackSet(name, wire)
	if err != nil {
		return nil, err
	}
	expires := now.Add(signatureLife)
	sig := &miekg.RRSIG{Algorithm: s.key.Algorithm, KeyTag: s.key.KeyTag(), SignerName: s.zone,
		Inception: uint32(now.Add(-signatureSlack).Unix()), Expiration: uint32(expires.Unix())}
	if err := sig.Sign(s.priv, rrs); err != nil {
		return nil, fmt.Errorf("signing %s: %w", rrs[0].Header().Name, err)
	}
	data, err := packRR(sig)
	if err != nil {
		return nil, err
	}
	out := appendRecord(nil, typeRRSIG, rrs[0].Header().Ttl, data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cache) >= maxSignatures {
		clear(s.cache)
	}
	s.cache[id] = signature{out, expires}
	return out, nil
}

// unpackSet reads records whose owner is a pointer to the question's name.
func unpackSet(name, wire []byte) ([]miekg.RR, error) {
	msg := append(append(make([]byte, headerSize), name...), wire...)
	var rrs []miekg.RR
	for at := headerSize + len(name); at < len(msg); {
		rr, next, err := miekg.UnpackRR(msg, at)
		if err != nil {
			return nil, err
		}
		rrs, at = append(rrs, rr), next
	}
	return rrs, nil
}

// sign adds the signature of records that were just written and returns the number of records added.
func (a *answer) sign(z *zone, wire []byte, rrtype uint16, name []byte, pointer int) int {
	if !a.q.do || z.signer == nil || a.truncated {
		return 0
	}
	sig, err := z.signer.sign(name, rrtype, wire, time.Now())
	if err != nil {
		return 0 // The records are served; who validates will not take them.
	}
	before := len(a.out)
	if !a.write(sig, name, pointer) {
		a.truncate(before)
		return 0
	}
	return 1
}

// deny adds the NSEC record that says which types a name has, or that there is no such name (compact denial, RFC 9824).
func (a *answer) deny(z *zone, name []byte, pointer int, n *node) {
	// The next name is the smallest behind this one, a label of one zero octet below it.
	next := append([]byte{1, 0}, name...)
	if len(next) > maxName {
		return
	}
	types := map[uint16]bool{typeRRSIG: true, typeNSEC: true}
	if n == nil {
		types[typeNXNAME] = true
	} else {
		for _, set := range n.sets {
			types[set.rrtype] = true
		}
	}
	ttl := z.soa.plain.ttl
	wire := appendRecord(nil, typeNSEC, ttl, append(next, typeBitmap(types)...))
	before := len(a.out)
	if !a.write(wire, name, pointer) {
		a.truncate(before)
		return
	}
	a.ns++
	a.ns += a.sign(z, wire, typeNSEC, name, pointer)
}

// typeBitmap is a list of types below 256 in the form of NSEC records (RFC 4034 section 4.1.2): all are in the first window.
func typeBitmap(types map[uint16]bool) []byte {
	var bits [32]byte
	last := 0
	for t := range types {
		if t < 256 {
			bits[t/8] |= 0x80 >> (t % 8)
			last = max(last, int(t/8))
		}
	}
	return append([]byte{0, byte(last + 1)}, bits[:last+1]...)
}
