package eks

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

var (
	errEmpty = errors.New("the answer has no cluster")
	errCA    = errors.New("its certificate authority is no base64")
)

const (
	tokenPrefix = "k8s-aws-v1."
	// clusterHeader binds a token to one cluster: EKS sends it with its own name when it has the token checked.
	clusterHeader = "x-k8s-aws-id"
	// tokenLife is how long after it was signed EKS takes a token. A minute of that is left to clocks that differ.
	tokenLife = 15*time.Minute - time.Minute
	// emptyHash is the SHA-256 of no body.
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// Token implements cloud.Finder. It is what `aws eks get-token` prints: the URL of a GetCallerIdentity of STS that is signed but not
// sent. EKS sends it to learn who made it. See https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster.
func (f *Finder) Token(ctx context.Context, c cloud.Cluster) (string, time.Time, error) {
	held, err := f.session.Credentials(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	at := f.now()
	signed, err := f.sign(ctx, held, c.Reference, at)
	if err != nil {
		return "", time.Time{}, &cloud.Error{Kind: cloud.Invalid, Operation: "token for " + c.Reference.String(), Err: err}
	}
	until := at.Add(tokenLife)
	if held.CanExpire && held.Expires.Before(until) {
		until = held.Expires
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(signed)), until, nil
}

func (f *Finder) sign(ctx context.Context, held sdk.Credentials, r cloud.Reference, at time.Time) (string, error) {
	at = at.UTC()
	endpoint, err := f.sts(ctx, r.Location)
	if err != nil {
		return "", err
	}
	// EKS ignores the life that STS gives the URL, and asks only that it is there.
	endpoint.Path, endpoint.RawQuery = "/", "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.String(), nil)
	if err != nil {
		return "", err
	}
	request.Header.Set(clusterHeader, r.Name)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, held, request, emptyHash, "sts", r.Location, at)
	return signed, err
}

// Identity implements cloud.Identifier. It needs no permission.
func (f *Finder) Identity(ctx context.Context) (string, error) {
	region := f.session.HomeRegion()
	call := aws.Call{Family: config.FamilySTS, Operation: "GetCallerIdentity", Region: region}
	return aws.Ask(ctx, f.session, call, func(ctx context.Context) (string, error) {
		answer, err := sts.NewFromConfig(f.session.Config(config.FamilySTS, region)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", err
		}
		return value(answer.Arn), nil
	})
}

// sts is the region's own: the tokens that it makes are taken also where the global one can't be reached.
func (f *Finder) sts(ctx context.Context, region string) (*url.URL, error) {
	if endpoint := f.session.Endpoint(config.FamilySTS); endpoint != "" {
		return url.Parse(endpoint)
	}
	endpoint, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{Region: &region}.WithDefaults())
	return &endpoint.URI, err
}
