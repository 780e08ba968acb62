package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	sockets = 4
	// window is how many questions of a socket are out at a time.
	window = 50
	// patience is how long an answer may take before it counts as lost.
	patience = 200 * time.Millisecond
)

// questions are ready to send: nine in ten of names that exist.
type questions [][]byte

func newQuestions(names int) (*questions, error) {
	q := make(questions, 50000)
	for i := range q {
		name := nameOf(rand.IntN(names))
		if i%10 == 0 {
			name = "x" + name
		}
		q[i] = question(name)
	}
	return &q, nil
}

func question(name string) []byte {
	msg := []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		msg = append(append(msg, byte(len(label))), label...)
	}
	return append(msg, 0, 0, 1, 0, 1)
}

// wait returns when a server answers.
func (q *questions) wait(ctx context.Context, addr string) error {
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		n, err := q.load(ctx, addr, 50*time.Millisecond)
		if err == nil && n > 0 {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.New("does not answer within 20 s")
}

// load asks for a time and counts the answers.
func (q *questions) load(ctx context.Context, addr string, length time.Duration) (int64, error) {
	var answered atomic.Int64
	var wg sync.WaitGroup
	failures := make([]error, sockets)
	until := time.Now().Add(length)
	for i := range sockets {
		wg.Go(func() {
			failures[i] = q.ask(ctx, addr, until, i*len(*q)/sockets, &answered)
		})
	}
	wg.Wait()
	return answered.Load(), errors.Join(failures...)
}

func (q *questions) ask(ctx context.Context, addr string, until time.Time, next int, answered *atomic.Int64) error {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	out, in := make([]byte, 0, 512), make([]byte, 4096)
	send := func() error {
		out = append(out[:0], (*q)[next%len(*q)]...)
		binary.BigEndian.PutUint16(out, uint16(next))
		next++
		_, err := conn.Write(out)
		return err
	}
	for ctx.Err() == nil && time.Now().Before(until) {
		for range window {
			if err := send(); err != nil {
				return err
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		for range window {
			n, err := conn.Read(in)
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				break
			}
			if err != nil {
				return nil // Not there yet, or any more: what was answered counts.
			}
			if n < 12 || in[3]&15 != 0 && in[3]&15 != 3 {
				return fmt.Errorf("answer %x", in[:n])
			}
			answered.Add(1)
		}
	}
	return nil
}
