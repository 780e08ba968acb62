package gcp

import (
	"context"
	"strings"
	"sync"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
)

// early is how long before its end a token is replaced.
const early = 225 * time.Second

// token is an access token.
type token struct {
	value string
	until time.Time
	// quotaProject pays for the requests of a person; empty for the project that is asked.
	quotaProject string
	// hidden are secrets that it was made with and that a server may quote.
	hidden []string
}

// source makes tokens of one kind of credentials. It is used by one at a time.
type source interface {
	// mint asks for a new token; errors are of type *cloud.Error.
	mint(ctx context.Context) (token, error)
	// identity is the mail address of who that is, if it is known. It does not change.
	identity() string
}

// tokens keeps the token that a source made until it is nearly over.
type tokens struct {
	source source
	turn   chan struct{} // has one element while nobody mints

	mu      sync.Mutex
	current token
	hidden  []string
}

func newTokens(s source) *tokens {
	t := &tokens{source: s, turn: make(chan struct{}, 1)}
	t.turn <- struct{}{}
	return t
}

// get is a token that is good for some minutes.
func (t *tokens) get(ctx context.Context) (token, error) {
	if now, ok := t.good(early); ok {
		return now, nil
	}
	select {
	case <-ctx.Done():
		return token{}, &cloud.Error{Kind: cloud.Unavailable, Operation: "access token", Err: ctx.Err()}
	case <-t.turn:
	}
	defer func() { t.turn <- struct{}{} }()
	if now, ok := t.good(early); ok {
		return now, nil
	}
	fresh, err := t.source.mint(ctx)
	if err != nil {
		if now, ok := t.good(time.Minute); ok && cloud.KindOf(err) != cloud.Denied {
			return now, nil
		}
		return token{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hidden = append([]string{t.current.value, fresh.value}, fresh.hidden...)
	t.current = fresh
	return fresh, nil
}

// good is the token that there is, if it is good for a time.
func (t *tokens) good(d time.Duration) (token, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current, t.current.value != "" && time.Until(t.current.until) > d
}

// forget drops a token that was refused.
func (t *tokens) forget(refused token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.value == refused.value {
		t.current.until = time.Time{}
	}
}

// redact takes tokens and secrets out of a text.
func (t *tokens) redact(text string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, secret := range t.hidden {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return text
}
