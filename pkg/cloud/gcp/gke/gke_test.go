package gke_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gcptest"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gke"
)

const mail = "kubefed@earth-1.iam.gserviceaccount.com"

func start(t *testing.T) (*gcptest.Server, cloud.Finder) {
	t.Helper()
	s := gcptest.New("earth-1")
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	key, err := s.Key(mail, h.URL)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	finder, err := gke.New(t.Context(), config.Account{Name: "earth", Provider: config.GCP, Project: "earth-1", RequestsPerSecond: 1000,
		Credentials: []config.Credentials{{Static: &config.StaticCredentials{File: path}}}, Endpoints: map[string]string{"*": h.URL}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []gcptest.Cluster{
		{Name: "prod", Location: "europe-west4", Zones: []string{"europe-west4-b", "europe-west4-a"}, Version: "1.36.3-gke.1100", Endpoint: "192.0.2.10", CA: []byte("pem")},
		{Name: "one", Location: "us-central1-a", Zones: []string{"us-central1-a"}, Version: "1.35.1-gke.7", Endpoint: "2001:db8::1", CA: []byte("pem"), Status: "RECONCILING"},
		{Name: "new", Location: "us-central1", Version: "1.36.3-gke.1100", Status: "PROVISIONING"},
		{Name: "named", Location: "us-east1", Version: "1.36.3-gke.1100", Endpoint: "192.0.2.11", CA: []byte("pem"), NoAddress: true, DNSEndpoint: "gke-1.us-east1.gke.goog"},
	} {
		s.SetCluster(c)
	}
	return s, finder
}

var clusters = map[string]cloud.Cluster{
	"prod": {Reference: ref("europe-west4", "prod"), Version: "1.36", Endpoint: "https://192.0.2.10", CA: []byte("pem"), Region: "europe-west4",
		Zones: []string{"europe-west4-a", "europe-west4-b"}, State: "RUNNING", Usable: true},
	"one": {Reference: ref("us-central1-a", "one"), Version: "1.35", Endpoint: "https://[2001:db8::1]", CA: []byte("pem"), Region: "us-central1",
		Zones: []string{"us-central1-a"}, State: "RECONCILING", Usable: true},
	"new": {Reference: ref("us-central1", "new"), Version: "1.36", Region: "us-central1", State: "PROVISIONING"},
	"named": {Reference: ref("us-east1", "named"), Version: "1.36", Endpoint: "https://gke-1.us-east1.gke.goog", Region: "us-east1",
		State: "RUNNING", Usable: true},
}

func ref(location, name string) cloud.Reference {
	return cloud.Reference{Service: cloud.GKE, Project: "earth-1", Location: location, Name: name}
}

func TestClusters(t *testing.T) {
	s, finder := start(t)
	for name, c := range map[string]struct {
		regions, missing, want []string
		err                    string
	}{
		"all":                           {want: []string{"prod", "one", "new", "named"}},
		"a region and its zones":        {regions: []string{"us-central1"}, want: []string{"one", "new"}},
		"a zone does not answer":        {missing: []string{"us-central1-a"}, want: []string{"prod", "new", "named"}, err: "us-central1-a did not answer"},
		"another region's zone does so": {regions: []string{"us-east1"}, missing: []string{"us-central1-a"}, want: []string{"named"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.SetMissing(c.missing...)
			got, err := finder.Clusters(t.Context(), c.regions)
			if (c.err == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), c.err) || cloud.KindOf(err) != cloud.Unavailable) {
				t.Error(err)
			}
			var want []cloud.Cluster
			for _, n := range c.want {
				want = append(want, clusters[n])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCluster(t *testing.T) {
	s, finder := start(t)
	got, err := finder.Cluster(t.Context(), ref("europe-west4", "prod"))
	if diff := cmp.Diff(clusters["prod"], got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for name, c := range map[string]struct {
		reference cloud.Reference
		kind      cloud.ErrorKind
	}{
		"none":              {ref("europe-west4", "gone"), cloud.NotFound},
		"another's project": {cloud.Reference{Service: cloud.GKE, Project: "mars-1", Location: "europe-west4", Name: "prod"}, cloud.Denied},
		"another service":   {cloud.Reference{Service: cloud.EKS, Location: "us-east-1", Name: "prod"}, cloud.Invalid},
		"a path":            {ref("europe-west4", "prod/../x"), cloud.Invalid},
	} {
		if _, err := finder.Cluster(t.Context(), c.reference); cloud.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.reference.String()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Deny("container.clusters.get")
	if _, err := finder.Cluster(t.Context(), ref("europe-west4", "prod")); cloud.KindOf(err) != cloud.Denied || !strings.Contains(err.Error(), "grant container.clusters.get") {
		t.Error(err)
	}
}

func TestTokenIsOfTheAccount(t *testing.T) {
	s, finder := start(t)
	token, _, err := finder.Token(t.Context(), clusters["prod"])
	if err != nil {
		t.Fatal(err)
	}
	if who, err := s.VerifyToken(token); err != nil || who != mail {
		t.Errorf("%q, %v", who, err)
	}
}
