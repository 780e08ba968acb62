package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// server answers as a federation API called name, as the host of one, or as a plain cluster, by the objects it has.
func server(t *testing.T, objects map[string]map[string]any) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		obj, ok := objects[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			obj = map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
		}
		if err := json.NewEncoder(w).Encode(obj); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const (
	infoPath      = "/api/v1/namespaces/federation-system/configmaps/federation-info"
	namespacePath = "/api/v1/namespaces/federation-system"
)

func federationAPI(t *testing.T, name string) string {
	return server(t, map[string]map[string]any{infoPath: {"kind": "ConfigMap", "apiVersion": "v1", "data": map[string]any{"name": name, "federationID": "id"}}})
}

func hostOf(t *testing.T, name string) string {
	return server(t, map[string]map[string]any{namespacePath: {"kind": "Namespace", "apiVersion": "v1",
		"metadata": map[string]any{"annotations": map[string]any{"federation.kubefed.dev/name": name}}}})
}

func TestFindFederation(t *testing.T) {
	contexts := map[string]string{
		"fellowship": federationAPI(t, "fellowship"), "mordor": federationAPI(t, "mordor"),
		"rivendell": hostOf(t, "fellowship"), "isengard": hostOf(t, "lost"), "gondor": server(t, nil),
	}
	tests := map[string]struct {
		current string
		flags   FederationFlags
		want    string
		err     string
	}{
		"the current context":                    {current: "fellowship", want: "fellowship"},
		"a flag over the current context":        {current: "fellowship", flags: FederationFlags{Context: "mordor"}, want: "mordor"},
		"the host of one":                        {current: "gondor", flags: FederationFlags{HostContext: "rivendell"}, want: "fellowship"},
		"the host without a current context":     {flags: FederationFlags{HostContext: "rivendell"}, want: "fellowship"},
		"the federation as its own host":         {current: "gondor", flags: FederationFlags{HostContext: "fellowship"}, want: "fellowship"},
		"the current context beside its host":    {current: "fellowship", flags: FederationFlags{HostContext: "rivendell"}, want: "fellowship"},
		"the current context is a plain cluster": {current: "gondor", err: "kubefed init"},
		"no current context":                     {err: "no current context"},
		"an unknown context":                     {current: "fellowship", flags: FederationFlags{Context: "moria"}, err: "--context=moria: no such context"},
		"an unknown host beside a good context":  {current: "fellowship", flags: FederationFlags{HostContext: "moria"}, err: "--host-cluster-context=moria"},
		"a host of none":                         {flags: FederationFlags{HostContext: "gondor"}, err: "hosts no federation"},
		"a host whose federation has no context": {flags: FederationFlags{HostContext: "isengard"}, err: `no context of that name`},
		"a flag that names a plain cluster":      {flags: FederationFlags{Context: "gondor"}, err: "is no federation API"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config := clientcmdapi.NewConfig()
			for name, url := range contexts {
				config.Clusters[name] = &clientcmdapi.Cluster{Server: url}
				config.AuthInfos[name] = &clientcmdapi.AuthInfo{}
				config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
			}
			config.CurrentContext = tt.current
			tt.flags.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
			if err := clientcmd.WriteToFile(*config, tt.flags.Kubeconfig); err != nil {
				t.Fatal(err)
			}
			found, err := FindFederation(t.Context(), tt.flags)
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("want an error with %q, got %v", tt.err, err)
				}
			case err != nil:
				t.Error(err)
			case found.Name != tt.want || found.Context != tt.want:
				t.Errorf("want %s, got %s at context %s", tt.want, found.Name, found.Context)
			}
		})
	}
}

func TestJoinRefusesBadFlags(t *testing.T) {
	for name, args := range map[string][]string{
		"no name":      {"join"},
		"two names":    {"join", "gondor", "rohan"},
		"bad output":   {"join", "gondor", "-o", "wide"},
		"bad dry run":  {"join", "gondor", "--dry-run=server"},
		"unjoin: none": {"unjoin"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if code := Main(args, Streams{In: os.Stdin, Out: &out, Err: &out}); code != ExitUsage {
				t.Errorf("exit code %d: %s", code, out.String())
			}
		})
	}
}
