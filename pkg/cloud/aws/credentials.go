package aws

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kubefed.dev/kubefed/pkg/cloud/config"
)

const (
	// Where EKS Pod Identity says that its agent is.
	agentURI       = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	agentToken     = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	agentTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
	// rereadAfter is when a file of keys is read again: it may have been replaced.
	rereadAfter = time.Minute
)

// agents are the addresses, besides loopback, at which http is safe: those of the agents of ECS and EKS.
var agents = []string{"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}

// choose is the provider of the first credentials that are there.
func (s *Session) choose(ctx context.Context) (sdk.CredentialsProvider, error) {
	var missing []string
	for _, c := range s.account.Credentials {
		provider, absent, err := s.provider(ctx, c)
		if err != nil {
			return nil, err
		}
		if provider != nil {
			return provider, nil
		}
		missing = append(missing, absent)
	}
	if len(missing) == 0 {
		return nil, errors.New("none are listed")
	}
	return nil, errors.New("none are there: " + strings.Join(missing, "; "))
}

// provider of credentials, or why they are not there.
func (s *Session) provider(ctx context.Context, c config.Credentials) (provider sdk.CredentialsProvider, absent string, err error) {
	switch {
	case c.Static != nil:
		if absent, err := isAbsent(c.Static.File); absent || err != nil {
			return nil, "no file " + c.Static.File, err
		}
		return keys(c.Static.File), "", nil
	case c.WebIdentity != nil:
		if absent, err := isAbsent(c.WebIdentity.TokenFile); absent || err != nil {
			return nil, "no token file " + c.WebIdentity.TokenFile, err
		}
		return s.webIdentity(c.WebIdentity.RoleARN, c.WebIdentity.TokenFile, ""), "", nil
	case c.WorkloadIdentity != nil:
		if os.Getenv(agentURI) == "" {
			return nil, agentURI + " is not set (EKS Pod Identity)", nil
		}
		provider, err := s.podIdentity(os.Getenv(agentURI))
		return provider, "", err
	case c.Profile != nil:
		return s.profile(ctx, *c.Profile)
	case c.Anonymous != nil:
		if s.account.Endpoints["*"] == "" {
			return nil, "", errors.New(`anonymous is for simulated clouds: give their endpoint under "*"`)
		}
		return sdk.AnonymousCredentials{}, "", nil
	}
	return nil, "an empty entry", nil
}

func isAbsent(file string) (bool, error) {
	_, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// keys of a shared credentials file, of its profile default.
func keys(file string) sdk.CredentialsProvider {
	return sdk.CredentialsProviderFunc(func(ctx context.Context) (sdk.Credentials, error) {
		shared, err := awsconfig.LoadSharedConfigProfile(ctx, "default", files(nil, []string{file}))
		if err != nil || !shared.Credentials.HasKeys() {
			// The parser's words may quote the file.
			return sdk.Credentials{}, fmt.Errorf("file %s: no aws_access_key_id and aws_secret_access_key under [default]", file)
		}
		held := shared.Credentials
		held.Source, held.CanExpire, held.Expires = sourceStatic, true, time.Now().Add(rereadAfter)
		return held, nil
	})
}

// files to read, and no others: nil would mean those of the environment.
func files(configs, credentials []string) func(*awsconfig.LoadSharedConfigOptions) {
	return func(o *awsconfig.LoadSharedConfigOptions) {
		o.ConfigFiles, o.CredentialsFiles = append([]string{}, configs...), append([]string{}, credentials...)
	}
}

// webIdentity exchanges a service account's token for credentials of a role.
func (s *Session) webIdentity(role, tokenFile, sessionName string) sdk.CredentialsProvider {
	if sessionName == "" {
		sessionName = "kubefed"
	}
	client := sts.NewFromConfig(s.Config(config.FamilySTS, s.HomeRegion()))
	return stscreds.NewWebIdentityRoleProvider(client, role, stscreds.IdentityTokenFile(tokenFile), func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName = sessionName
	})
}

// podIdentity asks the agent of EKS Pod Identity.
func (s *Session) podIdentity(uri string) (sdk.CredentialsProvider, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New(agentURI + " is no URL")
	}
	if u.Scheme != "https" && !isAgent(u.Hostname()) {
		return nil, fmt.Errorf("%s: %s is neither this host nor an agent of EKS: use https", agentURI, u.Hostname())
	}
	return endpointcreds.New(uri, func(o *endpointcreds.Options) {
		o.HTTPClient = s.transport
		o.AuthorizationToken = os.Getenv(agentToken)
		if file := os.Getenv(agentTokenFile); file != "" {
			o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) {
				data, err := os.ReadFile(filepath.Clean(file))
				return strings.TrimSpace(string(data)), err
			})
		}
	}), nil
}

func isAgent(host string) bool {
	ip := net.ParseIP(host)
	if ip == nil {
		return host == "localhost"
	}
	for _, agent := range agents {
		if ip.Equal(net.ParseIP(agent)) {
			return true
		}
	}
	return ip.IsLoopback()
}
