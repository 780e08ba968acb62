package route53

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go"

	"kubefed.dev/kubefed/pkg/dns"
)

// kinds of error codes: those of Route 53 and those that all of AWS has.
var kinds = map[string]dns.ErrorKind{
	"NoSuchHostedZone":              dns.NotFound,
	"NoSuchHealthCheck":             dns.Conflict,
	"HealthCheckAlreadyExists":      dns.Conflict,
	"TooManyHealthChecks":           dns.Throttled,
	"NoSuchChange":                  dns.NotFound,
	"Throttling":                    dns.Throttled,
	"ThrottlingException":           dns.Throttled,
	"TooManyRequestsException":      dns.Throttled,
	"RequestLimitExceeded":          dns.Throttled,
	"PriorRequestNotComplete":       dns.Throttled,
	"AccessDenied":                  dns.Denied,
	"AccessDeniedException":         dns.Denied,
	"NotAuthorizedException":        dns.Denied,
	"UnauthorizedOperation":         dns.Denied,
	"InvalidClientTokenId":          dns.Denied,
	"UnrecognizedClientException":   dns.Denied,
	"SignatureDoesNotMatch":         dns.Denied,
	"ExpiredToken":                  dns.Denied,
	"ExpiredTokenException":         dns.Denied,
	"RequestExpired":                dns.Denied,
	"MissingAuthenticationToken":    dns.Denied,
	"IncompleteSignature":           dns.Denied,
	"OptInRequired":                 dns.Denied,
	"InvalidIdentityToken":          dns.Denied,
	"InvalidInput":                  dns.Invalid,
	"InvalidDomainName":             dns.Invalid,
	"InvalidChangeBatch":            dns.Invalid,
	"LimitsExceeded":                dns.Invalid,
	"InternalFailure":               dns.Unavailable,
	"InternalError":                 dns.Unavailable,
	"ServiceUnavailable":            dns.Unavailable,
	"ServiceUnavailableException":   dns.Unavailable,
	"RequestTimeout":                dns.Unavailable,
	"RequestTimeoutException":       dns.Unavailable,
	"BandwidthLimitExceeded":        dns.Throttled,
	"LimitExceededException":        dns.Throttled,
	"ProvisionedThroughputExceeded": dns.Throttled,
}

// advice for those who run the federation, by kind.
var advice = map[dns.ErrorKind]string{
	dns.Denied:    "; check the credentials and their policy, see docs/dns-clouds.md",
	dns.Throttled: "; lower requestsPerSecond if this lasts",
}

// codes have advice of their own.
var codes = map[string]string{
	"RequestExpired":      clockAdvice,
	"TooManyHealthChecks": "; ask AWS for a higher quota of health checks, or leave healthChecks out of the DNS configuration",
}

const clockAdvice = "; the clock of the control plane differs from that of AWS by more than 5 minutes: set it (NTP)"

// adviceFor is what to do about an error, and its message as far as it is to be seen.
func adviceFor(code, message string, kind dns.ErrorKind) string {
	if strings.Contains(code, "Signature") {
		// The message quotes the headers of the request, and with them the session's token.
		if strings.Contains(message, "Signature expired") || strings.Contains(message, "Signature not yet current") {
			return clockAdvice
		}
		return "; the secret is not that of the access key" + advice[kind]
	}
	if own := codes[code]; own != "" {
		return ": " + message + own
	}
	return ": " + message + advice[kind]
}

// classify says what an error of the SDK means. What an error of AWS says holds no secret; what the SDK adds to it, such as URLs, is
// left out.
func (z *zone) classify(err error) error {
	if err == nil {
		return nil
	}
	if apiError, ok := errors.AsType[smithy.APIError](err); ok {
		code := apiError.ErrorCode()
		kind, known := kinds[code]
		if !known {
			kind = dns.Unavailable
		}
		return &dns.Error{Kind: kind, Subject: z.name, Err: errors.New(code + adviceFor(code, apiError.ErrorMessage(), kind))}
	}
	for _, end := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, end) {
			return &dns.Error{Kind: dns.Unavailable, Subject: z.name, Err: fmt.Errorf("waiting for Route 53: %w", end)}
		}
	}
	if operation, ok := errors.AsType[*smithy.OperationError](err); ok {
		err = operation.Err
	}
	if strings.Contains(err.Error(), "get credentials") {
		return &dns.Error{Kind: dns.Denied, Subject: z.name, Err: fmt.Errorf("%w%s", err, advice[dns.Denied])}
	}
	return &dns.Error{Kind: dns.Unavailable, Subject: z.name, Err: err}
}

// refusal is a batch that Route 53 did not make because of what is in it.
type refusal struct{ messages []string }

// refused is the refusal in an error, nil if it is about something else.
func refused(err error) *refusal {
	if batch, ok := errors.AsType[*types.InvalidChangeBatch](err); ok {
		r := &refusal{messages: batch.Messages}
		if len(r.messages) == 0 {
			r.messages = []string{batch.ErrorMessage()}
		}
		return r
	}
	if input, ok := errors.AsType[*types.InvalidInput](err); ok {
		return &refusal{messages: []string{input.ErrorMessage()}}
	}
	return nil
}
