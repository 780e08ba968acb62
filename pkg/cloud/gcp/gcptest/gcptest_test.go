package gcptest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gcptest"
)

const mail = "kubefed@earth-1.iam.gserviceaccount.com"

func start(t *testing.T) (*gcptest.Server, string) {
	s := gcptest.New("earth-1")
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

// token is one for a key, after the key's file was changed.
func token(t *testing.T, s *gcptest.Server, url string, change func(map[string]string)) (string, error) {
	t.Helper()
	key, err := s.Key(mail, url)
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]string
	if err := json.Unmarshal(key, &content); err != nil {
		t.Fatal(err)
	}
	change(content)
	if key, err = json.Marshal(content); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	session, err := gcp.New(t.Context(), config.Account{Name: "earth", Provider: config.GCP, Project: "earth-1",
		Credentials: []config.Credentials{{Static: &config.StaticCredentials{File: path}}}}, "scope")
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := session.Token(t.Context())
	return text, err
}

func TestTokensAreForTheKeysOfIdentities(t *testing.T) {
	s, url := start(t)
	other := gcptest.New("earth-1")
	stolen, err := other.Key(mail, url)
	if err != nil {
		t.Fatal(err)
	}
	var foreign map[string]string
	if err := json.Unmarshal(stolen, &foreign); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]string){
		"another's key":       func(k map[string]string) { k["private_key"] = foreign["private_key"] },
		"a key that is gone":  func(k map[string]string) { k["private_key_id"] = "gone" },
		"an unknown identity": func(k map[string]string) { k["client_email"] = "nobody@earth-1.iam.gserviceaccount.com" },
	} {
		if _, err := token(t, s, url, change); cloud.KindOf(err) != cloud.Denied || !strings.Contains(err.Error(), "invalid_grant") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good, err := token(t, s, url, func(map[string]string) {})
	if err != nil {
		t.Fatal(err)
	}
	if who, err := s.VerifyToken(good); err != nil || who != mail {
		t.Error(who, err)
	}
	if _, err := s.VerifyToken("ya29.made-up"); err == nil {
		t.Error("a token that nobody was given is accepted")
	}
	s.Disable(mail, true)
	if _, err := s.VerifyToken(good); err == nil {
		t.Error("the token of a disabled identity is accepted")
	}
	s.Disable(mail, false)
	s.Lifetime(-time.Second)
	old, err := token(t, s, url, func(map[string]string) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.VerifyToken(old); err == nil {
		t.Error("a token that is over is accepted")
	}
}

func TestAggregatedListsArePartialOnlyIfThatIsEnough(t *testing.T) {
	s, url := start(t)
	s.AllowAnonymous()
	s.AddRegion("europe-west4", "europe-west4-a")
	s.AddRegion("us-central1", "us-central1-a")
	s.SetRule(gcptest.Rule{Name: "web", Region: "europe-west4", Address: "192.0.2.1", Port: 80, Backend: "web"})
	if err := s.SetState("us-central1", "DOWN", ""); err != nil {
		t.Fatal(err)
	}
	get := func(query string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/compute/v1/projects/earth-1/aggregated/forwardingRules"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	if status, body := get(""); status != http.StatusServiceUnavailable {
		t.Error(status, body)
	}
	status, body := get("?returnPartialSuccess=true")
	for _, want := range []string{`"192.0.2.1"`, `"NO_RESULTS_ON_PAGE"`, `"UNREACHABLE"`, `"unreachables":["regions/us-central1"]`} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%d, without %s: %s", status, want, body)
		}
	}
}
