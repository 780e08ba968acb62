package gcp

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials/externalaccount"

	"kubefed.dev/kubefed/pkg/cloud"
)

// googleToken is where tokens are asked for if the file does not say.
const googleToken = "https://oauth2.googleapis.com/token"

// file is credentials in a file. It is read anew for each token: keys are replaced while the program runs.
type file struct {
	path   string
	person bool // a person's credentials are accepted
	scopes []string
	mail   string
}

// keyFile is the content of a file, of any type.
type keyFile struct {
	Type         string `json:"type"`
	TokenURI     string `json:"token_uri"`
	QuotaProject string `json:"quota_project_id"`

	ClientEmail  string `json:"client_email"`
	PrivateKeyID string `json:"private_key_id"`
	PrivateKey   string `json:"private_key"`

	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RefreshToken string `json:"refresh_token"`

	Audience         string `json:"audience"`
	SubjectTokenType string `json:"subject_token_type"`
	TokenURL         string `json:"token_url"`
	ImpersonationURL string `json:"service_account_impersonation_url"`
	Impersonation    struct {
		LifetimeSeconds int `json:"token_lifetime_seconds"`
	} `json:"service_account_impersonation"`
	WorkforcePoolUserProject string `json:"workforce_pool_user_project"`
	Source                   struct {
		File    string            `json:"file"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
		Format  struct {
			Type  string `json:"type"`
			Field string `json:"subject_token_field_name"`
		} `json:"format"`
		EnvironmentID string          `json:"environment_id"`
		Executable    json.RawMessage `json:"executable"`
		Certificate   json.RawMessage `json:"certificate"`
	} `json:"credential_source"`
}

// Types of files.
const (
	serviceAccount = "service_account"
	authorizedUser = "authorized_user"
	external       = "external_account"
)

func newFile(path string, person bool, scopes []string) (source, error) {
	f := &file{path: path, person: person, scopes: scopes}
	k, err := f.read()
	if err != nil {
		return nil, err
	}
	f.mail = k.ClientEmail
	return f, nil
}

func (f *file) identity() string { return f.mail }

// read reads and checks the file. Its content is in no error.
func (f *file) read() (keyFile, error) {
	data, err := readFile(f.path)
	if err != nil {
		return keyFile{}, err
	}
	var k keyFile
	if json.Unmarshal(data, &k) != nil {
		return keyFile{}, fmt.Errorf("file %s is not JSON", f.path)
	}
	if err := k.check(f.person); err != nil {
		return keyFile{}, fmt.Errorf("file %s: %w", f.path, err)
	}
	return k, nil
}

func (k *keyFile) check(person bool) error {
	for name, u := range map[string]string{"token_uri": k.TokenURI, "token_url": k.TokenURL,
		"service_account_impersonation_url": k.ImpersonationURL} {
		if u != "" && !confidential(u) {
			return fmt.Errorf("%s is not an https URL", name)
		}
	}
	switch {
	case k.Type == serviceAccount:
		block, _ := pem.Decode([]byte(k.PrivateKey))
		if k.ClientEmail == "" || block == nil {
			return errors.New("the key of a service account has client_email and private_key")
		}
	case k.Type == authorizedUser && person:
		if k.ClientID == "" || k.RefreshToken == "" {
			return errors.New("a person's credentials have client_id and refresh_token; run gcloud auth application-default login")
		}
	case k.Type == external:
		if k.Source.Executable != nil || k.Source.Certificate != nil || k.Source.EnvironmentID != "" {
			return errors.New("credential_source has a file or a url here; programs and the environment are not asked")
		}
		if k.Audience == "" || k.SubjectTokenType == "" || k.TokenURL == "" || k.Source.File == "" && k.Source.URL == "" {
			return errors.New("an external account has audience, subject_token_type, token_url and credential_source")
		}
	default:
		return errors.New("give the key of a service account or the configuration of an external account")
	}
	return nil
}

func (f *file) mint(ctx context.Context) (token, error) {
	k, err := f.read()
	if err != nil {
		return token{}, &cloud.Error{Kind: cloud.Denied, Operation: "access token", Err: err}
	}
	switch k.Type {
	case authorizedUser:
		return f.person3(ctx, k)
	case serviceAccount:
		return f.provided(ctx, func(asking *issuer) (auth.TokenProvider, error) {
			return auth.New2LOTokenProvider(&auth.Options2LO{Email: k.ClientEmail, PrivateKey: []byte(k.PrivateKey), PrivateKeyID: k.PrivateKeyID,
				Scopes: f.scopes, TokenURL: orDefault(k.TokenURI, googleToken), Client: asking.client(), Logger: slog.New(slog.DiscardHandler)})
		})
	}
	t, err := f.provided(ctx, func(asking *issuer) (auth.TokenProvider, error) { return k.external(asking, f.scopes) })
	t.hidden = []string{k.ClientSecret}
	return t, err
}

func (k *keyFile) external(asking *issuer, scopes []string) (auth.TokenProvider, error) {
	from := &externalaccount.CredentialSource{File: k.Source.File, URL: k.Source.URL, Headers: k.Source.Headers}
	if k.Source.Format.Type != "" {
		from.Format = &externalaccount.Format{Type: k.Source.Format.Type, SubjectTokenFieldName: k.Source.Format.Field}
	}
	return externalaccount.NewCredentials(&externalaccount.Options{Audience: k.Audience, SubjectTokenType: k.SubjectTokenType, TokenURL: k.TokenURL,
		ServiceAccountImpersonationURL: k.ImpersonationURL, ServiceAccountImpersonationLifetimeSeconds: k.Impersonation.LifetimeSeconds,
		ClientID: k.ClientID, ClientSecret: k.ClientSecret, WorkforcePoolUserProject: k.WorkforcePoolUserProject, CredentialSource: from,
		Scopes: scopes, Client: asking.client(), Logger: slog.New(slog.DiscardHandler)})
}

// provided asks a library for a token. What libraries say in errors quotes answers, so only the issuer's word is repeated.
func (f *file) provided(ctx context.Context, make func(*issuer) (auth.TokenProvider, error)) (token, error) {
	asking := newIssuer(true)
	provider, err := make(asking)
	if err != nil {
		return token{}, asking.refused(ctx, errors.New("credentials of file "+f.path+" can't be used"))
	}
	t, err := provider.Token(ctx)
	if err != nil {
		return token{}, asking.refused(ctx, errors.New("no token for the credentials of file "+f.path))
	}
	return token{value: t.Value, until: until(t.Expiry)}, nil
}

// person3 is a token of a person, by RFC 6749 section 6.
func (f *file) person3(ctx context.Context, k keyFile) (token, error) {
	t, err := newIssuer(true).post(ctx, orDefault(k.TokenURI, googleToken), url.Values{"grant_type": {"refresh_token"},
		"client_id": {k.ClientID}, "client_secret": {k.ClientSecret}, "refresh_token": {k.RefreshToken}})
	t.quotaProject, t.hidden = k.QuotaProject, []string{k.ClientSecret, k.RefreshToken}
	return t, err
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// until is the end of a token; of one that has none said it is assumed soon.
func until(t time.Time) time.Time {
	if t.IsZero() {
		return time.Now().Add(2 * early)
	}
	return t
}
