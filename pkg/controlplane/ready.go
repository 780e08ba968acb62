package controlplane

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// available waits until the control plane's Deployment is available; its readiness probe asks the API's /readyz.
func (h *Host) available(ctx context.Context, o Options, timeout time.Duration, progress Progress) error {
	err := wait(ctx, timeout, "the control plane's pod", progress, func(ctx context.Context) (string, error) {
		d, err := found(ctx, h, &appsv1.Deployment{}, Name)
		if err != nil || d == nil {
			return "its Deployment is not there", err
		}
		if rolledOut(d) {
			return "", nil
		}
		pods, err := h.pods(ctx, o.Name)
		if err != nil {
			return "", err
		}
		return podsWhy(pods), nil
	})
	var late *WaitError
	if !errors.As(err, &late) {
		return err
	}
	return fmt.Errorf("%w\n%s", err, h.diagnose(ctx, o.Name))
}

func rolledOut(d *appsv1.Deployment) bool {
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas >= *d.Spec.Replicas && s.Replicas == s.UpdatedReplicas &&
		s.AvailableReplicas >= *d.Spec.Replicas
}

func (h *Host) pods(ctx context.Context, name string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := h.client.List(ctx, &pods, client.InNamespace(Namespace), client.MatchingLabels(selector(name)))
	if err != nil {
		return nil, fmt.Errorf("listing pods in namespace %s of host cluster %s: %w", Namespace, h.Context, err)
	}
	return pods.Items, nil
}

// podsWhy says in a few words why the pods are not ready.
func podsWhy(pods []corev1.Pod) string {
	if len(pods) == 0 {
		return "no pod has been made yet"
	}
	// A pod that is on its way out explains nothing while a new one is there.
	slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	pod := pods[0]
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.State.Waiting != nil:
			return fmt.Sprintf("pod %s: %s", pod.Name, sentence(c.State.Waiting.Reason, c.State.Waiting.Message))
		case c.State.Terminated != nil:
			return fmt.Sprintf("pod %s: it ended with exit code %d %s", pod.Name, c.State.Terminated.ExitCode, c.State.Terminated.Message)
		case !c.Ready:
			return fmt.Sprintf("pod %s runs and is not ready yet", pod.Name)
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Type == corev1.PodScheduled {
			return fmt.Sprintf("pod %s: %s", pod.Name, sentence(c.Reason, c.Message))
		}
	}
	return fmt.Sprintf("pod %s is %s", pod.Name, pod.Status.Phase)
}

func sentence(reason, message string) string {
	if message == "" {
		return reason
	}
	return reason + ": " + message
}

// diagnose collects what explains a control plane that does not start: pods, warning events and the last log lines.
// What can't be read is left out: this is the end of an error message.
func (h *Host) diagnose(ctx context.Context, name string) string {
	var out strings.Builder
	pods, err := h.pods(ctx, name)
	if err != nil {
		return err.Error()
	}
	for _, pod := range pods {
		fmt.Fprintf(&out, "  %s\n", podsWhy([]corev1.Pod{pod}))
	}
	var events corev1.EventList
	if h.client.List(ctx, &events, client.InNamespace(Namespace)) == nil {
		for _, e := range events.Items {
			if e.Type == corev1.EventTypeWarning {
				fmt.Fprintf(&out, "  event on %s %s: %s: %s\n", e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
			}
		}
	}
	for _, pod := range pods {
		for _, line := range h.lastLines(ctx, pod) {
			fmt.Fprintf(&out, "  log of %s: %s\n", pod.Name, line)
		}
	}
	fmt.Fprintf(&out, "look with: kubectl --context=%s -n %s get pods,events", h.Context, Namespace)
	return out.String()
}

// lastLines are a pod's last log lines, those of its previous run where it has restarted.
func (h *Host) lastLines(ctx context.Context, pod corev1.Pod) []string {
	previous := len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].RestartCount > 0
	for _, before := range []bool{previous, false} {
		stream, err := h.clientset.CoreV1().Pods(Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
			Previous: before, TailLines: new(int64(10)), LimitBytes: new(int64(16 << 10)),
		}).Stream(ctx)
		if err != nil {
			continue
		}
		defer stream.Close()
		var lines []string
		for scanner := bufio.NewScanner(stream); scanner.Scan(); {
			lines = append(lines, scanner.Text())
		}
		return lines
	}
	return nil
}

// answering waits until the API answers at the address that users will have.
func answering(ctx context.Context, e Endpoint, c Credentials, timeout time.Duration, progress Progress) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CACert)
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true,
	}
	caller := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	err := wait(ctx, timeout, "the federation API at "+e.Server, progress, func(ctx context.Context) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Server+"/readyz", nil)
		if err != nil {
			return "", err
		}
		response, err := caller.Do(request)
		if err != nil {
			return err.Error(), nil
		}
		defer response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return "", nil
		}
		body, _ := io.ReadAll(io.LimitReader(response.Body, 512))
		return fmt.Sprintf("/readyz says %s: %s", response.Status, strings.TrimSpace(string(body))), nil
	})
	var late *WaitError
	if errors.As(err, &late) {
		return fmt.Errorf("%w\nthe pod is ready, so look at the way to it: is %s reachable from here? If not, give another --api-server-advertise-address or --api-server-service-type", err, e.Server)
	}
	return err
}
