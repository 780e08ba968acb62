package gcp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
)

// metadataAddress is the same on every machine of Google Cloud. A name would be asked of a resolver that may lie.
const metadataAddress = "169.254.169.254"

// metadataProbe is how long the metadata server may take to show that it is there. It answers in milliseconds, but in a new pod of
// GKE it comes up with the pod.
const metadataProbe = 3 * time.Second

// metadata is who the pod or the machine is, by the metadata server. GCE_METADATA_HOST belongs to this way, and to no other.
type metadata struct {
	host   string
	mail   string
	scopes []string
}

func newMetadata(ctx context.Context, scopes []string) (source, error) {
	m := &metadata{host: orDefault(os.Getenv("GCE_METADATA_HOST"), metadataAddress), scopes: scopes}
	ctx, cancel := context.WithTimeout(ctx, metadataProbe)
	defer cancel()
	r, err := m.request(ctx, "email", nil)
	if err != nil {
		return nil, errors.New("GCE_METADATA_HOST is not a host")
	}
	answer, err := newIssuer(false).client().Do(r)
	if err != nil {
		return nil, &absent{"no metadata server at " + m.host}
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Metadata-Flavor") != "Google" {
		return nil, &absent{"the metadata server at " + m.host + " has no service account"}
	}
	if mail, err := io.ReadAll(io.LimitReader(answer.Body, 320)); err == nil && strings.Contains(string(mail), "@") {
		m.mail = strings.TrimSpace(string(mail))
	}
	return m, nil
}

func (m *metadata) identity() string { return m.mail }

func (m *metadata) request(ctx context.Context, what string, query url.Values) (*http.Request, error) {
	u := url.URL{Scheme: "http", Host: m.host, Path: "/computeMetadata/v1/instance/service-accounts/default/" + what, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Metadata-Flavor", "Google")
	return r, nil
}

func (m *metadata) mint(ctx context.Context) (token, error) {
	query := url.Values{}
	if len(m.scopes) > 0 {
		query.Set("scopes", strings.Join(m.scopes, ","))
	}
	r, err := m.request(ctx, "token", query)
	if err != nil {
		return token{}, &cloud.Error{Kind: cloud.Denied, Operation: "access token", Err: errors.New("GCE_METADATA_HOST is not a host")}
	}
	return newIssuer(false).ask(ctx, r)
}
