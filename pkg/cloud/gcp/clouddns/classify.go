package clouddns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/api/googleapi"

	"kubefed.dev/kubefed/pkg/dns"
)

// advice for those who run the federation, by kind.
var advice = map[dns.ErrorKind]string{dns.Denied: "; check the credentials and their roles, see docs/dns-clouds.md"}

// classify says what an error means. What an error of the API says holds no secret; what is around it, such as URLs, is left out.
func (z *zone) classify(err error) error {
	if err == nil {
		return nil
	}
	if apiError, ok := errors.AsType[*googleapi.Error](err); ok {
		kind := kindOf(apiError)
		return &dns.Error{Kind: kind, Subject: z.name, Err: fmt.Errorf("%d %s%s", apiError.Code, apiError.Message, advice[kind])}
	}
	for _, end := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, end) {
			return &dns.Error{Kind: dns.Unavailable, Subject: z.name, Err: fmt.Errorf("waiting for Cloud DNS: %w", end)}
		}
	}
	// What is said of tokens quotes the answer of their issuer.
	switch text := err.Error(); {
	case strings.Contains(text, "invalid_grant") && strings.Contains(text, "timeframe"):
		return &dns.Error{Kind: dns.Denied, Subject: z.name,
			Err: errors.New("the issuer of tokens takes the request for too old or too new; set the clock of the control plane (NTP)")}
	case strings.Contains(text, "cannot fetch token: 5"), strings.Contains(text, "token") && strings.Contains(text, "dial tcp"):
		return &dns.Error{Kind: dns.Unavailable, Subject: z.name, Err: errors.New("the issuer of tokens has none for now")}
	case strings.Contains(text, "oauth2:"), strings.Contains(text, "cannot fetch token"), strings.Contains(text, "auth: "):
		return &dns.Error{Kind: dns.Denied, Subject: z.name, Err: errors.New("there is no access token for the credentials" + advice[dns.Denied])}
	}
	return &dns.Error{Kind: dns.Unavailable, Subject: z.name, Err: err}
}

func kindOf(e *googleapi.Error) dns.ErrorKind {
	switch {
	case e.Code == http.StatusTooManyRequests, e.Code == http.StatusForbidden && hasReason(e, "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"):
		return dns.Throttled
	case e.Code == http.StatusUnauthorized, e.Code == http.StatusForbidden:
		return dns.Denied
	case e.Code == http.StatusNotFound:
		return dns.NotFound
	case e.Code == http.StatusConflict, e.Code == http.StatusPreconditionFailed:
		return dns.Conflict
	case e.Code >= 400 && e.Code < 500:
		return dns.Invalid
	}
	return dns.Unavailable
}

func hasReason(e *googleapi.Error, reasons ...string) bool {
	for _, item := range e.Errors {
		for _, r := range reasons {
			if item.Reason == r {
				return true
			}
		}
	}
	return false
}

// refused is the error of a change that was not made because of what is in it; nil if it is about something else.
func refused(err error) *googleapi.Error {
	e, ok := errors.AsType[*googleapi.Error](err)
	if !ok {
		return nil
	}
	switch kindOf(e) {
	case dns.Conflict, dns.Invalid:
		return e
	case dns.NotFound:
		if strings.Contains(e.Message, "entity.change") {
			return e
		}
	}
	return nil
}

const attempts = 3

// try makes a request again that was turned away for now. All requests may be repeated: a change compares what it replaces.
func (p *Provider) try(ctx context.Context, request func() error) error {
	wait := p.options.RetryInterval
	for n := 1; ; n++ {
		err := request()
		e, ok := errors.AsType[*googleapi.Error](err)
		if !ok || n == attempts {
			return err
		}
		if kind := kindOf(e); kind != dns.Throttled && kind != dns.Unavailable {
			return err
		}
		if pause(ctx, wait) != nil {
			return err
		}
		wait *= 2
	}
}
