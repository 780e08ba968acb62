package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// dialTimeout is how long a backend may take to accept; the next one is tried then.
const dialTimeout = 2 * time.Second

// forwarder forwards from one door to backends in turn. While there is no backend it does not listen, so that clients
// are refused.
type forwarder interface {
	// set replaces the backends. The error says that the address can't be listened on; set may be called again.
	set(backends []string) error
	// close ends the listener and all that was forwarded, and returns when it has ended.
	close()
}

// newForwarder makes a forwarder that has no backends; it ends with close or with ctx.
func newForwarder(ctx context.Context, at door) forwarder {
	if at.protocol == v1.ProtocolUDP {
		return newDatagrams(ctx, at.AddrPort)
	}
	return newConnections(ctx, at.AddrPort)
}

// connections forwards TCP. Connections live on when their backend leaves the list.
type connections struct {
	address netip.AddrPort
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	backends rotation
	listener net.Listener
}

func newConnections(ctx context.Context, address netip.AddrPort) *connections {
	f := &connections{address: address}
	f.ctx, f.stop = context.WithCancel(ctx)
	return f
}

func (f *connections) set(backends []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backends.all = backends
	switch {
	case len(backends) == 0 && f.listener != nil:
		f.listener.Close()
		f.listener = nil
	case len(backends) > 0 && f.listener == nil:
		l, err := net.Listen("tcp", f.address.String())
		if err != nil {
			return fmt.Errorf("listening: %w; free the port or choose another one", err)
		}
		f.listener = l
		f.running.Go(func() { f.accept(l) })
	}
	return nil
}

func (f *connections) close() {
	f.stop()
	f.mu.Lock()
	if f.listener != nil {
		f.listener.Close()
		f.listener = nil
	}
	f.mu.Unlock()
	f.running.Wait()
}

func (f *connections) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || f.ctx.Err() != nil {
			return
		}
		if err != nil {
			klog.FromContext(f.ctx).Error(err, "accepting a connection will be tried again", "address", f.address.String())
			pause(f.ctx, 100*time.Millisecond)
			continue
		}
		f.running.Go(func() { f.serve(client.(*net.TCPConn)) })
	}
}

func (f *connections) serve(client *net.TCPConn) {
	defer client.Close()
	backend, err := f.dial()
	if err != nil {
		client.SetLinger(0) // a reset says more to the client than an orderly end
		klog.FromContext(f.ctx).V(1).Info("no backend answers", "address", f.address.String(), "error", err.Error())
		return
	}
	defer backend.Close()
	defer context.AfterFunc(f.ctx, func() { client.Close(); backend.Close() })()
	var other sync.WaitGroup
	other.Go(func() { pipe(backend, client) })
	pipe(client, backend)
	other.Wait()
}

// pipe copies until from ends, and says so to the other side, which may go on sending.
func pipe(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		// A connection that broke is of no use in the other direction either.
		to.SetLinger(0)
		to.Close()
		from.Close()
		return
	}
	to.CloseWrite()
}

// dial connects to the next backend that answers.
func (f *connections) dial() (*net.TCPConn, error) {
	err := errors.New("there is none")
	for _, backend := range f.inTurn() {
		dialer := net.Dialer{Timeout: dialTimeout}
		var c net.Conn
		if c, err = dialer.DialContext(f.ctx, "tcp", backend); err == nil {
			return c.(*net.TCPConn), nil
		}
	}
	return nil, err
}

func (f *connections) inTurn() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.backends.inTurn()
}

// rotation gives backends in turn. It is not safe for concurrent use.
type rotation struct {
	all  []string
	next int
}

// inTurn is all backends, beginning with the one whose turn it is.
func (r *rotation) inTurn() []string {
	n := len(r.all)
	if n == 0 {
		return nil
	}
	r.next = (r.next + 1) % n
	return slices.Concat(r.all[r.next:], r.all[:r.next])
}
