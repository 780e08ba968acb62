package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kubefed.dev/kubefed/internal/version"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/controlplane"
)

var update = flag.Bool("update", false, "write golden files")

func wantGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go test -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// typed runs kubefed with a kubeconfig whose only context is rivendell, a cluster that does not answer.
func typed(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["rivendell"] = &clientcmdapi.Cluster{Server: "https://127.0.0.1:1"}
	config.Contexts["rivendell"] = &clientcmdapi.Context{Cluster: "rivendell"}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
	var stdout, stderr bytes.Buffer
	code = Main(args, Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
	return code, stdout.String(), stderr.String()
}

func TestWrongCommandLines(t *testing.T) {
	for _, test := range []struct {
		line, want string
		code       int
	}{
		{"init fellowship --dns-zone-name=example.com", "--host-cluster-context is required", ExitUsage},
		{"init fellowship --dns-zone-name=example.com --host-cluster-context=moria", "--host-cluster-context=moria: no such context in the kubeconfig; there are: rivendell", ExitFailed},
		{"init fellowship --dns-zone-name=a..b --host-cluster-context=rivendell", "--dns-zone-name=a..b", ExitUsage},
		{"init Fellow_ship --dns-zone-name=example.com --host-cluster-context=rivendell", `federation name "Fellow_ship"`, ExitUsage},
		{"init", "wants one federation name", ExitUsage},
		{"init fellowship --dns-zone-name=example.com --host-cluster-context=rivendell", "does not answer", ExitFailed},
		{"init fellowship --dns-zone-name=example.com --host-cluster-context=rivendell --dry-run=server", "--dry-run=server: use client", ExitUsage},
		{"init fellowship --dns-zone-name=example.com --host-cluster-context=rivendell -o yaml", "goes with --dry-run=client", ExitUsage},
		{"init fellowship --dns-zone-name=example.com --host-cluster-context=rivendell --node-selector=ssd", "write key=value", ExitUsage},
		{"init fellowship --dns-zone-name=example.com --host-cluster-context=rivendell --service-account-annotations=role", "--service-account-annotations: \"role\": write key=value", ExitUsage},
		{"init fellowship --dns-zone-name=example.com --host-cluster-context=rivendell --cloud-config=/none", "--cloud-config: reading the cloud configuration", ExitUsage},
		{"init fellowship --dns-zone-name=example.com --host-cluster-context=rivendell --etcd-servers=https://e:2379 --etcd-cafile=/none", "--etcd-cafile: open /none", ExitUsage},
		{"deinit fellowship", "--host-cluster-context is required", ExitUsage},
		{"deinit fellowship --host-cluster-context=moria", "there are: rivendell", ExitFailed},
		{"status -o xml", "use json or yaml", ExitUsage},
		{"status --context=rivendell", "is the control plane up?", ExitFailed},
		{"completion tcsh", "use bash, zsh, fish or powershell", ExitUsage},
		{"joyn gondor", "unknown command \"joyn\" for \"kubefed\"; did you mean join?\nSee 'kubefed --help' for usage", ExitFailed},
		{"join gondor --hots=x", "unknown flag: --hots\nSee 'kubefed join --help' for usage", ExitFailed},
	} {
		t.Run(test.line, func(t *testing.T) {
			code, out, errs := typed(t, strings.Fields(test.line)...)
			if code != test.code || !strings.Contains(errs, test.want) || out != "" {
				t.Errorf("exit code %d, want %d\nout: %s\nerrors: %s\nwant one with %q", code, test.code, out, errs, test.want)
			}
		})
	}
}

func TestDryRun(t *testing.T) {
	code, out, errs := typed(t, "init", "fellowship", "--dns-zone-name=example.com", "--host-cluster-context=rivendell", "--dry-run=client")
	if code != ExitOK {
		t.Fatal(errs)
	}
	wantGolden(t, "init-dry-run.txt", out)
}

func TestDryRunYAML(t *testing.T) {
	f := &initFlags{Options: controlplane.DefaultOptions(), dryRun: "client", output: "yaml"}
	f.Name, f.DNSZone, f.HostContext, f.Image = "fellowship", "example.com", "rivendell", "kubefed.dev/federation-apiserver:v1.2.3"
	f.pullPolicy, f.serviceType, f.dnsProvider = "IfNotPresent", "LoadBalancer", "embedded"
	o, err := f.options()
	if err != nil {
		t.Fatal(err)
	}
	credentials := controlplane.Credentials{
		CACert: []byte("ca-cert"), CAKey: []byte("ca-key"), ServingCert: []byte("cert"), ServingKey: []byte("key"),
		ServiceAccountKey: []byte("token-key"), Encryption: []byte("encryption"),
	}
	var out bytes.Buffer
	if err := printManifests(o, credentials, "yaml", Streams{Out: &out}, "kubefed init fellowship"); err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "init-dry-run.yaml", out.String())
}

