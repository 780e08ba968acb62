package watch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kubefed.dev/kubefed/pkg/probe"
	"kubefed.dev/kubefed/pkg/witness/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post asks a witness.
func post(t *testing.T, handler http.Handler, body string) (int, watch.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, watch.Path, strings.NewReader(body))
	rw := httptest.NewRecorder()
	handler.ServeHTTP(rw, r)
	var response watch.Response
	if rw.Code == http.StatusOK {
		if err := json.Unmarshal(rw.Body.Bytes(), &response); err != nil {
			t.Fatal(err)
		}
	}
	return rw.Code, response, rw.Body.String()
}

func request(t *testing.T, targets ...probe.Target) string {
	t.Helper()
	body, err := json.Marshal(watch.Request{Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// until asks until the first sighting is as wanted.
func until(t *testing.T, handler http.Handler, body string, want func(probe.Sighting) bool) probe.Sighting {
	t.Helper()
	var last watch.Response
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, last, _ = post(t, handler, body); len(last.Sightings) == 1 && want(last.Sightings[0]) {
			return last.Sightings[0]
		}
	}
	t.Fatalf("the last answer was %+v", last)
	return probe.Sighting{}
}

func TestSightings(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	handler := watch.New(ctx).Handler()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	body := request(t, probe.Target{Cluster: "gondor", Address: server.Listener.Addr().String()})
	_, first, _ := post(t, handler, body)
	if !first.Sightings[0].At.IsZero() {
		t.Errorf("it says something before it asked: %+v", first)
	}
	seen := until(t, handler, body, func(s probe.Sighting) bool { return s.Alive })
	server.Close()
	gone := until(t, handler, body, func(s probe.Sighting) bool { return !s.Alive })
	if gone.Message != "connect: connection refused" || !gone.Since.After(seen.Since) {
		t.Errorf("after its death: %+v", gone)
	}
}

func TestRefused(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w := watch.New(ctx)
	many := make([]probe.Target, watch.MaxTargets+1)
	for i := range many {
		many[i].Address = fmt.Sprintf("127.0.0.1:%d", i+1)
	}
	for name, body := range map[string]string{
		"no JSON":      "x",
		"too many":     request(t, many...),
		"no port":      request(t, probe.Target{Address: "127.0.0.1"}),
		"metadata":     request(t, probe.Target{Address: "169.254.169.254:80"}),
		"mapped":       request(t, probe.Target{Address: "[::ffff:169.254.169.254]:80"}),
		"no address":   request(t, probe.Target{Address: "0.0.0.0:80"}),
		"some are bad": request(t, probe.Target{Address: "127.0.0.1:1"}, probe.Target{Address: "224.0.0.1:80"}),
		"too long":     `{"targets":[{"ca":"` + string(bytes.Repeat([]byte("a"), 5<<20)) + `"}]}`,
	} {
		if code, _, text := post(t, w.Handler(), body); code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if asked := w.Watched(); len(asked) > 0 {
		t.Errorf("what was refused is asked: %v", asked)
	}
	if rw := httptest.NewRecorder(); true {
		w.Handler().ServeHTTP(rw, httptest.NewRequest(http.MethodGet, watch.Path, nil))
		if rw.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d", rw.Code)
		}
	}
}

// TestForgets: what nobody has named for a minute is asked no more.
func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		w := watch.New(ctx)
		// Nothing is resolved or connected: the address is refused before.
		if _, err := w.See([]probe.Target{{Address: "127.0.0.1:99999"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if len(w.Watched()) != 1 {
			t.Error("forgotten too early")
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if asked := w.Watched(); len(asked) != 0 {
			t.Errorf("still asked: %v", asked)
		}
	})
}
