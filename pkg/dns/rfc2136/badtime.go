package rfc2136

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"strconv"
	"time"

	miekg "github.com/miekg/dns"
)

// serverTime is the time that a server gives with BADTIME, if its signature is right (RFC 8945 section 5.2.3).
func serverTime(raw []byte, tsig *miekg.TSIG, key *Key, requestMAC string) (*timeError, bool) {
	server, err := strconv.ParseInt(tsig.OtherData, 16, 64)
	if err != nil || server <= 0 || len(raw) < 4 {
		return nil, false
	}
	// The library verifies no answer with NOTAUTH: it sees another code, and the signature is computed with the true one.
	masked := append([]byte(nil), raw...)
	masked[3] &^= 0xF
	err = miekg.TsigVerifyWithProvider(masked, &notAuth{key, 2 + len(requestMAC)/2 + 3}, requestMAC, false)
	if err != nil && !errors.Is(err, miekg.ErrTime) {
		return nil, false
	}
	return &timeError{server: server, ours: time.Now().Unix()}, true
}

// notAuth computes signatures of answers with NOTAUTH, whose code is at an offset in what is signed.
type notAuth struct {
	key    *Key
	offset int
}

var hashes = map[string]func() hash.Hash{miekg.HmacSHA256: sha256.New, miekg.HmacSHA384: sha512.New384, miekg.HmacSHA512: sha512.New}

// Generate implements miekg.TsigProvider.
func (n *notAuth) Generate(msg []byte, _ *miekg.TSIG) ([]byte, error) {
	secret, err := base64.StdEncoding.DecodeString(n.key.Secret)
	if err != nil {
		return nil, err
	}
	msg = append([]byte(nil), msg...)
	msg[n.offset] |= miekg.RcodeNotAuth
	h := hmac.New(hashes[n.key.Algorithm], secret)
	h.Write(msg)
	return h.Sum(nil), nil
}

// Verify implements miekg.TsigProvider.
func (n *notAuth) Verify(msg []byte, tsig *miekg.TSIG) error {
	want, err := n.Generate(msg, tsig)
	if err != nil {
		return err
	}
	if got, err := hex.DecodeString(tsig.MAC); err != nil || !hmac.Equal(got, want) {
		return miekg.ErrSig
	}
	return nil
}
