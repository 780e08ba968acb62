// Package gcp asks Google Cloud's APIs as one account of pkg/cloud/config: it picks the account's credentials, paces and repeats
// requests, gives each a deadline, and says what errors mean, once for all APIs. What is asked is in gke and facts. Nothing comes
// from the environment that the account does not name, and no token or key is in an error.
package gcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/api/option"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// DefaultRate is the number of requests a second to one region of one API that an account makes by default.
const DefaultRate = 5

// Session is one account as the clients of its APIs see it. It is safe for concurrent use.
type Session struct {
	account config.Account
	tokens  *tokens // nil: anonymous
	base    http.RoundTripper
	// attempt and call are the longest that one request, and one question with all its pages and repetitions, take; pause is the
	// time before the first repetition.
	attempt, call, pause time.Duration

	mu       sync.Mutex
	limiters map[limited]*rate.Limiter
}

// limited is what has a rate limit of its own in an account.
type limited struct{ family, region string }

// New picks the account's credentials: the first that are there. It asks no API.
func New(ctx context.Context, account config.Account, scopes ...string) (*Session, error) {
	s := &Session{account: account, base: newBase(), attempt: 15 * time.Second, call: time.Minute, pause: 200 * time.Millisecond,
		limiters: map[limited]*rate.Limiter{}}
	if account.Provider != config.GCP || account.Project == "" {
		return nil, s.invalid(errors.New("an account of Google Cloud has provider gcp and a project"))
	}
	for family, endpoint := range account.Endpoints {
		if !confidential(endpoint) {
			return nil, s.invalid(fmt.Errorf("endpoint of %s: give an https URL; tokens would be read on the way", family))
		}
	}
	chosen, err := s.choose(ctx, account.Credentials, scopes)
	if err != nil {
		return nil, err
	}
	if chosen != nil {
		s.tokens = newTokens(chosen)
	}
	return s, nil
}

func (s *Session) invalid(err error) error {
	return &cloud.Error{Kind: cloud.Invalid, Operation: "account " + s.account.Name, Err: err, Advice: "correct the file of accounts"}
}

// Account is the one that is asked.
func (s *Session) Account() config.Account { return s.account }

// Call is one question to an API.
type Call struct {
	// Family is the API's, of pkg/cloud/config.
	Family string
	// Permission is what it takes, such as "container.clusters.list"; Role is the least that is predefined and has it.
	Permission, Role string
	// On is what it is about, such as "cluster prod in europe-west4".
	On string
	// Project that is asked; the account's by default.
	Project string
	// Within is how long all pages and repetitions together may take; a minute by default.
	Within time.Duration
}

func (c Call) operation() string { return c.Permission + " of " + c.On }

// defaultEndpoints are said to the clients always: left to themselves they heed the environment.
var defaultEndpoints = map[string]string{
	config.FamilyContainer: "https://container.googleapis.com",
	config.FamilyCompute:   "https://compute.googleapis.com",
	config.FamilyBilling:   "https://cloudbilling.googleapis.com/",
}

// Do puts a question: ask makes a client with the options and uses it within the context. The client is good for this question
// only, because some of the SDK's lists do not heed the context and the options' transport does it in their place. Errors are of
// type *cloud.Error.
func (s *Session) Do(ctx context.Context, c Call, ask func(context.Context, []option.ClientOption) error) error {
	if c.Within == 0 {
		c.Within = s.call
	}
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	if c.Project == "" {
		c.Project = s.account.Project
	}
	endpoint := s.account.Endpoints[c.Family]
	if endpoint == "" {
		endpoint = s.account.Endpoints["*"]
	}
	if endpoint == "" {
		endpoint = defaultEndpoints[c.Family]
	}
	client := &http.Client{Transport: &transport{session: s, ctx: ctx, family: c.Family, pages: map[string]bool{}}, CheckRedirect: stay}
	err := ask(ctx, []option.ClientOption{option.WithHTTPClient(client), option.WithEndpoint(endpoint),
		option.WithUniverseDomain("googleapis.com"), option.WithLogger(slog.New(slog.DiscardHandler))})
	return s.classify(ctx, c, err)
}

// Token is an access token of the account, and until when it is good: more than three minutes.
func (s *Session) Token(ctx context.Context) (string, time.Time, error) {
	if s.tokens == nil {
		return "", time.Time{}, s.invalid(errors.New("anonymous credentials have no token"))
	}
	ctx, cancel := context.WithTimeout(ctx, s.call)
	defer cancel()
	token, err := s.tokens.get(ctx)
	return token.value, token.until, err
}

// limiter is the one of a region and a family of APIs.
func (s *Session) limiter(family, region string) *rate.Limiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limiters[limited{family, region}]
	if l == nil {
		perSecond := s.account.RequestsPerSecond
		if perSecond <= 0 {
			perSecond = DefaultRate
		}
		l = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
		s.limiters[limited{family, region}] = l
	}
	return l
}

// confidential says whether nobody reads what goes to a URL: it is https, or does not leave the machine.
func confidential(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

// stay follows no redirection: the token is for who was asked.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newBase() *http.Transport {
	return &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second}
}
