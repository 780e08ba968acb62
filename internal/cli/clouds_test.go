package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kubefed.dev/kubefed/internal/pki"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// fakeCloud finds clusters that a test names, for each account its own.
type fakeCloud struct {
	clusters map[string][]cloud.Cluster
	// failures are errors of regions, and denied of accounts.
	failures map[string]error
	denied   map[string]error
	token    string
	asked    []config.Account
}

type fakeFinder struct {
	*fakeCloud
	account config.Account
}

func (f *fakeCloud) known() []Cloud {
	open := func(_ context.Context, a config.Account) (cloud.Finder, error) {
		f.asked = append(f.asked, a)
		return fakeFinder{f, a}, f.denied[a.Name]
	}
	return []Cloud{{config.AWS, open}, {config.GCP, open}}
}

func (f fakeFinder) Identity(context.Context) (string, error) {
	if f.account.Provider == config.GCP {
		return "kubefed@earth-1.iam.gserviceaccount.com", nil
	}
	return "arn:aws:sts::123456789012:assumed-role/ops/frodo", nil
}

func (f fakeFinder) Clusters(_ context.Context, regions []string) (found []cloud.Cluster, err error) {
	if len(regions) == 0 {
		regions = f.account.Regions
	}
	for _, c := range f.clusters[f.account.Name] {
		if len(regions) == 0 || slices.Contains(regions, c.Region) {
			found = append(found, c)
		}
	}
	for region, failure := range f.failures {
		if len(regions) == 0 || slices.Contains(regions, region) {
			err = errors.Join(err, failure)
		}
	}
	return found, err
}

func (f fakeFinder) Cluster(_ context.Context, r cloud.Reference) (cloud.Cluster, error) {
	if err := f.failures[r.Location]; err != nil {
		return cloud.Cluster{}, err
	}
	for _, c := range f.clusters[f.account.Name] {
		if c.Reference == r {
			return c, nil
		}
	}
	return cloud.Cluster{}, &cloud.Error{Kind: cloud.NotFound, Operation: "describing " + r.String()}
}

func (f fakeFinder) Token(context.Context, cloud.Cluster) (string, time.Time, error) {
	return f.token, time.Now().Add(14 * time.Minute), nil
}

func eksCluster(region, name, state string) cloud.Cluster {
	return cloud.Cluster{Reference: cloud.Reference{Service: cloud.EKS, Location: region, Name: name}, Version: "1.36", Region: region, State: state,
		Usable: state == "ACTIVE", Endpoint: "https://" + strings.ToUpper(name) + ".gr7." + region + ".eks.amazonaws.com"}
}

