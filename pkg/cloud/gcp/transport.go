package gcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"google.golang.org/api/googleapi"

	"kubefed.dev/kubefed/pkg/cloud"
)

const (
	attempts  = 3
	maxPause  = 20 * time.Second
	maxAnswer = 64 << 20
)

// transport carries the requests of one question: paced, with a token, each within a deadline, and again where that may help.
// All requests are reads, so all may be repeated.
type transport struct {
	session *Session
	ctx     context.Context // of who asks: the SDK's lists make requests without it
	family  string

	mu    sync.Mutex
	pages map[string]bool
}

var (
	// errStuck is a list that would never end.
	errStuck = errors.New("the list does not get on: the same page came twice")
	// errTurn is a question that was never put.
	errTurn = errors.New("the account's own rate limit let no request through in time")
)

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.seen(r) {
		return nil, errStuck
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	limiter := t.session.limiter(t.family, regionOf(r.URL.Path))
	for n := 1; ; n++ {
		if err := limiter.Wait(t.ctx); err != nil {
			return nil, errTurn
		}
		answer, err := t.once(r, body)
		if n == 1 && err == nil && answer.StatusCode == http.StatusUnauthorized && t.session.tokens != nil {
			continue // The token may have been revoked while its credentials are as good as before.
		}
		if n == attempts || t.ctx.Err() != nil || !passing(answer, err) {
			return answer, err
		}
		if wait(t.ctx, pauseFor(answer, t.session.pause<<(n-1))) != nil {
			return answer, err
		}
	}
}

// seen says whether this page was asked for before in this question.
func (t *transport) seen(r *http.Request) bool {
	page := r.URL.Query().Get("pageToken")
	if page == "" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := r.URL.Path + "?" + page
	if t.pages[key] {
		return true
	}
	t.pages[key] = true
	return false
}

// once makes one attempt, and reads the answer whole.
func (t *transport) once(r *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.session.attempt)
	defer cancel()
	r = r.Clone(ctx)
	r.Header.Set("User-Agent", "kubefed")
	if body != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	var used token
	if tokens := t.session.tokens; tokens != nil {
		var err error
		if used, err = tokens.get(ctx); err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+used.value)
		if used.quotaProject != "" {
			r.Header.Set("X-Goog-User-Project", used.quotaProject)
		}
	}
	answer, err := t.session.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	_ = answer.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if answer.StatusCode == http.StatusUnauthorized && t.session.tokens != nil {
		t.session.tokens.forget(used)
	}
	answer.Body = io.NopCloser(bytes.NewReader(data))
	return answer, nil
}

// passing says whether an outcome may be another one soon.
func passing(answer *http.Response, err error) bool {
	if err != nil {
		e, ok := errors.AsType[*cloud.Error](err)
		return !ok || e.Kind == cloud.Unavailable || e.Kind == cloud.Throttled
	}
	switch code := answer.StatusCode; {
	case code < 300:
		return false
	case code == http.StatusForbidden:
		data, _ := io.ReadAll(answer.Body)
		answer.Body = io.NopCloser(bytes.NewReader(data))
		e, ok := errors.AsType[*googleapi.Error](googleapi.CheckResponseWithBody(answer, data))
		return ok && kindOf(e) == cloud.Throttled
	default:
		return code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code >= 500
	}
}

// pauseFor is how long to wait before a request is repeated: what the server says, or about the usual.
func pauseFor(answer *http.Response, usual time.Duration) time.Duration {
	if answer != nil {
		if s, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && s > 0 {
			return min(time.Duration(s)*time.Second, maxPause)
		}
	}
	return usual/2 + rand.N(usual+1) // spreads requests
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

var placed = regexp.MustCompile(`/(?:regions|zones|locations)/([a-z0-9-]+)`)

// regionOf is the region that a request is about, "global" without one.
func regionOf(path string) string {
	m := placed.FindStringSubmatch(path)
	if m == nil || m[1] == "-" {
		return "global"
	}
	return Region(m[1])
}

var zoneName = regexp.MustCompile(`^([a-z]+-[a-z0-9]+)-[a-z]$`)

// Region is the region of a location, which is a region or a zone.
func Region(location string) string {
	if m := zoneName.FindStringSubmatch(location); m != nil {
		return m[1]
	}
	return location
}
