package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubefed.dev/kubefed/internal/cli"
	"kubefed.dev/kubefed/internal/playground"
	"kubefed.dev/kubefed/internal/testprogram"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud/aws/awstest"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gcptest"
)

const (
	keyID   = "AKIDEXAMPLE"
	secret  = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	userARN = "arn:aws:iam::123456789012:user/frodo"
	mail    = "frodo@earth-1.iam.gserviceaccount.com"
)

// served waits until a program has written its kubeconfig and answers.
func served(t *testing.T, p *testprogram.Process, kubeconfig string) *rest.Config {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err == nil {
			err = ready(ctx, config)
		}
		if err == nil {
			return config
		}
		select {
		case <-p.Done():
			t.Fatalf("the server of %s ended: %v", kubeconfig, err)
		case <-ctx.Done():
			t.Fatalf("the server of %s does not answer: %v", kubeconfig, err)
		case <-tick.C:
		}
	}
}

func ready(ctx context.Context, config *rest.Config) error {
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := core.CoreV1().RESTClient().Get().AbsPath("/readyz").DoRaw(bounded); err != nil {
		return err
	}
	_, err = core.CoreV1().Namespaces().Get(bounded, "kube-system", metav1.GetOptions{})
	return err
}

// gate is the API server of a managed cluster: a real one, which takes who its cloud vouches for as its administrator, and the
// tokens of its own service accounts.
type gate struct {
	*httptest.Server
	// vouched counts the requests of those for whom the cloud vouched.
	vouched atomic.Int64
}

func newGate(t *testing.T, admin *rest.Config, vouch func(token string) error) *gate {
	t.Helper()
	target, err := url.Parse(admin.Host)
	if err != nil {
		t.Fatal(err)
	}
	as := func(config *rest.Config) http.Handler {
		transport, err := rest.TransportFor(config)
		if err != nil {
			t.Fatal(err)
		}
		return &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }}
	}
	administrator, anyone := as(admin), as(rest.AnonymousClientConfig(admin))
	g := &gate{}
	g.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if vouch(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) == nil {
			g.vouched.Add(1)
			r.Header.Del("Authorization")
			administrator.ServeHTTP(w, r)
			return
		}
		anyone.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { g.CloseClientConnections(); g.Close() })
	return g
}

func (g *gate) authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
}

// kubefed runs a command line with the real clients of clouds.
func kubefed(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = cli.Main(args, cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, clouds...)
	for _, hidden := range []string{secret, "k8s-aws-v1.", "ya29.", "PRIVATE KEY"} {
		if strings.Contains(stdout.String()+stderr.String(), hidden) {
			t.Errorf("kubefed %v shows a secret: %s%s", args, stdout.String(), stderr.String())
		}
	}
	return code, stdout.String(), stderr.String()
}

