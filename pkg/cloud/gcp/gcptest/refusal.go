package gcptest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Refusal is an error in the form in which Google Cloud's APIs answer it: the older ones put the reason into errors, the newer ones
// into details, and clients must read both.
type Refusal struct {
	Status int
	// Reason of the older APIs, such as "rateLimitExceeded"; Domain is "global" by default.
	Reason, Domain string
	// Code is google.rpc.Code's name, Info the reason of a google.rpc.ErrorInfo.
	Code, Info string
	Message    string
	RetryAfter string
	// Raw is the body as it is, instead of all else.
	Raw string
}

// Refusals as the APIs are known to answer them.
var (
	Unauthenticated = Refusal{Status: 401, Code: "UNAUTHENTICATED", Info: "ACCESS_TOKEN_TYPE_UNSUPPORTED", Reason: "authError",
		Message: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."}
	// RateLimit is how Compute Engine turns away, with a status that elsewhere means that something is denied.
	RateLimit = Refusal{Status: 403, Reason: "rateLimitExceeded", Domain: "usageLimits", Info: "RATE_LIMIT_EXCEEDED",
		Message: "Quota exceeded for quota metric 'List requests' and limit 'List requests per minute' of service 'compute.googleapis.com' for consumer 'project_number:123456789012'."}
	// Exhausted is how the newer APIs turn away.
	Exhausted = Refusal{Status: 429, Code: "RESOURCE_EXHAUSTED", Info: "RATE_LIMIT_EXCEEDED",
		Message: "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service 'container.googleapis.com' for consumer 'project_number:123456789012'."}
	Unavailable = Refusal{Status: 503, Code: "UNAVAILABLE", Reason: "backendError", Message: "The service is currently unavailable."}
	Internal    = Refusal{Status: 500, Code: "INTERNAL", Message: "Internal error encountered."}
	// BadGateway comes from a balancer in front, and is no JSON.
	BadGateway = Refusal{Status: 502, Raw: "<!DOCTYPE html>\n<html lang=en>\n<title>Error 502 (Server Error)!!1</title>\n<p><b>502.</b> <ins>That's an error.</ins>"}
)

// Denied is a permission that is missing.
func Denied(permission, project string) Refusal {
	return Refusal{Status: 403, Reason: "forbidden", Code: "PERMISSION_DENIED", Info: "IAM_PERMISSION_DENIED",
		Message: fmt.Sprintf("Required '%s' permission for 'projects/%s'", permission, project)}
}

// Disabled is an API that the project has not enabled.
func Disabled(service string) Refusal {
	return Refusal{Status: 403, Reason: "accessNotConfigured", Domain: "usageLimits", Code: "PERMISSION_DENIED", Info: "SERVICE_DISABLED",
		Message: service + " has not been used in project 123456789012 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/" + service + "/overview?project=123456789012 then retry."}
}

// notFound is a thing that is not there.
func notFound(format string, args ...any) reply {
	return reply{refusal: Refusal{Status: 404, Reason: "notFound", Code: "NOT_FOUND", Message: fmt.Sprintf(format, args...)}}
}

func (r Refusal) write(w http.ResponseWriter) {
	if r.RetryAfter != "" {
		w.Header().Set("Retry-After", r.RetryAfter)
	}
	if r.Raw != "" {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(r.Status)
		_, _ = w.Write([]byte(r.Raw))
		return
	}
	e := map[string]any{"code": r.Status, "message": r.Message}
	if r.Reason != "" {
		domain := r.Domain
		if domain == "" {
			domain = "global"
		}
		e["errors"] = []map[string]any{{"message": r.Message, "domain": domain, "reason": r.Reason}}
	}
	if r.Code != "" {
		e["status"] = r.Code
	}
	if r.Info != "" {
		e["details"] = []map[string]any{{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": r.Info, "domain": "googleapis.com"}}
	}
	write(w, r.Status, map[string]any{"error": e})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
