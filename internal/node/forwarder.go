package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// dialTimeout is how long a backend may take to accept; the next one is tried then.
const dialTimeout = 2 * time.Second

// forwarder forwards TCP connections from one address to backends in turn. While there is no backend it does not
// listen, so that clients are refused. Connections live on when their backend leaves the list.
type forwarder struct {
	address netip.AddrPort
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	backends []string
	next     int
	listener net.Listener
}

// newForwarder makes a forwarder that has no backends; it ends with close or with ctx.
func newForwarder(ctx context.Context, address netip.AddrPort) *forwarder {
	f := &forwarder{address: address}
	f.ctx, f.stop = context.WithCancel(ctx)
	return f
}

// set replaces the backends. The error says that the address can't be listened on; set may be called again.
func (f *forwarder) set(backends []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backends = backends
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

// close ends the listener and all connections, and returns when they have ended.
func (f *forwarder) close() {
	f.stop()
	f.mu.Lock()
	if f.listener != nil {
		f.listener.Close()
		f.listener = nil
	}
	f.mu.Unlock()
	f.running.Wait()
}

func (f *forwarder) accept(l net.Listener) {
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

func (f *forwarder) serve(client *net.TCPConn) {
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
func (f *forwarder) dial() (*net.TCPConn, error) {
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

// inTurn is all backends, beginning with the one whose turn it is.
func (f *forwarder) inTurn() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.backends)
	if n == 0 {
		return nil
	}
	f.next = (f.next + 1) % n
	return append(append([]string{}, f.backends[f.next:]...), f.backends[:f.next]...)
}
