package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// Key is a TSIG key (RFC 8945).
type Key struct {
	// Name is a domain name.
	Name string
	// Algorithm is "hmac-sha256", "hmac-sha384" or "hmac-sha512"; hmac-sha256 by default.
	Algorithm string
	// Secret is in base64.
	Secret string
}

const (
	tsigFudge    = 300
	rcodeNotAuth = 9
	// maxSignature is kept free for a signature in messages that may be signed.
	maxSignature = 512
)

func checkKey(k Key) (Key, error) {
	k.Name = dns.Absolute(k.Name)
	if k.Algorithm == "" {
		k.Algorithm = "hmac-sha256"
	}
	k.Algorithm = dns.Absolute(k.Algorithm)
	switch k.Algorithm {
	case miekg.HmacSHA256, miekg.HmacSHA384, miekg.HmacSHA512:
	default:
		return k, fmt.Errorf("key %s: algorithm %s; use hmac-sha256, hmac-sha384 or hmac-sha512", k.Name, k.Algorithm)
	}
	if secret, err := base64.StdEncoding.DecodeString(k.Secret); err != nil || len(secret) < 16 {
		return k, fmt.Errorf("key %s: the secret is not base64 of at least 16 octets; make one with: openssl rand -base64 32", k.Name)
	}
	return k, nil
}

// verify checks a request's signature. The code is that of the TSIG error, 0 if it is good.
func (s *Server) verify(msg []byte, tsig *miekg.TSIG) (Key, uint16) {
	key, ok := s.keys[dns.Absolute(tsig.Hdr.Name)]
	if !ok || key.Algorithm != dns.Absolute(tsig.Algorithm) {
		return Key{}, miekg.RcodeBadKey
	}
	err := miekg.TsigVerify(append([]byte(nil), msg...), key.Secret, "", false)
	switch {
	case errors.Is(err, miekg.ErrTime):
		return key, miekg.RcodeBadTime
	case err != nil:
		return key, miekg.RcodeBadSig
	}
	return key, 0
}

// respondSigned answers a signed question. Transfers are not its business.
func (s *Server) respondSigned(out, msg []byte, client netip.Addr, stream bool) []byte {
	m := new(miekg.Msg)
	tsig := (*miekg.TSIG)(nil)
	var q query
	if err := m.Unpack(msg); err == nil {
		tsig = m.IsTsig()
	}
	if q.parse(msg); tsig == nil {
		return plain(out, &q, rcodeFormErr)
	}
	key, code := s.verify(msg, tsig)
	if code != 0 {
		return s.badSignature(out, m, tsig, key, code)
	}
	if q.qtype == typeIXFR {
		q.qtype = typeSOA // Over UDP the serial is the answer, and the client comes back over TCP (RFC 1995 section 2).
	}
	q.size = max(q.size-maxSignature, 512)
	reply := new(miekg.Msg)
	raw := s.respondTo(out, &q, client, stream)
	if raw == nil || reply.Unpack(raw) != nil {
		return nil
	}
	reply.SetTsig(key.Name, key.Algorithm, tsigFudge, time.Now().Unix())
	signed, _, err := miekg.TsigGenerate(reply, key.Secret, tsig.MAC, false)
	if err != nil {
		return nil
	}
	return append(out[:0], signed...)
}

// badSignature tells a client what is wrong with its signature (RFC 8945 section 5.2). Only a wrong time is told with a signature,
// and then with the server's time.
func (s *Server) badSignature(out []byte, m *miekg.Msg, tsig *miekg.TSIG, key Key, code uint16) []byte {
	reply := new(miekg.Msg)
	reply.SetReply(m)
	reply.Rcode = rcodeNotAuth
	reply.SetTsig(tsig.Hdr.Name, tsig.Algorithm, tsigFudge, int64(tsig.TimeSigned))
	rr := reply.IsTsig()
	rr.Error = code
	if code == miekg.RcodeBadTime {
		now := uint64(time.Now().Unix())
		rr.OtherLen, rr.OtherData = 6, fmt.Sprintf("%012X", now)
	}
	raw, _, err := miekg.TsigGenerate(reply, key.Secret, tsig.MAC, false)
	if err != nil {
		return nil
	}
	return append(out[:0], raw...)
}
