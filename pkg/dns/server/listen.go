package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
)

const (
	// idle is how long a connection may say nothing (RFC 7766 section 6.2.3).
	idle = 10 * time.Second
	// maxStreams bounds connections; more are closed at once.
	maxStreams = 1024
	// maxQuery is the largest question that is read; true ones are far smaller.
	maxQuery = 4096
	// portTries is how often another port is tried if one is free for TCP alone.
	portTries = 20
	// batch is how many packets are taken at once.
	batch = 32
)

// listen opens TCP and UDP at one address, with the same port also if that is any.
func listen(ctx context.Context, address string) (net.Listener, *net.UDPConn, error) {
	var lc net.ListenConfig
	var lastErr error
	for range portTries {
		stream, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, nil, err
		}
		packets, err := lc.ListenPacket(ctx, "udp", stream.Addr().String())
		if err == nil {
			conn := packets.(*net.UDPConn)
			_ = conn.SetReadBuffer(1 << 20) // As much of it as the system allows.
			return stream, conn, nil
		}
		_ = stream.Close()
		lastErr = err
		if _, port, err := net.SplitHostPort(address); err != nil || port != "0" {
			break
		}
	}
	return nil, nil, fmt.Errorf("UDP: %w", lastErr)
}

// servePackets answers over UDP with a reader for each processor.
func (s *Server) servePackets(ctx context.Context, conn *net.UDPConn) {
	for range runtime.GOMAXPROCS(0) {
		s.tasks.Go(func() { s.answerPackets(ctx, newPackets(conn)) })
	}
}

// answerPackets takes what has come, answers it, and sends the answers: two system calls for many packets where the system
// can do that.
func (s *Server) answerPackets(ctx context.Context, conn packets) {
	in, out := make([]ipv4.Message, batch), make([]ipv4.Message, batch)
	for i := range batch {
		in[i].Buffers = [][]byte{make([]byte, maxQuery)}
		in[i].OOB = make([]byte, conn.control)
		out[i].Buffers = [][]byte{make([]byte, 0, maxUDP+maxSignature)}
	}
	var answered counts
	for {
		n, err := conn.ReadBatch(in, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Whatever it is, it must not take a whole processor.
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Millisecond):
			}
			continue
		}
		answers := 0
		for i := range n {
			from, ok := in[i].Addr.(*net.UDPAddr)
			if !ok || from.Port == 0 {
				continue
			}
			o := &out[answers]
			if answer := s.safely(o.Buffers[0][:0], in[i].Buffers[0][:in[i].N], from.AddrPort().Addr(), false); answer != nil {
				o.Buffers[0], o.Addr, o.OOB = answer, from, conn.source(&in[i])
				answers++
				answered.add(answer)
			}
		}
		answered.flush(&answeredPackets)
		for sent := 0; sent < answers; {
			n, err := conn.WriteBatch(out[sent:answers], 0)
			if err != nil {
				n = 1 // This client cannot be reached; the others can.
			}
			sent += n
		}
	}
}

// safely answers a packet; one that finds a fault in the server costs its own answer only.
func (s *Server) safely(out, msg []byte, client netip.Addr, stream bool) (answer []byte) {
	defer func() {
		if fault := recover(); fault != nil {
			s.log.Error(fmt.Errorf("%v", fault), "answering a packet panicked", "packet", fmt.Sprintf("%x", msg))
			answer = nil
		}
	}()
	return s.respond(out, msg, client.Unmap(), stream)
}

// streams are the open connections.
type streams struct {
	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

func (s *streams) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.open) >= maxStreams {
		return false
	}
	if s.open == nil {
		s.open = map[net.Conn]bool{}
	}
	s.open[c] = true
	return true
}

func (s *streams) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.open {
		_ = c.Close()
	}
}

// serveStream answers over TCP, or what looks like it.
func (s *Server) serveStream(ctx context.Context, listener net.Listener) {
	s.tasks.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				return
			}
			if err != nil {
				select { // Out of file descriptors: wait for some to be free.
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
				continue
			}
			if !s.streams.add(conn) {
				_ = conn.Close()
				continue
			}
			s.tasks.Go(func() {
				defer s.streams.remove(conn)
				defer conn.Close()
				s.converse(conn)
			})
		}
	})
}

// converse answers the questions of a connection in their order.
func (s *Server) converse(conn net.Conn) {
	client := netip.Addr{}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		client = a.AddrPort().Addr()
	}
	in, out := make([]byte, maxQuery), make([]byte, 0, maxQuery)
	for {
		_ = conn.SetDeadline(time.Now().Add(idle))
		if _, err := io.ReadFull(conn, in[:2]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(in))
		if n > maxQuery {
			return
		}
		if _, err := io.ReadFull(conn, in[:n]); err != nil {
			return
		}
		var q query
		if q.parse(in[:n]) == serve && q.opcode() == opcodeQuery && (q.qtype == typeAXFR || q.qtype == typeIXFR) {
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			if err := s.transfer(conn, in[:n]); err != nil {
				s.log.Error(err, "zone not transferred", "client", client.String())
				return
			}
			continue
		}
		answer := s.safely(out[:0], in[:n], client, true)
		if answer == nil || writeMessage(conn, answer) != nil {
			return
		}
		answeredStreams[answer[3]&(maxCode-1)].Inc()
		out = answer
	}
}
