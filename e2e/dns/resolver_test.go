package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/server"
)

const (
	// resolverTTL is short, so that the test need not wait long.
	resolverTTL         = 3
	resolverNegativeTTL = 2
	// detection is what a federation may take until a dead endpoint is out of the zone; here it is taken out at once.
	detection = 12 * time.Second
)

// resolve starts unbound with the zone's server as its only knowledge, and returns a client that asks it.
func resolve(t *testing.T, authoritative int) *net.Resolver {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	launch(t, "unbound", dir, nil, map[string]string{"unbound.conf": fmt.Sprintf(`
server:
  interface: 127.0.0.1@%[2]d
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-daemonize: no
  use-syslog: no
  logfile: ""
  chroot: ""
  username: ""
  directory: "%[1]s"
  pidfile: ""
  module-config: "iterator"
remote-control:
  control-enable: no
stub-zone:
  name: fed.example
  stub-addr: 127.0.0.1@%[3]d
`, dir, port, authoritative)}, "-d", "-c", dir+"/unbound.conf")
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
	}}
	until(t, 20*time.Second, "unbound to answer", func() string {
		if _, err := resolver.LookupNS(t.Context(), zoneName); err != nil {
			return err.Error()
		}
		return ""
	})
	return resolver
}

// until waits until why is empty; else it says why.
func until(t *testing.T, limit time.Duration, what string, why func() string) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		reason := why()
		if reason == "" {
			return time.Since(begin)
		}
		if time.Since(begin) > limit {
			t.Fatalf("waited %s for %s: %s", limit, what, reason)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestResolver: a client behind a caching resolver stops to be sent to an endpoint within the TTL after it was taken out, and finds a new name
// within the negative TTL.
func TestResolver(t *testing.T) {
	s, port := start(t, server.Config{Listen: []string{"127.0.0.1:0"},
		Zones: []server.Zone{{Name: zoneName, Servers: servers(), NegativeTTL: resolverNegativeTTL}}})
	const name, later = "web." + zoneName, "later." + zoneName
	short := func(name string, data ...string) []dns.RecordSet {
		return []dns.RecordSet{{Name: name, Type: dns.A, TTL: resolverTTL, Data: data}}
	}
	both := short(name, "192.0.2.1", "192.0.2.2")
	apply(t, s, name, nil, both)
	resolver := resolve(t, port)
	lookup := func(name string) ([]string, error) {
		addrs, err := resolver.LookupHost(t.Context(), name)
		slices.Sort(addrs)
		return addrs, err
	}
	if got, err := lookup(name); err != nil || !slices.Equal(got, both[0].Data) {
		t.Fatalf("%v, error %v; want %v", got, err, both[0].Data)
	}
	if _, err := lookup(later); err == nil || !isNotFound(err) {
		t.Fatalf("error %v, want that there is no such host", err)
	}
	apply(t, s, name, both, short(name, "192.0.2.2"))
	apply(t, s, later, nil, short(later, "192.0.2.3"))
	took := until(t, resolverTTL*time.Second+detection, "the dead endpoint to be gone at a client", func() string {
		if got, err := lookup(name); err != nil || slices.Contains(got, "192.0.2.1") {
			return fmt.Sprint(got, err)
		}
		return ""
	})
	t.Logf("with a TTL of %d s a client was sent to the dead endpoint for %s at most", resolverTTL, took.Round(10*time.Millisecond))
	took += until(t, detection, "the new name at a client", func() string {
		if got, err := lookup(later); err != nil {
			return fmt.Sprint(got, err)
		}
		return ""
	})
	t.Logf("with a negative TTL of %d s a new name was found after %s", resolverNegativeTTL, took.Round(10*time.Millisecond))
}

func isNotFound(err error) bool {
	missing, ok := errors.AsType[*net.DNSError](err)
	return ok && missing.IsNotFound
}
