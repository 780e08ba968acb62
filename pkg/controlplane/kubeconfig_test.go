package controlplane

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfigFile is a kubeconfig that holds only the host, which is current.
func kubeconfigFile(t *testing.T) *clientcmd.PathOptions {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["rivendell"] = &clientcmdapi.Cluster{Server: "https://192.0.2.1"}
	config.AuthInfos["elrond"] = &clientcmdapi.AuthInfo{Token: "t"}
	config.Contexts["rivendell"] = &clientcmdapi.Context{Cluster: "rivendell", AuthInfo: "elrond"}
	config.CurrentContext = "rivendell"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	access := clientcmd.NewDefaultPathOptions()
	access.LoadingRules.ExplicitPath = path
	return access
}

func load(t *testing.T, access clientcmd.ConfigAccess) *clientcmdapi.Config {
	t.Helper()
	config, err := access.GetStartingConfig()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestContextComesAndGoes(t *testing.T) {
	access, o, c := kubeconfigFile(t), validated(t, nil), complete(t, Credentials{}, time.Now())
	before := load(t, access)
	e := Endpoint{Server: "https://192.0.2.9", PortForward: 7000}

	for _, want := range []bool{true, false} {
		changed, err := writeContext(access, o, e, c)
		if err != nil || changed != want {
			t.Fatalf("changed: %t, want %t (%v)", changed, want, err)
		}
	}
	config := load(t, access)
	if config.CurrentContext != "rivendell" {
		t.Errorf("current context is %q", config.CurrentContext)
	}
	if got := config.Clusters["fellowship"].Server; got != e.Server {
		t.Errorf("server is %q", got)
	}
	info, marked := InfoOf(config.Contexts["fellowship"])
	if diff := cmp.Diff(ContextInfo{Federation: "fellowship", HostContext: "rivendell", PortForward: 7000}, info); !marked || diff != "" {
		t.Errorf("note of kubefed (-want +got):\n%s", diff)
	}

	user := string(config.AuthInfos["fellowship"].ClientCertificateData)
	if changed, err := writeContext(access, o, Endpoint{Server: "https://192.0.2.10"}, c); err != nil || !changed {
		t.Fatalf("a new address changed nothing (%v)", err)
	}
	if string(load(t, access).AuthInfos["fellowship"].ClientCertificateData) != user {
		t.Error("a good client certificate was replaced")
	}

	removed, wasCurrent, err := removeContext(access, "fellowship", "rivendell", c.CACert)
	if err != nil || !removed || wasCurrent {
		t.Fatalf("removed %t, was current %t, %v", removed, wasCurrent, err)
	}
	if diff := cmp.Diff(before, load(t, access)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestForeignContextIsLeftAlone(t *testing.T) {
	access, o, c := kubeconfigFile(t), validated(t, nil), complete(t, Credentials{}, time.Now())
	config := load(t, access)
	config.Clusters["fellowship"] = &clientcmdapi.Cluster{Server: "https://198.51.100.1"}
	config.Contexts["fellowship"] = &clientcmdapi.Context{Cluster: "fellowship"}
	if err := checkContext(config, o, c.CACert); err == nil || !strings.Contains(err.Error(), `already has an entry "fellowship"`) {
		t.Errorf("error %v", err)
	}
	if err := clientcmd.ModifyConfig(access, *config, true); err != nil {
		t.Fatal(err)
	}
	if removed, _, err := removeContext(access, "fellowship", "rivendell", c.CACert); removed || err != nil {
		t.Errorf("removed %t, %v", removed, err)
	}
	config.Clusters["fellowship"].CertificateAuthorityData = c.CACert
	if err := checkContext(config, o, c.CACert); err != nil {
		t.Errorf("the federation's own: %v", err)
	}
}
