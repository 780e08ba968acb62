package dns

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// ResolverSlack is what resolvers keep an answer beyond its TTL.
const ResolverSlack = 30 * time.Second

// Departure is what is known of an address that is to be released.
type Departure struct {
	// AbsentSince is, for each authoritative server, since when it does not answer with the address; zero while it does, or
	// does not answer at all.
	AbsentSince map[string]time.Time
	// MaxTTL is the highest TTL with which the address was published in the last hour.
	MaxTTL time.Duration
}

// MayRelease says whether no client can hold the address from DNS any more: every server has been without it for the
// highest TTL and a slack. Else it says why to wait.
func MayRelease(d Departure, now time.Time) (bool, string) {
	if len(d.AbsentSince) == 0 {
		return false, "no authoritative server was asked"
	}
	for _, server := range slices.Sorted(maps.Keys(d.AbsentSince)) {
		since := d.AbsentSince[server]
		if since.IsZero() {
			return false, fmt.Sprintf("server %s still answers with the address, or does not answer", server)
		}
		if left := since.Add(d.MaxTTL + ResolverSlack).Sub(now); left > 0 {
			return false, fmt.Sprintf("resolvers may hold the address for another %s", left.Round(time.Second))
		}
	}
	return true, ""
}
