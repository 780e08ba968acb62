package gcp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gcptest"
)

func TestErrorsAreClassifiedAndSayWhatToDo(t *testing.T) {
	s, url := start(t)
	session, err := gcp.New(t.Context(), account(url, static(keyFile(t, s, kubefed, url))), "scope")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		refusal gcptest.Refusal
		kind    cloud.ErrorKind
		calls   int
		text    string
	}{
		"denied": {refusal: gcptest.Denied("container.clusters.list", "earth-1"), kind: cloud.Denied, calls: 1,
			text: "grant container.clusters.list, which roles/container.clusterViewer has, in project earth-1 to " + kubefed},
		"disabled API":    {refusal: gcptest.Disabled("container.googleapis.com"), kind: cloud.Denied, calls: 1, text: "gcloud services enable container.googleapis.com --project earth-1"},
		"unauthenticated": {refusal: gcptest.Unauthenticated, kind: cloud.Denied, calls: 2, text: "check whether " + kubefed + " was disabled"},
		"throttled 403":   {refusal: gcptest.RateLimit, kind: cloud.Throttled, calls: 3, text: "lower requestsPerSecond of account earth"},
		"throttled 429":   {refusal: gcptest.Exhausted, kind: cloud.Throttled, calls: 3},
		"unavailable":     {refusal: gcptest.Unavailable, kind: cloud.Unavailable, calls: 3, text: "503 The service is currently unavailable"},
		"internal":        {refusal: gcptest.Internal, kind: cloud.Unavailable, calls: 3},
		"a balancer's":    {refusal: gcptest.BadGateway, kind: cloud.Unavailable, calls: 3, text: "502"},
		"not found":       {refusal: gcptest.Refusal{Status: 404, Message: "Not found."}, kind: cloud.NotFound, calls: 1},
		"invalid":         {refusal: gcptest.Refusal{Status: 400, Reason: "invalid", Message: "Invalid value"}, kind: cloud.Invalid, calls: 1},
		"redirected":      {refusal: gcptest.Refusal{Status: 302, Message: "elsewhere"}, kind: cloud.Unavailable, calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Calls("container.clusters.list")
			s.Fail(gcptest.Fault{Operation: "container.clusters.list", Error: c.refusal, Always: true})
			defer s.Heal()
			err := list(t.Context(), session)
			if e, ok := errors.AsType[*cloud.Error](err); !ok || e.Kind != c.kind || !strings.HasPrefix(e.Operation, "container.clusters.list") || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			if calls := s.Calls("container.clusters.list") - before; calls != c.calls {
				t.Errorf("asked %d times, not %d", calls, c.calls)
			}
		})
	}
	s.Fail(gcptest.Fault{Operation: "container.clusters.list", Error: gcptest.RateLimit}, gcptest.Fault{Operation: "container.clusters.list", Error: gcptest.Unavailable})
	if err := list(t.Context(), session); err != nil {
		t.Errorf("two passing errors were not overcome: %v", err)
	}
}

func TestDownOrSlowIsUnavailable(t *testing.T) {
	s, url := start(t)
	session, err := gcp.New(t.Context(), account(url, static(keyFile(t, s, kubefed, url))), "scope")
	if err != nil {
		t.Fatal(err)
	}
	for operation, text := range map[string]string{"container.clusters.list": "no answer in time", "token": "the issuer does not answer"} {
		s.Revoke()
		_ = list(t.Context(), session)
		if operation == "token" {
			s.Revoke()
		}
		s.Fail(gcptest.Fault{Operation: operation, Delay: time.Hour, Always: true})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := list(ctx, session)
		cancel()
		s.Heal()
		if cloud.KindOf(err) != cloud.Unavailable || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), text) {
			t.Errorf("slow %s: %v", operation, err)
		}
	}
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	session, err = gcp.New(t.Context(), account(down.URL, config.Credentials{Anonymous: &struct{}{}}))
	if err != nil {
		t.Fatal(err)
	}
	if err := list(t.Context(), session); cloud.KindOf(err) != cloud.Unavailable || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
	if _, _, err := session.Token(t.Context()); cloud.KindOf(err) != cloud.Invalid {
		t.Error(err)
	}
}

func TestIssuerThatRefusesIsQuotedWithoutSecrets(t *testing.T) {
	s, url := start(t)
	path := keyFile(t, s, kubefed, url)
	for name, c := range map[string]struct {
		refusal gcptest.Refusal
		kind    cloud.ErrorKind
	}{
		"denied":      {gcptest.Refusal{Status: 400, Raw: `{"error":"invalid_grant","error_description":"you sent assertion=hush"}`}, cloud.Denied},
		"quoting":     {gcptest.Refusal{Status: 403, Raw: `hush`}, cloud.Denied},
		"unavailable": {gcptest.Refusal{Status: 503, Raw: `hush`}, cloud.Unavailable},
		"throttled":   {gcptest.Refusal{Status: 429, Raw: `hush`}, cloud.Throttled},
	} {
		session, err := gcp.New(t.Context(), account(url, static(path)), "scope")
		if err != nil {
			t.Fatal(err)
		}
		s.Fail(gcptest.Fault{Operation: "token", Error: c.refusal, Always: true})
		err = list(t.Context(), session)
		s.Heal()
		if cloud.KindOf(err) != c.kind || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokensInAnswersAreRedacted(t *testing.T) {
	s, url := start(t)
	var mu sync.Mutex
	var seen string
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = r.Header.Get("Authorization")
		http.Error(w, `{"error":{"code":400,"message":"bad request with `+seen+`"}}`, http.StatusBadRequest)
	}))
	defer echo.Close()
	session, err := gcp.New(t.Context(), account(echo.URL, static(keyFile(t, s, kubefed, url))), "scope")
	if err != nil {
		t.Fatal(err)
	}
	err = list(t.Context(), session)
	mu.Lock()
	defer mu.Unlock()
	if len(seen) < 20 || err == nil || strings.Contains(err.Error(), strings.TrimPrefix(seen, "Bearer ")) || !strings.Contains(err.Error(), "[redacted]") {
		t.Error(err)
	}
}

func TestRateIsLimited(t *testing.T) {
	s, url := start(t)
	s.AllowAnonymous()
	a := account(url, config.Credentials{Anonymous: &struct{}{}})
	a.RequestsPerSecond = 20
	session, err := gcp.New(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if err := list(t.Context(), session); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("30 requests at 20/s, of which 20 at once, took %s", took)
	}
	a.RequestsPerSecond = 0.001
	if session, err = gcp.New(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	_ = list(t.Context(), session)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := list(ctx, session); cloud.KindOf(err) != cloud.Unavailable || !strings.Contains(err.Error(), "raise requestsPerSecond of account earth") {
		t.Error(err)
	}
}
