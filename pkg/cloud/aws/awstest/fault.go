package awstest

import "net/http"

// FaultKind is how a request fails.
type FaultKind string

// Kinds of faults.
const (
	// Deny: the policy does not allow it.
	Deny FaultKind = "Deny"
	// Throttle: too many requests.
	Throttle FaultKind = "Throttle"
	// Down: AWS answers that it can't.
	Down FaultKind = "Down"
	// Reset: the connection ends without an answer.
	Reset FaultKind = "Reset"
	// Hang: there is no answer until the one who asks gives up, or the faults are cleared; then there is none at all.
	Hang FaultKind = "Hang"
	// Garble: an answer that is none of AWS, as a proxy gives it.
	Garble FaultKind = "Garble"
	// Stuck: each page says that the next one is the first.
	Stuck FaultKind = "Stuck"
)

// Fault is what goes wrong with requests that match. An empty field matches all.
type Fault struct {
	Kind                      FaultKind
	Family, Operation, Region string
	// Times that it goes wrong; 0 is until the faults are cleared.
	Times int

	left int
}

// Break makes requests fail, besides what fails already.
func (c *Cloud) Break(f Fault) {
	f.left = f.Times
	c.set(func() { c.faults = append(c.faults, &f) })
}

// Heal clears all faults.
func (c *Cloud) Heal() {
	c.set(func() {
		c.faults = nil
		close(c.healed)
		c.healed = make(chan struct{})
	})
}

// fault that a request meets; the account is locked.
func (c *Cloud) fault(q *request) FaultKind {
	for _, f := range c.faults {
		match := func(want, got string) bool { return want == "" || want == got }
		if !match(f.Family, q.family) || !match(f.Operation, q.operation) || !match(f.Region, q.region) || f.Times > 0 && f.left == 0 {
			continue
		}
		f.left--
		return f.Kind
	}
	return ""
}

// fail makes a request fail; false if it is to be answered after all.
func (q *request) fail(w http.ResponseWriter, kind FaultKind) bool {
	switch kind {
	case "":
		return false
	case Deny:
		q.refuse(w, denied(q))
	case Throttle:
		q.refuse(w, throttled(q))
	case Down:
		q.refuse(w, down(q))
	case Reset:
		panic(http.ErrAbortHandler)
	case Hang:
		select {
		case <-q.http.Context().Done():
		case <-q.healed:
		}
		panic(http.ErrAbortHandler)
	case Garble:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html><body><h1>502 Bad Gateway</h1></body></html>"))
	case Stuck:
		q.stuck = true
		return false
	}
	return true
}

// denied is what each API says when a policy does not allow a call.
func denied(q *request) *refusal {
	who := "User: " + q.key.ARN + " is not authorized to perform: " + q.family + ":" + q.operation
	switch q.family {
	case "ec2":
		return &refusal{403, "UnauthorizedOperation", "You are not authorized to perform this operation. " + who + " because no identity-based policy allows the " +
			q.family + ":" + q.operation + " action"}
	case "eks", "pricing":
		return &refusal{statusFor(q, 403), "AccessDeniedException", who + " on resource: arn:aws:" + q.family + ":" + q.region + ":" + Account + ":*"}
	}
	return &refusal{403, "AccessDenied", who + " because no identity-based policy allows the " + q.family + ":" + q.operation + " action"}
}

func throttled(q *request) *refusal {
	switch q.family {
	case "ec2":
		return &refusal{503, "RequestLimitExceeded", "Request limit exceeded."}
	case "eks":
		return &refusal{429, "TooManyRequestsException", "Too Many Requests"}
	case "pricing":
		return &refusal{400, "ThrottlingException", "Rate exceeded"}
	}
	return &refusal{400, "Throttling", "Rate exceeded"}
}

func down(q *request) *refusal {
	switch q.family {
	case "ec2":
		return &refusal{503, "Unavailable", "The service is unavailable. Please try again shortly."}
	case "eks":
		return &refusal{500, "ServerException", "An internal error occurred"}
	case "pricing":
		return &refusal{500, "InternalErrorException", "An internal error occurred"}
	}
	return &refusal{503, "ServiceUnavailable", "Service Unavailable"}
}

// statusFor is 400 where the protocol has no other for errors of the one who asks.
func statusFor(q *request, status int) int {
	if q.family == "pricing" {
		return 400
	}
	return status
}
