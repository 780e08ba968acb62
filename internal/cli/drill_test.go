package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestDrillFlags(t *testing.T) {
	f := &drillRunFlags{
		clusters: []string{"gondor"}, provider: []string{"gcp"}, mode: "Verdict", duration: time.Minute, rate: 20,
		services:   []string{"shop/web:8080/healthz", "shop/api"},
		guards:     []string{"availability=95%", "window=20s", "ready=shop/web:3", "moved=10", "duration=5m", "others=ignore"},
		objectives: []string{"recovery=30s", "replacement=2m", "failed=0", "late=1"},
	}
	minutes := func(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Minute} }
	want := federation.FailoverDrillSpec{
		Targets: []federation.DrillTarget{{Cluster: "gondor"}, {Provider: "gcp"}}, Mode: federation.DrillVerdict, Duration: minutes(1),
		Services: []federation.DrillService{
			{Namespace: "shop", Name: "web", Port: ptr.To[int32](8080), Path: "/healthz", RequestsPerSecond: ptr.To[int32](20)},
			{Namespace: "shop", Name: "api", RequestsPerSecond: ptr.To[int32](20)},
		},
		Guardrails: federation.DrillGuardrails{
			MinAvailability: ptr.To[int32](95), AvailabilityWindow: &metav1.Duration{Duration: 20 * time.Second}, MaxMoved: ptr.To[int32](10),
			MaxDuration: minutes(5), IgnoreOtherClusters: true, Workloads: []federation.DrillWorkload{{Namespace: "shop", Name: "web", MinReady: 3}},
		},
		Objectives: federation.DrillObjectives{
			RecoveryTime: &metav1.Duration{Duration: 30 * time.Second}, ReplacementTime: minutes(2), FailedRequests: ptr.To[int64](0), FailedLate: ptr.To[int64](1),
		},
	}
	var got federation.FailoverDrillSpec
	if err := f.spec(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDrillRefusedBeforeAnythingIsAsked(t *testing.T) {
	for line, want := range map[string]string{
		"run":                                           "say what fails: --cluster, --zone, --region or --provider",
		"run --cluster=a --mode=flood":                  "--mode=flood: use verdict, dns, drain, kill or partition",
		"run --cluster=a --duration=-5m":                "--duration=-5m0s: must be greater than 0",
		"run --cluster=a --service=web":                 "is no NAMESPACE/NAME[:PORT][/PATH]",
		"run --cluster=a --service=shop/web:http":       `"http" is no port`,
		"run --cluster=a --guard=availability=most":     `availability: "most" is no number`,
		"run --cluster=a --guard=moved=-1":              `moved: "-1" is no number from 0 on`,
		"run --cluster=a --guard=latency=1s":            "use availability=, duration=, moved=, others=, ready=, window=",
		"run --cluster=a --guard=ready=web:3":           "is no NAMESPACE/DEPLOYMENT:N",
		"run --cluster=a --objective=recovery=soon":     "is no duration such as 30s",
		"run --cluster=a -o pdf":                        "--output=pdf: use one of table, json, yaml, markdown, html",
		"run -f /nowhere/drill.yaml":                    "no such file or directory",
		"run -f /nowhere/drill.yaml --cluster=a":        "--cluster: the file given by --filename says that already",
		"report monday -o pdf":                          "--output=pdf: use one of",
		"show":                                          "wants one drill name",
		"abort":                                         "wants one drill name",
		"list all":                                      "takes no arguments",
		"run --cluster=a --context=nowhere":             "no such context in the kubeconfig",
		"run --cluster=a --schedule=@daily --mode=kill": "the kubeconfig has no current context",
	} {
		t.Run(line, func(t *testing.T) {
			code, out, errs := typed(t, append([]string{"drill"}, strings.Fields(line)...)...)
			if code == ExitOK || out != "" || !strings.Contains(errs, want) {
				t.Errorf("exit code %d, printed %q, error %q, want %q", code, out, errs, want)
			}
		})
	}
}

func TestDrillsListed(t *testing.T) {
	var out bytes.Buffer
	printDrills(&out, []federation.FailoverDrill{
		{ObjectMeta: metav1.ObjectMeta{Name: "monday"}, Spec: federation.FailoverDrillSpec{Mode: federation.DrillDNS, Targets: []federation.DrillTarget{{Region: "us-east-1"}}}},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "weekly"}, Spec: federation.FailoverDrillSpec{Mode: federation.DrillVerdict},
			Status: federation.FailoverDrillStatus{
				Phase: federation.DrillScheduled, Run: 2, Clusters: []federation.DrillCluster{{Name: "gondor"}, {Name: "rohan"}},
				History: []federation.DrillRun{{Run: 2, Result: "Passed", Requests: 3000, Failed: 12, RecoveryTime: &metav1.Duration{Duration: 8300 * time.Millisecond}}},
			},
		},
	})
	wantGolden(t, "drills.txt", out.String())
}
