package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
)

// issuer asks for one token, and remembers why it was refused in words that hold no secret.
type issuer struct {
	base *http.Transport

	mu     sync.Mutex
	status int    // of the last answer that was a refusal
	code   string // of OAuth, such as "invalid_grant"
	err    error  // there was no answer
}

const tokenDeadline = 10 * time.Second

// newIssuer asks through the proxy of the environment or, what is on this machine's own network, never.
func newIssuer(proxy bool) *issuer {
	base := newBase()
	if !proxy {
		base.Proxy = nil
	}
	base.DisableKeepAlives = true
	return &issuer{base: base}
}

func (i *issuer) client() *http.Client {
	return &http.Client{Transport: i, CheckRedirect: stay, Timeout: tokenDeadline}
}

// code of an OAuth error, RFC 6749 section 5.2.
var oauthCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// RoundTrip implements http.RoundTripper.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := i.base.RoundTrip(r)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		i.err = bare(err)
		return nil, err
	}
	if answer.StatusCode < 300 {
		return answer, nil
	}
	data, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	_ = answer.Body.Close()
	var body struct {
		Error any `json:"error"`
	}
	_ = json.Unmarshal(data, &body)
	i.status = answer.StatusCode
	if code, ok := body.Error.(string); ok && oauthCode.MatchString(code) {
		i.code = code
	}
	// Nobody further up is to see what the answer quotes.
	answer.Body = io.NopCloser(strings.NewReader("{}"))
	return answer, nil
}

// refused is the error of a token that was not made; otherwise is what happened if the issuer had no part in it.
func (i *issuer) refused(ctx context.Context, otherwise error) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	e := &cloud.Error{Kind: cloud.Denied, Operation: "access token", Err: otherwise}
	switch {
	case i.status != 0:
		e.Err = fmt.Errorf("the issuer says %d %s: %w", i.status, orDefault(i.code, http.StatusText(i.status)), otherwise)
		e.Advice = "check whether the key was deleted or the identity disabled, and the clock of this machine"
		if i.status == http.StatusTooManyRequests {
			e.Kind, e.Advice = cloud.Throttled, ""
		} else if i.status >= 500 {
			e.Kind, e.Advice = cloud.Unavailable, ""
		}
	case ctx.Err() != nil:
		e.Kind, e.Err = cloud.Unavailable, fmt.Errorf("the issuer does not answer: %w", ctx.Err())
	case i.err != nil:
		e.Kind, e.Err = cloud.Unavailable, fmt.Errorf("the issuer can't be asked: %w", i.err)
	}
	return e
}

// post asks for a token as OAuth has it.
func (i *issuer) post(ctx context.Context, endpoint string, form url.Values) (token, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return token{}, i.refused(ctx, errors.New("the issuer's URL is malformed"))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return i.ask(ctx, r)
}

func (i *issuer) ask(ctx context.Context, r *http.Request) (token, error) {
	answer, err := i.client().Do(r)
	if err != nil {
		return token{}, i.refused(ctx, errors.New("there is no answer"))
	}
	defer func() { _ = answer.Body.Close() }()
	var body struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&body); err != nil || body.AccessToken == "" {
		return token{}, i.refused(ctx, errors.New("there is no token in the answer"))
	}
	var end time.Time
	if body.ExpiresIn > 0 {
		end = time.Now().Add(time.Duration(body.ExpiresIn) * time.Second)
	}
	return token{value: body.AccessToken, until: until(end)}, nil
}
