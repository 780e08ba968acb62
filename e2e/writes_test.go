package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var requestTotal = regexp.MustCompile(`(?m)^apiserver_request_total\{(.*)\} ([0-9.e+]+)$`)

func label(labels, name string) string {
	m := regexp.MustCompile(`(?:^|,)` + name + `="([^"]*)"`).FindStringSubmatch(labels)
	if m == nil {
		return ""
	}
	return m[1]
}

// writes counts API writes of the federation by verb, resource and code, from the API server's own metric. Leases are
// left out: they are renewed whether anything happens or not.
func (w *world) writes(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, m := range requestTotal.FindAllStringSubmatch(kubectl(t, "get", "--raw", "/metrics"), -1) {
		verb, resource := label(m[1], "verb"), label(m[1], "resource")
		switch verb {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		default:
			continue
		}
		if resource == "leases" || strings.HasSuffix(resource, "reviews") {
			continue
		}
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		counts[fmt.Sprintf("%s %s/%s %s", verb, resource, label(m[1], "subresource"), label(m[1], "code"))] += int(n)
	}
	return counts
}

// metric sums a metric of the federation's over its series with a label.
func (w *world) metric(t *testing.T, name, label string) (total float64) {
	t.Helper()
	out, err := w.run(t.Context(), "kubectl", "--context="+federationName, "get", "--raw", "/metrics")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, label) {
			fields := strings.Fields(line)
			n, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				t.Fatal(err)
			}
			total += n
		}
	}
	return total
}

func difference(after, before map[string]int) (out map[string]int, total int) {
	out = map[string]int{}
	for key, n := range after {
		if n != before[key] {
			out[key] = n - before[key]
			total += n - before[key]
		}
	}
	return out, total
}

// still waits until nothing has been written for three seconds.
func (w *world) still(t *testing.T) {
	t.Helper()
	last, since := w.writes(t), time.Now()
	eventually(t, "no more writes", 60*time.Second, func() (bool, string) {
		now := w.writes(t)
		if d, n := difference(now, last); n != 0 {
			last, since = now, time.Now()
			return false, fmt.Sprint(d)
		}
		return time.Since(since) > 3*time.Second, "not long enough yet"
	})
}

// TestWritesPerDeployment: a Deployment to three clusters costs at most five writes in the control plane, the user's own
// included, none of them a conflict; a new image costs no decision; an idle federation writes nothing.
func TestWritesPerDeployment(t *testing.T) {
	ns := namespace(t, "writes")
	federation.still(t)
	before := federation.writes(t)
	const n = 5
	for i := range n {
		apply(t, federationName, into(ns, strings.ReplaceAll(webDeployment, "web", fmt.Sprintf("web-%d", i))))
	}
	for i := range n {
		kubectl(t, "rollout", "status", "-n", ns, fmt.Sprintf("deployment/web-%d", i), "--timeout=60s")
	}
	synced(t, ns, 60*time.Second)
	federation.still(t)
	counts, total := difference(federation.writes(t), before)
	t.Logf("%d writes for %d Deployments: %v", total, n, counts)
	if total > 5*n {
		t.Errorf("%d writes for %d Deployments, want at most %d", total, n, 5*n)
	}
	if federation.metric(t, "kubefed_sync_propagation_seconds_count", "") == 0 {
		t.Error("the time from write to member was not measured")
	}
	for _, d := range items(t, federationName, "placementdecisions", "-n", ns, "--show-managed-fields") {
		if field(d, "metadata", "managedFields") != nil {
			t.Errorf("account is kept of who owns the fields of %s: %v", text(d, "metadata", "name"), field(d, "metadata", "managedFields"))
		}
	}
	for key := range counts {
		if strings.HasSuffix(key, " 409") {
			t.Errorf("conflicts: %s", key)
		}
	}

	before = federation.writes(t)
	kubectl(t, "set", "image", "-n", ns, "deployment/web-0", "c=nginx:2")
	kubectl(t, "rollout", "status", "-n", ns, "deployment/web-0", "--timeout=60s")
	federation.still(t)
	counts, total = difference(federation.writes(t), before)
	t.Logf("%d writes for a new image: %v", total, counts)
	for key := range counts {
		if strings.Contains(key, "placementdecisions/ ") {
			t.Errorf("a new image was decided on: %s", key)
		}
	}
}

// TestWritesOfSlowRollout: a rollout of up to half a minute costs no more, its progress is told on the way, and what the
// user changes is seen to be observed soon.
func TestWritesOfSlowRollout(t *testing.T) {
	ns := namespace(t, "slow")
	federation.still(t)
	before := federation.writes(t)
	const available = 12
	apply(t, federationName, into(ns, strings.Replace(webDeployment, "replicas: 6", fmt.Sprintf("replicas: 6\n  minReadySeconds: %d", available), 1)))
	start := time.Now()
	eventually(t, "its progress to be told", 8*time.Second, func() (bool, string) {
		d, _ := get(t, federationName, "deployment/web", "-n", ns)
		return number(d, "status", "observedGeneration") == 1 && number(d, "status", "availableReplicas") == 0, fmt.Sprint(field(d, "status"))
	})
	kubectl(t, "rollout", "status", "-n", ns, "deployment/web", "--timeout=60s")
	if took := time.Since(start); took < (available-1)*time.Second {
		t.Errorf("the rollout was through after %s, before its pods were available", took)
	}
	federation.still(t)
	counts, total := difference(federation.writes(t), before)
	t.Logf("%d writes: %v", total, counts)
	if total > 5 {
		t.Errorf("%d writes for a Deployment that took its time, want at most 5: %v", total, counts)
	}

	kubectl(t, "scale", "-n", ns, "deployment/web", "--replicas=9")
	start = time.Now()
	eventually(t, "the new number to be observed", 8*time.Second, func() (bool, string) {
		d, _ := get(t, federationName, "deployment/web", "-n", ns)
		return number(d, "status", "observedGeneration") == number(d, "metadata", "generation"), fmt.Sprint(field(d, "status"))
	})
	kubectl(t, "rollout", "status", "-n", ns, "deployment/web", "--timeout=60s")
	if took := time.Since(start); took < (available-2)*time.Second {
		t.Errorf("scaled after %s, before the new pods were available", took)
	}
}
