package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"kubefed.dev/kubefed/pkg/cloud"
)

// kinds of error codes, of all the APIs that are asked.
var kinds = map[string]cloud.ErrorKind{
	"ResourceNotFoundException":   cloud.NotFound,
	"LoadBalancerNotFound":        cloud.NotFound,
	"TargetGroupNotFound":         cloud.NotFound,
	"Throttling":                  cloud.Throttled,
	"ThrottlingException":         cloud.Throttled,
	"ThrottledException":          cloud.Throttled,
	"RequestThrottled":            cloud.Throttled,
	"RequestThrottledException":   cloud.Throttled,
	"TooManyRequestsException":    cloud.Throttled,
	"RequestLimitExceeded":        cloud.Throttled,
	"BandwidthLimitExceeded":      cloud.Throttled,
	"LimitExceededException":      cloud.Throttled,
	"SlowDown":                    cloud.Throttled,
	"AccessDenied":                cloud.Denied,
	"AccessDeniedException":       cloud.Denied,
	"NotAuthorizedException":      cloud.Denied,
	"UnauthorizedOperation":       cloud.Denied,
	"AuthFailure":                 cloud.Denied,
	"Blocked":                     cloud.Denied,
	"InvalidClientTokenId":        cloud.Denied,
	"UnrecognizedClientException": cloud.Denied,
	"SignatureDoesNotMatch":       cloud.Denied,
	"InvalidSignatureException":   cloud.Denied,
	"IncompleteSignature":         cloud.Denied,
	"ExpiredToken":                cloud.Denied,
	"ExpiredTokenException":       cloud.Denied,
	"RequestExpired":              cloud.Denied,
	"MissingAuthenticationToken":  cloud.Denied,
	"OptInRequired":               cloud.Denied,
	"InvalidIdentityToken":        cloud.Denied,
	"IDPRejectedClaim":            cloud.Denied,
	"RegionDisabledException":     cloud.Denied,
	"ValidationError":             cloud.Invalid,
	"ValidationException":         cloud.Invalid,
	"InvalidParameterException":   cloud.Invalid,
	"InvalidParameterValue":       cloud.Invalid,
	"InvalidRequestException":     cloud.Invalid,
	"InvalidAction":               cloud.Invalid,
	"MissingParameter":            cloud.Invalid,
	"MalformedPolicyDocument":     cloud.Invalid,
	"InvalidNextTokenException":   cloud.Invalid,
	"ExpiredNextTokenException":   cloud.Unavailable,
	"IDPCommunicationError":       cloud.Unavailable,
	"InternalError":               cloud.Unavailable,
	"InternalFailure":             cloud.Unavailable,
	"InternalErrorException":      cloud.Unavailable,
	"ServerException":             cloud.Unavailable,
	"ServiceUnavailable":          cloud.Unavailable,
	"ServiceUnavailableException": cloud.Unavailable,
	"Unavailable":                 cloud.Unavailable,
	"RequestTimeout":              cloud.Unavailable,
	"RequestTimeoutException":     cloud.Unavailable,
}

// identity are codes that say that AWS does not take who asks, whatever the policy says.
var identity = map[string]bool{
	"AuthFailure": true, "InvalidClientTokenId": true, "UnrecognizedClientException": true, "SignatureDoesNotMatch": true,
	"InvalidSignatureException": true, "IncompleteSignature": true, "ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true,
	"MissingAuthenticationToken": true, "OptInRequired": true, "InvalidIdentityToken": true, "IDPRejectedClaim": true, "RegionDisabledException": true,
}

// classify says what an error of the SDK means. AWS' own words are kept, and nothing else: what the SDK adds may hold URLs and
// headers.
func (s *Session) classify(ctx context.Context, c Call, err error) error {
	if known, ok := errors.AsType[*cloud.Error](err); ok {
		return known
	}
	out := &cloud.Error{Kind: cloud.Unavailable, Operation: c.String()}
	before := c.Operation == retrieve || strings.Contains(err.Error(), "get credentials: ")
	refused, isRefusal := errors.AsType[smithy.APIError](err)
	switch {
	case isRefusal && refused.ErrorCode() != "":
		out.Kind, out.Err = kindOf(refused, err), refusal{refused.ErrorCode(), s.conceal(words(refused))}
		out.Advice = advise(c, out.Kind, refused.ErrorCode())
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		out.Err = fmt.Errorf("waiting for an answer: %w", cmp.Or(ctx.Err(), context.DeadlineExceeded))
	case errors.As(err, new(crowded)):
		out.Kind, out.Err = cloud.Throttled, errors.New("its turn did not come in time")
		out.Advice = "raise requestsPerSecond of the account if this lasts"
	default:
		out.Err = errors.New(s.conceal(innermost(err).Error()))
		if before {
			out.Kind = cloud.Denied
		}
	}
	if before && out.Kind == cloud.Denied {
		out.Operation, out.Advice = "credentials of account "+s.account.Name, "check them, the role and whom it trusts"
	}
	return out
}

// refusal is what AWS said.
type refusal struct{ code, message string }

func (r refusal) Error() string {
	if r.message == "" {
		return r.code
	}
	return r.code + ": " + r.message
}

// IsIdentity says that AWS did not take who asked: in a region that an account did not opt in to, it takes nobody.
func IsIdentity(err error) bool {
	r, ok := errors.AsType[refusal](err)
	return ok && identity[r.code]
}

func kindOf(refused smithy.APIError, err error) cloud.ErrorKind {
	if kind, known := kinds[refused.ErrorCode()]; known {
		return kind
	}
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok {
		return cloud.Unavailable
	}
	switch status := response.HTTPStatusCode(); {
	case status == http.StatusTooManyRequests:
		return cloud.Throttled
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return cloud.Denied
	case status == http.StatusNotFound:
		return cloud.NotFound
	case status >= 400 && status < 500:
		return cloud.Invalid
	}
	return cloud.Unavailable
}

// words of AWS. About a signature it quotes the headers of the request, and with them the session's token.
func words(refused smithy.APIError) string {
	if strings.Contains(refused.ErrorCode(), "Signature") {
		return ""
	}
	return strings.TrimSpace(refused.ErrorMessage())
}

func advise(c Call, kind cloud.ErrorKind, code string) string {
	switch {
	case kind == cloud.Denied && identity[code]:
		return "check the credentials, the clock, and that the region is enabled for the account"
	case kind == cloud.Denied:
		return "allow " + c.Permission() + ", see `kubefed cloud permissions aws`"
	case kind == cloud.Throttled:
		return "lower requestsPerSecond of the account if this lasts"
	}
	return ""
}

// conceal takes the secrets of the session out of a text.
func (s *Session) conceal(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "(secret)")
		}
	}
	return text
}

// innermost is what failed in the end, without the SDK's account of how it came to it, and without the query of a URL.
func innermost(err error) error {
	if at, ok := errors.AsType[*url.Error](err); ok {
		where, _, _ := strings.Cut(at.URL, "?")
		return fmt.Errorf("%s: %w", where, at.Err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	if missing, ok := errors.AsType[*sdk.RequestCanceledError](err); ok {
		return missing.Err
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
