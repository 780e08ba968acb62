package route53

import (
	"context"
	"os"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/cloud/aws/route53/route53test"
	"kubefed.dev/kubefed/pkg/dns/dnstest"
)

const testZone = "fed.example."

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "not-to-be-seen", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		_ = os.Setenv(name, value)
	}
	os.Exit(m.Run())
}

// provider asks a server through the real client of the SDK.
func provider(t *testing.T, url string, zones map[string]string) *Provider {
	t.Helper()
	client, err := NewClient(t.Context(), Account{Endpoint: url, RequestsPerSecond: 10000})
	if err != nil {
		t.Fatal(err)
	}
	return New(client, Options{Federation: "earth", Zones: zones, PollInterval: time.Millisecond})
}

func TestConforms(t *testing.T) {
	for name, prepare := range map[string]func(*route53test.Server){
		"plain":               func(*route53test.Server) {},
		"small pages":         func(s *route53test.Server) { s.Page(3) },
		"slow to take effect": func(s *route53test.Server) { s.Pending(2) },
	} {
		t.Run(name, func(t *testing.T) {
			server := route53test.New(t)
			server.AddZone("other.example.", false)
			server.AddZone(testZone, true)
			server.AddZone(testZone, false)
			prepare(server)
			dnstest.Run(t, provider(t, server.URL, map[string]string{testZone: ""}), testZone)
		})
	}
}

var _ = context.Background
