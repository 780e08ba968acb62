package server

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"net/netip"
	"os"
	"path/filepath"
)

// cookies makes and checks DNS cookies as RFC 9018 says, so that servers which share the secret take each other's.
type cookies struct{ k0, k1 uint64 }

const (
	cookieLife = 3600
	cookieSkew = 300
	cookieFile = "cookie.secret"
)

// newCookies takes the secret from the directory, so that clients' cookies hold over a restart; it is made if it is not there.
func newCookies(directory string) (cookies, error) {
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // It never fails.
	if directory != "" {
		path := filepath.Join(directory, cookieFile)
		kept, err := os.ReadFile(path)
		switch {
		case err == nil && len(kept) == len(secret):
			secret = kept
		case err == nil:
			return cookies{}, fmt.Errorf("reading %s: %d octets instead of %d; remove the file", path, len(kept), len(secret))
		case !errors.Is(err, fs.ErrNotExist):
			return cookies{}, err
		default:
			if err := replaceFile(path, secret); err != nil {
				return cookies{}, fmt.Errorf("keeping the secret of DNS cookies: %w", err)
			}
		}
	}
	return cookies{binary.LittleEndian.Uint64(secret[:8]), binary.LittleEndian.Uint64(secret[8:])}, nil
}

// write fills out, of 24 octets, with the client's cookie and the server's: version 1, reserved, time, hash.
func (c cookies) write(out, client []byte, addr netip.Addr, now uint32) {
	copy(out, client)
	out[8], out[9], out[10], out[11] = 1, 0, 0, 0
	binary.BigEndian.PutUint32(out[12:], now)
	c.hash(out[16:], out[:16], addr)
}

// valid: the cookie has a server's part that this server made for this address within the last hour.
func (c cookies) valid(cookie []byte, addr netip.Addr, now uint32) bool {
	if len(cookie) != 24 || cookie[8] != 1 {
		return false
	}
	age := int32(now - binary.BigEndian.Uint32(cookie[12:]))
	if age > cookieLife || age < -cookieSkew {
		return false
	}
	var want [8]byte
	c.hash(want[:], cookie[:16], addr)
	return subtle.ConstantTimeCompare(want[:], cookie[16:]) == 1
}

// hash is SipHash-2-4 of the cookie's first 16 octets and the client's address.
func (c cookies) hash(out, head []byte, addr netip.Addr) {
	var in [32]byte
	n := copy(in[:], head[:16])
	if addr = addr.Unmap(); addr.Is4() {
		b := addr.As4()
		n += copy(in[n:], b[:])
	} else {
		b := addr.As16()
		n += copy(in[n:], b[:])
	}
	binary.LittleEndian.PutUint64(out, siphash24(c.k0, c.k1, in[:n]))
}

// siphash24 is SipHash-2-4 (Aumasson, Bernstein 2012).
func siphash24(k0, k1 uint64, p []byte) uint64 {
	v0, v1, v2, v3 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d, k0^0x6c7967656e657261, k1^0x7465646279746573
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	last := uint64(len(p)) << 56
	for ; len(p) >= 8; p = p[8:] {
		m := binary.LittleEndian.Uint64(p)
		v3 ^= m
		round()
		round()
		v0 ^= m
	}
	for i, b := range p {
		last |= uint64(b) << (8 * i)
	}
	v3 ^= last
	round()
	round()
	v0 ^= last
	v2 ^= 0xff
	for range 4 {
		round()
	}
	return v0 ^ v1 ^ v2 ^ v3
}
