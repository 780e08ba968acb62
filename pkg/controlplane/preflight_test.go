package controlplane

import (
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

func TestReachable(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		status       int
		want         string
	}{
		{"new enough", `{"major":"1","minor":"28","gitVersion":"v1.28.0"}`, http.StatusOK, ""},
		{"a vendor's version", `{"gitVersion":"v1.31.2-gke.100"}`, http.StatusOK, ""},
		{"too old", `{"gitVersion":"v1.27.9"}`, http.StatusOK, "runs Kubernetes v1.27.9, a host needs 1.28 or later"},
		{"not Kubernetes", `<html>`, http.StatusOK, "does not answer as a Kubernetes API"},
		{"refused credentials", `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}`, http.StatusUnauthorized, "log in again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.answer))
			}))
			defer server.Close()
			h, err := Connect("rivendell", &rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			err = h.reachable(t.Context())
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" {
				wantError(t, err, test.want)
			}
		})
	}
}

// Only what the options call for is asked for: a user needs no more rights than that.
func TestRights(t *testing.T) {
	asks := func(o Options, resource string) bool {
		for _, r := range rights(o) {
			if r.resource == resource {
				return true
			}
		}
		return false
	}
	o := validated(t, nil)
	if !asks(o, "persistentvolumeclaims") || asks(o, "nodes") {
		t.Error("by default: claims and no nodes")
	}
	o = validated(t, func(o *Options) { o.Etcd.Persistent, o.ServiceType = false, corev1.ServiceTypeNodePort })
	if asks(o, "persistentvolumeclaims") || !asks(o, "nodes") {
		t.Error("node port without storage: nodes and no claims")
	}
}
