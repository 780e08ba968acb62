// Program dnsbench measures what a query costs the embedded DNS server, and NSD and CoreDNS (its file plugin) where those are installed: the same zone, the same
// questions, in turns, on the loopback interface. CPU time counts, from /proc, because the machine is shared; queries per second are
// shown beside it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/server"
)

const zoneName = "fed.example."

func main() {
	names := flag.Int("names", 10000, "names in the zone, of three addresses each")
	rounds := flag.Int("rounds", 5, "rounds; the servers take turns")
	length := flag.Duration("length", 3*time.Second, "length of a turn")
	serve := flag.Bool("serve", false, "serve the zone (this program starts itself so)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *serve {
		err = serveZone(ctx, *names, os.Stdout)
	} else {
		err = bench(ctx, *names, *rounds, *length, os.Stdout)
	}
	if err != nil {
		slog.Error("bench failed", "error", err)
		os.Exit(1)
	}
}

func nameOf(i int) string { return fmt.Sprintf("s%d.shop.earth.svc.%s", i, zoneName) }

func addressesOf(i int) []string {
	return dns.RecordSet{Type: dns.A, Data: []string{fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255), "192.0.2.1", "192.0.2.2"}}.Canonical().Data
}

// serveZone runs the embedded server and says at which port.
func serveZone(ctx context.Context, names int, out io.Writer) error {
	s, err := server.New(server.Config{Listen: []string{"127.0.0.1:0"}, RateLimit: -1,
		Zones: []server.Zone{{Name: zoneName, Servers: map[string][]netip.Addr{"ns1." + zoneName: {netip.MustParseAddr("127.0.0.1")}}}}})
	if err != nil {
		return err
	}
	var changes []dns.Change
	for i := range names {
		changes = append(changes, dns.Change{Name: nameOf(i), After: []dns.RecordSet{{Name: nameOf(i), Type: dns.A, TTL: 20, Data: addressesOf(i)}}})
	}
	if _, err := s.Apply(ctx, zoneName, dns.Fence{Federation: "earth", Holder: "bench", Epoch: 1}, changes); err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, s.Addresses()[0].Port()); err != nil {
		return err
	}
	s.Wait()
	return nil
}

// target is a server that is measured.
type target struct {
	name string
	cmd  *exec.Cmd
	addr string
	// cpu are µs per query, rate queries per second, one of each for each round.
	cpu, rate []float64
}

func (t *target) stop() {
	_ = syscall.Kill(-t.cmd.Process.Pid, syscall.SIGTERM)
	_ = t.cmd.Wait()
}

