package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

const (
	// flowIdle is how long a client may be silent before it is forgotten, as Linux does for UDP without an answer.
	flowIdle = 30 * time.Second
	// maxFlows bounds the sockets of one door: DNS clients use a new port for each question. The flow that was silent
	// longest makes room.
	maxFlows = 512
	// maxDatagram is what UDP can carry.
	maxDatagram = 65535
)

// datagrams forwards UDP. The datagrams of one client, which is an address and port, go to one backend: until the
// client is silent, the backend leaves the list, or its host says that nobody listens there.
type datagrams struct {
	address netip.AddrPort
	idle    time.Duration
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	backends rotation
	listener *net.UDPConn
	flows    map[netip.AddrPort]*flow
}

// flow is the way of one client's datagrams.
type flow struct {
	client  netip.AddrPort
	to      string
	backend net.Conn
	// from is the listener that has the client's datagrams; answers leave by it.
	from *net.UDPConn
	last time.Time
}

func newDatagrams(ctx context.Context, address netip.AddrPort) *datagrams {
	f := &datagrams{address: address, idle: flowIdle, flows: map[netip.AddrPort]*flow{}}
	f.ctx, f.stop = context.WithCancel(ctx)
	return f
}

func (f *datagrams) set(backends []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backends.all = backends
	for _, flow := range f.flows {
		if !slices.Contains(backends, flow.to) {
			f.drop(flow)
		}
	}
	switch {
	case len(backends) == 0:
		f.shut()
	case f.listener == nil:
		l, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(f.address))
		if err != nil {
			return fmt.Errorf("listening: %w; free the port or choose another one", err)
		}
		f.listener = l
		f.running.Go(func() { f.receive(l) })
	}
	return nil
}

func (f *datagrams) close() {
	f.stop()
	f.mu.Lock()
	f.shut()
	for _, flow := range f.flows {
		f.drop(flow)
	}
	f.mu.Unlock()
	f.running.Wait()
}

// shut ends the listener. The caller holds mu, as with drop.
func (f *datagrams) shut() {
	if f.listener != nil {
		f.listener.Close()
		f.listener = nil
	}
}

func (f *datagrams) drop(gone *flow) {
	gone.backend.Close()
	if f.flows[gone.client] == gone {
		delete(f.flows, gone.client)
	}
}

// receive takes clients' datagrams.
func (f *datagrams) receive(l *net.UDPConn) {
	buffer := make([]byte, maxDatagram)
	for {
		n, client, err := l.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) || f.ctx.Err() != nil {
			return
		}
		if err != nil {
			klog.FromContext(f.ctx).Error(err, "receiving datagrams will be tried again", "address", f.address.String())
			pause(f.ctx, 100*time.Millisecond)
			continue
		}
		f.send(l, client, buffer[:n])
	}
}

// send passes a datagram on. What can't be sent is lost, as datagrams may be; a backend where nobody listens loses its
// clients, so that what they send again goes to another one.
func (f *datagrams) send(l *net.UDPConn, client netip.AddrPort, datagram []byte) {
	for range 2 {
		way := f.flowOf(l, client)
		if way == nil {
			return
		}
		if _, err := way.backend.Write(datagram); err == nil {
			return
		}
		f.mu.Lock()
		f.drop(way)
		f.mu.Unlock()
	}
}

// flowOf is the client's flow, a new one to the backend whose turn it is for a new client; nil where there is no backend.
func (f *datagrams) flowOf(l *net.UDPConn, client netip.AddrPort) *flow {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.flows[client]; known != nil {
		known.last = time.Now()
		return known
	}
	if f.ctx.Err() != nil {
		return nil // closing: nobody would end it
	}
	for _, to := range f.backends.inTurn() {
		backend, err := net.Dial("udp", to)
		if err != nil {
			klog.FromContext(f.ctx).V(1).Info("backend can't be sent to", "backend", to, "error", err.Error())
			continue
		}
		f.makeRoom()
		made := &flow{client: client, to: to, backend: backend, from: l, last: time.Now()}
		f.flows[client] = made
		f.running.Go(func() { f.answer(made) })
		return made
	}
	return nil
}

func (f *datagrams) makeRoom() {
	if len(f.flows) < maxFlows {
		return
	}
	var oldest *flow
	for _, flow := range f.flows {
		if oldest == nil || flow.last.Before(oldest.last) {
			oldest = flow
		}
	}
	f.drop(oldest)
}

// answer passes a backend's datagrams back to the client until the flow ends.
func (f *datagrams) answer(way *flow) {
	defer func() {
		f.mu.Lock()
		f.drop(way)
		f.mu.Unlock()
	}()
	buffer := make([]byte, maxDatagram)
	for {
		way.backend.SetReadDeadline(time.Now().Add(f.idle))
		n, err := way.backend.Read(buffer)
		switch {
		case err == nil:
			if _, err := way.from.WriteToUDPAddrPort(buffer[:n], way.client); errors.Is(err, net.ErrClosed) {
				return
			}
			f.touch(way)
		case isTimeout(err) && f.lively(way):
		default:
			return
		}
	}
}

func (f *datagrams) touch(way *flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	way.last = time.Now()
}

// lively says whether something was sent within the idle time.
func (f *datagrams) lively(way *flow) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(way.last) < f.idle
}

func isTimeout(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}
