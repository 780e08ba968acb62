package clouddns

import (
	"context"
	"fmt"

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
		options = append(options, option.WithCredentialsFile(a.CredentialsFile))
	}
	service, err := gdns.NewService(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("credentials of Google Cloud: %w", err)
	}
	return service, nil
}
