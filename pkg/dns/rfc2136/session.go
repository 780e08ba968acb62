package rfc2136

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	miekg "github.com/miekg/dns"
)

// session is a connection on which messages are signed and answers checked. It is for one goroutine.
type session struct {
	provider *Provider
	conn     net.Conn
	key      *Key
	release  func() bool
}

// dial opens a connection that ends with the context.
func (p *Provider) dial(ctx context.Context, server string, key *Key) (*session, error) {
	conn, err := (&net.Dialer{Timeout: p.config.Timeout}).DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return &session{provider: p, conn: conn, key: key, release: release}, nil
}

func (s *session) close() {
	s.release()
	_ = s.conn.Close()
}

// exchange sends a message and returns the answer. A server whose clock differs says so with a signature; its time is then used, once.
func (s *session) exchange(m *miekg.Msg) (*miekg.Msg, error) {
	reply, err := s.once(m)
	if wrong, ok := errors.AsType[*timeError](err); ok {
		s.heed(wrong)
		return s.once(m)
	}
	return reply, err
}

// heed takes over the server's time.
func (s *session) heed(wrong *timeError) {
	s.provider.skew.Store(wrong.server - wrong.ours)
	s.provider.config.Log.Info("clock differs from the DNS server's; signing with its time", "server", s.conn.RemoteAddr().String(), "seconds", wrong.server-wrong.ours)
}

func (s *session) once(m *miekg.Msg) (*miekg.Msg, error) {
	mac, err := s.send(m)
	if err != nil {
		return nil, err
	}
	reply, _, err := s.receive(m.Id, mac, false)
	return reply, err
}

// send writes a message, signed if there is a key, and returns the signature's MAC.
func (s *session) send(m *miekg.Msg) (mac string, err error) {
	var raw []byte
	if s.key == nil {
		raw, err = m.Pack()
	} else {
		signed := *m // Signing takes the signature's record out of the message it is given.
		signed.Extra = append([]miekg.RR(nil), m.Extra...)
		signed.SetTsig(s.key.Name, s.key.Algorithm, fudge, time.Now().Unix()+s.provider.skew.Load())
		raw, mac, err = miekg.TsigGenerate(&signed, s.key.Secret, "", false)
	}
	if err != nil {
		return "", err
	}
	if len(raw) > maxMessage {
		return "", fmt.Errorf("a message of %d octets is more than DNS allows", len(raw))
	}
	_ = s.conn.SetDeadline(time.Now().Add(s.provider.config.Timeout))
	_, err = s.conn.Write(append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(raw)), uint16(len(raw))), raw...))
	return mac, err
}

// receive reads the answer to a message and checks its signature; later is for all messages of a transfer but the first.
func (s *session) receive(id uint16, requestMAC string, later bool) (reply *miekg.Msg, mac string, err error) {
	_ = s.conn.SetDeadline(time.Now().Add(s.provider.config.Timeout))
	var length [2]byte
	if _, err := io.ReadFull(s.conn, length[:]); err != nil {
		return nil, "", err
	}
	raw := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(s.conn, raw); err != nil {
		return nil, "", err
	}
	reply = new(miekg.Msg)
	if err := reply.Unpack(raw); err != nil {
		return nil, "", fmt.Errorf("malformed answer: %w", err)
	}
	if reply.Id != id || !reply.Response {
		return nil, "", errors.New("an answer to another question")
	}
	mac, err = s.verify(raw, reply, requestMAC, later)
	if err == nil && reply.Rcode != miekg.RcodeSuccess {
		err = &rcodeError{rcode: reply.Rcode, signed: s.key != nil}
	}
	return reply, mac, err
}

// verify checks an answer's signature.
func (s *session) verify(raw []byte, reply *miekg.Msg, requestMAC string, later bool) (string, error) {
	if s.key == nil {
		return "", nil
	}
	tsig := reply.IsTsig()
	if tsig == nil {
		if reply.Rcode != miekg.RcodeSuccess { // PowerDNS refuses without a signature; nothing is believed of it but the refusal.
			return "", nil
		}
		return "", &signatureError{"the answer is not signed"}
	}
	if tsig.Error == miekg.RcodeBadKey || tsig.Error == miekg.RcodeBadSig {
		return "", &rcodeError{rcode: reply.Rcode, tsig: tsig.Error, signed: true}
	}
	if tsig.Error == miekg.RcodeBadTime {
		if wrong, ok := serverTime(raw, tsig, s.key, requestMAC); ok {
			return "", wrong
		}
		return "", &rcodeError{rcode: reply.Rcode, tsig: tsig.Error, signed: true}
	}
	err := miekg.TsigVerify(raw, s.key.Secret, requestMAC, later)
	if errors.Is(err, miekg.ErrTime) { // The MAC is right; the time is to be near the server's, not this machine's.
		if off := int64(tsig.TimeSigned) - time.Now().Unix() - s.provider.skew.Load(); off >= -fudge && off <= fudge {
			err = nil
		}
	}
	if err != nil {
		return "", &signatureError{err.Error()}
	}
	return tsig.MAC, nil
}

// serial asks for the zone's serial.
func (s *session) serial(zone string) (uint32, error) {
	m := new(miekg.Msg).SetQuestion(zone, miekg.TypeSOA)
	m.RecursionDesired = false
	reply, err := s.exchange(m)
	if err != nil {
		return 0, err
	}
	for _, rr := range reply.Answer {
		if soa, ok := rr.(*miekg.SOA); ok && miekg.CanonicalName(soa.Hdr.Name) == zone {
			return soa.Serial, nil
		}
	}
	return 0, &rcodeError{rcode: miekg.RcodeNotAuth, signed: s.key != nil}
}
