package server

import (
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
)

// limiter bounds how many alike answers go to one network over UDP each second (response rate limiting), so that forged
// questions are not worth sending. Every second answer beyond the rate slips through as a truncated one: a true client then asks
// over TCP. Its memory is fixed; networks that share a place in it share a rate.
type limiter struct {
	rate    int64
	buckets []atomic.Uint64 // second (32 bits), balance (32 bits, signed)
	seed    maphash.Seed
	clock   func() uint32
}

type limit int

const (
	limitPass limit = iota
	limitDrop
	limitSlip

	limitBuckets = 1 << 16
	// limitWindow is for how many seconds a network that goes on asking stays limited after it asked too much.
	limitWindow = 15
	slip        = 2
)

func newLimiter(rate int, clock func() uint32) *limiter {
	l := &limiter{rate: int64(rate), seed: maphash.MakeSeed(), clock: clock}
	if rate > 0 {
		l.buckets = make([]atomic.Uint64, limitBuckets)
	}
	return l
}

// allow accounts for one answer. Answers are alike if they are for one name and type, or of one error in one zone.
func (l *limiter) allow(client netip.Addr, q *query, rcode int, z *zone) limit {
	if l.buckets == nil {
		return limitPass
	}
	bucket := &l.buckets[l.place(client, q, rcode, z)]
	now := l.clock()
	for {
		old := bucket.Load()
		last, balance := uint32(old>>32), int64(int32(uint32(old)))
		if old == 0 {
			last, balance = now, l.rate
		}
		if elapsed := int32(now - last); elapsed > 0 {
			balance = min(l.rate, balance+int64(min(elapsed, limitWindow+1))*l.rate)
			last = now
		}
		balance = max(balance-1, -limitWindow*l.rate)
		if !bucket.CompareAndSwap(old, uint64(last)<<32|uint64(uint32(int32(balance)))) {
			continue
		}
		switch {
		case balance >= 0:
			return limitPass
		case rand.IntN(slip) == 0:
			return limitSlip
		}
		return limitDrop
	}
}

func (l *limiter) place(client netip.Addr, q *query, rcode int, z *zone) uint64 {
	var buf [16 + 1 + 2 + maxName]byte
	key := buf[:0]
	if client = client.Unmap(); client.Is4() {
		a := client.As4()
		key = append(key, a[:3]...)
	} else {
		a := client.As16()
		key = append(key, a[:7]...)
	}
	key = append(key, byte(rcode))
	switch {
	case rcode == rcodeSuccess:
		key = append(append(key, byte(q.qtype>>8), byte(q.qtype)), q.lowerName()...)
	case z != nil:
		key = append(key, z.apex...)
	}
	return maphash.Bytes(l.seed, key) % limitBuckets
}
