package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
)

// echo answers each datagram with its name, how many it got from this sender, and what it got.
func echo(t *testing.T, name string) (address string) {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer, seen := make([]byte, maxDatagram), map[string]int{}
		for {
			n, from, err := l.ReadFrom(buffer)
			if err != nil {
				return
			}
			seen[from.String()]++
			answer := strconv.AppendInt([]byte(name+" "), int64(seen[from.String()]), 10)
			_, _ = l.WriteTo(append(append(answer, ' '), buffer[:n]...), from)
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.LocalAddr().String()
}

// freeDatagramAddress is one that nobody received at a moment ago.
func freeDatagramAddress(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.LocalAddr().String())
}

func talk(t *testing.T, to netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// say sends a text until it is answered: datagrams may be lost.
func say(c net.Conn, text string) (string, error) {
	buffer := make([]byte, maxDatagram)
	var err error
	for range 20 {
		if _, err = c.Write([]byte(text)); err != nil {
			continue // what came back for the one before: nobody listens
		}
		c.SetReadDeadline(time.Now().Add(250 * time.Millisecond))
		var n int
		if n, err = c.Read(buffer); err == nil {
			return string(buffer[:n]), nil
		}
		if !isTimeout(err) {
			time.Sleep(10 * time.Millisecond) // refused; it may listen soon
		}
	}
	return "", err
}

func wantAnswer(t *testing.T, c net.Conn, text, want string) {
	t.Helper()
	if got, err := say(c, text); err != nil || got != want {
		t.Errorf("answer to %q: %q, %v; want %q", text, got, err, want)
	}
}

func TestDatagrams(t *testing.T) {
	f := newDatagrams(t.Context(), freeDatagramAddress(t))
	defer f.close()
	if answer, err := say(talk(t, f.address), "x"); err == nil {
		t.Fatalf("answered %q although there is no backend", answer)
	}
	a, b := echo(t, "a"), echo(t, "b")
	if err := f.set([]string{a, b}); err != nil {
		t.Fatal(err)
	}
	first, second := talk(t, f.address), talk(t, f.address)
	for i := range 3 { // each client stays with its backend
		wantAnswer(t, first, "hello", fmt.Sprintf("b %d hello", i+1))
		wantAnswer(t, second, "hello", fmt.Sprintf("a %d hello", i+1))
	}
	if err := f.set([]string{a}); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, first, "again", "a 1 again")
	wantAnswer(t, second, "again", "a 4 again")

	f.set(nil)
	if answer, err := say(talk(t, f.address), "x"); err == nil {
		t.Errorf("answered %q after the last backend went", answer)
	}
	if err := f.set([]string{b}); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, first, "back", "b 1 back")
}

func TestDatagramsBesideADeadBackend(t *testing.T) {
	f := newDatagrams(t.Context(), freeDatagramAddress(t))
	defer f.close()
	alive := echo(t, "a")
	if err := f.set([]string{freeDatagramAddress(t).String(), alive}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if answer, err := say(talk(t, f.address), "y"); err != nil || answer != "a 1 y" {
			t.Errorf("beside a dead backend: %q, %v", answer, err)
		}
	}
}

func TestDatagramsForgetSilentClients(t *testing.T) {
	f := newDatagrams(t.Context(), freeDatagramAddress(t))
	f.idle = 50 * time.Millisecond
	defer f.close()
	if err := f.set([]string{echo(t, "a")}); err != nil {
		t.Fatal(err)
	}
	c := talk(t, f.address)
	wantAnswer(t, c, "x", "a 1 x")
	for deadline := time.Now().Add(10 * time.Second); ; {
		f.mu.Lock()
		left := len(f.flows)
		f.mu.Unlock()
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d clients are remembered", left)
		}
		time.Sleep(10 * time.Millisecond)
	}
	wantAnswer(t, c, "x", "a 1 x") // by a new socket
}

func TestDatagramsOfManyClients(t *testing.T) {
	f := newDatagrams(t.Context(), freeDatagramAddress(t))
	defer f.close()
	if err := f.set([]string{echo(t, "a")}); err != nil {
		t.Fatal(err)
	}
	for range maxFlows + 20 {
		c, err := net.Dial("udp", f.address.String())
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := say(c, "x"); err != nil {
			t.Errorf("%q, %v", answer, err)
		}
		c.Close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.flows) > maxFlows {
		t.Errorf("%d clients are remembered, at most %d may be", len(f.flows), maxFlows)
	}
}

func TestDatagramsLarge(t *testing.T) {
	f := newDatagrams(t.Context(), freeDatagramAddress(t))
	defer f.close()
	if err := f.set([]string{echo(t, "a")}); err != nil {
		t.Fatal(err)
	}
	text := string(make([]byte, 40_000))
	wantAnswer(t, talk(t, f.address), text, "a 1 "+text)
}

// One address and port serves TCP and UDP side by side.
func TestBothProtocolsAtOneAddress(t *testing.T) {
	var tcp, udp forwarder
	var at netip.AddrPort
	for range 10 { // a port that is free for one may be taken for the other
		at = freeAddress(t)
		tcp = newForwarder(t.Context(), door{at, v1.ProtocolTCP})
		udp = newForwarder(t.Context(), door{at, v1.ProtocolUDP})
		err := errors.Join(tcp.set([]string{backend(t, "stream")}), udp.set([]string{echo(t, "packet")}))
		if err == nil {
			break
		}
		tcp.close()
		udp.close()
	}
	defer tcp.close()
	defer udp.close()
	got := map[string]string{}
	got["tcp"], _ = ask(at, "q")
	got["udp"], _ = say(talk(t, at), "q")
	if diff := cmp.Diff(map[string]string{"tcp": "stream got q", "udp": "packet 1 q"}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}