func bench(ctx context.Context, names, rounds int, length time.Duration, out io.Writer) error {
	questions, err := newQuestions(names)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "dnsbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var targets []*target
	defer func() {
		for _, t := range targets {
			t.stop()
		}
	}()
	for _, begin := range []func(context.Context, string, int) (*target, error){beginEmbedded, beginNSD, beginCoreDNS} {
		t, err := begin(ctx, dir, names)
		if errors.Is(err, exec.ErrNotFound) {
			fmt.Fprintf(out, "%v: not compared; install it to see it here\n", err)
			continue
		}
		if err != nil {
			return err
		}
		targets = append(targets, t)
		if err := questions.wait(ctx, t.addr); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	for range rounds {
		for _, t := range targets {
			if err := t.turn(ctx, questions, length); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	fmt.Fprintf(out, "%-10s %14s %14s %12s\n", "server", "CPU µs/query", "(min-max)", "queries/s")
	for _, t := range targets {
		fmt.Fprintf(out, "%-10s %14.1f %14s %12.0f\n", t.name, median(t.cpu), fmt.Sprintf("(%.1f-%.1f)", slices.Min(t.cpu), slices.Max(t.cpu)), median(t.rate))
	}
	for _, t := range targets[1:] {
		fmt.Fprintf(out, "embedded / %s: %.2f of the CPU per query\n", t.name, median(targets[0].cpu)/median(t.cpu))
	}
	return nil
}

func (t *target) turn(ctx context.Context, q *questions, length time.Duration) error {
	before, err := cpuOf(t.cmd.Process.Pid)
	if err != nil {
		return err
	}
	begin := time.Now()
	answered, err := q.load(ctx, t.addr, length)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	after, err := cpuOf(t.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if answered == 0 {
		return errors.New("no answers")
	}
	t.cpu = append(t.cpu, float64((after-before).Microseconds())/float64(answered))
	t.rate = append(t.rate, float64(answered)/took.Seconds())
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func beginEmbedded(ctx context.Context, _ string, names int) (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve", "-names", strconv.Itoa(names))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var port int
	if _, err := fmt.Fscan(stdout, &port); err != nil {
		return nil, fmt.Errorf("reading the port of the embedded server: %w", err)
	}
	return &target{name: "embedded", cmd: cmd, addr: fmt.Sprintf("127.0.0.1:%d", port)}, nil
}

// beginNSD starts one process of NSD without its rate limit, which Debian's build has on.
func beginNSD(ctx context.Context, dir string, names int) (*target, error) {
	nsd, err := exec.LookPath("nsd")
	if err != nil {
		if nsd, err = exec.LookPath("/usr/sbin/nsd"); err != nil {
			return nil, fmt.Errorf("nsd: %w", exec.ErrNotFound)
		}
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("server:\n  ip-address: 127.0.0.1@%d\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"%[2]s\"\n  zonelistfile: \"%[2]s/zone.list\"\n  database: \"\"\n"+
		"  pidfile: \"\"\n  xfrdfile: \"%[2]s/xfrd.state\"\n  xfrdir: \"%[2]s\"\n  rrl-ratelimit: 0\n  server-count: 1\nremote-control:\n  control-enable: no\nzone:\n  name: fed.example\n  zonefile: zone\n", addr.Port(), dir)
	for name, text := range map[string]string{"zone": zoneFile(names), "nsd.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, nsd, "-d", "-c", filepath.Join(dir, "nsd.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &target{name: "nsd", cmd: cmd, addr: addr.String()}, nil
}

// beginCoreDNS starts CoreDNS on one processor with the zone in a file and nothing else.
func beginCoreDNS(ctx context.Context, dir string, names int) (*target, error) {
	coreDNS, err := exec.LookPath("coredns")
	if err != nil {
		return nil, fmt.Errorf("coredns: %w", exec.ErrNotFound)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	corefile := fmt.Sprintf("%s:%d {\n  bind 127.0.0.1\n  file %s/coredns.zone\n}\n", zoneName, addr.Port(), dir)
	for name, text := range map[string]string{"coredns.zone": zoneFile(names), "Corefile": corefile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, coreDNS, "-quiet", "-conf", filepath.Join(dir, "Corefile"))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &target{name: "coredns", cmd: cmd, addr: addr.String()}, nil
}

// zoneFile is the zone as the other servers read it.
func zoneFile(names int) string {
	var zone strings.Builder
	fmt.Fprintf(&zone, "$ORIGIN %[1]s\n@ 300 IN SOA ns1.%[1]s hostmaster.%[1]s 1 300 60 1209600 10\n@ 300 IN NS ns1\nns1 300 IN A 127.0.0.1\n", zoneName)
	for i := range names {
		for _, a := range addressesOf(i) {
			fmt.Fprintf(&zone, "%s 20 IN A %s\n", nameOf(i), a)
		}
	}
	return zone.String()
}

func freeAddr() (netip.AddrPort, error) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer packets.Close()
	return packets.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

// cpuOf is the CPU time of all processes of a group (proc(5): fields 5, 14 and 15 of stat, in ticks of 10 ms).
func cpuOf(group int) (time.Duration, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // It ended.
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 13 || fields[2] != strconv.Itoa(group) {
			continue
		}
		user, err1 := strconv.ParseInt(fields[11], 10, 64)
		system, err2 := strconv.ParseInt(fields[12], 10, 64)
		if err := cmp.Or(err1, err2); err != nil {
			return 0, err
		}
		ticks += user + system
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
