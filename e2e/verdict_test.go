package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// evidence is what each source says of a cluster.
func evidence(t *testing.T, cluster string) map[string]string {
	t.Helper()
	c, _ := get(t, federationName, "cluster", cluster)
	found := map[string]string{}
	list, _ := field(c, "status", "verdict", "evidence").([]any)
	for _, e := range list {
		e := e.(map[string]any)
		found[text(e, "source")] = text(e, "says")
	}
	return found
}

// witnessed waits until the witnesses of all members see a cluster so.
func witnessed(t *testing.T, cluster, says string, within time.Duration) {
	t.Helper()
	eventually(t, "witnesses to see "+cluster+" "+says, within, func() (bool, string) {
		found := evidence(t, cluster)
		for _, m := range members {
			if m != cluster && found["Witness/"+m] != says {
				return false, fmt.Sprint(found)
			}
		}
		return true, ""
	})
}

// TestVerdict: a member dies. Within 15 seconds it is Down, by the word of the control plane and of two witnesses; the
// others are Ready as before. When it is back, it is Ready after a while.
func TestVerdict(t *testing.T) {
	for _, m := range members {
		judged(t, m, "Ready", 60*time.Second)
		witnessed(t, m, "Alive", 60*time.Second)
	}
	died := time.Now()
	playground(t, "kill", "shire")
	t.Cleanup(func() {
		// Also after a failure: the next story needs all members.
		_, _ = federation.run(context.Background(), "kubefed", "playground", "start", "shire", "--dir="+federation.dir)
	})
	judged(t, "shire", "Down", 30*time.Second)
	took := time.Since(died)
	t.Logf("Down %s after it died", took.Round(10*time.Millisecond))
	if took > 15*time.Second {
		t.Errorf("it took %s to find the dead member Down, want 15 s", took)
	}
	witnessed(t, "shire", "Dead", 15*time.Second)
	if found := evidence(t, "shire"); found["API"] != "Dead" {
		t.Errorf("the evidence is %v", found)
	}
	c, _ := get(t, federationName, "cluster", "shire")
	var taints []string
	list, _ := field(c, "status", "taints").([]any)
	for _, taint := range list {
		taint := taint.(map[string]any)
		taints = append(taints, text(taint, "key")+":"+text(taint, "effect"))
		if text(taint, "timeAdded") == "" {
			t.Errorf("taint %v has no time", taint)
		}
	}
	if want := []string{"federation.kubefed.dev/down:NoSchedule", "federation.kubefed.dev/down:NoExecute"}; !slices.Equal(taints, want) {
		t.Errorf("taints are %v, want %v", taints, want)
	}
	for _, m := range []string{"gondor", "rohan"} {
		judged(t, m, "Ready", time.Second)
	}
	playground(t, "start", "shire")
	judged(t, "shire", "Ready", 90*time.Second)
	witnessed(t, "shire", "Alive", 30*time.Second)
}

// TestSelfIsolation: all members stop answering at once, as they do when it is the control plane that is cut off. It says
// so, takes nobody for dead, and moves nothing; when they answer again all is as before.
func TestSelfIsolation(t *testing.T) {
	ns := namespace(t, "isolation")
	apply(t, federationName, into(ns, webDeployment))
	synced(t, ns, 60*time.Second)
	for _, m := range members {
		judged(t, m, "Ready", 60*time.Second)
	}
	before := shares(t, ns, "web")
	pids := apiProcesses(t)
	signal := func(s syscall.Signal) {
		for _, pid := range pids {
			if err := syscall.Kill(pid, s); err != nil {
				t.Errorf("signal to process %d: %v", pid, err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { signal(syscall.SIGCONT) })
	isolated(t, "True", 30*time.Second)
	_, err := federation.run(t.Context(), "kubefed", "status")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 4 || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("kubefed status says %v, want exit code 4", err)
	}
	for until := time.Now().Add(15 * time.Second); time.Now().Before(until); time.Sleep(time.Second) {
		for _, m := range members {
			c, _ := get(t, federationName, "cluster", m)
			if text(c, "status", "verdict", "state") == "Down" {
				t.Fatalf("%s is Down: %s", m, text(c, "status", "verdict", "message"))
			}
		}
	}
	signal(syscall.SIGCONT)
	isolated(t, "False", 30*time.Second)
	for _, m := range members {
		judged(t, m, "Ready", 60*time.Second)
	}
	if after := shares(t, ns, "web"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("replicas were at %v, and are at %v", before, after)
	}
}

// TestSlow: a member whose every answer takes most of a second is no dead one. Nothing moves, and nothing flaps.
func TestSlow(t *testing.T) {
	ns := namespace(t, "slow-member")
	apply(t, federationName, into(ns, webDeployment))
	synced(t, ns, 60*time.Second)
	for _, m := range members {
		judged(t, m, "Ready", 60*time.Second)
	}
	before := fmt.Sprint(shares(t, ns, "web"))
	pid := apiProcesses(t)["gondor"]
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(pid, s); err != nil {
			t.Errorf("signal to process %d: %v", pid, err)
		}
	}
	t.Cleanup(func() { signal(syscall.SIGCONT) })
	verdicts := []string{"Ready"}
	for until, asked := time.Now().Add(30*time.Second), time.Now(); time.Now().Before(until); {
		signal(syscall.SIGSTOP)
		time.Sleep(800 * time.Millisecond)
		signal(syscall.SIGCONT)
		time.Sleep(200 * time.Millisecond)
		if time.Since(asked) < 2*time.Second {
			continue
		}
		asked = time.Now()
		c, _ := get(t, federationName, "cluster", "gondor")
		if now := text(c, "status", "verdict", "state"); now != verdicts[len(verdicts)-1] {
			verdicts = append(verdicts, now)
		}
	}
	if slices.Contains(verdicts, "Down") || len(verdicts) > 3 {
		t.Errorf("the slow member was %s", strings.Join(verdicts, ", then "))
	}
	judged(t, "gondor", "Ready", 60*time.Second)
	if after := fmt.Sprint(shares(t, ns, "web")); after != before {
		t.Errorf("replicas were at %s, and are at %s", before, after)
	}
}

// isolated waits for the federation's condition.
func isolated(t *testing.T, status string, within time.Duration) {
	t.Helper()
	eventually(t, "condition Isolated="+status, within, func() (bool, string) {
		f, _ := get(t, federationName, "federations.federation.kubefed.dev", federationName)
		got := condition(f, "Isolated")
		return text(got, "status") == status, fmt.Sprint(got)
	})
}

// apiProcesses are the members' processes by name; those of their pods are others.
func apiProcesses(t *testing.T) map[string]int {
	t.Helper()
	var status struct {
		Clusters []struct {
			Name string
			PID  int
		}
	}
	out, _ := federation.run(t.Context(), "kubefed", "playground", "status", "-o", "json", "--dir="+federation.dir)
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatal(err)
	}
	pids := map[string]int{}
	for _, c := range status.Clusters {
		if slices.Contains(members, c.Name) {
			pids[c.Name] = c.PID
		}
	}
	if len(pids) != len(members) {
		t.Fatalf("found processes %v of %d members", pids, len(members))
	}
	return pids
}
