package playground

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kubefed.dev/kubefed/internal/testprogram"
)

// TestPartition: who is outside reaches nothing, what is inside goes on.
func TestPartition(t *testing.T) {
	p, progress := shared(t)
	t.Cleanup(func() {
		if err := p.Down(context.WithoutCancel(t.Context())); err != nil && !errors.Is(err, ErrNone) {
			t.Errorf("taking down: %v\n%s", err, progress)
		}
	})
	if err := p.Up(t.Context(), Wish{Host: "lorien", Members: []Spec{{"mordor", Member, "aws", "us-west-2", []string{"us-west-2a"}}}}); err != nil {
		t.Fatalf("%v\n%s", err, progress)
	}
	kubectl := func(args ...string) (string, error) {
		args = append([]string{"--context=mordor", "--request-timeout=3s"}, args...)
		out, err := exec.CommandContext(t.Context(), testprogram.Find(t, "kubectl"), args...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if err := p.Heal(t.Context(), "mordor"); err != nil || !strings.Contains(progress.String(), "mordor: was not cut off") {
		t.Errorf("healing what is well: %v\n%s", err, progress)
	}
	if out, err := kubectl("create", "deployment", "web", "--image=nginx", "--replicas=1"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	watch := exec.CommandContext(t.Context(), testprogram.Find(t, "kubectl"), "--context=mordor", "get", "pods", "--watch", "--output=name")
	if err := watch.Start(); err != nil { // a connection that is there already
		t.Fatal(err)
	}
	defer func() { _ = watch.Process.Kill(); _ = watch.Wait() }()
	if err := p.Partition(t.Context(), "mordor"); err != nil {
		t.Fatalf("%v\n%s", err, progress)
	}
	if out, err := kubectl("get", "pods"); err == nil {
		t.Errorf("the API still answers:\n%s", out)
	}
	cut := time.Now()
	// Nodes renew their leases through the API every few seconds.
	time.Sleep(12 * time.Second)
	if err := p.Heal(t.Context(), "mordor"); err != nil {
		t.Fatalf("%v\n%s", err, progress)
	}
	out, err := kubectl("get", "leases", "-n", "kube-node-lease", "-o", "jsonpath={.items[*].spec.renewTime}")
	if err != nil {
		t.Fatalf("after the partition: %v: %s", err, out)
	}
	for _, renewed := range strings.Fields(out) {
		at, err := time.Parse(time.RFC3339Nano, renewed)
		if err != nil || at.Before(cut) {
			t.Errorf("a node last reached its API at %s, before it was cut off at %s (%v)", renewed, cut, err)
		}
	}
	if err := p.Kill(t.Context(), "mordor"); err != nil {
		t.Fatal(err)
	}
	if err := p.Partition(t.Context(), "mordor"); !matches(err, "it does not run") {
		t.Errorf("cutting off what does not run: %v", err)
	}
}
