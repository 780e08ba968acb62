package gcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/api/googleapi"

	"kubefed.dev/kubefed/pkg/cloud"
)

// classify says what an error means to the one who asked. What an API says of an error is repeated, without what is secret; what
// libraries say around it is not.
func (s *Session) classify(ctx context.Context, c Call, err error) error {
	if err == nil {
		return nil
	}
	out := &cloud.Error{Kind: cloud.Unavailable, Operation: c.operation()}
	known, isKnown := errors.AsType[*cloud.Error](err)
	answer, isAnswer := errors.AsType[*googleapi.Error](err)
	switch {
	case isKnown:
		out.Kind, out.Advice = known.Kind, known.Advice
		inner := *known
		inner.Advice = ""
		out.Err = &inner
	case isAnswer:
		out.Kind = kindOf(answer)
		out.Err = fmt.Errorf("%d %s", answer.Code, s.redact(answer.Message))
		out.Advice = s.advice(c, out.Kind, answer)
	case errors.Is(err, errStuck):
		out.Err = errStuck
	case errors.Is(err, errTurn):
		out.Err, out.Advice = errTurn, "raise requestsPerSecond of account "+s.account.Name
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		out.Err = context.Canceled
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		out.Err = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	default:
		out.Err = errors.New(s.redact(bare(err).Error()))
	}
	return out
}

// bare is an error without the URL that it is about.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// kindOf says what an answer of an API means. Google Cloud says 403 of some limits, and tells them from what is denied by a reason.
func kindOf(e *googleapi.Error) cloud.ErrorKind {
	switch {
	case e.Code == http.StatusTooManyRequests,
		e.Code == http.StatusForbidden && hasReason(e, "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"):
		return cloud.Throttled
	case e.Code == http.StatusUnauthorized, e.Code == http.StatusForbidden:
		return cloud.Denied
	case e.Code == http.StatusNotFound:
		return cloud.NotFound
	case e.Code == http.StatusRequestTimeout:
		return cloud.Unavailable
	case e.Code >= 400 && e.Code < 500:
		return cloud.Invalid
	}
	return cloud.Unavailable
}

// hasReason looks for reasons where the older APIs have them (errors) and where the newer ones do (details).
func hasReason(e *googleapi.Error, reasons ...string) bool {
	for _, item := range e.Errors {
		if slices.Contains(reasons, item.Reason) {
			return true
		}
	}
	for _, d := range e.Details {
		if detail, ok := d.(map[string]any); ok {
			if reason, ok := detail["reason"].(string); ok && slices.Contains(reasons, reason) {
				return true
			}
		}
	}
	return false
}

// advice says what to do about an answer.
func (s *Session) advice(c Call, kind cloud.ErrorKind, e *googleapi.Error) string {
	who := "the credentials of account " + s.account.Name
	if s.tokens != nil && s.tokens.source.identity() != "" {
		who = s.tokens.source.identity()
	}
	switch {
	case kind == cloud.Throttled:
		return fmt.Sprintf("lower requestsPerSecond of account %s, or ask for a greater quota of project %s", s.account.Name, c.Project)
	case kind != cloud.Denied:
		return ""
	case hasReason(e, "accessNotConfigured", "SERVICE_DISABLED"):
		return fmt.Sprintf("enable the API: gcloud services enable %s.googleapis.com --project %s", c.Family, c.Project)
	case e.Code == http.StatusUnauthorized:
		return "check whether " + who + " was disabled or its key deleted"
	case c.Role == "":
		return fmt.Sprintf("allow %s to %s", c.Permission, who)
	}
	return fmt.Sprintf("grant %s, which %s has, in project %s to %s", c.Permission, c.Role, c.Project, who)
}

// redact is what a server said, on one line, without tokens: a proxy on the way may quote the request.
func (s *Session) redact(text string) string {
	if s.tokens != nil {
		text = s.tokens.redact(text)
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	const most = 400
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return strings.TrimSuffix(strings.TrimSpace(text), ".")
}
