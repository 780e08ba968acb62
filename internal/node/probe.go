package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// target is what a probe is sent to: a container of a process pod.
type target struct {
	container *v1.Container
	address   string // the pod's local address
	exec      func(ctx context.Context, command []string) (exitCode int, err error)
}

// probeClient does not verify certificates, does not follow redirects and keeps no connection, as a kubelet's.
var probeClient = &http.Client{
	Transport: &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives:  true,
		DisableCompression: true,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// check makes one attempt; nil means that the container passed.
func (t target) check(ctx context.Context, p *v1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, max(time.Duration(p.TimeoutSeconds), 1)*time.Second)
	defer cancel()
	switch {
	case p.HTTPGet != nil:
		return t.checkHTTP(ctx, p.HTTPGet)
	case p.TCPSocket != nil:
		return t.checkTCP(ctx, p.TCPSocket.Host, p.TCPSocket.Port)
	case p.GRPC != nil:
		return t.checkTCP(ctx, "", intstr.FromInt32(p.GRPC.Port))
	case p.Exec != nil:
		code, err := t.exec(ctx, p.Exec.Command)
		if err == nil && code != 0 {
			err = fmt.Errorf("command ended with code %d", code)
		}
		return err
	}
	return errors.New("the probe has no handler")
}

func (t target) checkHTTP(ctx context.Context, h *v1.HTTPGetAction) error {
	address, err := t.resolve(h.Host, h.Port)
	if err != nil {
		return err
	}
	scheme := "http"
	if h.Scheme == v1.URISchemeHTTPS {
		scheme = "https"
	}
	path := h.Path
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kube-probe/1.36")
	for _, header := range h.HTTPHeaders {
		request.Header.Add(header.Name, header.Value)
		if http.CanonicalHeaderKey(header.Name) == "Host" {
			request.Host = header.Value
		}
	}
	response, err := probeClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 200)) // says only more
		return fmt.Errorf("HTTP probe failed with statuscode: %d: %s", response.StatusCode, text)
	}
	return nil
}

func (t target) checkTCP(ctx context.Context, host string, port intstr.IntOrString) error {
	address, err := t.resolve(host, port)
	if err != nil {
		return err
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}

// resolve makes an address of a probe's host and port; a port may be named as in the container's spec.
func (t target) resolve(host string, port intstr.IntOrString) (string, error) {
	if host == "" {
		host = t.address
	}
	number := port.IntValue()
	if port.Type == intstr.String {
		for _, p := range t.container.Ports {
			if p.Name == port.StrVal {
				number = int(p.ContainerPort)
			}
		}
	}
	if number < 1 || number > 65535 {
		return "", fmt.Errorf("container %s has no port %q", t.container.Name, port.String())
	}
	return net.JoinHostPort(host, strconv.Itoa(number)), nil
}

// tally counts a probe's results in a row, as thresholds want it.
type tally struct {
	last  bool
	inRow int32
}

// outcome is what a probe's results so far mean.
type outcome int

const (
	undecided outcome = iota
	passing
	failing
)

// add takes a result and says what it means now.
func (t *tally) add(ok bool, p *v1.Probe) outcome {
	if ok != t.last {
		t.last, t.inRow = ok, 0
	}
	t.inRow++
	switch {
	case ok && t.inRow >= max(p.SuccessThreshold, 1):
		return passing
	case !ok && t.inRow >= max(p.FailureThreshold, 1):
		return failing
	}
	return undecided
}

// observe probes until ctx ends and reports each result. The first attempt is made after the initial delay; until one
// passes, eager probes are repeated every quarter of a second, so that nobody waits a period for a program that starts
// in milliseconds.
func (t target) observe(ctx context.Context, p *v1.Probe, eager bool, report func(outcome, error)) {
	period := max(time.Duration(p.PeriodSeconds), 1) * time.Second
	timer := time.NewTimer(time.Duration(p.InitialDelaySeconds) * time.Second)
	defer timer.Stop()
	var results tally
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := t.check(ctx, p)
		if ctx.Err() != nil {
			return
		}
		report(results.add(err == nil, p), err)
		eager = eager && err != nil
		if eager {
			timer.Reset(min(period, 250*time.Millisecond))
		} else {
			timer.Reset(period)
		}
	}
}
