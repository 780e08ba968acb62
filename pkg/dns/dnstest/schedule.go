package dnstest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"kubefed.dev/kubefed/pkg/dns"
)

const (
	// scheduleWriters have as many turns each.
	scheduleWriters = 2
	scheduleTurns   = 12
)

// schedules lets two writers change a few names as chance will have it: to new addresses, to routed sets, to a CNAME, to a text,
// to an owner without data. Each state
// that a successful change made must be what one other began with, or be there at the end: else an update was lost, or one that
// failed was made.
func (s *suite) schedules(t *testing.T) {
	limits := s.limits(t).Limits
	names := []string{s.name("chance"), s.name("sub.chance"), s.name("*.chance")}
	seed := rand.Uint64()
	var mu sync.Mutex
	entered, left := map[string]int{}, map[string]int{}
	for _, name := range names {
		entered[stateOf(name, nil)]++
	}
	var wg sync.WaitGroup
	for w := range scheduleWriters {
		random := rand.New(rand.NewPCG(seed, uint64(w)))
		wg.Go(func() {
			for turn := range scheduleTurns {
				name := names[random.IntN(len(names))]
				before := s.owned(t, name)
				change := dns.Change{Name: name, Before: before, After: chance(random, limits, name, s.zone, w*scheduleTurns+turn)}
				receipt, err := s.provider.Apply(t.Context(), s.zone, s.fence, []dns.Change{change})
				if err != nil {
					t.Errorf("writer %d, turn %d: %v", w, turn, err)
					return
				}
				if len(receipt.Failed) > 0 {
					if err := receipt.Failed[0].Err; dns.KindOf(err) != dns.Conflict {
						t.Errorf("writer %d, turn %d: %v", w, turn, err)
					}
					continue
				}
				mu.Lock()
				left[stateOf(name, before)]++
				entered[stateOf(name, change.After)]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, name := range names {
		left[stateOf(name, s.owned(t, name))]++
	}
	for state, n := range entered {
		if left[state] != n {
			t.Errorf("seed %d: %q was made %d times and replaced or left at the end %d times", seed, state, n, left[state])
		}
		delete(left, state)
	}
	for state := range left {
		t.Errorf("seed %d: %q was replaced, but no change made it", seed, state)
	}
	for _, name := range names {
		s.must(t, name, s.owned(t, name), nil)
	}
}

// owned are the sets at a name and its ownership record.
//
// A zone that is read page by page may change between two pages: so they are read until they are twice the same.
func (s *suite) owned(t *testing.T, name string) []dns.RecordSet {
	t.Helper()
	for before := s.ownedOnce(t, name); ; {
		now := s.ownedOnce(t, name)
		if stateOf(name, before) == stateOf(name, now) {
			return now
		}
		before = now
	}
}

func (s *suite) ownedOnce(t *testing.T, name string) []dns.RecordSet {
	t.Helper()
	var found []dns.RecordSet
	for _, set := range s.records(t).Sets {
		if set.Name == name || set.Name == dns.OwnerName(name) {
			found = append(found, set)
		}
	}
	return found
}

// chance is what a change makes of a name; n makes it like no other. All have an ownership record: that is what makes changes of
// different types at one name exclude each other.
func chance(random *rand.Rand, limits dns.Limits, name, zone string, n int) []dns.RecordSet {
	owner := set(dns.OwnerName(name), dns.TXT, dns.Quote(fmt.Sprintf("n=%d", n)))
	four, six := set(name, dns.A, fmt.Sprintf("198.51.100.%d", n)), set(name, dns.AAAA, fmt.Sprintf("2001:db8::%x", n+1))
	if routes := policies(limits); len(routes) > 0 && random.IntN(2) == 0 {
		return append(routedSets(limits, routes[random.IntN(len(routes))], name, n), owner)
	}
	switch random.IntN(6) {
	case 0:
		return []dns.RecordSet{owner}
	case 1:
		return []dns.RecordSet{set(name, dns.CNAME, fmt.Sprintf("n%d.%s", n, zone)), owner}
	case 2:
		return []dns.RecordSet{four, six, owner}
	case 3:
		return []dns.RecordSet{set(name, dns.TXT, dns.Quote(fmt.Sprintf("n=%d", n))), owner}
	case 4:
		return []dns.RecordSet{six, owner}
	}
	return []dns.RecordSet{four, owner}
}

func stateOf(name string, sets []dns.RecordSet) string {
	lines := []string{name}
	for _, s := range sets {
		lines = append(lines, s.String())
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}
