package gcp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/option"

	container "cloud.google.com/go/container/apiv1"
	"cloud.google.com/go/container/apiv1/containerpb"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gcptest"
)

const (
	kubefed = "kubefed@earth-1.iam.gserviceaccount.com"
	node    = "node@earth-1.iam.gserviceaccount.com"
)

// start is a cloud, and the URL of it.
func start(t *testing.T) (*gcptest.Server, string) {
	t.Helper()
	s := gcptest.New("earth-1")
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

// keyFile is the file of a new key of a service account.
func keyFile(t *testing.T, s *gcptest.Server, mail, url string) string {
	t.Helper()
	key, err := s.Key(mail, url)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "key.json", key)
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func account(url string, credentials ...config.Credentials) config.Account {
	return config.Account{Name: "earth", Provider: config.GCP, Project: "earth-1", Credentials: credentials,
		Endpoints: map[string]string{"*": url}, RequestsPerSecond: 1000}
}

func static(path string) config.Credentials {
	return config.Credentials{Static: &config.StaticCredentials{File: path}}
}

func profile(path string) config.Credentials {
	return config.Credentials{Profile: &config.ProfileCredentials{File: path}}
}

var workload = config.Credentials{WorkloadIdentity: &config.WorkloadIdentity{}}

// who asks as a session does, and says as whom the cloud saw it.
func who(t *testing.T, s *gcptest.Server, a config.Account) (string, error) {
	t.Helper()
	session, err := gcp.New(t.Context(), a, "https://www.googleapis.com/auth/cloud-platform")
	if err != nil {
		return "", err
	}
	token, until, err := session.Token(t.Context())
	if err != nil {
		return "", err
	}
	if left := time.Until(until); left < 3*time.Minute || left > time.Hour {
		t.Errorf("the token is good for %s", left)
	}
	mail, err := s.VerifyToken(token)
	if err != nil {
		t.Errorf("the cloud does not know the token: %v", err)
	}
	return mail, list(t.Context(), session)
}

func list(ctx context.Context, session *gcp.Session) error {
	call := gcp.Call{Family: config.FamilyContainer, Permission: "container.clusters.list", Role: "roles/container.clusterViewer", On: "project earth-1"}
	return session.Do(ctx, call, func(ctx context.Context, options []option.ClientOption) error {
		client, err := container.NewClusterManagerRESTClient(ctx, options...)
		if err != nil {
			return err
		}
		*client.CallOptions = container.ClusterManagerCallOptions{}
		_, err = client.ListClusters(ctx, &containerpb.ListClustersRequest{Parent: "projects/earth-1/locations/-"})
		return err
	})
}

// hostile sets what libraries of Google Cloud would take from the environment. All of it points to a server that fails the test.
func hostile(t *testing.T) {
	t.Helper()
	trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the environment's server was asked for %s", r.URL.Path)
		w.Header().Set("Metadata-Flavor", "Google")
	}))
	t.Cleanup(trap.Close)
	other, _ := start(t)
	key := keyFile(t, other, "stranger@elsewhere.iam.gserviceaccount.com", trap.URL)
	home := t.TempDir()
	at := filepath.Join(home, ".config", "gcloud")
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, "application_default_credentials.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": key, "HOME": home, "CLOUDSDK_CONFIG": at,
		"GCE_METADATA_HOST": strings.TrimPrefix(trap.URL, "http://"), "GOOGLE_CLOUD_PROJECT": "elsewhere", "GOOGLE_CLOUD_QUOTA_PROJECT": "elsewhere",
		"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "example.com", "GOOGLE_API_USE_MTLS_ENDPOINT": "always", "GOOGLE_API_USE_CLIENT_CERTIFICATE": "true",
		"EXPERIMENTAL_GOOGLE_API_USE_S2A": "true", "GOOGLE_AUTH_TRUST_BOUNDARY_ENABLED": "true", "GOOGLE_SDK_GO_LOGGING_LEVEL": "debug",
		"STORAGE_EMULATOR_HOST": trap.URL} {
		t.Setenv(name, value)
	}
}