func TestExplainInit(t *testing.T) {
	o := controlplane.Options{Name: "fellowship", HostContext: "rivendell"}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		made int
		want []string
	}{
		{"refused", t.Context(), errors.New("no rights"), 0, []string{"no rights"}},
		{"half done", t.Context(), errors.New("no image"), 3, []string{"no image", "AGAIN", "kubefed deinit fellowship --host-cluster-context=rivendell"}},
		{"interrupted", stopped, context.Canceled, 3, []string{"interrupted", "AGAIN", "kubefed deinit"}},
		{"interrupted early", stopped, context.Canceled, 0, []string{"nothing was written"}},
		{"no address", t.Context(), controlplane.ErrNoAddress, 2, []string{"AGAIN --api-server-service-type=NodePort", "kubefed deinit"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := explainInit(test.ctx, test.err, o, controlplane.Result{Changes: test.made}, func(...string) string { return "AGAIN" }).Error()
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s\nlacks %q", got, want)
				}
			}
		})
	}
}

func TestTypedAgain(t *testing.T) {
	for _, test := range []struct {
		name, line string
		without    []string
		want       string
	}{
		{"init", "init fellowship --host-cluster-context=rivendell --api-server-service-type=NodePort --dry-run=none", nil,
			"kubefed init fellowship --api-server-service-type=NodePort --host-cluster-context=rivendell"},
		{"without a flag", "init fellowship --host-cluster-context=rivendell --api-server-service-type=NodePort", []string{"api-server-service-type"},
			"kubefed init fellowship --host-cluster-context=rivendell"},
		{"maps, lists, quotes", "join gondor --labels=tier=prod --zones=b,a --region=far$away", nil,
			"kubefed join gondor --labels=tier=prod '--region=far$away' --zones=b,a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd, rest, err := NewRoot(Streams{}).Find(strings.Fields(test.line))
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := typedAgain(cmd, cmd.Flags().Args())(test.without...); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestExplainJoinInterrupted(t *testing.T) {
	again := func(...string) string { return "AGAIN" }
	early := explainJoinInterrupted("gondor", "gondor", "fellowship", cluster.JoinResult{}, again).Error()
	if want := "interrupted; nothing was written"; early != want {
		t.Errorf("before the first write: %s", early)
	}
	late := explainJoinInterrupted("gondor", "admin@gondor", "fellowship", cluster.JoinResult{Federation: "fellowship"}, again).Error()
	for _, want := range []string{"cluster gondor", "AGAIN", "kubefed unjoin gondor --context=fellowship --cluster-context=admin@gondor"} {
		if !strings.Contains(late, want) {
			t.Errorf("%s\nlacks %q", late, want)
		}
	}
}

func TestStatusPage(t *testing.T) {
	ready := func(status metav1.ConditionStatus, kind, reason, message string) []metav1.Condition {
		return []metav1.Condition{{Type: kind, Status: status, Reason: reason, Message: message}}
	}
	gondor, shire := federation.Cluster{}, federation.Cluster{}
	gondor.Name, gondor.Status.Version, gondor.Status.Provider, gondor.Status.Region = "gondor", "v1.36.3", "aws", "us-east-1"
	gondor.Status.Nodes, gondor.Status.Conditions = federation.NodeCount{Total: 3, Ready: 3}, ready("True", federation.ClusterReady, "ClusterReady", "")
	shire.Name, shire.Status.Conditions = "shire", ready("True", federation.ClusterOffline, federation.ReasonClusterNotReachable, "does not\nanswer")

	good := federation.PlacementDecision{Status: federation.PlacementDecisionStatus{Conditions: ready("True", federation.DecisionSynced, "Synced", "")}}
	waiting := federation.PlacementDecision{
		Spec: federation.PlacementDecisionSpec{Object: federation.ObjectReference{Kind: "Deployment", Namespace: "default", Name: "web"}},
		Status: federation.PlacementDecisionStatus{
			Conditions: ready("False", federation.DecisionSynced, federation.StateWaiting, "shire is offline"),
			Clusters:   []federation.ClusterState{{Name: "gondor", State: federation.StateSynced}, {Name: "shire", State: federation.StateWaiting}},
		},
	}
	r := statusReport{
		Federation:   federationStatus{Name: "fellowship", DNSZone: "example.com.", Context: "fellowship", Server: "https://192.0.2.1"},
		ControlPlane: controlPlaneStatus{Version: "v1.36.3+kubefed", Ready: true, Leader: "federation-apiserver-0"},
		Clusters:     []clusterStatus{statusOfCluster(gondor), statusOfCluster(shire)},
		Objects:      statusOfObjects([]federation.PlacementDecision{good, waiting}),
		DNS: &dnsStatus{Zones: []federation.ZoneStatus{
			{Name: "example.com.", Provider: "embedded", State: "Ready", Names: 26, Servers: []string{"192.0.2.53:53"}},
			{Name: "shop.example.", Provider: "rfc2136", State: "Denied", Message: "the key is not known", Conflicts: 1},
		}},
		Tombstones: []tombstoneStatus{{Kind: "ConfigMap", Namespace: "default", Name: "old", Clusters: []string{"shire"}, Since: metav1.NewTime(time.Now().Add(-time.Hour))}},
		Warnings:   []warningStatus{{Time: metav1.NewTime(time.Now().Add(-time.Hour)), Object: "Cluster shire", Reason: "ClusterNotReachable", Message: "does not answer"}},
	}
	names := func(name string, c ...metav1.Condition) federation.GlobalEndpoints {
		return federation.GlobalEndpoints{
			Spec:   federation.GlobalEndpointsSpec{Object: federation.ObjectReference{Kind: "Service", Namespace: "default", Name: name}},
			Status: federation.GlobalEndpointsStatus{Conditions: c, Where: "gondor Unhealthy"},
		}
	}
	r.DNS.add([]federation.GlobalEndpoints{
		names("web", ready("True", federation.EndpointsPublished, federation.ReasonPublished, "")...), names("new"),
		names("idle", ready("False", federation.EndpointsPublished, federation.ReasonNoEndpoints, "")...),
		names("api", ready("False", federation.EndpointsPublished, federation.ReasonAllUnhealthy, "no endpoint is usable")...),
	})
	var out bytes.Buffer
	printStatus(&out, r)
	wantGolden(t, "status.txt", out.String())

	want := []string{
		"cluster shire is not ready (ClusterNotReachable)",
		"1 of 2 objects are not where they should be",
		"DNS zone shop.example is Denied",
		"the names of 1 of 4 objects are not as they should be",
		"1 deleted objects still have copies in members (tombstones)",
	}
	if diff := cmp.Diff(want, problems(r)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	r.Clusters, r.Objects, r.DNS, r.Tombstones = r.Clusters[:1], statusOfObjects([]federation.PlacementDecision{good}), nil, nil
	if got := problems(r); len(got) != 0 {
		t.Errorf("problems of a healthy federation: %q", got)
	}
}

func TestFailingChecks(t *testing.T) {
	body := "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/x failed\nreadyz check failed\n"
	if diff := cmp.Diff([]string{"etcd", "poststarthook/x"}, failingChecks(body, errors.New("500"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"no route"}, failingChecks("", errors.New("no route"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCompletionAndVersion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, errs := typed(t, "completion", shell); code != ExitOK || !strings.Contains(out, "kubefed") {
			t.Errorf("%s: exit code %d, %d characters, %s", shell, code, len(out), errs)
		}
	}
	if _, out, _ := typed(t, "__complete", "init", "--host-cluster-context", ""); !strings.HasPrefix(out, "rivendell\n") {
		t.Errorf("contexts offered: %q", out)
	}
	if code, out, errs := typed(t, "version", "--client", "-o", "json"); code != ExitOK || !strings.Contains(out, `"version": "`+version.Version+`"`) {
		t.Errorf("exit code %d, out %s, errors %s", code, out, errs)
	}
}