// cloudFederation is a kubeconfig of a federation API to which clusters have joined.
func cloudFederation(t *testing.T, clusters ...federation.Cluster) (kubeconfig string) {
	t.Helper()
	version := map[string]any{"groupVersion": federation.GroupName + "/v1alpha1", "version": "v1alpha1"}
	url := server(t, map[string]map[string]any{
		infoPath: {"kind": "ConfigMap", "apiVersion": "v1", "data": map[string]any{"name": "fellowship", "federationID": "id"}},
		"/api":   {"kind": "APIVersions", "versions": []string{}},
		"/apis":  {"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{map[string]any{"name": federation.GroupName, "versions": []any{version}, "preferredVersion": version}}},
		"/apis/" + federation.GroupName + "/v1alpha1/clusters": object(t, "ClusterList", federation.ClusterList{Items: clusters}),
		"/apis/" + federation.GroupName + "/v1alpha1": {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": federation.GroupName + "/v1alpha1",
			"resources": []any{map[string]any{"name": "clusters", "kind": "Cluster", "namespaced": false, "verbs": []string{"get", "list"}}}},
	})
	config := clientcmdapi.NewConfig()
	config.Clusters["fellowship"] = &clientcmdapi.Cluster{Server: url}
	config.Contexts["fellowship"] = &clientcmdapi.Context{Cluster: "fellowship"}
	config.CurrentContext = "fellowship"
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// asked runs kubefed with clouds, in an environment that names other credentials.
func asked(t *testing.T, f *fakeCloud, kubeconfig string, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Setenv("KUBECONFIG", kubeconfig)
	t.Setenv("AWS_PROFILE", "mordor")
	t.Setenv("GOOGLE_CLOUD_PROJECT", "mordor")
	var stdout, stderr bytes.Buffer
	code = Main(args, Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, f.known()...)
	return code, stdout.String(), stderr.String()
}

const accountsFile = `
accounts:
- {name: prod, provider: aws, regions: [us-east-1, eu-west-1], credentials: [{static: {file: keys}}]}
- {name: test, provider: aws, credentials: [{static: {file: keys}}]}
- {name: earth, provider: gcp, project: earth-1, credentials: [{workloadIdentity: {}}]}
- {name: mars, provider: gcp, project: mars-77, credentials: [{workloadIdentity: {}}]}
`

func accountsPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(path, []byte(accountsFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDiscover(t *testing.T) {
	joined := federation.Cluster{Spec: federation.ClusterSpec{Server: "https://prod-a.gr7.us-east-1.eks.amazonaws.com:443/"}}
	joined.Name = "gondor"
	// At another address, but by its reference.
	moved := federation.Cluster{Spec: federation.ClusterSpec{Server: "https://192.0.2.1"}}
	moved.Name, moved.Annotations = "rohan", map[string]string{federation.AnnotationReference: "eks:us-east-1/prod-c"}
	kubeconfig := cloudFederation(t, joined, moved)
	f := &fakeCloud{
		clusters: map[string][]cloud.Cluster{
			"prod": {eksCluster("us-east-1", "prod-a", "ACTIVE"), eksCluster("us-east-1", "prod-b", "CREATING"), eksCluster("us-east-1", "prod-c", "ACTIVE")},
			"test": {eksCluster("eu-west-1", "try", "ACTIVE")},
		},
		failures: map[string]error{"eu-west-1": &cloud.Error{Kind: cloud.Denied, Operation: "eks:ListClusters in eu-west-1", Advice: "allow eks:ListClusters"}},
	}
	file := "--cloud-config=" + accountsPath(t)

	code, out, errs := asked(t, f, kubeconfig, "discover", "aws", file, "--account=prod")
	if code != ExitFailed || !strings.Contains(errs, "not everything could be listed:\neks:ListClusters in eu-west-1: Denied; allow eks:ListClusters") {
		t.Errorf("a region is denied: exit code %d, errors %s", code, errs)
	}
	wantGolden(t, "discover.txt", out)
	code, out, errs = asked(t, f, kubeconfig, "discover", "aws", file, "--region=us-east-1", "-o", "wide")
	if code != ExitOK || errs != "" {
		t.Errorf("exit code %d, errors %s", code, errs)
	}
	wantGolden(t, "discover-wide.txt", out)
	if code, out, _ = asked(t, f, kubeconfig, "discover", "aws", file, "--region=us-east-1", "-o", "name"); code != ExitOK || out != "eks:us-east-1/prod-a\neks:us-east-1/prod-b\neks:us-east-1/prod-c\n" {
		t.Errorf("names: exit code %d, %s", code, out)
	}
	code, out, _ = asked(t, f, kubeconfig, "discover", "aws", file, "--account=test", "-o", "json")
	var list discovered
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != ExitFailed || len(list.Errors) != 1 || list.Federation != "fellowship" || len(list.Clusters) != 1 || list.Clusters[0].Account != "test" {
		t.Errorf("JSON: exit code %d, %v: %s", code, err, out)
	}
	f.failures = nil
	// Without a federation clusters are found all the same.
	code, out, errs = asked(t, f, filepath.Join(t.TempDir(), "none"), "discover", "aws", file, "--region=us-east-1")
	if code != ExitOK || !strings.Contains(out, "ACTIVE     ?") || !strings.Contains(errs, "Which have joined is not known") {
		t.Errorf("without a federation: exit code %d, %s\n%s", code, out, errs)
	}
	if code, out, errs = asked(t, f, kubeconfig, "discover", "gcp", file); code != ExitOK || out != "" || !strings.Contains(errs, "There are no clusters.") {
		t.Errorf("of an empty project: exit code %d, %s\n%s", code, out, errs)
	}
}

// Nothing is asked as anybody else than the flags say, and flags are not mixed with a file.
func TestAccounts(t *testing.T) {
	file := "--cloud-config=" + accountsPath(t)
	kubeconfig := cloudFederation(t)
	for _, test := range []struct {
		line string
		// want are the accounts that were asked, by name and profile or project; else a part of the error.
		want []string
		err  string
	}{
		{line: "discover aws", want: []string{"default default"}},
		{line: "discover aws --profile=prod", want: []string{"prod prod"}},
		{line: "discover gcp --project=earth-1", want: []string{"earth-1 earth-1"}},
		{line: "discover gcp", err: "--project is required"},
		{line: "discover gcp --project=earth-1 --profile=prod", err: "--profile: is for AWS"},
		{line: "discover aws --project=earth-1", err: "--project: is for Google Cloud"},
		{line: "discover aws --account=prod", err: "--account=prod: name the file"},
		{line: "discover azure", err: `wants aws or gcp, got ["azure"]`},
		{line: "discover", err: "wants aws or gcp"},
		{line: "discover aws " + file, want: []string{"prod ", "test "}},
		{line: "discover gcp " + file, want: []string{"earth earth-1", "mars mars-77"}},
		{line: "discover gcp --account=mars " + file, want: []string{"mars mars-77"}},
		{line: "discover gcp --account=prod " + file, err: "lists no such account of gcp; there are: earth, mars"},
		{line: "discover aws --profile=prod " + file, err: "--cloud-config says as whom"},
		{line: "discover aws --cloud-config=/none", err: "--cloud-config: reading the cloud configuration"},
		{line: "discover aws -o xml", err: "--output=xml"},
		{line: "join gke:mars-77/europe-west4/olympus " + file, want: []string{"mars mars-77"}, err: "there is no cluster"},
		{line: "join gke:venus-2/europe-west4/olympus", want: []string{"venus-2 venus-2"}, err: "there is no cluster"},
		{line: "join eks:us-east-1/prod-a", want: []string{"default default"}, err: "there is no cluster"},
		{line: "join eks:us-east-1", err: "write eks:REGION/NAME"},
		{line: "join eks:us-east-1/a b c", err: "wants one cluster name"},
		{line: "join gondor rohan", err: "wants one cluster name"},
		{line: "join gondor --profile=prod", err: "gondor is a context of the kubeconfig"},
		{line: "join eks:us-east-1/a --cluster-context=b", err: "needs no kubeconfig"},
		{line: "cloud check", err: "name a file of accounts"},
		{line: "cloud check --profile=prod", want: []string{"prod prod"}},
		{line: "cloud check --project=earth-1", want: []string{"earth-1 earth-1"}},
	} {
		t.Run(test.line, func(t *testing.T) {
			f := &fakeCloud{}
			code, _, errs := asked(t, f, kubeconfig, strings.Fields(test.line)...)
			if test.err == "" && code != ExitOK || !strings.Contains(errs, test.err) {
				t.Errorf("exit code %d, errors %s\nwant %q", code, errs, test.err)
			}
			var got []string
			for _, a := range f.asked {
				as := a.Project
				if p := a.Credentials[0].Profile; p != nil {
					as += p.Profile
				}
				got = append(got, a.Name+" "+as)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCloudCheck(t *testing.T) {
	denied := &cloud.Error{Kind: cloud.Denied, Operation: "eks:ListClusters in eu-west-1", Advice: "allow eks:ListClusters"}
	f := &fakeCloud{
		clusters: map[string][]cloud.Cluster{"prod": {eksCluster("us-east-1", "prod-a", "ACTIVE")}},
		denied:   map[string]error{"mars": &cloud.Error{Kind: cloud.Denied, Operation: "credentials of account mars", Err: errors.New("no metadata server")}},
	}
	file := "--cloud-config=" + accountsPath(t)
	if code, out, errs := asked(t, f, "/none", "cloud", "check", file, "--account=prod"); code != ExitOK || errs != "" || strings.Count(out, "OK") != 2 {
		t.Errorf("exit code %d, %s\n%s", code, out, errs)
	}
	sites := filepath.Join(t.TempDir(), "sites.yaml")
	if err := os.WriteFile(sites, []byte("sites: [{name: basement, provider: on-premises}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := asked(t, f, "/none", "cloud", "check", "--cloud-config="+sites); code != ExitOK || out != "" || !strings.Contains(errs, "lists sites alone") {
		t.Errorf("sites alone: exit code %d, %s\n%s", code, out, errs)
	}
	f.failures = map[string]error{"eu-west-1": denied}
	code, out, errs := asked(t, f, "/none", "cloud", "check", file)
	if code != ExitFailed {
		t.Errorf("exit code %d", code)
	}
	wantGolden(t, "cloud-check.txt", out+errs)
	code, out, _ = asked(t, f, "/none", "cloud", "check", file, "-o", "json")
	var result struct{ Accounts []checkedAccount }
	if err := json.Unmarshal([]byte(out), &result); err != nil || code != ExitFailed || len(result.Accounts) != 4 || result.Accounts[0].Regions[1].Errors[0].Kind != cloud.Denied {
		t.Errorf("JSON: exit code %d, %v: %s", code, err, out)
	}
}

func TestCloudPermissions(t *testing.T) {
	for _, test := range []struct{ golden, line string }{
		{"permissions-aws.txt", "aws"}, {"permissions-gcp.txt", "gcp"}, {"permissions-aws-wide.txt", "aws -o wide"},
		{"permissions-gcp-facts.txt", "gcp --feature=facts,prices -o json"}, {"permissions-aws-join.txt", "aws --feature=join"},
	} {
		code, out, errs := asked(t, &fakeCloud{}, "/none", append([]string{"cloud", "permissions"}, strings.Fields(test.line)...)...)
		if code != ExitOK || errs != "" {
			t.Errorf("%s: exit code %d, %s", test.line, code, errs)
		}
		wantGolden(t, test.golden, out)
	}
	if code, _, errs := asked(t, &fakeCloud{}, "/none", "cloud", "permissions", "aws", "--feature=all"); code != ExitUsage || !strings.Contains(errs, "use some of discover, join") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	if code, _, errs := asked(t, &fakeCloud{}, "/none", "cloud", "permissions", "gcp", "--feature=prices"); code != ExitOK || !strings.Contains(errs, "no permission is needed") {
		t.Errorf("prices of Google Cloud: exit code %d, %s", code, errs)
	}
}

// What can stand in the way of a cluster that its cloud found.
func TestJoinReferenceRefuses(t *testing.T) {
	kubeconfig := cloudFederation(t)
	refusing := func(code int) cloud.Cluster {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer k8s-aws-v1.token" {
				t.Errorf("asked with %q", r.Header.Get("Authorization"))
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": http.StatusText(code), "code": code})
		}))
		t.Cleanup(s.Close)
		c := eksCluster("us-east-1", "prod-a", "ACTIVE")
		c.Endpoint, c.CA = s.URL, pemOf(s)
		return c
	}
	lost := eksCluster("us-east-1", "prod-a", "ACTIVE")
	lost.Endpoint = "https://127.0.0.1:1"
	stranger := refusing(http.StatusUnauthorized)
	authority, err := pki.NewCA("stranger")
	if err != nil {
		t.Fatal(err)
	}
	stranger.CA = authority.CertPEM
	gke := refusing(http.StatusForbidden)
	gke.Reference = cloud.Reference{Service: cloud.GKE, Project: "earth-1", Location: "europe-west4", Name: "prod"}
	nowhere := eksCluster("us-east-1", "prod-a", "ACTIVE")
	nowhere.Endpoint = ""
	several := map[string][]cloud.Cluster{"prod": {lost}, "test": {lost}}
	file := " --cloud-config=" + accountsPath(t)
	for _, test := range []struct {
		name, line string
		cloud      fakeCloud
		want       []string
	}{
		{name: "a slip of the hand", line: "eks:us-east-1/prod-b", cloud: fakeCloud{clusters: map[string][]cloud.Cluster{"default": {lost}}}, want: []string{"there is no cluster eks:us-east-1/prod-b; did you mean eks:us-east-1/prod-a?"}},
		{name: "the wrong region", line: "eks:eu-west-1/prod-a", cloud: fakeCloud{clusters: map[string][]cloud.Cluster{"default": {lost}}}, want: []string{"did you mean eks:us-east-1/prod-a?"}},
		{name: "another name", line: "eks:us-east-1/mirkwood", cloud: fakeCloud{clusters: map[string][]cloud.Cluster{"default": {lost}}}, want: []string{"there are eks:us-east-1/prod-a"}},
		{name: "denied", line: "eks:us-east-1/prod-a", cloud: fakeCloud{failures: map[string]error{"us-east-1": &cloud.Error{Kind: cloud.Denied, Operation: "eks:DescribeCluster prod-a in us-east-1", Advice: "allow eks:DescribeCluster"}}},
			want: []string{"looking for eks:us-east-1/prod-a: eks:DescribeCluster", "allow eks:DescribeCluster"}},
		{name: "being made", line: "eks:us-east-1/prod-a", cloud: fakeCloud{clusters: map[string][]cloud.Cluster{"default": {eksCluster("us-east-1", "prod-a", "CREATING")}}}, want: []string{"is CREATING; wait until it is ACTIVE"}},
		{name: "no endpoint", line: "eks:us-east-1/prod-a", cloud: fakeCloud{clusters: map[string][]cloud.Cluster{"default": {nowhere}}}, want: []string{"has no endpoint"}},
		{name: "a private endpoint", line: "eks:us-east-1/prod-a", cloud: fakeCloud{clusters: map[string][]cloud.Cluster{"default": {lost}}}, want: []string{"may be a private one", "aws eks update-cluster-config --region=us-east-1 --name=prod-a"}},
		{name: "no access entry", line: "eks:us-east-1/prod-a", cloud: fakeCloud{clusters: map[string][]cloud.Cluster{"default": {refusing(http.StatusUnauthorized)}}},
			want: []string{"does not know arn:aws:sts::123456789012:assumed-role/ops/frodo", "aws eks create-access-entry --region=us-east-1 --cluster-name=prod-a --principal-arn=arn:aws:iam::123456789012:role/ops\n", "AmazonEKSClusterAdminPolicy"}},
		{name: "no rights in GKE", line: "gke:earth-1/europe-west4/prod", cloud: fakeCloud{clusters: map[string][]cloud.Cluster{"earth-1": {gke}}},
			want: []string{"lets kubefed@earth-1.iam.gserviceaccount.com do nothing", "add-iam-policy-binding earth-1 --member=serviceAccount:kubefed@earth-1.iam.gserviceaccount.com --role=roles/container.admin"}},
		{name: "another certificate", line: "eks:us-east-1/prod-a", cloud: fakeCloud{clusters: map[string][]cloud.Cluster{"default": {stranger}}}, want: []string{"has another certificate than its cloud says"}},
		{name: "in two accounts", line: "eks:us-east-1/prod-a" + file, cloud: fakeCloud{clusters: several}, want: []string{"is in several accounts: prod, test; say by --account"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := test.cloud
			f.token = "k8s-aws-v1.token"
			code, out, errs := asked(t, &f, kubeconfig, append([]string{"join"}, strings.Fields(test.line)...)...)
			if code != ExitFailed || out != "" {
				t.Errorf("exit code %d, %s", code, out)
			}
			for _, want := range test.want {
				if !strings.Contains(errs, want) {
					t.Errorf("error %s\nlacks %q", errs, want)
				}
			}
			if strings.Contains(errs, f.token) {
				t.Errorf("the token is shown: %s", errs)
			}
		})
	}
}

func TestDNSLabel(t *testing.T) {
	for name, want := range map[string]string{"prod-a": "prod-a", "Prod_A": "prod-a", "_x_": "x", "___": "", strings.Repeat("a", 62) + "_b": strings.Repeat("a", 62)} {
		if got := dnsLabel(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestCompleteReferences(t *testing.T) {
	f := &fakeCloud{clusters: map[string][]cloud.Cluster{"default": {eksCluster("us-east-1", "prod-a", "ACTIVE"), eksCluster("eu-west-1", "prod-b", "ACTIVE")}}}
	_, out, _ := asked(t, f, cloudFederation(t), "__complete", "join", "eks:us-east-1/")
	if !strings.HasPrefix(out, "eks:us-east-1/prod-a\n:") {
		t.Errorf("in a region: %s", out)
	}
	if _, out, _ = asked(t, f, cloudFederation(t), "__complete", "join", "eks:"); !strings.HasPrefix(out, "eks:us-east-1/prod-a\neks:eu-west-1/prod-b\n:") {
		t.Errorf("everywhere: %s", out)
	}
	if _, out, _ = asked(t, f, cloudFederation(t), "__complete", "join", ""); !strings.HasPrefix(out, "fellowship\n:") {
		t.Errorf("contexts: %s", out)
	}
}

func pemOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}
