package node

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubefed.dev/kubefed/internal/testprogram"
)

// nodePorts asks the web servers on the node port of every node.
func (c *clusterProcess) nodePorts(t *testing.T) {
	service := must(c.client.CoreV1().Services("default").Get(t.Context(), "web", metav1.GetOptions{}))(t)
	port := strconv.Itoa(int(service.Spec.Ports[0].NodePort))
	seen := map[string]bool{}
	for _, node := range must(c.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}))(t).Items {
		address := node.Status.Addresses[0].Address
		c.awaitPods(t, "http://"+net.JoinHostPort(address, port)+"/", 2)
		seen[address] = true
	}
	if len(seen) != 2 {
		t.Errorf("the two nodes have the addresses %v", seen)
	}
}

func (c *clusterProcess) kubectl(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), testprogram.Find(t, "kubectl"), append([]string{"--kubeconfig=" + filepath.Join(c.dir, "kubeconfig")}, args...)...)
}

// exec runs commands in a pod with kubectl.
func (c *clusterProcess) exec(t *testing.T) {
	pod := c.webPods(t)[0].Name
	for _, tc := range []struct {
		name, input string
		args        []string
		want        string
		code        int
	}{
		{"environment and mounts", "", []string{pod, "--", "sh", "-c", "echo $POD; cat /etc/secret/token"}, pod + "\nfirst", 0},
		{"input", "typed", []string{"-i", pod, "--", "cat"}, "typed", 0},
		{"input that is not read", "typed", []string{"-i", pod, "--", "true"}, "", 0},
		{"errors apart, exit code", "", []string{pod, "--", "sh", "-c", "echo out; echo err >&2; exit 7"}, "out\n", 7},
		{"a command that is not there", "", []string{pod, "--", "no-such-command"}, "", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := c.kubectl(t, append([]string{"exec"}, tc.args...)...)
			cmd.Stdin = strings.NewReader(tc.input)
			out, err := cmd.Output()
			if string(out) != tc.want || cmd.ProcessState.ExitCode() != tc.code {
				t.Errorf("output %q, exit code %d, %v; want %q, %d", out, cmd.ProcessState.ExitCode(), err, tc.want, tc.code)
			}
		})
	}
	t.Run("a simulated pod", func(t *testing.T) {
		c.runPod(t, "simulated", v1.Container{Name: "c", Image: "nginx"})
		eventually(t, "the pod", func() error {
			p, err := c.client.CoreV1().Pods("default").Get(t.Context(), "simulated", metav1.GetOptions{})
			if err == nil && p.Status.Phase != v1.PodRunning {
				err = fmt.Errorf("it is %s", p.Status.Phase)
			}
			return err
		})
		out, err := c.kubectl(t, "exec", "simulated", "--", "true").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "is simulated") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// portForward reaches one web server through kubectl, again and again, until its pod goes.
func (c *clusterProcess) portForward(t *testing.T) {
	pod := c.webPods(t)[0].Name
	cmd := c.kubectl(t, "port-forward", "--address=127.0.0.1", "pod/"+pod, ":8080")
	out := must(cmd.StdoutPipe())(t)
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var port int
	if _, scanErr := fmt.Sscanf(line, "Forwarding from 127.0.0.1:%d -> 8080", &port); scanErr != nil {
		t.Fatalf("kubectl says %q, %v", line, err)
	}
	go io.Copy(io.Discard, out)
	for range 3 {
		answer, err := get(t.Context(), fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil || answer["pod"] != pod {
			t.Fatalf("answer %v, %v", answer, err)
		}
	}
	if err := c.client.CoreV1().Pods("default").Delete(t.Context(), pod, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(errs.String(), "lost connection to pod") {
		t.Errorf("kubectl ended with %v: %s", err, errs.String())
	}
	eventually(t, "two web servers again", func() error {
		ready := 0
		for _, p := range c.webPods(t) {
			if p.DeletionTimestamp == nil && len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].Ready {
				ready++
			}
		}
		if ready != 2 || len(c.webPods(t)) != 2 {
			return fmt.Errorf("%d are ready", ready)
		}
		return nil
	})
}

// openStream leaves a command with an open input running in a pod, and returns a function that waits for its end.
func (c *clusterProcess) openStream(t *testing.T, pod string) (wait func()) {
	t.Helper()
	var out []byte
	eventually(t, "a command in pod "+pod, func() error {
		var err error
		if out, err = c.kubectl(t, "exec", pod, "--", "true").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	cmd := c.kubectl(t, "exec", "-i", pod, "--", "cat")
	in, stdout := must(cmd.StdinPipe())(t), must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "begun")
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "begun\n" {
		t.Fatalf("the command says %q, %v", line, err)
	}
	return func() { _ = cmd.Wait() } // kubectl takes a lost connection for a good end
}
