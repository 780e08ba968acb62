package awstest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type identity struct {
	Arn     string
	UserID  string `xml:"UserId"`
	Account string
}

func (c *Cloud) callerIdentity(q *request) (any, *refusal) {
	if !q.http.URL.Query().Has("X-Amz-Signature") {
		if r := q.strange(); r != nil {
			return nil, r
		}
	}
	return identity{Arn: q.key.ARN, UserID: q.key.ID, Account: Account}, nil
}

// roleLife is how long the credentials of a role are good.
const roleLife = time.Hour

func (c *Cloud) assumeRoleWithToken(q *request) (any, *refusal) {
	if r := q.strange("RoleArn", "RoleSessionName", "WebIdentityToken", "DurationSeconds"); r != nil {
		return nil, r
	}
	want, ok := c.roles[q.form.Get("RoleArn")]
	switch {
	case !ok || want == "":
		return nil, &refusal{403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	case q.form.Get("WebIdentityToken") != want:
		return nil, &refusal{400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT."}
	}
	return c.session(q), nil
}

// assumeRole lets every key of the account take on a role that needs no token.
func (c *Cloud) assumeRole(q *request) (any, *refusal) {
	if r := q.strange("RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"); r != nil {
		return nil, r
	}
	if token, ok := c.roles[q.form.Get("RoleArn")]; !ok || token != "" {
		return nil, &refusal{403, "AccessDenied", "User: " + q.key.ARN + " is not authorized to perform: sts:AssumeRole on resource: " + q.form.Get("RoleArn")}
	}
	return c.session(q), nil
}

// session makes a key for who took on a role.
func (c *Cloud) session(q *request) any {
	role := q.form.Get("RoleArn")
	k := Key{ID: fmt.Sprintf("ASIA%016d", c.serial), Secret: sum([]byte(role + strconv.Itoa(c.serial)))[:40], Token: "session/" + strconv.Itoa(c.serial) + "=="}
	k.ARN = "arn:aws:sts::" + Account + ":assumed-role/" + role[strings.LastIndex(role, "/")+1:] + "/" + q.form.Get("RoleSessionName")
	c.keys[k.ID] = k
	var out struct {
		ID      string `xml:"Credentials>AccessKeyId"`
		Secret  string `xml:"Credentials>SecretAccessKey"`
		Token   string `xml:"Credentials>SessionToken"`
		Expires string `xml:"Credentials>Expiration"`
		ARN     string `xml:"AssumedRoleUser>Arn"`
	}
	out.ID, out.Secret, out.Token, out.ARN = k.ID, k.Secret, k.Token, k.ARN
	out.Expires = c.now().Add(roleLife).UTC().Format(time.RFC3339)
	return out
}

// allowed are the parameters of a token's URL, as aws-iam-authenticator checks them.
var allowed = []string{"Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders"}

// VerifyToken does what EKS does with a bearer token: it says for which of the account's clusters it was made, and as whom. It is
// strict about form and age, and computes the signature again with the name of each cluster.
func (c *Cloud) VerifyToken(token string) (cluster, identity string, err error) {
	encoded, ok := strings.CutPrefix(token, "k8s-aws-v1.")
	if !ok {
		return "", "", errors.New("token is missing expected \"k8s-aws-v1.\" prefix")
	}
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", errors.New("token is no base64 without padding")
	}
	r, err := http.NewRequest(http.MethodGet, string(text), nil)
	if err != nil {
		return "", "", errors.New("token holds no URL")
	}
	s, err := checkForm(r)
	if err != nil {
		return "", "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := c.now().Sub(s.at); age > skew || age < -skew {
		return "", "", errors.New("X-Amz-Date parameter is expired (15 minutes)")
	}
	key, ok := c.keys[s.id]
	if !ok {
		return "", "", errors.New("the security token included in the request is invalid")
	}
	for _, regionName := range slices.Sorted(maps.Keys(c.regions)) {
		for _, name := range slices.Sorted(maps.Keys(c.regions[regionName].clusters)) {
			r.Header.Set("X-K8s-Aws-Id", name)
			if err = s.check(r, nil, key); err == nil && regionName == s.region {
				return name, key.ARN, nil
			}
		}
	}
	return "", "", fmt.Errorf("token is for no cluster in %s, or not signed by %s", s.region, key.ARN)
}

func checkForm(r *http.Request) (*signature, error) {
	q := r.URL.Query()
	for name, values := range q {
		if !slices.Contains(allowed, name) || len(values) != 1 {
			return nil, fmt.Errorf("non-whitelisted query parameter %q", name)
		}
	}
	if r.URL.Path != "/" || q.Get("Action") != "GetCallerIdentity" || q.Get("Version") != versions["sts"] {
		return nil, errors.New("unexpected action or path in the URL")
	}
	if life, err := strconv.Atoi(q.Get("X-Amz-Expires")); err != nil || life < 0 || life > 900 {
		return nil, errors.New("invalid X-Amz-Expires parameter")
	}
	s, err := signed(r)
	if err != nil || s == nil {
		return nil, errors.Join(errors.New("token is not signed"), err)
	}
	if s.family != "sts" || !slices.Contains(s.headers, "x-k8s-aws-id") {
		return nil, errors.New("client did not sign the x-k8s-aws-id header in the request")
	}
	return s, nil
}
