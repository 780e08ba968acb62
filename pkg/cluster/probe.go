package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

// answerLimit bounds what is read of a probe's answer, in bytes.
const answerLimit = 64 << 10

// statusError is an answer other than 200.
type statusError struct {
	code int
	body string
}

func (e *statusError) Error() string {
	if e.body == "" {
		return fmt.Sprintf("answered %d %s", e.code, http.StatusText(e.code))
	}
	return fmt.Sprintf("answered %d: %s", e.code, e.body)
}

// get reads a small document from the member.
func (c *connection) get(ctx context.Context, path, accept string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	resp, err := c.do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{code: resp.StatusCode, body: short(body)}
	}
	return body, nil
}

// short makes an answer fit for a condition's message.
func short(body []byte) string {
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Message != "" {
		return status.Message
	}
	var lines []string
	for line := range strings.Lines(string(body)) {
		// The verbose form of /readyz marks what fails with [-].
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "[+]") {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "; ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	return text
}

// identity is the UID of the member's namespace kube-system.
func (c *connection) identity(ctx context.Context) (string, error) {
	body, err := c.get(ctx, "/api/v1/namespaces/kube-system", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
	if err != nil {
		return "", err
	}
	var namespace metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &namespace); err != nil {
		return "", fmt.Errorf("reading namespace kube-system: %w", err)
	}
	if namespace.UID == "" {
		return "", errors.New("namespace kube-system has no UID: this is no Kubernetes API server")
	}
	return string(namespace.UID), nil
}

// probe asks the member whether it is ready and, with full, who it is. It sends at most two small requests and returns
// within timeout.
func (c *connection) probe(ctx context.Context, timeout time.Duration, full bool) (Answer, string) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := c.get(bounded, "/readyz", "*/*")
	if err == nil && strings.TrimSpace(string(body)) != "ok" {
		return AnswerNotReady, fmt.Sprintf("GET %s/readyz answered %q, not \"ok\"", c.server, short(body))
	}
	if err == nil && full {
		var id string
		if id, err = c.identity(bounded); err == nil && c.id != "" && id != c.id {
			return AnswerWrongCluster, fmt.Sprintf("the cluster at %s has ID %s, not %s: correct spec.server, or run `kubefed unjoin %s` and join the other one",
				c.server, id, c.id, c.name)
		}
	}
	return c.classify(err, timeout)
}

// classify says what the error of a request means.
func (c *connection) classify(err error, timeout time.Duration) (Answer, string) {
	var status *statusError
	switch {
	case err == nil:
		return AnswerOK, ""
	case !errors.As(err, &status):
		return AnswerNone, fmt.Sprintf("%s does not answer: %s", c.server, unreachable(err, timeout))
	case status.code == http.StatusUnauthorized:
		return AnswerUnauthorized, "the federation's token is refused, it expired or was revoked: " + rejoin(c.name)
	case status.code == http.StatusForbidden:
		return AnswerForbidden, fmt.Sprintf("the federation lacks a right (%s): %s", status.body, rejoin(c.name))
	}
	return AnswerNotReady, fmt.Sprintf("%s %v", c.server, status)
}

// unreachable describes a transport error without what differs from try to try, such as local ports.
func unreachable(err error, timeout time.Duration) string {
	var (
		dns *net.DNSError
		op  *net.OpError
		out *url.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", timeout)
	case errors.As(err, &dns):
		return fmt.Sprintf("host %s: %s", dns.Name, dns.Err)
	case errors.As(err, &op):
		return op.Err.Error()
	case errors.As(err, &out):
		return out.Err.Error()
	}
	return err.Error()
}

// details are what the member says of itself: its version and its API groups; either is empty where it is unknown.
func (c *connection) details(ctx context.Context, timeout time.Duration) (string, []string) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var info version.Info
	if body, err := c.get(bounded, "/version", "application/json"); err == nil {
		_ = json.Unmarshal(body, &info) // a version that can't be read is unknown
	}
	groups, err := c.mapper.Refresh(bounded)
	if err != nil {
		groups = nil
	}
	return info.GitVersion, groups
}
