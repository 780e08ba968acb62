package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// atOnce has replicas leave a dead cluster at once, and go back soon.
var atOnce = propagation(`
  tolerations: [{key: federation.kubefed.dev/down, operator: Exists, effect: NoExecute, tolerationSeconds: 0}]
  moves: {stableFor: 1s, minimumStay: 0s, maxMoving: 100%}`)

// shop is a web application with an address in each member, whose names are forgotten after five seconds.
var shop = atOnce + "\n---" + strings.NewReplacer("replicas: 3", "replicas: 6",
	"metadata: {name: web}\nspec: {type", "metadata: {name: web, annotations: {federation.kubefed.dev/dns-ttl: \"5\"}}\nspec: {type").Replace(named)

// open sets the shop up, and waits until every member's address is an answer to its name.
func open(t *testing.T, name string) (ns, host string, at map[string]string) {
	t.Helper()
	for _, m := range members {
		judged(t, m, "Ready", 60*time.Second)
	}
	ns = namespace(t, name)
	apply(t, federationName, into(ns, shop))
	placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 60*time.Second)
	at = map[string]string{}
	for _, m := range members {
		at[m] = text(service(t, m, ns), "status", "loadBalancer", "ingress", "0", "ip")
	}
	host = "web." + ns + "." + federationName + ".svc.example.com"
	answering(t, "all members answer", dnsServer(t), 60*time.Second, map[string]string{host: joined(at, members...)})
	return ns, host, at
}

// drilled is what the stories read of a FailoverDrill.
type drilled struct {
	Metadata struct{ Name string }
	Status   struct {
		Phase, Broken string
		Conditions    []struct{ Type, Status, Message string }
		Timeline      []struct {
			Time                             time.Time
			Event, Cluster, Service, Message string
		}
		Services []struct {
			Requests, Failed, FailedLate, FailedInRestore int
			LastError                                     string
		}
		Moved int
	}
}

// has says when an event of the timeline was, the last of its kind.
func (d *drilled) has(event, message string) (at time.Time, ok bool) {
	for _, e := range d.Status.Timeline {
		if e.Event == event && strings.HasPrefix(e.Message, message) {
			at, ok = e.Time, true
		}
	}
	return at, ok
}

func (d *drilled) passed() bool {
	for _, c := range d.Status.Conditions {
		if c.Type == "Passed" {
			return c.Status == "True"
		}
	}
	return false
}

func readDrilled(t *testing.T, out string) *drilled {
	t.Helper()
	d := &drilled{}
	if err := json.Unmarshal([]byte(out), d); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return d
}

// TestDrillKill: a member is killed by a drill while requests find the Service by name. The verdict takes 15 seconds at most, its
// addresses are out of DNS within 10, and requests fail only until the last cached answer has ended, none while it comes back.
func TestDrillKill(t *testing.T) {
	ns, _, _ := open(t, "drill-kill")
	t.Cleanup(func() {
		_, _ = federation.run(context.Background(), "kubefed", "playground", "start", "shire", "--dir="+federation.dir)
	})
	out, err := federation.run(t.Context(), "kubefed", "drill", "run", "shire-dies", "--cluster=shire", "--mode=kill", "--duration=15s", "--rate=20",
		"--service="+ns+"/web", "--objective=recovery=20s", "--objective=replacement=15s", "-o", "json", "--dir="+federation.dir, "--context="+federationName)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := readDrilled(t, out)
	injected, _ := d.has("Injected", "")
	for _, limit := range []struct {
		event, message string
		within         time.Duration
	}{{"Verdict", "Down", 15 * time.Second}, {"DNSWithdrawn", "", 10 * time.Second}, {"ReplacementReady", "", 15 * time.Second}} {
		at, there := d.has(limit.event, limit.message)
		if took := at.Sub(injected); !there || took > limit.within {
			t.Errorf("%s %s: %v after %s, want %s at most", limit.event, limit.message, there, took, limit.within)
		} else {
			t.Logf("%s %s: after %.1f s", limit.event, limit.message, took.Seconds())
		}
	}
	if len(d.Status.Services) != 1 || d.Status.Moved != 2 || !d.passed() {
		t.Fatalf("not as it should be:\n%s", out)
	}
	s := d.Status.Services[0]
	t.Logf("%d of %d requests failed", s.Failed, s.Requests)
	if s.Requests < 200 || s.Failed == 0 || s.FailedLate != 0 || s.FailedInRestore != 0 {
		t.Errorf("of %d requests %d failed, %d late, %d while it came back (%s)", s.Requests, s.Failed, s.FailedLate, s.FailedInRestore, s.LastError)
	}
	for _, form := range []string{"table", "markdown", "html"} {
		if report := must(t, "kubefed", "drill", "report", "shire-dies", "-o", form, "--context="+federationName); !strings.Contains(report, "ReplacementReady") && !strings.Contains(report, "Replacement") {
			t.Errorf("the report as %s lacks the replacement:\n%s", form, report)
		}
	}
	judged(t, "shire", "Ready", 60*time.Second)
}

