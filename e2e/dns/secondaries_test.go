package dns_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/server"
)

// secondary is a program that carries zones.
type secondary struct {
	program string
	// configure writes its files into a directory and returns its arguments.
	configure func(dir string, port, primary int) (files map[string]string, args []string)
}

var secondaries = []secondary{
	{"named", func(dir string, port, primary int) (map[string]string, []string) {
		return map[string]string{"named.conf": fmt.Sprintf(`
key transfer { algorithm hmac-sha256; secret "%[1]s"; };
options { directory "%[2]s"; listen-on port %[3]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no;
  allow-transfer { any; }; notify no; min-refresh-time 1; transfers-in 20; serial-query-rate 200; session-keyfile none; };
controls { };
zone "fed.example" { type secondary; file "fed.zone"; masterfile-format text; primaries { 127.0.0.1 port %[4]d key transfer; }; allow-notify { any; }; };
`, secret, dir, port, primary)}, []string{"-g", "-c", dir + "/named.conf"}
	}},
	{"knotd", func(dir string, port, primary int) (map[string]string, []string) {
		return map[string]string{"knot.conf": fmt.Sprintf(`
server:
  rundir: "%[2]s"
  listen: 127.0.0.1@%[3]d
database:
  storage: "%[2]s"
key:
- id: transfer
  algorithm: hmac-sha256
  secret: "%[1]s"
remote:
- id: primary
  address: 127.0.0.1@%[4]d
  key: transfer
acl:
- id: notify
  key: transfer
  action: notify
- id: out
  address: 127.0.0.1
  action: transfer
zone:
- domain: fed.example
  storage: "%[2]s"
  master: primary
  acl: [ notify, out ]
`, secret, dir, port, primary)}, []string{"-c", dir + "/knot.conf"}
	}},
	{"nsd", func(dir string, port, primary int) (map[string]string, []string) {
		return map[string]string{"nsd.conf": fmt.Sprintf(`
server:
  ip-address: 127.0.0.1@%[3]d
  username: ""
  chroot: ""
  zonesdir: "%[2]s"
  zonelistfile: "%[2]s/zone.list"
  database: ""
  pidfile: ""
  xfrdfile: "%[2]s/xfrd.state"
  xfrdir: "%[2]s"
  rrl-ratelimit: 0
  xfrd-reload-timeout: 0
remote-control:
  control-enable: no
key:
  name: transfer
  algorithm: hmac-sha256
  secret: "%[1]s"
zone:
  name: fed.example
  allow-notify: 127.0.0.1 transfer
  request-xfr: 127.0.0.1@%[4]d transfer
  provide-xfr: 127.0.0.1 NOKEY
`, secret, dir, port, primary)}, []string{"-d", "-c", dir + "/nsd.conf"}
	}},
}

// begin starts a secondary; the test ends it.
func (s secondary) begin(t *testing.T, port, primary int) {
	t.Helper()
	dir := t.TempDir()
	files, args := s.configure(dir, port, primary)
	launch(t, s.program, dir, nil, files, args...)
}

// zoneAt is what a server hands out of the zone, sorted, without the SOA.
func zoneAt(t *testing.T, port int, signed bool) []string {
	t.Helper()
	m := new(miekg.Msg).SetAxfr(zoneName)
	tr := new(miekg.Transfer)
	if signed {
		m.SetTsig("transfer.", miekg.HmacSHA256, 300, time.Now().Unix())
		tr.TsigSecret = map[string]string{"transfer.": secret}
	}
	envelopes, err := tr.In(m, fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for e := range envelopes {
		if e.Error != nil {
			t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			if rr.Header().Rrtype != miekg.TypeSOA {
				lines = append(lines, rr.String())
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// TestSecondaries lets real secondaries follow a zone through changes.
func TestSecondaries(t *testing.T) {
	for _, program := range secondaries {
		t.Run(program.program, func(t *testing.T) {
			port := freePort(t)
			var incremental atomic.Int32
			log := funcr.New(func(_, line string) {
				if strings.Contains(line, `"incremental"=true`) {
					incremental.Add(1)
				}
			}, funcr.Options{Verbosity: 1})
			s, primary := start(t, server.Config{Log: log, Listen: []string{"127.0.0.1:0"}, Directory: t.TempDir(), Keys: []server.Key{{Name: "transfer", Secret: secret}},
				Zones: []server.Zone{{Name: zoneName, Servers: servers(), TransferKeys: []string{"transfer"},
					Secondaries: []server.Secondary{{Address: fmt.Sprintf("127.0.0.1:%d", port), Key: "transfer"}}}}})
			fill(t, s)
			program.begin(t, port, primary)
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			settled := apply(t, s, "first.fed.example.", nil, []dns.RecordSet{set("first.fed.example.", dns.A, "192.0.2.1")})
			if err := s.Await(ctx, zoneName, settled); err != nil {
				t.Fatalf("the first transfer: %v", err)
			}
			var took []time.Duration
			before := []dns.RecordSet(nil)
			for i := range 20 {
				after := []dns.RecordSet{set("moving.fed.example.", dns.A, fmt.Sprintf("192.0.2.%d", i+100))}
				begin := time.Now()
				r := apply(t, s, "moving.fed.example.", before, after)
				if err := s.Await(ctx, zoneName, r); err != nil {
					t.Fatalf("change %d: %v", i, err)
				}
				took, before = append(took, time.Since(begin)), after
			}
			slices.Sort(took)
			t.Logf("%s: a change is visible after %s (median), %s (longest)", program.program, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
			if median := took[len(took)/2]; median > time.Second {
				t.Errorf("a change is visible after %s; want a second at most", median)
			}
			if n := incremental.Load(); n == 0 {
				t.Error("no transfer was incremental")
			}
			if ours, theirs := zoneAt(t, primary, true), zoneAt(t, port, false); !slices.Equal(ours, theirs) {
				t.Errorf("the primary has\n%s\nthe secondary has\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
			}
		})
	}
}
