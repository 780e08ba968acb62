package awstest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is one that was taken apart.
type request struct {
	http                      *http.Request
	family, operation, region string
	// form of the query protocols, body of the others; name is what the path names.
	form url.Values
	body []byte
	name string
	key  Key
	// stuck: pages lead back to the first.
	stuck bool
	// healed ends when faults are cleared.
	healed <-chan struct{}
}

// refusal is an error as AWS says it.
type refusal struct {
	status        int
	code, message string
}

type handler func(*Cloud, *request) (any, *refusal)

// served are the operations that there are.
var served = map[string]handler{
	"eks:ListClusters":                           (*Cloud).listClusters,
	"eks:DescribeCluster":                        (*Cloud).describeCluster,
	"sts:GetCallerIdentity":                      (*Cloud).callerIdentity,
	"sts:AssumeRoleWithWebIdentity":              (*Cloud).assumeRoleWithToken,
	"sts:AssumeRole":                             (*Cloud).assumeRole,
	"ec2:DescribeAvailabilityZones":              (*Cloud).describeZones,
	"ec2:DescribeSpotPriceHistory":               (*Cloud).describeSpot,
	"elasticloadbalancing:DescribeLoadBalancers": (*Cloud).describeBalancers,
	"elasticloadbalancing:DescribeTargetGroups":  (*Cloud).describeGroups,
	"elasticloadbalancing:DescribeTargetHealth":  (*Cloud).describeHealth,
	"pricing:GetProducts":                        (*Cloud).getProducts,
}

// namespaces of the query protocols' answers.
var namespaces = map[string]string{
	"ec2":                  "http://ec2.amazonaws.com/doc/2016-11-15/",
	"elasticloadbalancing": "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
	"sts":                  "https://sts.amazonaws.com/doc/2011-06-15/",
}

// versions of the query protocols' requests.
var versions = map[string]string{"ec2": "2016-11-15", "elasticloadbalancing": "2015-12-01", "sts": "2011-06-15"}

// ServeHTTP implements http.Handler.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q := &request{http: r, body: body}
	answer, refused, kind := c.serve(q)
	if q.fail(w, kind) {
		return
	}
	if q.stuck {
		answer, refused = c.answer(q)
	}
	if refused != nil {
		q.refuse(w, refused)
		return
	}
	q.answer(w, answer)
}

// serve answers a request, or says which fault it meets.
func (c *Cloud) serve(q *request) (any, *refusal, FaultKind) {
	s, err := signed(q.http)
	if s != nil {
		q.family, q.region = s.family, s.region
	}
	q.take()
	c.mu.Lock()
	c.serial++
	c.calls[q.family+":"+q.operation]++
	if s != nil {
		q.key = c.keys[s.id]
	}
	kind, now := c.fault(q), c.now()
	q.healed = c.healed
	c.mu.Unlock()
	switch {
	case kind != "" && kind != Deny && kind != Throttle:
		return nil, nil, kind
	case err != nil:
		return nil, &refusal{statusFor(q, 400), "IncompleteSignature", err.Error()}, ""
	case s == nil && q.family+":"+q.operation != "sts:AssumeRoleWithWebIdentity":
		return nil, &refusal{statusFor(q, 403), "MissingAuthenticationToken", "Missing Authentication Token"}, ""
	}
	if s != nil {
		if refused := q.authenticate(s, now.Sub(s.at).Abs() > skew); refused != nil {
			return nil, refused, ""
		}
	}
	if kind != "" {
		return nil, nil, kind
	}
	answer, refused := c.answer(q)
	return answer, refused, ""
}