// TestDrillDrain: a living member is emptied under constant load, by name, and no request fails: its pods go only when nobody can
// hold its address any more, which is after the TTL and half a minute.
func TestDrillDrain(t *testing.T) {
	ns, _, _ := open(t, "drill-drain")
	out, err := federation.run(t.Context(), "kubefed", "drill", "run", "shire-drains", "--cluster=shire", "--mode=drain", "--duration=45s", "--rate=20",
		"--service="+ns+"/web", "--objective=replacement=20s", "-o", "json", "--context="+federationName)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := readDrilled(t, out)
	if len(d.Status.Services) != 1 || d.Status.Moved != 2 || !d.passed() {
		t.Fatalf("not as it should be:\n%s", out)
	}
	s := d.Status.Services[0]
	t.Logf("%d of %d requests failed", s.Failed, s.Requests)
	if s.Requests < 800 || s.Failed != 0 {
		t.Errorf("of %d requests %d failed, %d late, %d while it came back (%s)", s.Requests, s.Failed, s.FailedLate, s.FailedInRestore, s.LastError)
	}
}

// restart ends the control plane as a power cut would, and waits until it is back.
func restart(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(controlPlane(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// The dead process still answers nothing: what answers is the new one.
	eventually(t, "the control plane back", 60*time.Second, func() (bool, string) {
		_, err := federation.run(t.Context(), "kubectl", "--context="+federationName, "get", "--raw", "/readyz", "--request-timeout=2s")
		return err == nil, fmt.Sprint(err)
	})
}

// TestDrillControlPlaneKilled: the control plane dies in the middle of a drill and of the failover that it causes. It goes on with
// both, takes everything back, and at no time are too few replicas ready.
func TestDrillControlPlaneKilled(t *testing.T) {
	ns, _, _ := open(t, "drill-killed")
	least := floor(t, ns)
	must(t, "kubefed", "drill", "run", "interrupted", "--cluster=shire", "--mode=verdict", "--duration=20s", "--service="+ns+"/web", "--wait=false", "--context="+federationName)
	look := func() *drilled {
		return readDrilled(t, must(t, "kubefed", "drill", "show", "interrupted", "-o", "json", "--context="+federationName))
	}
	eventually(t, "the replacements being added", 30*time.Second, func() (bool, string) {
		d, _ := get(t, federationName, "placementdecision", "web.deployments.apps", "-n", ns)
		return strings.Contains(fmt.Sprint(field(d, "spec", "clusters")), "gondor replicas:3"), fmt.Sprint(field(d, "spec"), look().Status.Phase)
	})
	restart(t)
	eventually(t, "the drill goes on", 30*time.Second, func() (bool, string) {
		d := look()
		_, resumed := d.has("Resumed", "")
		return resumed && slices.Contains([]string{"Running", "Restoring", "Completed"}, d.Status.Phase), fmt.Sprint(d.Status.Phase, d.Status.Timeline)
	})
	refused(t, []string{"kubefed", "drill", "run", "another", "--cluster=gondor", "--context=" + federationName}, "another", "interrupted")
	eventually(t, "the drill over", 90*time.Second, func() (bool, string) {
		d := look()
		return d.Status.Phase == "Completed", fmt.Sprint(d.Status.Phase, d.Status.Broken, d.Status.Timeline)
	})
	if d := look(); !d.passed() {
		t.Errorf("the drill did not pass: %+v", d.Status)
	}
	c, _ := get(t, federationName, "cluster", "shire")
	if mark := text(c, "metadata", "annotations", "federation.kubefed.dev/drill"); mark != "" {
		t.Errorf("shire is still marked: %s", mark)
	}
	judged(t, "shire", "Ready", 30*time.Second)
	placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 60*time.Second)
	if n := least(); n < 6 {
		t.Errorf("only %d of 6 replicas were ready meanwhile", n)
	}
}

// TestFaults: what must not move anything (one member that the control plane can't reach, all of them, one that comes and goes),
// and what must move everything: two of three members dead.
func TestFaults(t *testing.T) {
	ns, host, at := open(t, "faults")
	server := dnsServer(t)
	everywhere := map[string]string{host: joined(at, members...)}
	all := func(verb string, clusters ...string) {
		t.Helper()
		for _, c := range clusters {
			playground(t, verb, c)
		}
	}
	t.Cleanup(func() {
		for _, m := range members {
			_, _ = federation.run(context.Background(), "kubefed", "playground", "heal", m, "--dir="+federation.dir)
			_, _ = federation.run(context.Background(), "kubefed", "playground", "start", m, "--dir="+federation.dir)
		}
	})
	decision := func() string {
		d, _ := get(t, federationName, "placementdecision", "web.deployments.apps", "-n", ns)
		return fmt.Sprint(field(d, "metadata", "generation"), field(d, "spec", "clusters"))
	}
	before := decision()
	unmoved := func(t *testing.T) {
		t.Helper()
		if now := decision(); now != before {
			t.Errorf("the decision was %s and is %s", before, now)
		}
		if got := answers(t, server, host); got != everywhere[host] {
			t.Errorf("DNS answers %q, want %q", got, everywhere[host])
		}
	}

	t.Run("partition", func(t *testing.T) {
		all("partition", "rohan")
		judged(t, "rohan", "Unreachable", 30*time.Second)
		refused(t, []string{"kubefed", "status", "--context=" + federationName}, "rohan")
		unmoved(t)
	})
	t.Run("isolation", func(t *testing.T) {
		all("partition", "gondor", "shire")
		isolated(t, "True", 30*time.Second)
		unmoved(t)
		all("heal", members...)
		isolated(t, "False", 30*time.Second)
		for _, m := range members {
			judged(t, m, "Ready", 60*time.Second)
		}
		unmoved(t)
	})
	t.Run("flap", func(t *testing.T) {
		// Once more, so shortly after the isolation: its word counts again only when it was well for longer.
		all("partition", "gondor")
		judged(t, "gondor", "Unreachable", 30*time.Second)
		all("heal", "gondor")
		judged(t, "gondor", "Degraded", 30*time.Second)
		unmoved(t)
		judged(t, "gondor", "Ready", 60*time.Second)
	})
	t.Run("two of three", func(t *testing.T) {
		died := time.Now()
		all("kill", "gondor", "rohan")
		answering(t, "the dead are out of DNS", server, 30*time.Second, map[string]string{host: at["shire"]})
		if took := time.Since(died); took > 10*time.Second {
			t.Errorf("the dead were out of DNS after %s, want 10 s", took)
		}
		for _, m := range []string{"gondor", "rohan"} {
			judged(t, m, "Down", 30*time.Second)
		}
		took := time.Since(died)
		t.Logf("both Down %.1f s after the death", took.Seconds())
		if took > 15*time.Second {
			t.Errorf("it took %s to find both dead, want 15 s; evidence %v, %v", took, evidence(t, "gondor"), evidence(t, "rohan"))
		}
		eventually(t, "all replicas in shire", 60*time.Second, func() (bool, string) {
			d, _ := get(t, federationName, "deployment/web", "-n", ns)
			there, _ := get(t, "shire", "deployment/web", "-n", ns)
			return number(d, "status", "readyReplicas") == 6 && number(there, "status", "readyReplicas") == 6, fmt.Sprint(d["status"])
		})
		all("start", "gondor", "rohan")
		placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 90*time.Second)
	})
}
