package route53

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/time/rate"
)

// Account is as whom and where to ask.
type Account struct {
	// Region signs the requests; us-east-1 by default.
	Region string
	// Endpoint is another address of the API.
	Endpoint string
	// CredentialsFile is a shared credentials file, Profile the profile in it. By default the SDK's chain is gone through:
	// environment, web identity, instance.
	CredentialsFile, Profile string
	// RoleARN is assumed with these credentials.
	RoleARN string
	// RequestsPerSecond is at most as many, repeated ones too; 4 by default.
	RequestsPerSecond float64
}

// defaultRate is below the 5 requests a second that Route 53 allowed an account at any time.
const defaultRate = 4

// NewClient is a client of Route 53. It asks nothing yet.
func NewClient(ctx context.Context, a Account) (*route53.Client, error) {
	if a.Region == "" {
		a.Region = "us-east-1"
	}
	if a.RequestsPerSecond == 0 {
		a.RequestsPerSecond = defaultRate
	}
	options := []func(*config.LoadOptions) error{config.WithRegion(a.Region), config.WithRetryMode(aws.RetryModeStandard)}
	if a.CredentialsFile != "" && a.Profile == "" {
		a.Profile = "default" // A profile that is named goes before the environment.
	}
	if a.CredentialsFile != "" {
		options = append(options, config.WithSharedCredentialsFiles([]string{a.CredentialsFile}))
	}
	if a.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(a.Profile))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("credentials of AWS: %w", err)
	}
	if a.RoleARN != "" {
		c.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(c), a.RoleARN))
	}
	return route53.NewFromConfig(c, func(o *route53.Options) {
		if a.Endpoint != "" {
			o.BaseEndpoint = &a.Endpoint
		}
		o.HTTPClient = &paced{next: awshttp.NewBuildableClient(), limit: rate.NewLimiter(rate.Limit(a.RequestsPerSecond), max(1, int(a.RequestsPerSecond)))}
	}), nil
}

// paced lets requests through at a rate: every attempt of the SDK is one.
type paced struct {
	next  aws.HTTPClient
	limit *rate.Limiter
}

func (p *paced) Do(r *http.Request) (*http.Response, error) {
	if err := p.limit.Wait(r.Context()); err != nil {
		return nil, err
	}
	return p.next.Do(r)
}
