package rfc2136

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

const (
	zoneName = "fed.example."
	keyName  = "update."
	secret   = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="
)

// fake is a server that does what real ones do rarely.
type fake struct {
	// clock is how far ahead its clock is.
	clock time.Duration
	// answer makes the messages that answer a request; with none the connection is closed.
	answer func(request *miekg.Msg) []*miekg.Msg
	// unsigned answers are not signed.
	unsigned bool
}

// start serves until the test ends and returns a provider that asks this server.
func (f *fake) start(t *testing.T) *Provider {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go f.converse(conn)
		}
	}()
	p, err := New(Config{Server: listener.Addr().String(), Zones: []string{zoneName}, Key: &Key{Name: keyName, Secret: secret}, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (f *fake) converse(conn net.Conn) {
	defer conn.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		raw := make([]byte, binary.BigEndian.Uint16(length[:]))
		request := new(miekg.Msg)
		if _, err := io.ReadFull(conn, raw); err != nil || request.Unpack(raw) != nil {
			return
		}
		replies := f.answer(request)
		if len(replies) == 0 {
			return
		}
		mac := request.IsTsig().MAC
		for i, reply := range replies {
			out, err := f.sign(request, reply, &mac, i > 0)
			if err != nil {
				return
			}
			if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
				return
			}
			if reply.Rcode == miekg.RcodeNotAuth {
				break
			}
		}
	}
}

func (f *fake) sign(request, reply *miekg.Msg, mac *string, later bool) (out []byte, err error) {
	rcode, rrs := reply.Rcode, reply.Answer
	reply.SetReply(request)
	reply.Rcode, reply.Answer = rcode, rrs
	if f.unsigned {
		return reply.Pack()
	}
	now := time.Now().Add(f.clock).Unix()
	theirs := int64(request.IsTsig().TimeSigned)
	reply.SetTsig(keyName, miekg.HmacSHA256, fudge, now)
	if off := now - theirs; off > fudge || off < -fudge {
		reply.Rcode, reply.Answer = miekg.RcodeNotAuth, nil
		tsig := reply.IsTsig()
		tsig.TimeSigned, tsig.Error, tsig.OtherLen, tsig.OtherData = uint64(theirs), miekg.RcodeBadTime, 6, fmt.Sprintf("%012X", now)
	}
	out, *mac, err = miekg.TsigGenerate(reply, secret, *mac, later)
	return out, err
}

func rr(t *testing.T, text string) miekg.RR {
	t.Helper()
	rr, err := miekg.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// message is one with answers.
func message(t *testing.T, lines ...string) *miekg.Msg {
	m := new(miekg.Msg)
	for _, line := range lines {
		m.Answer = append(m.Answer, rr(t, line))
	}
	return m
}

const soa = "fed.example. 300 IN SOA ns1.fed.example. hostmaster.fed.example. 7 300 60 1209600 10"

func set(name string, t dns.Type, data ...string) dns.RecordSet {
	return dns.RecordSet{Name: name, Type: t, TTL: 60, Data: data}
}
