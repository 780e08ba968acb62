package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

// TestDNSAfterCrash: the control plane dies by SIGKILL. Its DNS server answers as before when it is back, the zone's serial never
// goes back, and nothing leaves the zone while the control plane gets to know its members again.
func TestDNSAfterCrash(t *testing.T) {
	ns := namespace(t, "dns-crash")
	server := dnsServer(t)
	apply(t, federationName, into(ns, named))
	synced(t, ns, 60*time.Second)
	at := map[string]string{}
	for _, member := range members {
		at[member] = text(service(t, member, ns), "status", "loadBalancer", "ingress", "0", "ip")
	}
	name, want := "web."+ns+"."+federationName+".svc.example.com", joined(at, members...)
	answering(t, "published", server, 60*time.Second, map[string]string{name: want})
	last, err := serialOf(server)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(controlPlane(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ready, settled := false, time.Time{}
	eventually(t, "the control plane back", 90*time.Second, func() (bool, string) {
		serial, err := serialOf(server)
		if err != nil {
			return false, err.Error() // it is not back
		}
		if int32(serial-last) < 0 {
			t.Fatalf("the zone's serial went from %d back to %d", last, serial)
		}
		last = serial
		got := answers(t, server, name)
		if strings.HasPrefix(got, "lookup ") {
			return false, got
		}
		if got != want {
			t.Fatalf("%s answers %q after the crash, want %q; the API was ready: %v", name, got, want, ready)
		}
		if !ready {
			_, err := federation.run(t.Context(), "kubectl", "--context="+federationName, "get", "--raw", "/readyz")
			ready, settled = err == nil, time.Now()
			return false, fmt.Sprint(err)
		}
		return time.Since(settled) > 5*time.Second, "answers are watched while members are read anew"
	})
}

// serialOf is the serial of the federation's zone at a server.
func serialOf(server string) (uint32, error) {
	answer, _, err := new(mdns.Client).Exchange(new(mdns.Msg).SetQuestion("example.com.", mdns.TypeSOA), server)
	if err != nil {
		return 0, fmt.Errorf("asking %s for the SOA record: %w", server, err)
	}
	for _, rr := range answer.Answer {
		if soa, ok := rr.(*mdns.SOA); ok {
			return soa.Serial, nil
		}
	}
	return 0, fmt.Errorf("%s: no SOA record for example.com: %s", server, mdns.RcodeToString[answer.Rcode])
}