func TestCredentialsInTheAccountsOrder(t *testing.T) {
	s, url := start(t)
	key := keyFile(t, s, kubefed, url)
	person, err := json.Marshal(map[string]string{"type": "authorized_user", "client_id": "c", "client_secret": "hush", "refresh_token": "never"})
	if err != nil {
		t.Fatal(err)
	}
	s.Machine(node)
	for name, c := range map[string]struct {
		credentials []config.Credentials
		metadata    string
		want        string
		err         string
		kind        cloud.ErrorKind
	}{
		"a key":                            {credentials: []config.Credentials{static(key)}, want: kubefed},
		"a key before the machine":         {credentials: []config.Credentials{static(key), workload}, metadata: url, want: kubefed},
		"the machine before a key":         {credentials: []config.Credentials{workload, static(key)}, metadata: url, want: node},
		"no file, so the machine":          {credentials: []config.Credentials{static("/none/key.json"), workload}, metadata: url, want: node},
		"no metadata server, so the file":  {credentials: []config.Credentials{workload, profile(key)}, metadata: "http://127.0.0.1:1", want: kubefed},
		"nothing is there":                 {credentials: []config.Credentials{static("/none/key.json"), profile("/none/adc.json")}, err: "none of 2 is there: no file /none/key.json; no file /none/adc.json", kind: cloud.Denied},
		"a broken file is no reason to go": {credentials: []config.Credentials{static(file(t, "x", []byte("hush"))), static(key)}, err: "is not JSON", kind: cloud.Denied},
		"a person's are not static":        {credentials: []config.Credentials{static(file(t, "x", person)), static(key)}, err: "give the key of a service account", kind: cloud.Denied},
		"web identity is of another cloud": {credentials: []config.Credentials{{WebIdentity: &config.WebIdentity{}}}, err: "is for AWS", kind: cloud.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			hostile(t)
			if c.metadata != "" {
				t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(c.metadata, "http://"))
			}
			got, err := who(t, s, account(url, c.credentials...))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || cloud.KindOf(err) != c.kind || strings.Contains(err.Error(), "hush") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("asked as %q, not %q: %v", got, c.want, err)
			}
		})
	}
}

func TestExternalProgramsAndPlainURLsAreRefused(t *testing.T) {
	for name, source := range map[string]map[string]any{
		"program":     {"executable": map[string]any{"command": "/bin/sh"}},
		"environment": {"environment_id": "aws1"},
	} {
		data, err := json.Marshal(map[string]any{"type": "external_account", "audience": "a", "subject_token_type": "t", "token_url": "https://sts.googleapis.com/v1/token", "credential_source": source})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := gcp.New(t.Context(), account("https://example.com", static(file(t, "x", data)))); err == nil || !strings.Contains(err.Error(), "programs and the environment") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := gcp.New(t.Context(), account("http://example.com", config.Credentials{Anonymous: &struct{}{}})); err == nil || !strings.Contains(err.Error(), "https") {
		t.Error(err)
	}
}

func TestKeysAreReplacedAndTokensRevokedWhileItRuns(t *testing.T) {
	s, url := start(t)
	path := keyFile(t, s, kubefed, url)
	session, err := gcp.New(t.Context(), account(url, static(path)), "scope")
	if err != nil {
		t.Fatal(err)
	}
	if err := list(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	s.Revoke()
	if err := list(t.Context(), session); err != nil {
		t.Fatalf("a revoked token was not replaced: %v", err)
	}
	s.Disable(kubefed, true)
	err = list(t.Context(), session)
	if cloud.KindOf(err) != cloud.Denied || !strings.Contains(err.Error(), "invalid_grant") || !strings.Contains(err.Error(), "container.clusters.list") {
		t.Fatal(err)
	}
	key, err := s.Key(node, url)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := list(t.Context(), session); err != nil {
		t.Fatalf("the new key was not read: %v", err)
	}
}
