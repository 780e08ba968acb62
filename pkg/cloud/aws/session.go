package aws

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"golang.org/x/time/rate"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

const (
	// defaultRate of requests a second, for each region and API family.
	defaultRate = 5
	// attemptLimit is how long one request may take, callLimit a call with all its attempts and the time that it waits for its turn.
	attemptLimit = 10 * time.Second
	callLimit    = 30 * time.Second
	// attempts of a call, with at most maxBackoff between them.
	attempts   = 3
	maxBackoff = 5 * time.Second
)

// retrieve is the operation of getting credentials, which no policy names.
const retrieve = "credentials"

// sourceStatic are keys of a file.
const sourceStatic = "static"

// Session is one account. It is safe for concurrent use, and shared by all that ask the account: limits are kept in it.
type Session struct {
	account     config.Account
	credentials *sdk.CredentialsCache
	transport   sdk.HTTPClient
	backoff     retry.BackoffDelayer
	limit       time.Duration

	mu      sync.Mutex
	limits  map[string]*rate.Limiter
	secrets []string
}

// Option changes how a session asks.
type Option func(*Session)

// Patience is how long a call may take with all its attempts, and how long to wait between these.
func Patience(limit, backoff time.Duration) Option {
	return func(s *Session) {
		s.limit = limit
		s.backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return backoff, nil })
	}
}

// Open is a session of an account, with the first of its credentials that is there. It asks nothing yet. The error is of kind Denied
// where no credentials are there.
func Open(ctx context.Context, account config.Account, options ...Option) (*Session, error) {
	s := &Session{
		account: account, limit: callLimit, limits: map[string]*rate.Limiter{},
		transport: awshttp.NewBuildableClient().WithTimeout(attemptLimit),
		backoff:   retry.NewExponentialJitterBackoff(maxBackoff),
	}
	for _, o := range options {
		o(s)
	}
	provider, err := s.choose(ctx)
	if err != nil {
		return nil, &cloud.Error{Kind: cloud.Denied, Operation: "credentials of account " + account.Name, Err: err,
			Advice: "see credentials of the account in the file of clouds"}
	}
	if _, anonymous := provider.(sdk.AnonymousCredentials); !anonymous {
		provider = &remembering{from: provider, session: s}
	}
	s.credentials = sdk.NewCredentialsCache(provider)
	return s, nil
}

// remembering credentials tell the session what is secret.
type remembering struct {
	from    sdk.CredentialsProvider
	session *Session
}

func (r *remembering) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	held, err := r.from.Retrieve(ctx)
	if err == nil {
		r.session.mu.Lock()
		defer r.session.mu.Unlock()
		r.session.secrets = []string{held.SecretAccessKey, held.SessionToken}
	}
	return held, err
}

// Account is what the session was opened with.
func (s *Session) Account() config.Account { return s.account }

// HomeRegion is where to ask what is the same in all regions.
func (s *Session) HomeRegion() string {
	if len(s.account.Regions) > 0 {
		return s.account.Regions[0]
	}
	return "us-east-1"
}

// Config is for clients of an API family in a region: one client each is enough, and all of them share the session's limit.
func (s *Session) Config(family, region string) sdk.Config {
	c := sdk.Config{
		Region:     region,
		HTTPClient: &paced{next: s.transport, limit: s.limiter(family, region)},
		Retryer: func() sdk.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff, o.Backoff = attempts, maxBackoff, s.backoff
			})
		},
	}
	if s.credentials != nil { // Not so while they are being chosen: what exchanges a token for them has none to sign with.
		c.Credentials = s.credentials
	}
	if endpoint := s.Endpoint(family); endpoint != "" {
		c.BaseEndpoint = &endpoint
	}
	return c
}

// Endpoint is the URL of an API family that the account names; empty for Amazon's own.
func (s *Session) Endpoint(family string) string {
	if endpoint := s.account.Endpoints[family]; endpoint != "" {
		return endpoint
	}
	return s.account.Endpoints["*"]
}

// Credentials are as whom the session asks. They are secret.
func (s *Session) Credentials(ctx context.Context) (sdk.Credentials, error) {
	held, err := Ask(ctx, s, Call{Operation: retrieve}, s.credentials.Retrieve)
	if held.Source == sourceStatic { // Keys do not expire: their file is only read again.
		held.CanExpire = false
	}
	return held, err
}

// Ready says whether the credentials can be had. It asks AWS nothing but that.
func (s *Session) Ready(ctx context.Context) error {
	if sdk.IsCredentialsProvider(s.credentials, sdk.AnonymousCredentials{}) {
		return nil
	}
	_, err := s.Credentials(ctx)
	return err
}

func (s *Session) limiter(family, region string) *rate.Limiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := family + "/" + region
	if s.limits[key] == nil {
		r := s.account.RequestsPerSecond
		if r <= 0 {
			r = defaultRate
		}
		s.limits[key] = rate.NewLimiter(rate.Limit(r), max(1, int(r)))
	}
	return s.limits[key]
}

// paced lets requests through at a rate: every attempt of the SDK is one.
type paced struct {
	next  sdk.HTTPClient
	limit *rate.Limiter
}

func (p *paced) Do(r *http.Request) (*http.Response, error) {
	if err := p.limit.Wait(r.Context()); err != nil {
		if r.Context().Err() != nil {
			return nil, r.Context().Err()
		}
		return nil, crowded{err}
	}
	return p.next.Do(r)
}

// crowded is an attempt whose turn would have come too late.
type crowded struct{ err error }

func (c crowded) Error() string { return fmt.Sprintf("waiting for a turn: %v", c.err) }

// CanceledError keeps the SDK from trying again.
func (crowded) CanceledError() bool { return true }
