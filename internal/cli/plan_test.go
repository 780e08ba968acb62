package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/plan"
)

func share(cluster string, replicas ...int32) plan.Share {
	s := plan.Share{Cluster: cluster}
	for _, n := range replicas {
		s.Replicas = ptr.To(n)
	}
	return s
}

func reference(kind, name string) federation.ObjectReference {
	return federation.ObjectReference{Kind: kind, Namespace: "shop", Name: name}
}

func TestPlanPrinted(t *testing.T) {
	report := planReport{
		Failing: []plan.Domain{{Field: federation.FieldProvider, Value: "aws"}, {Field: federation.FieldZone, Value: "europe-west1-b"}},
		Loss:    plan.Loss{Clusters: []string{"gondor", "rohan"}, Partly: []string{"shire"}},
		Objects: 12,
		Changes: []plan.Change{
			{Object: reference("Deployment", "web"), Policy: "PropagationPolicy/web", Now: []plan.Share{share("gondor", 3), share("shire", 3)}, Then: []plan.Share{share("shire", 6)}, Lost: 3, Waits: metav1.Duration{Duration: time.Minute},
				CostNow: plan.Cost{Hour: plan.Money{"USD": 0.12, "EUR": 0.06}}, CostThen: plan.Cost{Hour: plan.Money{"EUR": 0.12}}},
			{Object: reference("Deployment", "pinned"), Now: []plan.Share{share("rohan", 1)}, Then: []plan.Share{share("rohan", 1)}, Lost: 1, Problem: "nothing of it would be left",
				CostNow: plan.Cost{Unknown: 1}, CostThen: plan.Cost{Unknown: 1}},
			{Object: reference("ConfigMap", "config"), Now: []plan.Share{share("gondor"), share("shire")}, Then: []plan.Share{share("shire")}, Lost: 1},
		},
	}
	var out bytes.Buffer
	f := &planFlags{}
	err := f.printPlan(Streams{Out: &out}, report)
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != ExitNotSurvived || !strings.Contains(err.Error(), "1 of 12 objects would not survive") {
		t.Errorf("got %v", err)
	}
	wantGolden(t, "plan.txt", out.String())

	out.Reset()
	err = f.printSurvivability(Streams{Out: &out}, []plan.Survival{
		{Domain: plan.Domain{Field: federation.FieldZone, Value: "us-east-1a"}, Loss: plan.Loss{Partly: []string{"gondor"}}},
		{Domain: plan.Domain{Field: federation.FieldName, Value: "gondor"}, Loss: plan.Loss{Clusters: []string{"gondor"}}, Affected: 2, Replicas: 3, Longest: 90 * time.Second},
		{Domain: plan.Domain{Field: federation.FieldName, Value: "rohan"}, Loss: plan.Loss{Clusters: []string{"rohan"}}, Affected: 1, Replicas: 1, Dead: report.Changes[1:2]},
	})
	if !errors.As(err, &exit) || exit.Code != ExitNotSurvived {
		t.Errorf("got %v", err)
	}
	wantGolden(t, "survivability.txt", out.String())

	if err := f.printPlan(Streams{Out: &out}, planReport{Objects: 3}); err != nil {
		t.Errorf("a plan without a problem: %v", err)
	}
}

func TestReasonsPrinted(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	n := ptr.To[int32]
	var out bytes.Buffer
	printReasons(&out, plan.Reasons{
		Object: reference("Deployment", "web"), Decision: &placement.Decision{}, Outdated: true,
		Reason: "by the policy: replicas divided by weight, moving as few as possible", Missing: "1 of 8 replicas are unplaced",
		Policies: []plan.PolicyMatch{
			{PolicyReference: federation.PolicyReference{Kind: "PropagationPolicy", Name: "web"}, By: "name"},
			{PolicyReference: federation.PolicyReference{Kind: "ClusterPropagationPolicy", Name: "shops"}, By: "labels"},
			{PolicyReference: federation.PolicyReference{Kind: "ClusterPropagationPolicy", Name: "webs"}, By: "labels", Tie: true},
		},
		Clusters: []placement.Candidate{
			{Cluster: "gondor", Group: "home", Weight: 3, Min: 1, Max: n(4), Fits: n(0), Has: n(4), Ready: n(3), Target: n(4), Gets: n(4), Out: federation.ReasonFull, Detail: "no replica fits into what is free"},
			{Cluster: "rohan", Group: "overflow", Weight: 1, Has: n(3), Ready: n(3), Target: n(2), Gets: n(3), Price: 0.0521, Currency: "EUR", Timers: []placement.Timer{{What: "replicas may go back to a better group (minimumStay)", Until: now.Add(10 * time.Minute)}}},
			{Cluster: "shire", Out: federation.ReasonNotSelected},
		},
	}, now)
	wantGolden(t, "why.txt", out.String())
}

// TestGonePolicyPrinted: an object whose policy was deleted still says which one it was.
func TestGonePolicyPrinted(t *testing.T) {
	var out bytes.Buffer
	printReasons(&out, plan.Reasons{Object: reference("Deployment", "web"), Decision: &placement.Decision{
		Policy: &federation.PolicyReference{Kind: "PropagationPolicy", Name: "web"},
	}}, time.Time{})
	if want := "PropagationPolicy/web (deleted"; !strings.Contains(out.String(), want) {
		t.Errorf("kubefed why does not say %q:\n%s", want, out.String())
	}
}

func TestPlanFlags(t *testing.T) {
	for line, want := range map[string]string{
		"plan":                                     "say what would happen",
		"plan --survivability --without gondor":    "leave --without out",
		"plan --without colour=red":                "is no cluster, zone, region or provider",
		"plan --without gondor -o xml":             "use json or yaml",
		"why":                                      "TYPE/NAME",
		"why deployment":                           "TYPE/NAME",
		"rebalance deployment/web -o json":         "--output goes with --plan",
		"plan extra --without gondor":              "takes no arguments",
		"why a b c":                                "TYPE/NAME",
		"rebalance deployment/web --plan -o table": "use json or yaml",
	} {
		var out, errs bytes.Buffer
		code := Main(strings.Fields(line), Streams{Out: &out, Err: &errs})
		if code != ExitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("kubefed %s: exit code %d, %s", line, code, errs.String())
		}
	}
}
