package awstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// signature is what a request says of itself, in its Authorization header or in its query. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
type signature struct {
	id, date, region, family string
	headers                  []string
	value                    string
	at                       time.Time
	presigned                bool
}

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	// skew that AWS bears with.
	skew = 15 * time.Minute
)

// signed reads the signature of a request, nil if it has none.
func signed(r *http.Request) (*signature, error) {
	fields := map[string]string{}
	q, header := r.URL.Query(), r.Header.Get("Authorization")
	s := &signature{}
	stamp := r.Header.Get("X-Amz-Date")
	switch {
	case header != "":
		rest, ok := strings.CutPrefix(header, algorithm+" ")
		if !ok {
			return nil, errors.New("authorization is not " + algorithm)
		}
		for part := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			fields[name] = value
		}
	case q.Get("X-Amz-Signature") != "":
		if q.Get("X-Amz-Algorithm") != algorithm {
			return nil, errors.New("X-Amz-Algorithm is not " + algorithm)
		}
		fields["Credential"], fields["SignedHeaders"], fields["Signature"] = q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature")
		stamp, s.presigned = q.Get("X-Amz-Date"), true
	default:
		return nil, nil
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return nil, fmt.Errorf("credential scope %q", fields["Credential"])
	}
	at, err := time.Parse(timeFormat, stamp)
	if err != nil || !strings.HasPrefix(stamp, scope[1]) {
		return nil, errors.New("date in credential scope does not match that of the request")
	}
	s.id, s.date, s.region, s.family, s.at = scope[0], scope[1], scope[2], scope[3], at
	s.headers, s.value = strings.Split(fields["SignedHeaders"], ";"), fields["Signature"]
	if !slices.Contains(s.headers, "host") || !slices.IsSorted(s.headers) {
		return nil, errors.New("SignedHeaders must have host, and be sorted")
	}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.headers, name) && !s.presigned {
			return nil, errors.New("header " + name + " is not signed")
		}
	}
	return s, nil
}

// check computes the signature again.
func (s *signature) check(r *http.Request, body []byte, k Key) error {
	q := r.URL.Query()
	token := r.Header.Get("X-Amz-Security-Token")
	if s.presigned {
		token = q.Get("X-Amz-Security-Token")
	}
	if token != k.Token {
		return errors.New("the security token is not that of the key")
	}
	q.Del("X-Amz-Signature")
	hash := sum(body)
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", r.Method, escapePath(r.URL), escapeQuery(q))
	for _, name := range s.headers {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(len(body))
		}
		fmt.Fprintf(&canonical, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	fmt.Fprintf(&canonical, "\n%s\n%s", strings.Join(s.headers, ";"), hash)
	scope := strings.Join([]string{s.date, s.region, s.family, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, s.at.Format(timeFormat), scope, sum([]byte(canonical.String()))}, "\n")
	key := []byte("AWS4" + k.Secret)
	for _, part := range []string{s.date, s.region, s.family, "aws4_request"} {
		key = mac(key, part)
	}
	if want := hex.EncodeToString(mac(key, text)); !hmac.Equal([]byte(want), []byte(s.value)) {
		return errors.New("the request signature we calculated does not match the signature you provided")
	}
	return nil
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// escapePath escapes each part of the path once more than it is on the wire.
func escapePath(u *url.URL) string {
	parts := strings.Split(u.EscapedPath(), "/")
	for i, p := range parts {
		parts[i] = escape(p)
	}
	if path := strings.Join(parts, "/"); path != "" {
		return path
	}
	return "/"
}

func escapeQuery(q url.Values) string {
	var pairs []string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, escape(name)+"="+escape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape is RFC 3986: all but unreserved characters.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
