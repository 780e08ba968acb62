package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswers(t *testing.T) {
	t.Setenv("CLUSTER", "gondor")
	t.Setenv("POD", "web-0")
	t.Setenv("ZONE", "us-east-1a")
	t.Setenv("REGION", "")
	var draining atomic.Bool
	server := httptest.NewServer(handler(&draining))
	defer server.Close()
	get := func(path string) (int, string) {
		response, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	_, text := get("/")
	var got answer
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer{Cluster: "gondor", Pod: "web-0", Zone: "us-east-1a"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("health %d, want 200", code)
	}
	draining.Store(true)
	if code, _ := get("/healthz"); code != http.StatusServiceUnavailable {
		t.Errorf("health while draining %d, want 503", code)
	}
}

func TestServeEndsWithContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := serve(ctx, "127.0.0.1:0", 0); err != nil {
		t.Error(err)
	}
	if err := serve(ctx, "127.0.0.1:none", 0); err == nil {
		t.Error("served on a port that is none")
	}
}