func (c *Cloud) answer(q *request) (any, *refusal) {
	handle := served[q.family+":"+q.operation]
	if handle == nil {
		return nil, &refusal{statusFor(q, 400), "InvalidAction", "Could not find operation " + q.operation + " of " + q.family}
	}
	if want := versions[q.family]; want != "" && q.form.Get("Version") != want {
		return nil, &refusal{400, "InvalidAction", "Could not find version " + q.form.Get("Version")}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return handle(c, q)
}

// authenticate says why a request is not taken, in the words of its API.
func (q *request) authenticate(s *signature, expired bool) *refusal {
	code := func(ec2, rest, query string) string {
		switch q.family {
		case "ec2":
			return ec2
		case "eks", "pricing":
			return rest
		}
		return query
	}
	const invalid = "The security token included in the request is invalid."
	switch err := s.check(q.http, q.body, q.key); {
	case q.key.ID == "":
		if q.family == "ec2" {
			return &refusal{401, "AuthFailure", "AWS was not able to validate the provided access credentials"}
		}
		return &refusal{statusFor(q, 403), code("", "UnrecognizedClientException", "InvalidClientTokenId"), invalid}
	case expired:
		return &refusal{statusFor(q, 403), code("RequestExpired", "InvalidSignatureException", "RequestExpired"), "Signature expired: " + s.at.Format(timeFormat)}
	case err != nil:
		// AWS quotes what it signed, headers and all.
		return &refusal{statusFor(q, 403), code("AuthFailure", "InvalidSignatureException", "SignatureDoesNotMatch"),
			err.Error() + ". x-amz-security-token:" + q.http.Header.Get("X-Amz-Security-Token")}
	}
	return nil
}

// take finds out what is asked.
func (q *request) take() {
	r := q.http
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch target := r.Header.Get("X-Amz-Target"); {
	case target != "":
		q.family = "pricing"
		q.operation = strings.TrimPrefix(target, "AWSPriceListService.")
	case q.family == "eks" || q.family == "" && parts[0] == "clusters":
		q.family = "eks"
		switch {
		case r.Method == http.MethodGet && slices.Equal(parts, []string{"clusters"}):
			q.operation, q.form = "ListClusters", r.URL.Query()
		case r.Method == http.MethodGet && len(parts) == 2 && parts[0] == "clusters":
			q.operation, q.name, q.form = "DescribeCluster", parts[1], r.URL.Query()
		}
	default:
		q.form = r.URL.Query()
		if r.Method == http.MethodPost {
			q.form, _ = url.ParseQuery(string(q.body))
		}
		q.operation = q.form.Get("Action")
		if q.family == "" {
			q.family = "sts"
		}
	}
}

// strange is a refusal of the first parameter that is not known; known ones may end in a dot and anything.
func (q *request) strange(known ...string) *refusal {
	for name := range q.form {
		if name == "Action" || name == "Version" || slices.ContainsFunc(known, func(k string) bool {
			return name == k || strings.HasSuffix(k, ".") && strings.HasPrefix(name, k)
		}) {
			continue
		}
		return &refusal{400, "InvalidParameterException", "Unknown parameter " + name}
	}
	return nil
}

func (q *request) refuse(w http.ResponseWriter, r *refusal) {
	var text strings.Builder
	_ = xml.EscapeText(&text, []byte(r.message))
	switch q.family {
	case "ec2":
		w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
		w.WriteHeader(r.status)
		_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>0f1e</RequestID></Response>",
			r.code, text.String())
	case "eks", "pricing":
		body := map[string]string{"message": r.message}
		w.Header().Set("Content-Type", "application/json")
		if q.family == "pricing" {
			body["__type"] = r.code
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		} else {
			w.Header().Set("X-Amzn-ErrorType", r.code)
		}
		w.WriteHeader(r.status)
		_ = json.NewEncoder(w).Encode(body)
	default:
		kind := "Sender"
		if r.status >= 500 {
			kind = "Receiver"
		}
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(r.status)
		_, _ = fmt.Fprintf(w, "<ErrorResponse xmlns=\"%s\"><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>0f1e</RequestId></ErrorResponse>",
			namespaces[q.family], kind, r.code, text.String())
	}
}

// answer writes what a handler gave: for the query protocols it is the inside of the result.
func (q *request) answer(w http.ResponseWriter, body any) {
	if q.family == "eks" || q.family == "pricing" {
		w.Header().Set("Content-Type", map[string]string{"eks": "application/json", "pricing": "application/x-amz-json-1.1"}[q.family])
		_ = json.NewEncoder(w).Encode(body)
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	_, _ = io.WriteString(w, xml.Header)
	out := xml.NewEncoder(w)
	root := xml.StartElement{Name: xml.Name{Local: q.operation + "Response"}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespaces[q.family]}}}
	if q.family == "ec2" {
		_ = out.EncodeElement(body, root)
		return
	}
	_ = out.EncodeToken(root)
	_ = out.EncodeElement(body, xml.StartElement{Name: xml.Name{Local: q.operation + "Result"}})
	_ = out.EncodeElement(struct {
		RequestID string `xml:"RequestId"`
	}{"0f1e"}, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}})
	_ = out.EncodeToken(root.End())
	_ = out.Flush()
}
