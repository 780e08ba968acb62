package gcp_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp"
)

// issuer answers requests for tokens, and keeps the last form it was sent. Other requests are of an API that says who pays.
type issuer struct {
	*httptest.Server
	form  map[string]string
	payer string
	fail  string
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			i.payer = r.Header.Get("X-Goog-User-Project")
			_, _ = w.Write([]byte(`{}`))
			return
		}
		_ = r.ParseForm()
		i.form = map[string]string{}
		for key := range r.PostForm {
			i.form[key] = r.PostForm.Get(key)
		}
		w.Header().Set("Content-Type", "application/json")
		if i.fail != "" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(i.fail))
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"ya29.good","expires_in":3600,"token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`))
	}))
	t.Cleanup(i.Close)
	return i
}

func document(t *testing.T, content map[string]any) string {
	t.Helper()
	data, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "credentials.json", data)
}

func TestPersonsAndExternalAccounts(t *testing.T) {
	i := newIssuer(t)
	person := map[string]any{"type": "authorized_user", "client_id": "someone", "client_secret": "hush-1", "refresh_token": "hush-2", "quota_project_id": "payer-1", "token_uri": i.URL + "/token"}
	subject := file(t, "subject", []byte("hush-3"))
	external := map[string]any{"type": "external_account", "audience": "//iam.googleapis.com/pools/p", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_url": i.URL + "/token", "credential_source": map[string]any{"file": subject}}
	for name, c := range map[string]struct {
		credentials config.Credentials
		payer       string
		want        map[string]string
	}{
		"person": {profile(document(t, person)), "payer-1", map[string]string{"grant_type": "refresh_token", "client_id": "someone", "client_secret": "hush-1", "refresh_token": "hush-2"}},
		"external account": {static(document(t, external)), "", map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "hush-3",
			"audience": "//iam.googleapis.com/pools/p", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "scope": "scope-1",
			"requested_token_type": "urn:ietf:params:oauth:token-type:access_token"}},
	} {
		t.Run(name, func(t *testing.T) {
			hostile(t)
			i.fail = ""
			session, err := gcp.New(t.Context(), account(i.URL, c.credentials), "scope-1")
			if err != nil {
				t.Fatal(err)
			}
			if err := list(t.Context(), session); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(i.form, func(_, value string) bool { return value == "" })
			if diff := cmp.Diff(c.want, i.form); diff != "" || i.payer != c.payer {
				t.Error(i.payer, diff)
			}
			i.fail = `{"error":"invalid_grant","error_description":"not hush-1, hush-2 or hush-3"}`
			if session, err = gcp.New(t.Context(), account(i.URL, c.credentials), "scope-1"); err != nil {
				t.Fatal(err)
			}
			err = list(t.Context(), session)
			if cloud.KindOf(err) != cloud.Denied || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "invalid_grant") {
				t.Error(err)
			}
		})
	}
	if err := os.Remove(subject); err != nil {
		t.Fatal(err)
	}
	session, err := gcp.New(t.Context(), account(i.URL, static(document(t, external))), "scope-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := list(t.Context(), session); cloud.KindOf(err) != cloud.Denied {
		t.Error(err)
	}
}
