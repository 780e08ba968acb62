package aws

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kubefed.dev/kubefed/pkg/cloud/config"
)

// profile of the shared files. It is resolved here and not by the SDK, which goes on to the environment and to the instance's own
// credentials where a profile has none.
func (s *Session) profile(ctx context.Context, p config.ProfileCredentials) (provider sdk.CredentialsProvider, absent string, err error) {
	if p.Profile == "" {
		p.Profile = "default"
	}
	configs, credentials := []string{p.File}, []string(nil)
	if p.File == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, "no home directory for profile " + p.Profile, nil
		}
		configs, credentials = []string{filepath.Join(home, ".aws", "config")}, []string{filepath.Join(home, ".aws", "credentials")}
	}
	shared, err := awsconfig.LoadSharedConfigProfile(ctx, p.Profile, files(configs, credentials))
	if errors.As(err, new(awsconfig.SharedConfigProfileNotExistError)) && p.File != "" {
		// It may be a file of credentials, in which profiles are named differently.
		shared, err = awsconfig.LoadSharedConfigProfile(ctx, p.Profile, files(nil, []string{p.File}))
	}
	if errors.As(err, new(awsconfig.SharedConfigProfileNotExistError)) {
		return nil, "no profile " + p.Profile, nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("profile %s can't be read; check it with `aws configure list --profile %s`", p.Profile, p.Profile)
	}
	provider, err = s.resolve(&shared)
	if err != nil {
		return nil, "", fmt.Errorf("profile %s: %w", p.Profile, err)
	}
	return provider, "", nil
}

// resolve makes a provider of what a profile says, and of the role that it assumes with that.
func (s *Session) resolve(shared *awsconfig.SharedConfig) (sdk.CredentialsProvider, error) {
	if shared.RoleARN != "" && shared.MFASerial != "" {
		return nil, errors.New("it asks for a device's code; log in first, and use the profile that this gives")
	}
	var base sdk.CredentialsProvider
	switch {
	case shared.Source != nil:
		source, err := s.resolve(shared.Source)
		if err != nil {
			return nil, err
		}
		base = source
	case shared.Credentials.HasKeys():
		held := shared.Credentials
		base = sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) { return held, nil })
	case shared.WebIdentityTokenFile != "":
		return s.webIdentity(shared.RoleARN, shared.WebIdentityTokenFile, shared.RoleSessionName), nil
	case shared.SSOSession != nil || shared.SSOStartURL != "":
		single, err := s.singleSignOn(shared)
		if err != nil {
			return nil, err
		}
		base = single
	case shared.CredentialProcess != "":
		base = processcreds.NewProvider(shared.CredentialProcess, func(o *processcreds.Options) { o.Timeout = attemptLimit })
	default:
		return nil, errors.New("it has no keys, role with source_profile, web identity, single sign-on or credential_process")
	}
	if shared.RoleARN == "" {
		return base, nil
	}
	c := s.Config(config.FamilySTS, s.HomeRegion())
	c.Credentials = sdk.NewCredentialsCache(base)
	return stscreds.NewAssumeRoleProvider(sts.NewFromConfig(c), shared.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = shared.RoleSessionName
		if shared.ExternalID != "" {
			o.ExternalID = &shared.ExternalID
		}
		if d := shared.RoleDurationSeconds; d != nil && *d > 15*time.Minute {
			o.Duration = *d
		}
	}), nil
}

// singleSignOn uses what `aws sso login` left.
func (s *Session) singleSignOn(shared *awsconfig.SharedConfig) (sdk.CredentialsProvider, error) {
	region, session := shared.SSORegion, shared.SSOSession
	if session != nil {
		region = session.SSORegion
	}
	c := s.Config("sso", region)
	c.BaseEndpoint = nil
	if session == nil {
		return ssocreds.New(sso.NewFromConfig(c), shared.SSOAccountID, shared.SSORoleName, shared.SSOStartURL), nil
	}
	cached, err := ssocreds.StandardCachedTokenFilepath(session.Name)
	if err != nil {
		return nil, err
	}
	return ssocreds.New(sso.NewFromConfig(c), shared.SSOAccountID, shared.SSORoleName, session.SSOStartURL, func(o *ssocreds.Options) {
		o.SSOTokenProvider = ssocreds.NewSSOTokenProvider(ssooidc.NewFromConfig(c), cached)
		o.CachedTokenFilepath = cached
	}), nil
}
