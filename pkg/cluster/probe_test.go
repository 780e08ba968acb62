package cluster

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testTimeout = 200 * time.Millisecond

// fakeMember is a member's API server that answers probes.
type fakeMember struct {
	*httptest.Server
	readyz, identity atomic.Pointer[http.HandlerFunc]
	discovery        atomic.Int64 // documents sent
	token            atomic.Pointer[string]
}

func newFakeMember(t *testing.T) *fakeMember {
	f := &fakeMember{}
	f.answer(&f.readyz, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	f.answer(&f.identity, identityOf("id-1"))
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) { (*f.readyz.Load())(w, r) })
	mux.HandleFunc("/api/v1/namespaces/kube-system", func(w http.ResponseWriter, r *http.Request) { (*f.identity.Load())(w, r) })
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"gitVersion":"v1.36.3"}`) })
	mux.HandleFunc("/api", f.serveDiscovery(coreDiscovery))
	mux.HandleFunc("/apis", f.serveDiscovery(groupDiscovery))
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := f.token.Load(); want != nil && r.Header.Get("Authorization") != "Bearer "+*want {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	f.EnableHTTP2 = true
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

func (f *fakeMember) answer(to *atomic.Pointer[http.HandlerFunc], h http.HandlerFunc) { to.Store(&h) }

func identityOf(id string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"kind":"PartialObjectMetadata","metadata":{"name":"kube-system","uid":%q}}`, id)
	}
}

func (f *fakeMember) serveDiscovery(doc string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		f.discovery.Add(1)
		w.Header().Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
		fmt.Fprint(w, doc)
	}
}

func (f *fakeMember) ca() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}))
}

func (f *fakeMember) connect(t *testing.T) *connection {
	t.Helper()
	c, err := connect(t.Context(), "gondor", endpoint{server: f.URL, id: "id-1", ca: f.ca()}, "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func TestProbe(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, body) }
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	tests := map[string]struct {
		readyz, identity http.HandlerFunc
		want             Answer
		message          string
	}{
		"ready":                      {want: AnswerOK},
		"hangs":                      {readyz: hang, want: AnswerNone, message: "no answer within 200ms"},
		"hangs after the first word": {identity: hang, want: AnswerNone, message: "no answer within 200ms"},
		"401":                        {readyz: status(401, ""), want: AnswerUnauthorized, message: "run `kubefed join gondor` again"},
		"403":                        {identity: status(403, `{"kind":"Status","message":"namespaces is forbidden"}`), want: AnswerForbidden, message: "namespaces is forbidden"},
		"500":                        {readyz: status(500, "[+]ping ok\n[-]etcd failed: reason withheld\n"), want: AnswerNotReady, message: "answered 500: [-]etcd failed: reason withheld"},
		"not ok":                     {readyz: status(200, "<html>"), want: AnswerNotReady, message: `answered "<html>", not "ok"`},
		"another cluster":            {identity: identityOf("id-2"), want: AnswerWrongCluster, message: "has ID id-2, not id-1"},
		"no Kubernetes":              {identity: status(200, "{}"), want: AnswerNone, message: "this is no Kubernetes API server"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFakeMember(t)
			if tt.readyz != nil {
				f.answer(&f.readyz, tt.readyz)
			}
			if tt.identity != nil {
				f.answer(&f.identity, tt.identity)
			}
			begin := time.Now()
			got, message := f.connect(t).probe(t.Context(), testTimeout, true)
			if got != tt.want || !strings.Contains(message, tt.message) {
				t.Errorf("want %s (%s), got %s: %s", answerLabels[tt.want], tt.message, answerLabels[got], message)
			}
			if took := time.Since(begin); took > 10*testTimeout {
				t.Errorf("took %s with a timeout of %s", took, testTimeout)
			}
		})
	}
}

func TestProbeOfDeadServer(t *testing.T) {
	f := newFakeMember(t)
	c := f.connect(t)
	f.Close()
	got, message := c.probe(t.Context(), testTimeout, false)
	if got != AnswerNone || !strings.Contains(message, "connection refused") || strings.Count(message, "127.0.0.1") != 1 {
		t.Errorf("got %s: %q", answerLabels[got], message)
	}
}

func TestProbeOfServerWithAnotherCertificate(t *testing.T) {
	f := newFakeMember(t)
	c, err := connect(t.Context(), "gondor", endpoint{server: f.URL}, "secret") // the system's roots
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if got, message := c.probe(t.Context(), 5*time.Second, false); got != AnswerNone || !strings.Contains(message, "certificate") {
		t.Errorf("got %s: %s", answerLabels[got], message)
	}
}

func TestRotationTakesEffectInPlace(t *testing.T) {
	f := newFakeMember(t)
	second := "second"
	f.token.Store(&second)
	c := f.connect(t)
	if got, _ := c.probe(t.Context(), 5*time.Second, true); got != AnswerUnauthorized {
		t.Fatalf("an old token: got %s", answerLabels[got])
	}
	c.rotate(second)
	if got, message := c.probe(t.Context(), 5*time.Second, true); got != AnswerOK {
		t.Errorf("the new token: got %s: %s", answerLabels[got], message)
	}
}

func TestConnectionSpeaksHTTP2(t *testing.T) {
	f := newFakeMember(t)
	major := 0
	f.answer(&f.readyz, func(w http.ResponseWriter, r *http.Request) { major = r.ProtoMajor; fmt.Fprint(w, "ok") })
	if got, message := f.connect(t).probe(t.Context(), 5*time.Second, false); got != AnswerOK || major != 2 {
		t.Errorf("got %s over HTTP/%d: %s", answerLabels[got], major, message)
	}
}
