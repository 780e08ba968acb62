package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestProbeCheck(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/bad", http.StatusFound)
		case "/header":
			if r.Host != "named" || r.Header.Get("X-Probe") != "1" {
				w.WriteHeader(http.StatusBadRequest)
			}
		case "/bad":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	portOf := func(s *httptest.Server) int32 { return int32(s.Listener.Addr().(*net.TCPAddr).Port) }
	free := intstr.FromInt32(int32(freeAddress(t).Port()))
	to := target{
		address:   "127.0.0.1",
		container: &v1.Container{Name: "c", Ports: []v1.ContainerPort{{Name: "http", ContainerPort: portOf(plain)}}},
		exec: func(_ context.Context, command []string) (int, error) {
			return map[string]int{"true": 0, "false": 1}[command[0]], nil
		},
	}
	get := func(path string, port intstr.IntOrString, scheme v1.URIScheme, headers ...v1.HTTPHeader) v1.ProbeHandler {
		return v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{Path: path, Port: port, Scheme: scheme, HTTPHeaders: headers}}
	}
	named := intstr.FromString("http")
	for _, tc := range []struct {
		name    string
		handler v1.ProbeHandler
		ok      bool
	}{
		{"HTTP", get("/", named, ""), true},
		{"HTTP without slash", get("x", named, v1.URISchemeHTTP), true},
		{"HTTP error", get("/bad", named, ""), false},
		{"redirect counts as success", get("/moved", named, ""), true},
		{"headers", get("/header", named, "", v1.HTTPHeader{Name: "host", Value: "named"}, v1.HTTPHeader{Name: "X-Probe", Value: "1"}), true},
		{"HTTPS is not verified", get("/", intstr.FromInt32(portOf(secure)), v1.URISchemeHTTPS), true},
		{"HTTP to HTTPS", get("/", intstr.FromInt32(portOf(secure)), v1.URISchemeHTTP), false},
		{"unknown port name", get("/", intstr.FromString("none"), ""), false},
		{"nobody listens", get("/", free, ""), false},
		{"TCP", v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: named}}, true},
		{"TCP refused", v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: free}}, false},
		{"gRPC connects", v1.ProbeHandler{GRPC: &v1.GRPCAction{Port: portOf(plain)}}, true},
		{"command", v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"true"}}}, true},
		{"failing command", v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"false"}}}, false},
		{"nothing", v1.ProbeHandler{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := to.check(t.Context(), &v1.Probe{ProbeHandler: tc.handler, TimeoutSeconds: 5})
			if (err == nil) != tc.ok {
				t.Errorf("check() = %v, want success: %v", err, tc.ok)
			}
		})
	}
}

func TestTally(t *testing.T) {
	p := &v1.Probe{SuccessThreshold: 2, FailureThreshold: 3}
	var results tally
	var got []outcome
	for _, ok := range []bool{false, false, true, false, false, false, true, true, true} {
		got = append(got, results.add(ok, p))
	}
	want := []outcome{undecided, undecided, undecided, undecided, undecided, failing, undecided, passing, passing}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestObserveIsEagerUntilItPasses(t *testing.T) {
	attempts := 0
	to := target{container: &v1.Container{}, exec: func(context.Context, []string) (int, error) {
		attempts++
		if attempts < 3 {
			return 0, errors.New("not yet")
		}
		return 0, nil
	}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	probe := &v1.Probe{ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{}}, PeriodSeconds: 3600}
	var got []outcome
	to.observe(ctx, probe, true, func(o outcome, _ error) {
		if got = append(got, o); o == passing {
			stop()
		}
	})
	if diff := cmp.Diff([]outcome{failing, failing, passing}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
