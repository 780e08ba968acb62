package clouddns

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	gdns "google.golang.org/api/dns/v1"
	"google.golang.org/api/option"
)

// Account is as whom and where to ask.
type Account struct {
	// Endpoint is another address of the API.
	Endpoint string
	// CredentialsFile is a service account's key or an external account's; by default the environment's are used.
	CredentialsFile string
	// Anonymous sends no credentials, for a server that asks for none.
	Anonymous bool
}

// NewService is a client of Cloud DNS. It asks nothing yet.
func NewService(ctx context.Context, a Account) (*gdns.Service, error) {
	options := []option.ClientOption{option.WithScopes(gdns.NdevClouddnsReadwriteScope), option.WithUserAgent("kubefed")}
	if a.Endpoint != "" {
		options = append(options, option.WithEndpoint(a.Endpoint))
	}
	switch {
	case a.Anonymous:
		options = append(options, option.WithoutAuthentication())
	case a.CredentialsFile != "":
		kind, err := credentialsKind(a.CredentialsFile)
		if err != nil {
			return nil, err
		}
		options = append(options, option.WithAuthCredentialsFile(kind, a.CredentialsFile))
	}
	service, err := gdns.NewService(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("credentials of Google Cloud: %w", err)
	}
	return service, nil
}

// credentialsKind is what a file says it holds. Others than keys of service accounts and external accounts are not taken.
func credentialsKind(path string) (option.CredentialsType, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("credentialsFile: %w", err)
	}
	var file struct {
		Type option.CredentialsType `json:"type"`
	}
	// The error of the decoder quotes the file.
	if json.Unmarshal(data, &file) != nil || file.Type != option.ServiceAccount && file.Type != option.ExternalAccount {
		return "", fmt.Errorf("credentialsFile %s: give the key of a service account or the configuration of an external account, in JSON", path)
	}
	return file.Type, nil
}