// Clusters of EKS and GKE are discovered and joined without a kubeconfig of theirs, by the SDKs' own protocols; afterwards the
// federation needs no credentials of the cloud.
func TestJoinByReference(t *testing.T) {
	dir := t.TempDir()
	data, home := filepath.Join(dir, "f"), filepath.Join(dir, "gondor")
	kubeconfig := filepath.Join(data, "admin.kubeconfig")
	addresses, err := playground.Reserve(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = playground.Release(addresses, dir) })
	fed := testprogram.Start(t, filepath.Join(dir, "federation.log"), "federation-apiserver", "--data-dir", data, "--cluster-probe-period=300ms")
	member := testprogram.Start(t, home+".log", "local-cluster", "--name", "gondor", "--dir", home, "--ip-range", addresses.String(), "--provider", "aws", "--region", "us-east-1")
	federationConfig, admin := served(t, fed, kubeconfig), served(t, member, filepath.Join(home, "kubeconfig"))
	t.Setenv("KUBECONFIG", kubeconfig)
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIAHOSTILE", "AWS_SECRET_ACCESS_KEY": "hostile", "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
		"GOOGLE_APPLICATION_CREDENTIALS": "/none", "CLOUDSDK_CORE_PROJECT": "mordor"} {
		t.Setenv(name, value)
	}

	aws, google := awstest.New(), gcptest.New("earth-1")
	aws.SetKey(awstest.Key{ID: keyID, Secret: secret, ARN: userARN})
	atAWS, atGoogle := httptest.NewServer(aws), httptest.NewServer(google)
	defer atAWS.Close()
	defer atGoogle.Close()
	eksGate := newGate(t, admin, func(token string) error {
		cluster, _, err := aws.VerifyToken(token)
		if err == nil && cluster != "Prod_A" {
			err = errors.New("a token for cluster " + cluster)
		}
		return err
	})
	gkeGate := newGate(t, admin, func(token string) error { _, err := google.VerifyToken(token); return err })
	aws.SetCluster("us-east-1", awstest.Cluster{Name: "Prod_A", Version: "1.36", Endpoint: eksGate.URL, CA: eksGate.authority()})
	google.SetCluster(gcptest.Cluster{Name: "prod", Location: "europe-west4", Zones: []string{"europe-west4-a"}, Version: "1.36.3-gke.1100",
		Endpoint: strings.TrimPrefix(gkeGate.URL, "https://"), CA: gkeGate.authority()})
	file := accounts(t, dir, atAWS.URL, atGoogle.URL, google)

	members, err := client.New(federationConfig, client.Options{Scheme: scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("check", func(t *testing.T) {
		code, out, errs := kubefed(t, "cloud", "check", file)
		if code != cli.ExitOK || !strings.Contains(out, userARN) || !strings.Contains(out, mail) {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
	})
	t.Run("EKS", func(t *testing.T) {
		code, out, errs := kubefed(t, "discover", "aws", file)
		if code != cli.ExitOK || !strings.Contains(out, "eks:us-east-1/Prod_A   us-east-1   1.36      ACTIVE   -") {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		if code, out, errs = kubefed(t, "join", "eks:us-east-1/Prod_A", file, "--dry-run=client", "-o", "yaml"); code != cli.ExitOK || !strings.Contains(out, "server: "+eksGate.URL) {
			t.Fatalf("dry run: exit code %d\n%s%s", code, out, errs)
		}
		if code, out, errs = kubefed(t, "join", "eks:us-east-1/Prod_A", file, "--witness=false", "--timeout=3m"); code != cli.ExitOK || !strings.Contains(out, `Cluster "prod-a" joined`) {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		if _, out, _ = kubefed(t, "discover", "aws", file); !strings.Contains(out, "ACTIVE   prod-a") {
			t.Errorf("it does not show as joined:\n%s", out)
		}
		before := eksGate.vouched.Load()
		aws.RevokeKey(keyID)
		joinedStays(t, members, "prod-a", eksGate)
		if eksGate.vouched.Load() != before {
			t.Error("the federation asks the member as the one who joined it")
		}
		if code, out, errs = kubefed(t, "discover", "aws", file); code != cli.ExitFailed || !strings.Contains(errs, "Denied") {
			t.Errorf("without credentials: exit code %d\n%s%s", code, out, errs)
		}
		aws.SetKey(awstest.Key{ID: keyID, Secret: secret, ARN: userARN})
		if code, out, errs = kubefed(t, "join", "eks:us-east-1/Prod_A", file, "--witness=false", "--timeout=3m"); code != cli.ExitOK || !strings.Contains(out, "already joined") {
			t.Errorf("again: exit code %d\n%s%s", code, out, errs)
		}
		if code, _, errs = kubefed(t, "join", "eks:us-east-1/Prod_A", "rohan", file); code != cli.ExitFailed || !strings.Contains(errs, `has already joined federation`) {
			t.Errorf("by another name: exit code %d\n%s", code, errs)
		}
	})
	if code, out, errs := kubefed(t, "unjoin", "prod-a", file, "--timeout=3m"); code != cli.ExitOK {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	t.Run("GKE", func(t *testing.T) {
		code, out, errs := kubefed(t, "join", "gke:earth-1/europe-west4/prod", "mirkwood", file, "--witness=false", "--timeout=3m")
		if code != cli.ExitOK || !strings.Contains(out, `Cluster "mirkwood" joined`) {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		if _, out, _ = kubefed(t, "discover", "gcp", file); !strings.Contains(out, "RUNNING   mirkwood") {
			t.Errorf("it does not show as joined:\n%s", out)
		}
		joinedStays(t, members, "mirkwood", gkeGate)
		google.Deny("container.clusters.get")
		if code, _, errs = kubefed(t, "join", "gke:earth-1/europe-west4/prod", "mirkwood", file); code != cli.ExitFailed || !strings.Contains(errs, "container.clusters.get") || !strings.Contains(errs, "Denied") {
			t.Errorf("denied: exit code %d\n%s", code, errs)
		}
		if code, _, errs = kubefed(t, "unjoin", "mirkwood", file); code != cli.ExitFailed || !strings.Contains(errs, "container.clusters.get") || !strings.Contains(errs, "--force") {
			t.Errorf("unjoining while it is denied: exit code %d\n%s", code, errs)
		}
		google.Allow("container.clusters.get")
		if code, out, errs = kubefed(t, "unjoin", "mirkwood", file); code != cli.ExitOK || !strings.Contains(out, `Cluster "mirkwood" unjoined`) {
			t.Errorf("unjoining: exit code %d\n%s%s", code, out, errs)
		}
	})
}

// joinedStays checks what join left: the member's own token, and a Cluster that is Ready.
func joinedStays(t *testing.T, members client.Client, name string, g *gate) {
	t.Helper()
	c := becomesReady(t, members, name)
	if c.Spec.Server != g.URL {
		t.Errorf("it is reached at %s", c.Spec.Server)
	}
	var stored corev1.Secret
	if err := members.Get(t.Context(), types.NamespacedName{Namespace: federation.SystemNamespace, Name: c.Spec.SecretName}, &stored); err != nil {
		t.Fatal(err)
	}
	for key, value := range stored.Data {
		if strings.Contains(string(value), "k8s-aws-v1") || strings.Contains(string(value), "ya29.") {
			t.Errorf("the federation keeps a token of the cloud in %s", key)
		}
	}
	config := &rest.Config{Host: g.URL, BearerToken: string(stored.Data["token"]), TLSClientConfig: rest.TLSClientConfig{CAData: stored.Data["ca.crt"]}}
	if err := ready(t.Context(), config); err != nil {
		t.Errorf("the member does not take the federation's token: %v", err)
	}
}

// becomesReady waits until the federation finds a cluster ready.
func becomesReady(t *testing.T, members client.Client, name string) federation.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var c federation.Cluster
		err := members.Get(ctx, types.NamespacedName{Name: name}, &c)
		ready := meta.FindStatusCondition(c.Status.Conditions, federation.ClusterReady)
		if err == nil && ready != nil && ready.Status == metav1.ConditionTrue {
			return c
		}
		select {
		case <-ctx.Done():
			t.Fatalf("cluster %s is not Ready: %v, %+v", name, err, ready)
		case <-tick.C:
		}
	}
}

// accounts is the flag that names a file of both clouds' accounts.
func accounts(t *testing.T, dir, aws, google string, s *gcptest.Server) (flag string) {
	t.Helper()
	key, err := s.Key(mail, google)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"keys":     "[default]\naws_access_key_id = " + keyID + "\naws_secret_access_key = " + secret + "\n",
		"key.json": string(key),
		"clouds.yaml": `
accounts:
- {name: prod, provider: aws, regions: [us-east-1], credentials: [{static: {file: absent}}, {static: {file: keys}}], endpoints: {"*": "` + aws + `"}, requestsPerSecond: 100}
- {name: earth, provider: gcp, project: earth-1, credentials: [{static: {file: key.json}}], endpoints: {"*": "` + google + `"}, requestsPerSecond: 100}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "--cloud-config=" + filepath.Join(dir, "clouds.yaml")
}

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(s), federation.AddToScheme(s)); err != nil {
		t.Fatal(err)
	}
	return s
}
