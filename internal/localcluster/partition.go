package localcluster

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"k8s.io/klog/v2"
)

// PartitionFile in the cluster's folder cuts the API off from everything outside of the cluster while it is there, as lost
// packets would: connections stay open and say nothing. The cluster's own parts and its pods still reach it, and its load
// balancers are not concerned. The process looks for it when it starts and at SIGUSR1.
const PartitionFile = "partitioned"

// partition is the switch between the API and the outside.
type partition struct {
	file string

	mu sync.Mutex
	// healed is closed when the outside is let in again; nil while it is.
	healed chan struct{}
}

// newPartition follows the switch until ctx ends.
func newPartition(ctx context.Context, dir string) *partition {
	p := &partition{file: filepath.Join(dir, PartitionFile)}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	p.look(ctx)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-signals:
				p.look(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return p
}

func (p *partition) look(ctx context.Context) {
	_, err := os.Stat(p.file)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && p.healed == nil:
		p.healed = make(chan struct{})
		klog.FromContext(ctx).Info("API cut off from the outside")
	case err != nil && p.healed != nil:
		close(p.healed)
		p.healed = nil
		klog.FromContext(ctx).Info("API reachable from the outside again")
	}
}

// cut is what to wait for, nil where nothing is cut off.
func (p *partition) cut() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.healed
}

// listener hands out connections that the switch is between.
type listener struct {
	net.Listener
	partition *partition
}

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gate{Conn: conn, partition: l.partition, closed: make(chan struct{}), ours: sync.OnceValue(func() bool { return ours(conn) })}, nil
}

// gate is a connection that nothing passes while it is cut off.
type gate struct {
	net.Conn
	partition *partition
	once      sync.Once
	closed    chan struct{}
	ours      func() bool
}

func (g *gate) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	g.pass()
	return n, err
}

func (g *gate) Write(b []byte) (int, error) {
	g.pass()
	return g.Conn.Write(b)
}

func (g *gate) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Conn.Close()
}

func (g *gate) pass() {
	healed := g.partition.cut()
	if healed == nil || g.ours() {
		return
	}
	select {
	case <-healed:
	case <-g.closed:
	}
}

// ours says whether the other end of a local connection is this process or one that it started: a part of the cluster. What
// can't be found out is outside.
func ours(conn net.Conn) bool {
	near, errNear := netip.ParseAddrPort(conn.LocalAddr().String())
	far, errFar := netip.ParseAddrPort(conn.RemoteAddr().String())
	if errNear != nil || errFar != nil {
		return false
	}
	inode := socketInode(far, near)
	if inode == "" {
		return false
	}
	link := "socket:[" + inode + "]"
	return slices.ContainsFunc(family(), func(pid string) bool { return holds(pid, link) })
}

// socketInode finds a TCP socket by its own and its peer's address (proc_net(5)).
func socketInode(own, peer netip.AddrPort) string {
	data, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return ""
	}
	prefix := procAddress(own) + " " + procAddress(peer)
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) > 9 && fields[1]+" "+fields[2] == prefix {
			return fields[9]
		}
	}
	return ""
}

// procAddress writes an IPv4 address as /proc/net/tcp does: little endian, in hexadecimal digits.
func procAddress(a netip.AddrPort) string {
	ip := a.Addr().Unmap().AsSlice()
	slices.Reverse(ip)
	return strings.ToUpper(hex.EncodeToString(ip)) + fmt.Sprintf(":%04X", a.Port())
}

// family is this process and all that descend from it.
func family() []string {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[string][]string{}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		if fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])); len(fields) > 1 {
			children[fields[1]] = append(children[fields[1]], filepath.Base(filepath.Dir(path)))
		}
	}
	pids := []string{fmt.Sprint(os.Getpid())}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	return pids
}

func holds(pid, link string) bool {
	fds, _ := filepath.Glob("/proc/" + pid + "/fd/*")
	return slices.ContainsFunc(fds, func(fd string) bool {
		target, err := os.Readlink(fd)
		return err == nil && target == link
	})
}
